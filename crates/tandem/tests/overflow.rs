//! Servers without room: calls go on to their peers, through a dispatcher and without one, and to
//! nobody twice.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Dispatcher, GatewaySpec, Peer, Platform, Sipp, session, wait_for};

/// Platforms with one customer and one carrier, and room for so many calls each; each may send
/// calls on to all others.
fn platforms<const N: usize>(callee: &Sipp, channels: [u32; N]) -> Result<Vec<Platform>> {
    let start = |_: &u32| Platform::start(env!("CARGO_BIN_EXE_tandem"));
    let all = channels.iter().map(start).collect::<Result<Vec<_>>>()?;
    let peers: Vec<String> = all
        .iter()
        .map(|one| one.ready().sip.udp.to_string())
        .collect();
    for (platform, channels) in all.iter().zip(channels) {
        let rest = platform.rest();
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
        let settings = json!({
            "limits": { "channels": channels },
            "overflow": { "peers": peers },
            "dispatchers": ["127.0.0.1/32"],
        });
        rest.change("/v1/settings", &settings)?;
    }
    Ok(all)
}

fn callee() -> Result<Sipp> {
    Sipp::new("uas")?
        .set("RING_MS", "20")
        .calls(100, 100, 100)
        .start()
}

/// The statuses of all CDRs, in order.
fn statuses(platform: &Platform, count: usize) -> Vec<u64> {
    let mut all: Vec<u64> = cdrs(platform, count)
        .iter()
        .filter_map(|cdr| cdr["status"].as_u64())
        .collect();
    all.sort_unstable();
    all
}

fn cdrs(platform: &Platform, count: usize) -> Vec<Value> {
    platform.wait_until_idle();
    wait_for("the CDRs", || {
        let all = platform.rest().list("/v1/cdrs").ok()?;
        (all.len() >= count).then_some(all)
    })
}

#[test]
fn the_dispatcher_follows_full_servers_to_the_one_with_room_and_no_call_goes_round() -> Result<()> {
    let callee = callee()?;
    let all = platforms(&callee, [1, 1, 1])?;
    let mut arguments: Vec<String> = Vec::new();
    for (platform, name) in all.iter().zip(["a", "b,priority=1", "c,priority=1"]) {
        let (name, more) = name.split_at(1);
        arguments.push(format!(
            "--target={name}=udp:{}{more}",
            platform.ready().sip.udp
        ));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let dispatcher = Dispatcher::start(env!("CARGO_BIN_EXE_tandem"), &arguments)?;
    let redirects = || dispatcher.metric("tandem_dispatcher_redirects_total");

    // All three go to the first; it keeps one, its peer another, and the peer's peer the third.
    let callers = Sipp::new("uac")?
        .service("493012345")
        .calls(3, 2, 3)
        .set("TALK_MS", "6000")
        .start_towards(dispatcher.sip().udp)?;
    wait_for("a call at each", || {
        let up = |one: &Platform| one.rest().list("/v1/calls").is_ok_and(|all| all.len() == 1);
        all.iter().all(up).then_some(())
    });
    assert_eq!(redirects(), Some(3.0), "none, one, two");

    let fourth = Peer::new(dispatcher.sip().udp)?;
    let call = fourth.invite("493012345")?;
    let end = fourth.refused(&call)?;
    assert_eq!(end.status(), Some(503), "{end:?}");
    assert!(end.header("Retry-After").is_some(), "{end:?}");
    assert_eq!(redirects(), Some(5.0), "each was asked once");

    assert_eq!(callers.finish()?.succeeded, 3);
    // The truth: each server answered one call, and says where it sent the others.
    assert_eq!(statuses(&all[0], 4), [200, 302, 302, 302]);
    assert_eq!(statuses(&all[1], 3), [200, 302, 302]);
    assert_eq!(statuses(&all[2], 2), [200, 503]);
    let moved = cdrs(&all[0], 4)
        .into_iter()
        .find(|cdr| cdr["status"] == 302);
    let why = moved.map(|cdr| cdr["reason"].as_str().unwrap_or_default().to_owned());
    let to = format!("sent on to {}", all[1].ready().sip.udp);
    assert!(why.as_ref().is_some_and(|why| why.contains(&to)), "{why:?}");
    Ok(())
}

#[test]
fn a_customer_follows_full_servers_to_the_one_with_room() -> Result<()> {
    let callee = callee()?;
    let all = platforms(&callee, [0, 0, 1])?;
    let mut caller = Peer::new(all[0].ready().sip.udp)?;
    let mut there = format!("sip:493012345@{}", all[0].ready().sip.udp);
    for next in &all[1..] {
        let offer = session("127.0.0.1:40000".parse()?);
        let invite = caller.request("INVITE", &there, &[], &offer);
        caller.send(&invite)?;
        let moved = caller.refused(&invite)?;
        assert_eq!(moved.status(), Some(302));
        there = moved.contact_uri().to_owned();
        let next = next.ready().sip.udp;
        assert!(
            there.starts_with(&format!("sip:493012345@{next};")),
            "{there}"
        );
        caller = caller.towards(next);
    }
    let offer = session("127.0.0.1:40000".parse()?);
    let invite = caller.request("INVITE", &there, &[], &offer);
    caller.send(&invite)?;
    let answered = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(&invite, &answered))?;
    let live = all[2].rest().first("calls")?;
    let shown = live["explanation"].to_string();
    assert!(shown.contains("sent on for want of room"), "{live}");

    // A second one finds all of them full, whomever it asks first.
    let second = Peer::new(all[1].ready().sip.udp)?;
    let mut there = "sip:493012345@example.com".to_owned();
    let mut second = second;
    for (at, status) in [(1, 302), (2, 302), (0, 503)] {
        second = second.towards(all[at].ready().sip.udp);
        let offer = session("127.0.0.1:40002".parse()?);
        let invite = second.request("INVITE", &there, &[], &offer);
        second.send(&invite)?;
        let end = second.refused(&invite)?;
        assert_eq!(end.status(), Some(status), "{end:?}");
        if status == 302 {
            there = end.contact_uri().to_owned();
        } else {
            assert!(end.header("Retry-After").is_some(), "{end:?}");
        }
    }
    Ok(())
}
