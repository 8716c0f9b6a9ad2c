use std::net::SocketAddr;
use std::time::Duration;

use limits::{Claim, EntityId, EntityKind, LimitKind, Pool};
use testkit::RedisServer;

use super::{Change, Found, Kept, RedisCalls};
use crate::{PermitStore as _, RedisPermits, Renewed};

const FORMAT: u8 = 1;

#[test]
fn each_call_of_a_dead_node_goes_to_one_of_the_others() {
    let server = RedisServer::start().unwrap();
    let [mut dead, mut one, mut other] = nodes(&server);
    let calls: Vec<Change> = (1..=100).map(|key| (key, Some(record(key)))).collect();
    assert_eq!(dead.keep(&calls).unwrap(), done(100, &[]));
    assert_eq!(one.claim("dead", 10).unwrap().unwrap(), [], "it is alive");
    bury(&server, "dead");
    assert_eq!(one.keep(&[]).unwrap(), done(0, &["dead"]));
    let mut taken = Vec::new();
    loop {
        let (a, b) = (
            one.claim("dead", 7).unwrap().unwrap(),
            other.claim("dead", 7).unwrap().unwrap(),
        );
        if a.is_empty() && b.is_empty() {
            break;
        }
        taken.extend(a.into_iter().chain(b));
    }
    taken.sort();
    let all: Vec<_> = (1..=100).map(|key| (key, record(key))).collect();
    assert_eq!(taken, all);
    let (Kept::Done { count: a, .. }, Kept::Done { count: b, .. }) =
        (one.keep(&[]).unwrap(), other.keep(&[]).unwrap())
    else {
        panic!("they are alive");
    };
    assert_eq!(a + b, 100);
    assert_eq!(
        other.keep(&[]).unwrap(),
        done(b, &[]),
        "nobody is left to be claimed"
    );
    let all = [identity(1), identity(100), identity(101)];
    let [dead, other_dead] = ["dead", "x"].map(str::to_owned);
    let mut were_taken = |from: &[String]| other.were_taken(&all, from).unwrap();
    assert_eq!(were_taken(&[other_dead.clone(), dead]), [true, true, false]);
    assert_eq!(were_taken(&[other_dead]), [false; 3], "it never had them");
    assert_eq!(were_taken(&[]), [false; 3]);
}

#[test]
fn who_was_taken_out_writes_and_takes_nothing() {
    let server = RedisServer::start().unwrap();
    let [mut dead, mut one, mut other] = nodes(&server);
    dead.keep(&[(1, Some(record(1)))]).unwrap();
    one.keep(&[(2, Some(record(2)))]).unwrap();
    bury(&server, "dead");
    bury(&server, "one");
    // It was stopped, and does not know yet.
    assert_eq!(
        dead.keep(&[(1, None), (3, Some(record(3)))]).unwrap(),
        Kept::Buried
    );
    assert_eq!(dead.claim("one", 10).unwrap().unwrap(), []);
    assert_eq!(dead.find(2).unwrap(), Found::Unknown);
    assert_eq!(other.find(1).unwrap(), Found::Taken(record(1)));
    assert_eq!(other.find(1).unwrap(), Found::Own);
    assert_eq!(other.find(3).unwrap(), Found::Nowhere);
    // Under another name it is somebody new.
    dead.rename("dead-again");
    assert_eq!(dead.find(1).unwrap(), Found::Held("other".into()));
    assert_eq!(dead.find(2).unwrap(), Found::Taken(record(2)));
}

/// It did not note when.
#[test]
fn what_an_older_version_gave_away_goes_on_with_anybody() {
    let server = RedisServer::start().unwrap();
    let [_, mut one, mut other] = nodes(&server);
    one.keep(&[(1, Some(record(1)))]).unwrap();
    assert!(one.hand_over(1, &record(1)).unwrap());
    assert_eq!(server.ask("DEL tandem:given").unwrap(), ":1");
    assert_eq!(
        other.keep(&[]).unwrap(),
        done(0, &[]),
        "it is spared a while"
    );
    other.spared = Duration::ZERO;
    assert_eq!(other.keep(&[]).unwrap(), done(0, &["nobody"]));
    assert_eq!(
        other.claim("nobody", 10).unwrap().unwrap(),
        [(1, record(1))]
    );
}

