//! Redis slow, away, back empty or with less than it had; and nodes that are cut off from it.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Line, Peer, wait_for, wait_for_within};

use crate::cluster::Cluster;

fn unverified() -> Value {
    json!({ "verify_bindings": false, "keep_alive_interval_s": 0, "contacts_max": 10 })
}

#[test]
fn without_redis_registrations_are_local_and_merged_when_it_is_back_empty() -> Result<()> {
    let mut cluster = Cluster::with(&json!({ "verify_bindings": false }))?;
    let peers = [0, 1, 0, 1].map(|node| Peer::new(cluster.nodes[node].ready().sip.udp));
    let [one, other, later, latest] = peers;
    let contact = |peer: &Peer| format!("Contact: <sip:x@{}>", peer.address());
    let (one, other) = (one?, other?);
    cluster.register(&one, 0, "alice", &contact(&one))?;
    cluster.register(&other, 1, "bob", &contact(&other))?;
    let count = |node: usize| cluster.nodes[node].registrations().len();
    wait_for("both everywhere", || {
        (count(0) == 2 && count(1) == 2).then_some(())
    });
    cluster.redis.go();
    let (later, latest) = (later?, latest?);
    assert_eq!(cluster.register(&later, 0, "alice", &contact(&later))?, 200);
    assert_eq!(cluster.register(&latest, 1, "bob", &contact(&latest))?, 200);
    assert_eq!(
        [0, 1].map(|node| cluster.nodes[node].registrations().len()),
        [3, 3]
    );
    cluster.redis.come()?;
    wait_for("all four everywhere", || {
        let count = |node: usize| cluster.nodes[node].registrations().len();
        (count(0) == 4 && count(1) == 4).then_some(())
    });
    // Forgotten while all goes on.
    cluster.redis.ask("FLUSHALL")?;
    for line in &cluster.lines {
        line.set(Line::Slow(Duration::from_millis(50)));
    }
    cluster.wait_until_complete();
    assert_eq!(
        [0, 1].map(|node| cluster.nodes[node].registrations().len()),
        [4, 4]
    );
    Ok(())
}

#[test]
fn over_a_slow_line_everything_takes_its_time_and_no_call_waits() -> Result<()> {
    let cluster = Cluster::of(3, &unverified())?;
    for line in &cluster.lines {
        line.set(Line::Slow(Duration::from_millis(50)));
    }
    let bob = cluster.bob(0)?;
    cluster.wait_for_contacts(&cluster.all(), &[&bob]);
    let bob = [bob];
    cluster.call_all(2, &bob)?;
    let [bob] = bob;
    let bob = bob.towards(cluster.nodes[1].ready().sip.udp);
    cluster.unregister(&bob, 1)?;
    cluster.wait_for_contacts(&cluster.all(), &[]);
    Ok(())
}

#[test]
fn what_was_removed_while_its_holder_was_cut_off_is_gone_when_that_is_back() -> Result<()> {
    let cluster = Cluster::of(3, &unverified())?;
    let (refreshed, moved, stays) = (cluster.bob(0)?, cluster.bob(0)?, cluster.bob(0)?);
    cluster.wait_for_contacts(&cluster.all(), &[&refreshed, &moved, &stays]);
    cluster.lines[0].set(Line::Dead);
    // The others do not know of this when the phone is switched off a moment later.
    cluster.refresh(&refreshed, 0)?;
    let at = |node: usize| cluster.nodes[node].ready().sip.udp;
    let refreshed = refreshed.towards(at(1));
    cluster.unregister(&refreshed, 1)?;
    // Here the node that removes it holds it, and its first holder does not know.
    let moved = moved.towards(at(2));
    cluster.refresh(&moved, 2)?;
    cluster.wait_for_contacts(&[1, 2], &[&moved, &stays]);
    cluster.unregister(&moved, 2)?;
    cluster.wait_for_contacts(&[1, 2], &[&stays]);
    assert_eq!(
        cluster.nodes[0].registrations().len(),
        3,
        "it knows nothing"
    );
    cluster.redis.ask("XTRIM tandem:locations:told MAXLEN 0")?;
    cluster.lines[0].set(Line::Good);
    cluster.lines[0].cut();
    cluster.wait_until_complete();
    cluster.wait_for_contacts(&cluster.all(), &[&stays]);
    Ok(())
}

