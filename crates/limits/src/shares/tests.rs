use core::time::Duration;
use std::collections::BTreeMap;

use clock::Time;
use proptest::prelude::*;

use super::{NodeShare, Pool, Shares, parts};
use crate::{Claim, EntityId, EntityKind, Grant, Limit, Limits};

const CARRIER: EntityId = EntityId::new(EntityKind::Carrier, 7);
const ROUND: Duration = Duration::from_millis(200);

#[test]
fn a_pool_is_divided_by_what_each_wants() {
    let divided = |limit, wants: &[u32]| -> Vec<u32> {
        let node = |want: &u32| NodeShare {
            share: 0,
            want: *want,
        };
        let nodes: Vec<_> = wants.iter().map(node).collect();
        parts(limit, &nodes).collect()
    };
    assert_eq!(divided(10, &[0]), [10]);
    assert_eq!(divided(10, &[0, 0]), [5, 5]);
    assert_eq!(divided(11, &[0, 0]), [6, 5]);
    assert_eq!(
        divided(10, &[100, 0]),
        [10, 0],
        "who wants nothing has nothing"
    );
    assert_eq!(divided(10, &[100, 3]), [7, 3]);
    assert_eq!(divided(10, &[100, 100, 100]), [3, 3, 4]);
    assert_eq!(divided(10, &[100, 1, 100]), [4, 1, 5]);
    assert_eq!(divided(10, &[4, 2]), [6, 4], "what nobody wants is for all");
    assert_eq!(divided(1, &[1, 1]), [0, 1]);
    assert_eq!(
        divided(1, &[200, 199]),
        divided(1, &[199, 200]),
        "who wants more than there is"
    );
    assert_eq!(divided(0, &[5, 5]), [0, 0]);
    assert_eq!(divided(0, &[]), [0; 0]);
}

#[test]
fn without_a_share_nothing_is_permitted() {
    let mut node = Node::new(channels(10));
    assert!(node.call(at(0)).is_err());
    let mut store = Store::default();
    node.round(at(0), 0, &mut store);
    for _ in 0..10 {
        assert!(node.call(at(0)).is_ok());
    }
    assert!(node.call(at(0)).is_err());
}

#[test]
fn who_is_not_heard_of_for_long_permits_nothing_new() {
    let (mut node, mut store) = (Node::new(channels(10)), Store::default());
    node.round(at(0), 0, &mut store);
    assert!(node.call(at(1_999)).is_ok());
    assert!(node.call(at(2_000)).is_err(), "it was stopped");
    // The store may be out of its reach alone, and others have what it held.
    node.silent_round(at(2_000));
    node.shares.extend(at(2_001), &mut node.limits);
    assert!(node.call(at(2_001)).is_err());
    node.round(at(2_200), 0, &mut store);
    assert!(node.call(at(2_200)).is_ok());
}

#[test]
fn who_was_stopped_holds_only_what_it_uses() {
    let mut node = Node::new(Limit {
        cps: Some(10),
        channels: Some(10),
    });
    let mut store = Store::default();
    node.round(at(0), 0, &mut store);
    for _ in 0..3 {
        node.call(at(1_900)).unwrap();
    }
    let held = |node: &mut Node, ms| -> Vec<u32> {
        let claims = node.shares.claims(at(ms), &mut node.limits);
        claims.iter().map(|claim| claim.held).collect()
    };
    assert_eq!(held(&mut node, 1_950), [10, 10]);
    // What it admitted in its last second still counts.
    assert_eq!(held(&mut node, 2_100), [3, 10]);
    assert_eq!(held(&mut node, 3_100), [3, 0]);
}

/// However long a question to the store takes.
#[test]
fn what_is_held_is_held_while_its_owner_comes_by() {
    let (mut node, mut store) = (Node::new(channels(100)), Store::default());
    node.round(at(0), 0, &mut store);
    let _under_way = node.shares.claims(at(200), &mut node.limits);
    for ms in (400..60_000).step_by(1_900) {
        node.shares.extend(at(ms), &mut node.limits);
        assert!(node.call(at(ms + 1_899)).is_ok(), "{ms}");
    }
}

/// Meanwhile it may have been taken for dead.
#[test]
fn who_was_stopped_asks_the_store_before_it_goes_on() {
    let (mut node, mut store) = (Node::new(channels(100)), Store::default());
    node.round(at(0), 0, &mut store);
    let claims = node.shares.claims(at(200), &mut node.limits);
    let grants = store.renew(0, &claims);
    node.shares.extend(at(5_000), &mut node.limits);
    assert!(node.call(at(5_000)).is_err(), "it was stopped");
    // An answer to what was asked before says nothing, nor that there is none.
    let lacked = Vec::new();
    node.shares
        .apply(at(5_001), &mut node.limits, &grants, lacked);
    node.shares.go_on(at(5_002), &mut node.limits);
    node.shares.extend(at(5_003), &mut node.limits);
    assert!(node.call(at(5_003)).is_err());
    node.round(at(5_200), 0, &mut store);
    assert!(node.call(at(5_200)).is_ok());
}

