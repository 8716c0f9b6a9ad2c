//! Nodes that die, come back, or stop and go on.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Peer, PhoneTransport, wait_for};

use crate::cluster::{ALICE_HZ, Cluster, contact_uri, forget_received, metric, pingers};

/// Two rounds of pings and a little.
const TWO_ROUNDS: Duration = Duration::from_secs(12);
/// T2 of RFC 3261 §17.1.2.2, and a little.
const ONE_REPETITION: Duration = Duration::from_secs(5);

fn settings() -> Value {
    json!({ "keep_alive_interval_s": 5, "contacts_max": 10 })
}

/// So many phones of Bob's at a node, verified.
fn phones(cluster: &Cluster, node: usize, count: usize) -> Result<Vec<Peer>> {
    let mut phones = Vec::new();
    for _ in 0..count {
        let phone = cluster.bob(node)?;
        phone.answer_options()?;
        phones.push(phone);
    }
    cluster.wait_for_routable(count);
    Ok(phones)
}

/// Each phone is pinged by one node, by one of these.
fn each_has_one_owner(cluster: &Cluster, phones: &[Peer], owners: &[usize]) {
    let phones: Vec<&Peer> = phones.iter().collect();
    phones.iter().for_each(|phone| forget_received(phone));
    let all = pingers(&phones, TWO_ROUNDS);
    let owners = cluster.addresses(owners);
    for from in &all {
        assert!(from.len() == 1 && from.is_subset(&owners), "{all:?}");
    }
}

#[test]
fn what_a_killed_node_held_is_taken_over_or_gone() -> Result<()> {
    let mut cluster = Cluster::with(&settings())?;
    let bob = phones(&cluster, 0, 1)?;
    let before = cluster.nodes[1].registrations()[0]["node"].clone();
    let alice = cluster.phone(0, "alice", PhoneTransport::Tcp, ALICE_HZ)?;
    cluster.wait_for_routable(2);
    cluster.nodes[0].kill_9();
    // It would connect to the next that takes its place.
    drop(alice);
    let left = wait_for("what is left", || {
        let all = cluster.nodes[1].registrations();
        let [only] = <[Value; 1]>::try_from(all).ok()?;
        (only["node"] != before).then_some(only)
    });
    assert_eq!(left["routable"], true, "{left}");
    assert_eq!(left["contact"], contact_uri(&bob[0]), "{left}");
    each_has_one_owner(&cluster, &bob, &[1]);
    cluster.call_all(1, &bob)?;
    // It comes back, and learns who has them now.
    cluster.nodes[0].restart()?;
    cluster.wait_until_complete();
    let holder = wait_for("the same word from both", || cluster.holder());
    assert_eq!(holder, left["node"]);
    Ok(())
}

#[test]
fn the_survivors_divide_the_phones_of_a_killed_node() -> Result<()> {
    let mut cluster = Cluster::of(3, &settings())?;
    let bob = phones(&cluster, 0, 6)?;
    let before = cluster.nodes[1].registrations()[0]["node"].clone();
    cluster.nodes[0].kill_9();
    // Before anybody has taken over anything.
    cluster.call_all(2, &bob)?;
    let heirs = wait_for("the same word from both", || {
        let agreed = cluster.agreed(&[1, 2])?;
        let heirs: BTreeSet<String> = agreed.values().cloned().collect();
        (agreed.len() == 6 && !heirs.iter().any(|heir| before == **heir)).then_some(heirs)
    });
    assert!(heirs.len() <= 2, "{heirs:?}");
    each_has_one_owner(&cluster, &bob, &[1, 2]);
    cluster.call_all(1, &bob)?;
    cluster.call_all(2, &bob)?;
    Ok(())
}

