//! How many calls pass, at each level, and what happens to the others.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{GatewaySpec, Peer, Platform, Sipp, record_path, session, wait_for};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn peer(platform: &Platform) -> Result<Peer> {
    Peer::new(platform.ready().sip.udp)
}

/// Talks while `talk` looks at the platform; the call ends in order.
fn talking(platform: &Platform, callee: &Peer, talk: impl FnOnce() -> Result<()>) -> Result<()> {
    let caller = peer(platform)?;
    let call = caller.invite("493012345")?;
    let invited = callee.expect_request("INVITE");
    let answer = session("127.0.0.1:40002".parse()?);
    callee.send(callee.response(&invited, "200 OK", "c", &[], &answer))?;
    let answered = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(&call, &answered))?;
    callee.expect_request("ACK");
    talk()?;
    let id = platform.rest().first("calls")?;
    platform.rest().remove(&record_path("calls", &id))?;
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
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    let mut levels = vec!["/v1/settings".to_owned()];
    for kind in ["accounts", "customers", "carriers", "gateways"] {
        levels.push(record_path(kind, &rest.first(kind)?));
    }
    for level in levels {
        rest.change(&level, &json!({ "limits": { "channels": 1 } }))?;
        for _ in 0..2 {
            talking(&platform, &callee, || {
                let second = peer(&platform)?;
                let call = second.invite("493012345")?;
                let answer = second.refused(&call)?;
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
    let spec = GatewaySpec::at(callee.address());
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
        rest.add_carrier("", &[GatewaySpec::at(peer.ready().sip.udp)], &json!({}))?;
        let overflow = json!({
            "limits": { "channels": 0 },
            "overflow": { "peers": [peer.ready().sip.udp.to_string()] },
        });
        rest.change("/v1/settings", &overflow)?;
    }
    let caller = peer(&one)?;
    let call = caller.invite("493012345")?;
    let moved = caller.refused(&call)?;
    assert_eq!(moved.status(), Some(302));
    let there = moved.contact_uri().to_owned();
    assert!(
        there.contains(&other.ready().sip.udp.to_string()),
        "{there}"
    );
    let caller = caller.towards(other.ready().sip.udp);
    let call = caller.request("INVITE", &there, &[], &session("127.0.0.1:40000".parse()?));
    caller.send(&call)?;
    let end = caller.refused(&call)?;
    assert_eq!(end.status(), Some(503), "{end:?}");
    assert!(end.header("Retry-After").is_some());
    assert!(caller.stays_silent(Duration::from_millis(1), |_| true));
    Ok(())
}

#[test]
fn a_user_and_a_number_have_limits_of_their_own() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let carrier = peer(&platform)?;
    rest.add_carrier("", &[GatewaySpec::at(carrier.address())], &json!({}))?;
    let line = rest.first("gateways")?;
    rest.change(&record_path("gateways", &line), &json!({ "inbound": true }))?;
    let number = json!({
        "account": rest.account()?,
        "number": "+49301",
        "target": { "kind": "echo" },
        "limits": { "channels": 1 },
    });
    rest.create("/v1/numbers", &number)?;
    let users = rest.list("/v1/users")?;
    let alice = users.iter().find(|u| u["name"] == "alice");
    let one = json!({ "limits": { "channels": 1 } });
    rest.change(&record_path("users", alice.unwrap_or(&Value::Null)), &one)?;

    let who = platform.ready().credentials("alice");
    let uri = format!("sip:600@{}", platform.ready().domain);
    let offer = session("127.0.0.1:40000".parse()?);
    let phone = peer(&platform)?;
    let by_phone = || phone.send_with_digest(&who, "INVITE", &uri, &[], &offer);
    let by_carrier = || carrier.invite("+49301");
    let sides: [(&Peer, &dyn Fn() -> Result<String>); 2] =
        [(&phone, &by_phone), (&carrier, &by_carrier)];
    for (caller, call) in sides {
        for _ in 0..2 {
            let first_call = call()?;
            let answered = caller.expect_status(200, "INVITE");
            caller.send(caller.ack(&first_call, &answered))?;
            let second_call = call()?;
            assert_eq!(caller.refused(&second_call)?.status(), Some(503));
            let live = rest.first("calls")?;
            rest.remove(&record_path("calls", &live))?;
            let bye = caller.expect_request("BYE");
            caller.send(caller.response(&bye, "200 OK", "", &[], ""))?;
            platform.wait_until_idle();
        }
    }
    let used = rest.list("/v1/limits")?;
    assert!(used.iter().all(|l| l["channels"] == 0), "{used:?}");
    Ok(())
}
