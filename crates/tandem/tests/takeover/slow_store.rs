//! Calls while Redis is far away: none waits for it.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use testkit::{Line, Peer, wait_for};

use crate::by_hand::{calls, is_answered, lets_go, takes};
use crate::cluster::{Cluster, metric};

/// Calls of each test.
const CALLS: usize = 20;

/// How long callers wait for the answer while a question to Redis and its answer take `round_trip`:
/// the quickest first.
fn delays(round_trip: Duration) -> Result<Vec<Duration>> {
    let cluster = Cluster::of(1)?;
    cluster.bypass_media()?;
    // Each call takes a permit of a limit that nodes share.
    let rest = cluster.switches[0].rest();
    let account = format!(
        "/v1/accounts/{}",
        rest.account()?.as_str().unwrap_or_default()
    );
    rest.change(
        &account,
        &json!({ "limits": { "channels": 100, "cps": 100 } }),
    )?;
    let (alice, bob) = (cluster.hand_phone("alice")?, cluster.hand_phone("bob")?);
    cluster.switches[0].wait_for_routable(2);
    wait_for("a share of the limit", || {
        let limits = rest.list("/v1/limits").ok()?;
        let mut shares = limits.iter().filter_map(|l| l["channels_share"].as_u64());
        shares.any(|share| share >= CALLS as u64).then_some(())
    });
    cluster.lines[0].set(Line::Slow(round_trip / 2));
    let mut all = Vec::new();
    for _ in 0..CALLS {
        all.push(delay(&cluster, &alice, &bob)?);
    }
    assert_eq!(metric(&cluster.switches[0], "tandem_live_store_up"), 1);
    all.sort_unstable();
    eprintln!("Redis {round_trip:?} away: {all:?}");
    Ok(all)
}

/// From alice's first INVITE to the 200 of bob, who answers at once.
fn delay(cluster: &Cluster, alice: &Peer, bob: &Peer) -> Result<Duration> {
    let began = Instant::now();
    let invite = calls(cluster, alice, "alice", "bob", &[])?;
    let called = std::thread::scope(|scope| -> Result<_> {
        // The ACK comes only after the answer.
        let taken = scope.spawn(|| takes(bob, "b"));
        let dialog = is_answered(alice, &invite)?;
        let took = began.elapsed();
        let bobs = taken.join().expect("bob takes the call")?;
        Ok((dialog, took, bobs))
    });
    let (dialog, took, bobs) = called?;
    alice.send(alice.within(&dialog, "BYE", 9, &[], ""))?;
    lets_go(bob, &bobs.call_id)?;
    alice.expect_status(200, "BYE");
    Ok(took)
}

/// So far away that nobody who waits for it can be quick, however busy the machine is.
#[test]
fn no_caller_waits_for_a_redis_that_is_slow() -> Result<()> {
    let round_trip = Duration::from_millis(800);
    let delays = delays(round_trip)?;
    let median = delays[CALLS / 2];
    assert!(median < round_trip, "{delays:?}");
    Ok(())
}

#[test]
fn a_call_is_answered_before_a_redis_50_ms_away_could_have_answered_once() -> Result<()> {
    let round_trip = Duration::from_millis(50);
    let delays = delays(round_trip)?;
    assert!(delays[0] < round_trip, "{delays:?}");
    Ok(())
}