#[test]
fn what_has_ended_is_gone_and_the_last_word_counts() {
    let server = RedisServer::start().unwrap();
    let [mut node, mut other, _] = nodes(&server);
    let changes = [
        (1, Some(record(1))),
        (2, Some(record(1))),
        (2, Some(record(2))),
        (1, None),
    ];
    assert_eq!(node.keep(&changes).unwrap(), done(1, &[]));
    assert_eq!(node.keep(&[(2, None)]).unwrap(), done(0, &[]));
    assert_eq!(other.find(2).unwrap(), Found::Nowhere);
    assert_eq!(server.ask("EXISTS tandem:calls:dead").unwrap(), ":0");
    // A store that was emptied says so by the count.
    node.keep(&[(3, Some(record(3)))]).unwrap();
    server.ask("FLUSHALL").unwrap();
    assert_eq!(node.keep(&[]).unwrap(), done(0, &[]));
}

#[test]
fn what_was_given_to_a_node_can_be_read_again() {
    let server = RedisServer::start().unwrap();
    let [mut dead, mut one, _] = nodes(&server);
    dead.keep(&[(1, Some(record(1))), (2, Some(record(2)))])
        .unwrap();
    bury(&server, "dead");
    one.claim("dead", 10).unwrap().unwrap();
    assert_eq!(one.read(&[2, 3]).unwrap(), [(2, record(2))]);
    assert_eq!(one.read(&[]).unwrap(), []);
}

#[test]
fn another_format_is_left_to_those_who_read_it() {
    let server = RedisServer::start().unwrap();
    let [mut dead, mut one, mut other] = nodes(&server);
    other.format = FORMAT + 1;
    dead.keep(&[(1, Some(record(1)))]).unwrap();
    bury(&server, "dead");
    assert_eq!(other.claim("dead", 10).unwrap().unwrap(), []);
    assert_eq!(other.find(1).unwrap(), Found::Unreadable);
    assert_eq!(one.claim("dead", 10).unwrap().unwrap(), [(1, record(1))]);
}

#[test]
fn who_lives_is_asked_for_a_call_and_hands_it_over() {
    let server = RedisServer::start().unwrap();
    let [mut owner, mut one, mut other] = nodes(&server);
    owner
        .keep(&[(1, Some(record(1))), (2, Some(record(2)))])
        .unwrap();
    assert_eq!(one.find(1).unwrap(), Found::Held("dead".into()));
    let Kept::Done { count, wanted, .. } = owner.keep(&[]).unwrap() else {
        panic!("it lives");
    };
    assert_eq!((count, wanted), (2, vec![1]));
    assert_eq!(owner.keep(&[]).unwrap(), done(2, &[]), "it was asked once");
    assert!(owner.hand_over(1, &record(7)).unwrap());
    assert_eq!(
        owner.keep(&[]).unwrap(),
        done(1, &[]),
        "it is not anybody's"
    );
    assert_eq!(other.claim("nobody", 10).unwrap().unwrap(), []);
    assert_eq!(one.find(1).unwrap(), Found::Taken(record(7)));
    assert_eq!(other.find(1).unwrap(), Found::Held("one".into()));
    // If the one who has asked for it is gone, anybody goes on with it.
    assert!(owner.hand_over(2, &record(2)).unwrap());
    owner.spared = Duration::ZERO;
    assert_eq!(owner.keep(&[]).unwrap(), done(0, &["nobody"]));
    other.spared = Duration::ZERO;
    assert_eq!(
        other.claim("nobody", 10).unwrap().unwrap(),
        [(2, record(2))]
    );
    bury(&server, "dead");
    assert!(!owner.hand_over(2, &record(2)).unwrap());
}

