//! Answered calls: what is said in them, their media, their records, and nodes that come back.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use testkit::{GatewaySpec, MediaServer, Sipp, wait_for};

use crate::cluster::{
    ALICE_HZ, BINARY, BOB_HZ, CALLS_KNOWN, Cluster, metric, only_answered, talked_us,
};

#[test]
fn a_call_goes_on_when_its_switch_is_killed() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let began = Instant::now();
    let (mut alice, mut bob) = cluster.talking()?;
    assert_eq!(media.sessions(), 1);
    let answered = Instant::now();
    cluster.switches[0].kill_9();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    eprintln!("taken over after {:?}", answered.elapsed());
    assert_eq!(cluster.taken_over(1), 1);
    // Nobody has noticed, and it can be held and resumed.
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hold()?;
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    assert_eq!(media.sessions(), 1, "it is where it was");
    let talked = answered.elapsed();
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdrs = cluster.cdrs(1);
    let all = began.elapsed();
    let cdr = only_answered(&cdrs, "callee");
    let us = u128::from(talked_us(cdr));
    assert!(us >= talked.as_micros() && us <= all.as_micros(), "{cdr}");
    for leg in ["media_a", "media_b"] {
        let packets = cdr[leg]["packets"].as_u64().unwrap_or(0);
        assert!(packets > 0, "{leg} of {cdr}");
    }
    wait_for("the session to end", || {
        (media.sessions() == 0).then_some(())
    });
    cluster.bring_back()?;
    assert_eq!(cluster.cdrs(1).len(), 1, "one call has one record");
    Ok(())
}

#[test]
fn whoever_hangs_up_first_is_heard_by_the_other_switch() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    // At once: nobody else knows yet that it is dead.
    cluster.switches[0].kill_9();
    let killed = Instant::now();
    alice.hang_up()?;
    bob.wait_for_closed();
    eprintln!("the other side heard of it after {:?}", killed.elapsed());
    let cdrs = cluster.cdrs(1);
    only_answered(&cdrs, "caller");
    Ok(())
}

#[test]
fn media_that_died_with_the_switch_are_begun_anew() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let (mut alice, mut bob) = cluster.talking()?;
    cluster.switches[0].kill_9();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    wait_for("its media to have moved", || {
        let moved = metric(&cluster.switches[1], "tandem_calls_media_moved_total");
        (moved == 1).then_some(())
    });
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    assert_eq!(cluster.cdrs(1).len(), 1);
    Ok(())
}

#[test]
fn fifty_calls_lose_nothing_but_their_switch() -> Result<()> {
    const CALLS: u32 = 50;
    let mut cluster = Cluster::start()?;
    let callee = Sipp::new("uas")?.calls(CALLS, 1, CALLS).start()?;
    let rest = cluster.switches[0].rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    // Half of it is each one's.
    let limits = json!({ "limits": { "channels": 2 * CALLS } });
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &limits)?;
    wait_for("shares of the limit", || {
        let limits = cluster.switches[0].rest().list("/v1/limits").ok()?;
        let carrier = limits
            .into_iter()
            .find(|limit| limit["kind"] == "carrier")?;
        (carrier["channels_share"].as_u64()? >= u64::from(CALLS)).then_some(())
    });
    let caller = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "8000")
        .calls(CALLS, 10, CALLS)
        .start_towards(cluster.dispatcher.sip().udp)?;
    wait_for("all calls", || {
        (cluster.calls(0) == CALLS as usize).then_some(())
    });
    wait_for("others to know of them, answered as they are", || {
        let known = cluster.redis.ask(CALLS_KNOWN).ok()?;
        (known == format!(":{CALLS}")).then_some(())
    });
    cluster.switches[0].kill_9();
    wait_for("the other to have them", || {
        (cluster.calls(1) == CALLS as usize).then_some(())
    });
    let limits = cluster.switches[1].rest().list("/v1/limits")?;
    let carrier = limits.iter().find(|limit| limit["kind"] == "carrier");
    assert_eq!(carrier.map(|limit| &limit["channels"]), Some(&json!(CALLS)));
    let counts = caller.finish()?;
    assert_eq!(counts.succeeded, u64::from(CALLS), "{counts:?}");
    // Each BYE has reached the callee.
    let heard = callee.finish()?;
    assert_eq!(heard.succeeded, u64::from(CALLS), "{heard:?}");
    let cdrs = cluster.cdrs(CALLS as usize);
    assert_eq!(cdrs.len(), CALLS as usize);
    for cdr in &cdrs {
        assert_eq!(
            (&cdr["outcome"], &cdr["ended_by"]),
            (&json!("answered"), &json!("caller"))
        );
        let talked_ms = talked_us(cdr) / 1_000;
        assert!((7_900..9_500).contains(&talked_ms), "{talked_ms} ms: {cdr}");
    }
    cluster.bring_back()?;
    assert_eq!(cluster.cdrs(CALLS as usize).len(), CALLS as usize);
    let limits = cluster.switches[1].rest().list("/v1/limits")?;
    let carrier = limits.iter().find(|limit| limit["kind"] == "carrier");
    assert_eq!(carrier.map(|limit| &limit["channels"]), Some(&json!(0)));
    Ok(())
}