/// It holds nothing that would expire, and may have been taken for dead all the same.
#[test]
fn who_was_stopped_before_its_first_answer_asks_again() {
    let (mut node, mut store) = (Node::new(channels(10)), Store::default());
    let claims = node.shares.claims(at(0), &mut node.limits);
    let grants = store.renew(0, &claims);
    let lacked = store.lacked();
    node.shares
        .apply(at(4_500), &mut node.limits, &grants, lacked);
    node.shares.go_on(at(4_501), &mut node.limits);
    node.shares.extend(at(4_502), &mut node.limits);
    assert!(node.call(at(4_502)).is_err(), "it was stopped");
    node.round(at(4_600), 0, &mut store);
    assert!(node.call(at(4_600)).is_ok());
}

#[test]
fn demand_anywhere_gets_all_there_is() {
    for limit in [channels(10), channels(100), cps(10), cps(100)] {
        let most = limit.channels.or(limit.cps).unwrap();
        let mut cluster = Cluster::new(limit, 3);
        cluster.run(Duration::from_secs(3), &[0, 0, 0]);
        // Ten times what is allowed, at one node.
        cluster.run(Duration::from_secs(3), &[0, most * 10, 0]);
        let before = cluster.accepted.len();
        cluster.run(Duration::from_secs(4), &[0, most * 10, 0]);
        if limit.cps.is_some() {
            let accepted = cluster.accepted.len() - before;
            assert!(
                accepted as u32 >= most * 4 * 98 / 100,
                "{accepted}: {limit:?}"
            );
        } else {
            assert_eq!(cluster.in_use(), most, "{limit:?}");
        }
        // And then at another.
        cluster.hang_up();
        cluster.run(Duration::from_secs(4), &[most * 10, 0, 0]);
        let before = cluster.accepted.len();
        cluster.run(Duration::from_secs(4), &[most * 10, 0, 0]);
        if limit.cps.is_some() {
            let accepted = cluster.accepted.len() - before;
            assert!(
                accepted as u32 >= most * 4 * 98 / 100,
                "{accepted}: {limit:?}"
            );
        } else {
            assert_eq!(cluster.in_use(), most, "{limit:?}");
        }
    }
}

#[test]
fn who_was_taken_for_dead_permits_nothing_before_it_is_granted_anew() {
    let (mut node, mut store) = (Node::new(channels(10)), Store::default());
    node.round(at(0), 0, &mut store);
    for _ in 0..4 {
        node.call(at(0)).unwrap();
    }
    node.shares.give_up(at(100), &mut node.limits);
    assert!(node.call(at(100)).is_err());
    let claims = node.shares.claims(at(200), &mut node.limits);
    assert_eq!(claims[0].held, 4, "its calls go on");
}

proptest! {
    #[test]
    fn the_sum_never_exceeds_the_limit(
        limit in 1..30_u32,
        is_cps: bool,
        seed: u64,
        nodes in 1..5_usize,
    ) {
        let limit = if is_cps { cps(limit) } else { channels(limit) };
        let mut cluster = Cluster::new(limit, nodes);
        let mut dice = seed | 1;
        for _ in 0..40 {
            let demand: Vec<u32> = (0..nodes).map(|_| roll(&mut dice) % 60).collect();
            // Some rounds do not reach the store, or their answer gets lost.
            cluster.faults = roll(&mut dice) % 3;
            cluster.run(Duration::from_millis(u64::from(roll(&mut dice) % 900)), &demand);
            if roll(&mut dice).is_multiple_of(4) {
                cluster.hang_up();
            }
        }
        cluster.check();
    }
}

fn roll(dice: &mut u64) -> u32 {
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    (*dice >> 11) as u32
}

fn at(ms: u64) -> Time {
    Time::from_secs(1_000) + Duration::from_millis(ms)
}

fn channels(limit: u32) -> Limit {
    Limit {
        cps: None,
        channels: Some(limit),
    }
}

fn cps(limit: u32) -> Limit {
    Limit {
        cps: Some(limit),
        channels: None,
    }
}

/// A node with one carrier.
struct Node {
    limits: Limits,
    shares: Shares,
}

impl Node {
    fn new(limit: Limit) -> Self {
        let mut limits = Limits::new();
        limits.share();
        limits.configure(CARRIER, limit);
        Self {
            limits,
            shares: Shares::new(),
        }
    }