/// Nobody ends a dialog by 481, or goes on after a pause, by the word of a store that was emptied: who
/// has the call, or was taken out, is said again within [`cluster::GRACE`].
#[test]
fn a_store_that_may_have_lost_something_does_not_say_that_there_is_nothing() {
    let server = RedisServer::start().unwrap();
    let address = "192.0.2.1:80".parse().unwrap();
    let mut permits = RedisPermits::new(&server.url(), "one", address).unwrap();
    let mut one = RedisCalls::new(&server.url(), "one", FORMAT).unwrap();
    assert_eq!(one.find(1).unwrap(), Found::Unknown, "nobody was there yet");
    permits.renew(&[]).unwrap();
    assert_eq!(
        one.find(1).unwrap(),
        Found::Unknown,
        "just now somebody came"
    );
    assert!(!one.still_stands().unwrap());
    one.grace = Duration::ZERO;
    assert_eq!(one.find(1).unwrap(), Found::Nowhere);
    assert!(one.still_stands().unwrap());
    server.ask("HSET tandem:epoch run another").unwrap();
    assert_eq!(
        one.find(1).unwrap(),
        Found::Unknown,
        "another has taken over"
    );
    assert!(!one.still_stands().unwrap());
}

#[test]
fn who_was_taken_out_stays_out_though_the_store_forgets() {
    let server = RedisServer::start().unwrap();
    let [mut dead, mut one, _] = nodes(&server);
    bury(&server, "dead");
    server.ask("FLUSHALL").unwrap();
    one.remember(&["dead".to_owned()]).unwrap();
    assert_eq!(dead.keep(&[(1, Some(record(1)))]).unwrap(), Kept::Buried);
    assert_ne!(
        server.ask("TTL tandem:buried").unwrap(),
        ":-1",
        "not for ever"
    );
    // What one was before is gone; what it takes for that and lives is somebody else.
    let earlier = ["one-before", "somebody"].map(str::to_owned);
    let address = "192.0.2.1:80".parse().unwrap();
    let mut permits = RedisPermits::new(&server.url(), "somebody", address).unwrap();
    permits.renew(&[]).unwrap();
    one.drain = Duration::from_secs(60);
    assert_eq!(one.bury_earlier(&earlier).unwrap(), ["somebody"]);
    for (name, kept) in [("one-before", Kept::Buried), ("somebody", done(0, &[]))] {
        one.rename(name);
        assert_eq!(one.keep(&[]).unwrap(), kept);
    }
    one.drain = Duration::ZERO;
    assert_eq!(one.bury_earlier(&earlier).unwrap(), [""; 0]);
    assert_eq!(one.keep(&[]).unwrap(), Kept::Buried);
}

#[test]
fn who_is_only_looked_for_is_not_asked() {
    let server = RedisServer::start().unwrap();
    let [mut owner, mut one, _] = nodes(&server);
    owner.keep(&[(1, Some(record(1)))]).unwrap();
    assert_eq!(one.look_for(1).unwrap(), Found::Held("dead".into()));
    assert_eq!(owner.keep(&[]).unwrap(), done(1, &[]));
}

/// A network that was cut brings what was given up behind what was said since.
#[test]
fn a_word_that_comes_late_brings_no_call_back() {
    let server = RedisServer::start().unwrap();
    let [mut node, mut other, _] = nodes(&server);
    let early = node.number;
    node.keep(&[(1, Some(record(1)))]).unwrap();
    node.keep(&[(1, None)]).unwrap();
    let last = std::mem::replace(&mut node.number, early);
    assert!(node.keep(&[(1, Some(record(1)))]).is_err());
    node.number = early;
    assert!(node.hand_over(1, &record(1)).is_err());
    assert_eq!(other.find(1).unwrap(), Found::Nowhere);
    node.number = last;
    assert_eq!(node.keep(&[(2, Some(record(2)))]).unwrap(), done(1, &[]));
}

/// What was sent to a server that did nothing is carried out when it goes on, and the node that said it
/// may be dead by then.
#[test]
fn a_word_that_nobody_waits_for_any_more_is_not_taken() {
    let server = RedisServer::start().unwrap();
    let [mut node, mut other, _] = nodes(&server);
    assert_eq!(node.keep(&[(1, Some(record(1)))]).unwrap(), done(1, &[]));
    // It counts for no longer than it takes to arrive at a server that does its work.
    node.patience_us = 0;
    for call in [2, 3] {
        server.hang().unwrap();
        let said = match call {
            2 => node.keep(&[(2, Some(record(2)))]).err(),
            _ => node.hand_over(1, &record(1)).err(),
        };
        server.go_on().unwrap();
        assert!(said.is_some(), "it is given up after a second");
        assert_eq!(other.look_for(1).unwrap(), Found::Held("dead".into()));
        assert_eq!(other.look_for(2).unwrap(), Found::Nowhere);
        // The next one has a connection to say it over.
        node.patience_us = 3_600_000_000;
        assert_eq!(node.keep(&[]).unwrap(), done(1, &[]));
        node.patience_us = 0;
    }
}