/// It rings, it is answered, that is acknowledged, it has ended: nothing else of it is told, and nobody
/// looks for it.
#[test]
fn a_simple_call_is_written_four_times() -> Result<()> {
    const CALLS: u32 = 20;
    let cluster = Cluster::of(1)?;
    let callee = Sipp::new("uas")?.calls(CALLS, 1, CALLS).start()?;
    let rest = cluster.switches[0].rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    let seen = cluster.redis.monitor()?;
    let caller = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "1000")
        .calls(CALLS, 10, CALLS)
        .start_towards(cluster.dispatcher.sip().udp)?;
    assert_eq!(caller.finish()?.succeeded, u64::from(CALLS));
    cluster.switches[0].wait_until_idle();
    let calls = "\"tandem:calls:";
    wait_for("all of them to be gone from Redis", || {
        (seen.count(&["\"HDEL\"", calls]) >= CALLS as usize).then_some(())
    });
    let written = seen.count(&["\"HSET\"", calls]);
    assert!(written > 0 && written <= 3 * CALLS as usize, "{written}");
    assert_eq!(seen.count(&["\"HDEL\"", calls]), CALLS as usize);
    // Those are many commands in few questions, beside which only rounds go on that count no calls.
    assert_eq!(seen.count(&["\"HGET\"", calls]), 0, "nothing is looked for");
    Ok(())
}

#[test]
fn a_switch_that_hung_says_nothing_in_calls_that_others_have() -> Result<()> {
    let cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    let hung = cluster.switches[0].program();
    hung.hang()?;
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    alice.wait_for_tone(BOB_HZ);
    hung.go_on()?;
    wait_for("it to have noticed", || {
        let lost = metric(&cluster.switches[0], "tandem_calls_lost_to_others_total");
        (lost == 1).then_some(())
    });
    assert_eq!(cluster.calls(0), 0);
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    // What the dispatcher sends to the first again, which it knows as the call's, is answered.
    alice.hold()?;
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdrs = wait_for("the CDR", || {
        let cdrs = cluster.switches[0].rest().list("/v1/cdrs").ok()?;
        (!cdrs.is_empty()).then_some(cdrs)
    });
    only_answered(&cdrs, "callee");
    Ok(())
}

#[test]
fn a_request_to_a_switch_that_came_back_finds_its_call() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    cluster.switches[0].kill_9();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    cluster.bring_back()?;
    assert_eq!(cluster.calls(0), 0, "the call stays where it is");
    wait_for("the dispatcher to use it again", || {
        (cluster.dispatcher.target("s0")["state"] == "up").then_some(())
    });
    alice.hang_up()?;
    bob.wait_for_closed();
    let handed = metric(&cluster.switches[1], "tandem_calls_handed_over_total");
    assert_eq!(handed, 1, "it went to where the request was");
    let cdrs = cluster.cdrs(1);
    only_answered(&cdrs, "caller");
    Ok(())
}
