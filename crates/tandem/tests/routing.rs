//! Where calls go, and how many of them, as customers and carriers see it.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Credentials, GatewaySpec, Message, Peer, Platform, Rest, Sipp, session, wait_for};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn peer(platform: &Platform) -> Result<Peer> {
    Peer::new(platform.ready().sip.udp)
}

fn gateway(peer: &Peer, priority: u16) -> GatewaySpec {
    GatewaySpec {
        address: peer.address(),
        priority,
    }
}

/// Records of a kind have this path.
fn path(kind: &str, record: &Value) -> String {
    format!("/v1/{kind}/{}", record["id"].as_str().unwrap_or_default())
}

fn first(rest: &Rest, kind: &str) -> Result<Value> {
    Ok(rest.list(&format!("/v1/{kind}"))?.remove(0))
}

fn invite(caller: &Peer, number: &str) -> Result<String> {
    let offer = session("127.0.0.1:40000".parse()?);
    let invite = caller.request("INVITE", &format!("sip:{number}@127.0.0.1"), &[], &offer);
    caller.send(&invite)?;
    Ok(invite)
}

/// Refuses the call that comes next.
fn refuse(callee: &Peer, status: &str) -> Result<Message> {
    let invited = callee.expect_request("INVITE");
    callee.send(callee.response(&invited, status, "r", &[], ""))?;
    callee.expect_request("ACK");
    Ok(invited)
}

/// Waits for a refusal and acknowledges it.
fn refused(caller: &Peer, invite: &str) -> Result<Message> {
    let is_final = |m: &Message| m.method() == "INVITE" && m.status().is_some_and(|s| s >= 300);
    let answer = caller.expect("a refusal", is_final);
    caller.send(caller.ack(invite, &answer))?;
    Ok(answer)
}

#[test]
fn a_number_called_by_a_carrier_rings_its_user() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let (carrier, alice) = (peer(&platform)?, peer(&platform)?);
    rest.add_carrier("", &[gateway(&carrier, 0)], &json!({}))?;
    let record = first(&rest, "gateways")?;
    rest.change(&path("gateways", &record), &json!({ "inbound": true }))?;
    let users = rest.list("/v1/users")?;
    let owner = users.iter().find(|u| u["name"] == "alice");
    let number = json!({
        "account": rest.account()?,
        "number": "+493012345",
        "target": { "kind": "user", "user": owner.map(|u| &u["id"]) },
    });
    rest.create("/v1/numbers", &number)?;
    alice.register_routable(&platform, "alice")?;
    for dialled in ["+493012345", "%2B493012345"] {
        let call = invite(&carrier, dialled)?;
        refuse(&alice, "486 Busy Here")?;
        assert_eq!(refused(&carrier, &call)?.status(), Some(486));
    }
    let call = invite(&carrier, "+493099999")?;
    assert_eq!(refused(&carrier, &call)?.status(), Some(404));
    Ok(())
}

#[test]
fn a_customer_proves_itself_by_digest_and_its_numbers_are_rewritten() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let carrier = peer(&platform)?;
    let plus = json!({ "rewrite": { "strip_digits": 2, "prepend": "+" } });
    rest.add_carrier("", &[gateway(&carrier, 0)], &plus)?;
    let customer = json!({
        "account": rest.account()?,
        "name": "pbx",
        "auth": { "kind": "digest", "auth_name": "pbx-1", "password": "a long enough secret" },
    });
    rest.create("/v1/customers", &customer)?;
    let pbx = Credentials {
        username: "pbx-1".into(),
        password: "a long enough secret".into(),
    };
    let caller = peer(&platform)?;
    let offer = session("127.0.0.1:40000".parse()?);
    let call = caller.send_with_digest(&pbx, "INVITE", "sip:0049301@127.0.0.1", &[], &offer)?;
    let invited = refuse(&carrier, "486 Busy Here")?;
    assert!(invited.start.contains("sip:+49301@"), "{}", invited.start);
    assert_eq!(invited.header("Authorization"), None, "secrets stay here");
    assert_eq!(refused(&caller, &call)?.status(), Some(486));
    Ok(())
}

