use std::time::{Duration, Instant};

use testkit::{FaultProxy, Line, RedisSentinel, RedisServer, wait_for};

use super::RedisLocations;
use crate::conformance::locations::{hear, node, saved};
use crate::conformance::{Faulty, locations};
use crate::{Exchanged, LocationStore, StoreError};

#[test]
fn locations_conform() {
    let server = RedisServer::start().unwrap();
    let pair = |name: &str| (store(&server.url(), name), store(&server.url(), name));
    locations::run(pair);
    server.ask("FLUSHALL").unwrap();
    locations::run(|name| {
        let (one, other) = pair(name);
        (Faulty::new(one, 3), Faulty::new(other, 4))
    });
}

#[test]
fn a_line_that_breaks_is_said_so_and_nothing_is_missed() {
    let server = RedisServer::start().unwrap();
    let line = FaultProxy::to(server.address()).unwrap();
    let mut far = store(&format!("redis://{}", line.address()), "x");
    let mut near = store(&server.url(), "x");
    hear(&mut far, 1, &[]);
    let faults: [&dyn Fn(); 3] = [&|| line.cut(), &|| line.set(Line::Refusing), &|| {
        line.set(Line::Dead);
    }];
    for (round, fault) in (1..).zip(faults) {
        fault();
        let began = Instant::now();
        let failed = far.exchange(&node(1), &[]);
        assert!(
            matches!(failed, Err(StoreError::Unavailable(_))),
            "{failed:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(4), "bounded");
        hear(&mut near, 2, &[saved(round, 1)]);
        line.set(Line::Good);
        assert_eq!(hear(&mut far, 1, &[]).len(), 1);
    }
    line.set(Line::Slow(Duration::from_millis(20)));
    hear(&mut near, 2, &[saved(9, 1)]);
    assert_eq!(hear(&mut far, 1, &[]).len(), 1);
}

#[test]
fn an_emptied_or_restarted_store_begins_another_era() {
    let mut server = RedisServer::start().unwrap();
    let (mut one, mut other) = (store(&server.url(), "x"), store(&server.url(), "x"));
    let first = era(&mut one, 1).unwrap();
    assert_eq!(era(&mut other, 2), Some(first.clone()));
    hear(&mut one, 1, &[saved(1, 1)]);
    server.ask("FLUSHALL").unwrap();
    let second = era(&mut one, 1).unwrap();
    assert_ne!(second, first);
    assert_eq!(era(&mut other, 2), Some(second.clone()));
    hear(&mut one, 1, &[saved(1, 1)]);
    assert_eq!(hear(&mut other, 2, &[]).len(), 1, "in the new era it hears");
    server.go();
    assert_eq!(era(&mut one, 1), None);
    server.come().unwrap();
    let third = wait_for("the store", || era(&mut one, 1));
    assert!(third != second && third != first);
}

#[test]
fn a_successor_that_missed_the_last_writes_begins_another_era() {
    let mut master = RedisServer::start().unwrap();
    let _replica = RedisServer::replica_of(&master).unwrap();
    let sentinel = RedisSentinel::of(&master).unwrap();
    let mut one = store(&sentinel.url(), "x");
    let first = era(&mut one, 1).unwrap();
    wait_for("the replica to be there", || {
        (master.ask("WAIT 1 100").ok()? == ":1").then_some(())
    });
    master.go();
    let second = wait_for("its successor", || era(&mut one, 1));
    assert_ne!(first, second);
}

#[test]
fn a_server_that_is_master_once_more_is_not_taken_for_what_it_was() {
    let first = RedisServer::start().unwrap();
    let second = RedisServer::replica_of(&first).unwrap();
    // WAIT would count a replica that has not taken what was written by others.
    let wait_for_copy = |replica: &RedisServer, master: &RedisServer| {
        let length = master.ask("APPEND marker x").unwrap();
        wait_for("the replica to have all", || {
            (replica.ask("STRLEN marker").ok()? == length).then_some(())
        });
    };
    let follow = |replica: &RedisServer, master: &RedisServer| {
        let address = master.address();
        let (ip, port) = (address.ip(), address.port());
        replica.ask(&format!("REPLICAOF {ip} {port}")).unwrap();
        wait_for_copy(replica, master);
    };
    let lead = |server: &RedisServer| assert_eq!(server.ask("REPLICAOF NO ONE").unwrap(), "+OK");
    let mut one = store(&first.url(), "x");
    let before = era(&mut one, 1).unwrap();
    wait_for_copy(&second, &first);
    lead(&second);
    let between = era(&mut store(&second.url(), "x"), 2).unwrap();
    follow(&first, &second);
    lead(&first);
    let after = era(&mut one, 1).unwrap();
    assert_eq!(era(&mut store(&first.url(), "x"), 2).unwrap(), after);
    assert!(
        before != between && between != after && before != after,
        "{after}"
    );
}

#[test]
fn who_is_buried_can_put_nothing_anywhere() {
    let server = RedisServer::start().unwrap();
    let (mut one, mut other) = (store(&server.url(), "x"), store(&server.url(), "x"));
    hear(&mut one, 1, &[saved(1, 1)]);
    hear(&mut other, 2, &[]);
    server.ask("SADD x:buried node-1").unwrap();
    let refused = one.exchange(&node(1), &[saved(2, 1)]).unwrap();
    assert_eq!(refused, Exchanged::Buried);
    assert_eq!(hear(&mut other, 2, &[]), []);
    let Ok(Exchanged::Heard { nodes, .. }) = other.exchange(&node(2), &[]) else {
        panic!("it is alive");
    };
    let buried = nodes.iter().filter(|known| known.is_buried);
    assert_eq!(
        buried.map(|known| &*known.node.id).collect::<Vec<_>>(),
        ["node-1"]
    );
}

/// A network that was cut brings what was given up behind what was said since.
#[test]
fn a_word_that_comes_late_changes_no_shelf() {
    let server = RedisServer::start().unwrap();
    let (mut one, mut other) = (store(&server.url(), "x"), store(&server.url(), "x"));
    let early = one.number;
    hear(&mut one, 1, &[saved(1, 1)]);
    one.clear(&node(1)).unwrap();
    hear(&mut one, 1, &[saved(2, 1)]);
    one.number = early;
    assert!(one.exchange(&node(1), &[saved(1, 1)]).is_err());
    one.number = early;
    assert!(one.clear(&node(1)).is_err());
    assert_eq!(other.look("node-1", 0).unwrap().0, [saved(2, 1)]);
}

/// A node of the cluster of this name, which has keys of its own.
fn store(url: &str, cluster: &str) -> RedisLocations {
    let mut store = RedisLocations::new(url, 1).unwrap();
    store.prefix = format!("{cluster}:");
    // Two that begin an era never give it the same name.
    store.seed = u64::from(rand::random::<u32>());
    store
}

fn era(store: &mut RedisLocations, number: u16) -> Option<String> {
    match store.exchange(&node(number), &[]).ok()? {
        Exchanged::Heard { era, .. } => Some(era),
        Exchanged::Buried => None,
    }
}