#[test]
fn what_was_removed_by_a_node_that_died_is_gone_when_its_holder_is_back() -> Result<()> {
    let mut cluster = Cluster::of(3, &unverified())?;
    let (gone, stays) = (cluster.bob(0)?, cluster.bob(0)?);
    cluster.wait_for_contacts(&cluster.all(), &[&gone, &stays]);
    cluster.lines[0].set(Line::Dead);
    let gone = gone.towards(cluster.nodes[1].ready().sip.udp);
    cluster.unregister(&gone, 1)?;
    cluster.wait_for_contacts(&[1, 2], &[&stays]);
    cluster.nodes[1].kill_9();
    let buried = || cluster.redis.ask("SCARD tandem:buried").ok();
    wait_for_within(A_MINUTE, "its death to be known", || {
        (buried()? == ":1").then_some(())
    });
    // Whatever it has told, and what it has left, is not there any more.
    wait_for_within(A_MINUTE, "its marks at another", || {
        let marks = cluster.redis.ask(
            "EVAL \"local n = 0 for _, k in ipairs(redis.call('KEYS', 'tandem:locations:of:*')) do \
             for _, v in ipairs(redis.call('HVALS', k)) do \
             if string.byte(v) == 3 then n = n + 1 end end end return n\" 0",
        );
        (marks.ok()? == ":2").then_some(())
    });
    cluster.redis.ask("XTRIM tandem:locations:told MAXLEN 0")?;
    cluster.redis.ask(
        "EVAL \"for _, id in ipairs(redis.call('SMEMBERS', 'tandem:buried')) do \
         redis.call('DEL', 'tandem:locations:of:' .. id) end\" 0",
    )?;
    cluster.lines[0].set(Line::Good);
    cluster.lines[0].cut();
    cluster.wait_for_contacts(&[0, 2], &[&stays]);
    Ok(())
}

#[test]
fn what_was_removed_stays_so_when_redis_forgets_everything() -> Result<()> {
    let cluster = Cluster::of(3, &unverified())?;
    let (gone, stays) = (cluster.bob(0)?, cluster.bob(0)?);
    cluster.wait_for_contacts(&cluster.all(), &[&gone, &stays]);
    cluster.lines[0].set(Line::Dead);
    let gone = gone.towards(cluster.nodes[1].ready().sip.udp);
    cluster.unregister(&gone, 1)?;
    cluster.wait_for_contacts(&[1, 2], &[&stays]);
    cluster.redis.ask("FLUSHALL")?;
    cluster.lines[0].set(Line::Good);
    cluster.lines[0].cut();
    cluster.wait_until_complete();
    cluster.wait_for_contacts(&cluster.all(), &[&stays]);
    cluster.call_all(2, &[stays])?;
    Ok(())
}

#[test]
fn a_redis_that_has_lost_what_was_written_last_is_told_again() -> Result<()> {
    let mut cluster = Cluster::of(3, &unverified())?;
    let (gone, stays) = (cluster.bob(0)?, cluster.bob(0)?);
    cluster.wait_for_contacts(&cluster.all(), &[&gone, &stays]);
    // It comes back as it is now.
    assert_eq!(cluster.redis.ask("SAVE")?, "+OK");
    let late = cluster.bob(1)?;
    let gone = gone.towards(cluster.nodes[2].ready().sip.udp);
    cluster.unregister(&gone, 2)?;
    cluster.wait_for_contacts(&cluster.all(), &[&late, &stays]);
    cluster.redis.go();
    cluster.redis.come()?;
    let runs_anew = || {
        let known = cluster.redis.ask("GET tandem:locations:era").ok()?;
        known.starts_with('$').then_some(())
    };
    wait_for("its old memory", runs_anew);
    let later = cluster.bob(2)?;
    cluster.wait_for_contacts(&cluster.all(), &[&late, &later, &stays]);
    cluster.wait_until_complete();
    cluster.wait_for_contacts(&cluster.all(), &[&late, &later, &stays]);
    Ok(())
}

const A_MINUTE: Duration = Duration::from_secs(60);