#[test]
fn lower_priority_first_and_weights_share_the_rest() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let (caller, best) = (peer(&platform)?, peer(&platform)?);
    let (heavy, light) = (peer(&platform)?, peer(&platform)?);
    let specs = [gateway(&best, 0), gateway(&heavy, 5), gateway(&light, 5)];
    rest.add_carrier("", &specs, &json!({}))?;
    for record in rest.list("/v1/gateways")? {
        if record["port"] == heavy.address().port() {
            rest.change(&path("gateways", &record), &json!({ "weight": 3 }))?;
        }
    }
    let mut heavies = 0;
    for _ in 0..60 {
        let call = invite(&caller, "49301")?;
        refuse(&best, "480 Temporarily Unavailable")?;
        assert_eq!(refused(&caller, &call)?.status(), Some(480));
    }
    let record = rest.list("/v1/gateways")?;
    let best_record = record.iter().find(|g| g["priority"] == 0);
    let off = json!({ "enabled": false });
    rest.change(&path("gateways", best_record.unwrap_or(&Value::Null)), &off)?;
    for _ in 0..60 {
        let call = invite(&caller, "49301")?;
        let taker = wait_for("one of both gateways", || {
            [&heavy, &light].into_iter().find(|g| g.has_received())
        });
        heavies += usize::from(std::ptr::eq(taker, &raw const heavy));
        refuse(taker, "486 Busy Here")?;
        assert_eq!(refused(&caller, &call)?.status(), Some(486));
    }
    assert!((30..58).contains(&heavies), "{heavies} of 60, 45 expected");
    Ok(())
}

#[test]
fn the_longest_prefix_wins_and_the_simulation_says_so() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let (caller, world, berlin) = (peer(&platform)?, peer(&platform)?, peer(&platform)?);
    rest.add_carrier("49", &[gateway(&world, 0)], &json!({}))?;
    rest.add_carrier("4930", &[gateway(&berlin, 0)], &json!({}))?;
    for (number, taker) in [("493012345", &berlin), ("498912345", &world)] {
        let question = json!({ "called": number, "caller": "1", "source": "127.0.0.1" });
        let said = rest.create("/v1/routes/simulate", &question)?;
        let uri = said["targets"][0]["uri"].as_str().unwrap_or_default();
        assert!(uri.contains(&taker.address().to_string()), "{said}");
        let call = invite(&caller, number)?;
        let invited = refuse(taker, "486 Busy Here")?;
        assert_eq!(invited.start, format!("INVITE {uri} SIP/2.0"));
        assert_eq!(refused(&caller, &call)?.status(), Some(486));
    }
    let call = invite(&caller, "3312345")?;
    assert_eq!(refused(&caller, &call)?.status(), Some(404));
    Ok(())
}

/// Talks while `talk` looks at the platform; the call ends in order.
fn talking(platform: &Platform, callee: &Peer, talk: impl FnOnce() -> Result<()>) -> Result<()> {
    let caller = peer(platform)?;
    let call = invite(&caller, "493012345")?;
    let invited = callee.expect_request("INVITE");
    let answer = session("127.0.0.1:40002".parse()?);
    callee.send(callee.response(&invited, "200 OK", "c", &[], &answer))?;
    let answered = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(&call, &answered))?;
    callee.expect_request("ACK");
    talk()?;
    let id = first(&platform.rest(), "calls")?;
    platform.rest().remove(&path("calls", &id))?;
    for party in [&caller, callee] {
        let bye = party.expect_request("BYE");
        party.send(party.response(&bye, "200 OK", "", &[], ""))?;
    }
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn every_level_has_its_limit_and_gives_channels_back() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let callee = peer(&platform)?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[gateway(&callee, 0)], &json!({}))?;
    let mut levels = vec!["/v1/settings".to_owned()];
    for kind in ["accounts", "customers", "carriers", "gateways"] {
        levels.push(path(kind, &first(&rest, kind)?));
    }
    for level in levels {
        rest.change(&level, &json!({ "limits": { "channels": 1 } }))?;
        for _ in 0..2 {
            talking(&platform, &callee, || {
                let second = peer(&platform)?;
                let call = invite(&second, "493012345")?;
                let answer = refused(&second, &call)?;
                assert_eq!(answer.status(), Some(503), "{level}");
                Ok(())
            })?;
        }
        let used = rest.list("/v1/limits")?;
        assert!(used.iter().all(|l| l["channels"] == 0), "{used:?}");
        rest.change(&level, &json!({ "limits": { "channels": null } }))?;
    }
    Ok(())
}