    fn call(&mut self, now: Time) -> Result<(), crate::Refused> {
        self.limits.try_admit(now, &[CARRIER])
    }

    fn round(&mut self, now: Time, id: usize, store: &mut Store) {
        let claims = self.shares.claims(now, &mut self.limits);
        let grants = store.renew(id, &claims);
        let lacked = store.lacked();
        self.shares.apply(now, &mut self.limits, &grants, lacked);
    }

    fn silent_round(&mut self, now: Time) {
        let _lost = self.shares.claims(now, &mut self.limits);
        self.shares.go_on(now, &mut self.limits);
    }
}

/// What the live store promises, and no more.
#[derive(Default)]
struct Store(BTreeMap<Pool, BTreeMap<usize, (NodeShare, u32)>>);

impl Store {
    fn renew(&mut self, id: usize, claims: &[Claim]) -> Vec<Grant> {
        let grant = |claim: &Claim| {
            let nodes = self.0.entry(claim.pool).or_default();
            let others = nodes.iter().filter(|(other, _)| **other != id);
            let taken: u32 = others.map(|(_, (node, _))| node.share).sum();
            let free = claim.limit.saturating_sub(taken);
            let share = claim.held.max(claim.ask.min(free));
            let want = claim.want;
            nodes.insert(id, (NodeShare { share, want }, claim.ask));
            Grant {
                pool: claim.pool,
                share,
                nodes: nodes.values().map(|(node, _)| *node).collect(),
                own: nodes.keys().position(|other| *other == id).unwrap(),
            }
        };
        claims.iter().map(grant).collect()
    }

    fn lacked(&self) -> Vec<Pool> {
        let lacks = self
            .0
            .iter()
            .filter(|(_, nodes)| nodes.values().any(|(node, ask)| node.share < *ask));
        lacks.map(|(pool, _)| *pool).collect()
    }
}

/// Nodes that share one store.
struct Cluster {
    limit: Limit,
    nodes: Vec<Node>,
    store: Store,
    now: Time,
    next_round: Vec<Time>,
    accepted: Vec<Time>,
    /// 1: questions get lost; 2: answers.
    faults: u32,
}

impl Cluster {
    fn new(limit: Limit, count: usize) -> Self {
        Self {
            limit,
            nodes: (0..count).map(|_| Node::new(limit)).collect(),
            store: Store::default(),
            now: at(0),
            // They do not beat together.
            next_round: (0..count as u64).map(|n| at(n * 37)).collect(),
            accepted: Vec::new(),
            faults: 0,
        }
    }

    /// Calls come at each node at this rate per second.
    fn run(&mut self, time: Duration, demand: &[u32]) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(1);
            let ms = self.now.as_micros() / 1_000;
            for (id, rate) in demand.iter().enumerate() {
                self.beat(id);
                let rate = u64::from(*rate);
                let calls = (ms + 1) * rate / 1_000 - ms * rate / 1_000;
                for _ in 0..calls {
                    if self.nodes[id].call(self.now).is_ok() {
                        self.accepted.push(self.now);
                    }
                    self.check_channels();
                }
            }
        }
    }

    fn beat(&mut self, id: usize) {
        if self.next_round[id] > self.now {
            return;
        }
        self.next_round[id] = self.now + ROUND;
        let node = &mut self.nodes[id];
        match self.faults {
            1 => node.silent_round(self.now),
            2 => {
                let claims = node.shares.claims(self.now, &mut node.limits);
                let _lost = self.store.renew(id, &claims);
                node.shares.go_on(self.now, &mut node.limits);
            }
            _ => node.round(self.now, id, &mut self.store),
        }
    }

    fn in_use(&self) -> u32 {
        let used = |node: &Node| node.limits.usage(self.now, CARRIER).unwrap().channels;
        self.nodes.iter().map(used).sum()
    }

    fn check_channels(&self) {
        if let Some(limit) = self.limit.channels {
            assert!(self.in_use() <= limit, "{} of {limit}", self.in_use());
        }
    }

    /// No second, wherever it begins, holds more than the limit.
    fn check(&self) {
        let Some(limit) = self.limit.cps else {
            return;
        };
        for (first, start) in self.accepted.iter().enumerate() {
            let end = *start + Duration::from_secs(1);
            let within = self.accepted[first..].iter().take_while(|at| **at < end);
            assert!(within.count() as u32 <= limit, "from {start:?}");
        }
    }

    fn hang_up(&mut self) {
        for node in &mut self.nodes {
            let used = node.limits.usage(self.now, CARRIER).unwrap().channels;
            for _ in 0..used {
                node.limits.release(self.now, &[CARRIER]).unwrap();
            }
        }
    }
}