#[test]
fn a_node_that_is_started_again_at_once_agrees_with_the_others() -> Result<()> {
    let mut cluster = Cluster::of(3, &settings())?;
    let mut bob = phones(&cluster, 0, 4)?;
    let mut dead = BTreeSet::new();
    // The second time, its disk has nothing newer of the first phones than the first time.
    for _ in 0..2 {
        let phone = cluster.bob(0)?;
        phone.answer_options()?;
        bob.push(phone);
        // Whose node dies before the others heard that it answers is asked again within half a minute.
        cluster.wait_for_routable(bob.len());
        let newest = contact_uri(bob.last().expect("one was pushed"));
        dead.insert(wait_for("the holder of the newest", || {
            cluster.agreed(&cluster.all())?.remove(&newest)
        }));
        cluster.nodes[0].kill_9();
        cluster.nodes[0].restart()?;
        cluster.wait_until_complete();
        wait_for("the same word from all", || {
            let agreed = cluster.agreed(&cluster.all())?;
            let all_live = agreed.values().all(|holder| !dead.contains(holder));
            (agreed.len() == bob.len() && all_live).then_some(())
        });
    }
    each_has_one_owner(&cluster, &bob, &cluster.all());
    cluster.call_all(1, &bob)?;
    Ok(())
}

#[test]
fn a_phone_behind_a_nat_stays_with_its_node_over_a_restart() -> Result<()> {
    let mut cluster = Cluster::with(&settings())?;
    let phone = Peer::new(cluster.nodes[0].ready().sip.udp)?;
    let contact = "Contact: <sip:bob@10.9.8.7:5060>";
    assert_eq!(cluster.register(&phone, 0, "bob", contact)?, 200);
    phone.answer_options()?;
    cluster.wait_for_routable(1);
    let before = wait_for("its node", || cluster.holder());
    // In order: the other is told at once that it is gone.
    cluster.nodes[0].program_mut().terminate()?;
    wait_for("the other to know", || {
        let nodes = metric(&cluster.nodes[1], "tandem_cluster_nodes");
        (nodes == Some(1.0)).then_some(())
    });
    cluster.nodes[0].restart()?;
    cluster.wait_until_complete();
    wait_for("the same word from both", || {
        cluster.holder().filter(|holder| *holder != before)
    });
    each_has_one_owner(&cluster, &[phone], &[0]);
    Ok(())
}

#[test]
fn a_node_that_was_stopped_brings_nothing_back() -> Result<()> {
    let cluster = Cluster::of(3, &settings())?;
    let bob = phones(&cluster, 0, 3)?;
    let before = cluster.nodes[1].registrations()[0]["node"].clone();
    cluster.nodes[0].program().hang()?;
    let is_taken = || {
        let agreed = cluster.agreed(&[1, 2])?;
        let all_moved = !agreed.values().any(|holder| before == **holder);
        (agreed.len() == 3 && all_moved).then_some(())
    };
    wait_for("the others to take over", is_taken);
    let [gone, moved, stays] = <[Peer; 3]>::try_from(bob).expect("three phones");
    let gone = gone.towards(cluster.nodes[1].ready().sip.udp);
    cluster.unregister(&gone, 1)?;
    let moved = moved.towards(cluster.nodes[2].ready().sip.udp);
    cluster.refresh(&moved, 2)?;
    cluster.wait_for_contacts(&[1, 2], &[&moved, &stays]);
    // So much has happened meanwhile that it cannot be told one by one.
    cluster.redis.ask("XTRIM tandem:locations:told MAXLEN 0")?;
    cluster.nodes[0].program().go_on()?;
    cluster.wait_until_complete();
    cluster.wait_for_contacts(&cluster.all(), &[&moved, &stays]);
    let pinged = [&gone, &moved, &stays];
    // Nobody has answered so far, and what was asked is repeated until somebody does.
    pingers(&pinged, ONE_REPETITION);
    let [by, of_moved, of_stays] = <[_; 3]>::try_from(pingers(&pinged, TWO_ROUNDS)).expect("three");
    assert!(by.is_empty(), "{by:?}");
    assert_eq!(of_moved, cluster.addresses(&[2]));
    assert!(
        of_stays.len() == 1 && of_stays.is_subset(&cluster.addresses(&[1, 2])),
        "{of_stays:?}"
    );
    cluster.wait_for_contacts(&cluster.all(), &[&moved, &stays]);
    Ok(())
}