#[test]
fn at_twice_the_rate_half_of_the_calls_pass() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    // Without media, so that the rate is all there is to run out of.
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    let limited = json!({ "limits": { "cps": 50 } });
    rest.add_customer("127.0.0.1/32", &limited)?;
    let callee = Sipp::new("uas")?.calls(100_000, 1, 100_000).start()?;
    let spec = GatewaySpec {
        address: callee.address(),
        priority: 0,
    };
    rest.add_carrier("", &[spec], &json!({}))?;
    let callers = Sipp::new("uac_or_503")?
        .service("493012345")
        .calls(1_000, 100, 1_000)
        .set("TALK_MS", "50")
        .start_towards(platform.ready().sip.udp)?;
    callers.finish()?;
    platform.wait_until_idle();
    let cdrs = wait_for("1,000 CDRs", || {
        let all = rest.list("/v1/cdrs?limit=500").ok()?;
        (all.len() >= 1_000).then_some(all)
    });
    let accepted: Vec<u64> = cdrs
        .iter()
        .filter(|c| c["outcome"] == "answered")
        .filter_map(|c| c["start_us"].as_u64())
        .collect();
    let starts = || cdrs.iter().filter_map(|c| c["start_us"].as_u64());
    let span_us = starts().max().unwrap_or(0) - starts().min().unwrap_or(0);
    let allowed = span_us as f64 / 1_000_000.0 * 50.0;
    let share = accepted.len() as f64 / allowed;
    // Of the last second, all may have been admitted in its first half.
    let full_second = 25.0 / allowed;
    assert!((0.98..1.02 + full_second).contains(&share), "{share}");
    Ok(())
}

#[test]
fn two_full_platforms_do_not_send_a_call_round_and_round() -> Result<()> {
    let (one, other) = (platform()?, platform()?);
    for (full, peer) in [(&one, &other), (&other, &one)] {
        let rest = full.rest();
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        rest.add_carrier(
            "",
            &[gateway(&Peer::new(peer.ready().sip.udp)?, 0)],
            &json!({}),
        )?;
        let overflow = json!({
            "limits": { "channels": 0 },
            "overflow": { "peer": peer.ready().sip.udp.to_string() },
        });
        rest.change("/v1/settings", &overflow)?;
    }
    let caller = peer(&one)?;
    let call = invite(&caller, "493012345")?;
    let moved = refused(&caller, &call)?;
    assert_eq!(moved.status(), Some(302));
    let there = moved.contact_uri().to_owned();
    assert!(
        there.contains(&other.ready().sip.udp.to_string()),
        "{there}"
    );
    let caller = caller.towards(other.ready().sip.udp);
    let call = caller.request("INVITE", &there, &[], &session("127.0.0.1:40000".parse()?));
    caller.send(&call)?;
    let end = refused(&caller, &call)?;
    assert_eq!(end.status(), Some(503), "{end:?}");
    assert!(end.header("Retry-After").is_some());
    assert!(caller.stays_silent(Duration::from_millis(1), |_| true));
    Ok(())
}

#[test]
fn a_call_that_goes_round_between_two_platforms_ends() -> Result<()> {
    let (one, other) = (platform()?, platform()?);
    for (here, there) in [(&one, &other), (&other, &one)] {
        let rest = here.rest();
        rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        let spec = GatewaySpec {
            address: there.ready().sip.udp,
            priority: 0,
        };
        rest.add_carrier("", &[spec], &json!({}))?;
    }
    let caller = peer(&one)?;
    let call = invite(&caller, "493012345")?;
    let end = refused(&caller, &call)?;
    assert_eq!(end.status(), Some(483), "{end:?}");
    let legs = one.rest().list("/v1/cdrs")?.len() + other.rest().list("/v1/cdrs")?.len();
    assert!(legs <= 71, "{legs} legs");
    for platform in [&one, &other] {
        platform.wait_until_idle();
    }
    Ok(())
}