/// It may be with another already, who had no time to say so.
#[test]
fn whose_calls_are_a_server_that_may_have_lost_it_does_not_guess() {
    let server = RedisServer::start().unwrap();
    let [mut dead, mut one, mut other] = nodes(&server);
    let both = [(1, Some(record(1))), (2, Some(record(2)))];
    dead.keep(&both).unwrap();
    bury(&server, "dead");
    server.ask("HSET tandem:epoch run another").unwrap();
    assert_eq!(other.claim("dead", 10).unwrap(), None);
    assert_eq!(other.find(1).unwrap(), Found::Unknown);
    // Who tells of a call has it, and nobody else.
    assert_eq!(
        one.keep(&[(1, Some(record(7)))]).unwrap(),
        done(1, &["dead"])
    );
    know_all(&server, "other");
    assert_eq!(other.find(1).unwrap(), Found::Held("one".into()));
    assert_eq!(
        other.claim("dead", 10).unwrap(),
        Some(vec![(2, record(2))]),
        "and nobody has told of this"
    );
}

/// What a process permitted in its last second counts, though its calls went elsewhere at once.
#[test]
fn a_node_that_has_just_died_holds_its_shares_a_while_longer() {
    let server = RedisServer::start().unwrap();
    let [_, mut one, _] = nodes(&server);
    let place = |at: u8| SocketAddr::from(([192, 0, 2, at], 80));
    let mut dead = RedisPermits::new(&server.url(), "dead", place(8)).unwrap();
    let mut other = RedisPermits::new(&server.url(), "other", place(9)).unwrap();
    (dead.grace, other.grace) = (Duration::ZERO, Duration::ZERO);
    other.drain = Duration::from_secs(3_600);
    let claim = Claim {
        pool: Pool {
            entity: EntityId::new(EntityKind::Carrier, 1),
            kind: LimitKind::Cps,
        },
        limit: 10,
        held: 0,
        ask: 10,
        want: 10,
    };
    let share = |node: &mut RedisPermits| match node.renew(&[claim]).unwrap() {
        Renewed::Granted {
            grants, members, ..
        } => (grants[0].share, members),
        Renewed::Buried => panic!("it lives"),
    };
    let (granted, members) = share(&mut dead);
    assert_eq!((granted, share(&mut other).0), (10, 0));
    let member = members.iter().find(|member| member.id == "dead").unwrap();
    assert!(one.bury(member).unwrap());
    assert_eq!(share(&mut other).0, 0, "they may have been used just now");
    other.drain = Duration::ZERO;
    assert_eq!(share(&mut other).0, 10);
}

fn nodes(server: &RedisServer) -> [RedisCalls; 3] {
    know_all(server, "somebody");
    ["dead", "one", "other"].map(|name| {
        let mut calls = RedisCalls::new(&server.url(), name, FORMAT).unwrap();
        calls.grace = Duration::ZERO;
        calls
    })
}

/// The store is known to this node, and has lost nothing.
fn know_all(server: &RedisServer, node: &str) {
    let address = "192.0.2.1:80".parse().unwrap();
    let mut permits = RedisPermits::new(&server.url(), node, address).unwrap();
    permits.renew(&[]).unwrap();
}

fn bury(server: &RedisServer, node: &str) {
    assert_eq!(
        server.ask(&format!("SADD tandem:buried {node}")).unwrap(),
        ":1"
    );
}

fn done(count: usize, orphaned: &[&str]) -> Kept {
    let orphaned = orphaned.iter().map(|&node| node.to_owned()).collect();
    Kept::Done {
        count,
        orphaned,
        wanted: vec![],
    }
}

fn identity(key: u64) -> u128 {
    u128::from(key) << 64 | 0xF00D_0A0D_00FF
}

fn record(key: u64) -> Vec<u8> {
    let mut record = vec![FORMAT];
    record.extend_from_slice(&identity(key).to_be_bytes());
    record.extend_from_slice(b"\r\nanything\0\xFF");
    record
}
