//! Shared bindings: the script in Redis and the model of it, `MemoryLocations`, side by side.

#![expect(clippy::unwrap_used, reason = "a test that meets nothing has failed")]

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use store::conformance::locations::{node, saved};
use store::{
    Exchanged, HeardChange, KnownNode, LocationChange, LocationEnd, LocationEndKind, LocationNode,
    LocationStore, MemoryLocations, RedisLocations, Rest,
};
use testkit::RedisServer;

#[test]
fn the_model_does_what_the_script_does() {
    let server = RedisServer::start().unwrap();
    let mut tally = Tally::default();
    for seed in 1..=SEEDS {
        server.ask("FLUSHALL").unwrap();
        let mut pair = Pair::new(&server, seed);
        for step in 0..STEPS {
            pair.step(&format!("seed {seed}, step {step}"));
        }
        if seed % BURST_EVERY == 0 {
            pair.burst(&format!("seed {seed}, burst"));
        }
        tally.heard += pair.tally.heard;
        tally.looked += pair.tally.looked;
        tally.lost += pair.tally.lost;
    }
    // Where nothing is heard, found or lost, nothing is compared.
    assert!(
        tally.heard > 500 && tally.looked > 500 && tally.lost > 0,
        "{tally:?}"
    );
}

#[derive(Debug, Default)]
struct Tally {
    heard: usize,
    looked: usize,
    lost: usize,
}

/// Both, and who the nodes are.
struct Pair<'a> {
    server: &'a RedisServer,
    model: MemoryLocations,
    stores: Vec<(RedisLocations, MemoryLocations)>,
    nodes: Vec<LocationNode>,
    /// All that anybody was ever called.
    known: Vec<String>,
    eras: Vec<(String, String)>,
    dice: ChaCha8Rng,
    tally: Tally,
}

impl<'a> Pair<'a> {
    fn new(server: &'a RedisServer, seed: u64) -> Self {
        let model = MemoryLocations::default();
        let nodes: Vec<LocationNode> = (1..=NODES).map(node).collect();
        let stores = (0..NODES).map(|at| {
            // Two that begin an era never give it the same name.
            let redis = RedisLocations::new(&server.url(), seed * 1_000 + u64::from(at));
            (redis.unwrap(), model.join())
        });
        Self {
            server,
            stores: stores.collect(),
            model,
            known: nodes.iter().map(|node| node.id.clone()).collect(),
            nodes,
            eras: Vec::new(),
            dice: ChaCha8Rng::seed_from_u64(seed),
            tally: Tally::default(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.dice.random_range(0..bound)
    }

    fn step(&mut self, at: &str) {
        let node = self.below(self.nodes.len());
        match self.below(100) {
            0..70 => {
                let told: Vec<_> = (0..self.below(5)).map(|_| self.draw_change()).collect();
                self.exchange(at, node, &told);
            }
            70..82 => self.look(at),
            82..86 => {
                let (redis, model) = &mut self.stores[node];
                redis.clear(&self.nodes[node]).unwrap();
                model.clear(&self.nodes[node]).unwrap();
            }
            86..89 => {
                let gone = self.draw_known();
                let (redis, model) = &mut self.stores[node];
                redis.forget(&gone).unwrap();
                model.forget(&gone).unwrap();
            }
            89..92 => self.bury(node),
            92..98 => self.nodes[node].filled = format!("era#{}", self.below(3)),
            _ => {
                self.server.ask("FLUSHALL").unwrap();
                self.model.flush();
            }
        }
    }

    fn draw_known(&mut self) -> String {
        let at = self.below(self.known.len());
        self.known[at].clone()
    }

    fn draw_change(&mut self) -> LocationChange {
        let change = saved(self.below(12) as u64, self.below(9) as u64);
        let kind = match self.below(6) {
            0 => LocationEndKind::Ended,
            1 => LocationEndKind::Removed,
            2 => LocationEndKind::Yielded,
            _ => return change,
        };
        LocationChange::Ended(LocationEnd {
            key: change.key(),
            version: self.below(9) as u64,
            until_us: 77,
            kind,
        })
    }

    fn exchange(&mut self, at: &str, node: usize, told: &[LocationChange]) -> Option<Rest> {
        let (redis, model) = &mut self.stores[node];
        let told_by = &self.nodes[node];
        let expected = model.exchange(told_by, told).unwrap();
        let found = redis.exchange(told_by, told).unwrap();
        let (Exchanged::Heard { .. }, Exchanged::Heard { .. }) = (&expected, &found) else {
            assert_eq!(found, expected, "{at}");
            return None;
        };
        let [
            (one, heard, rest, others),
            (other, expected, expected_rest, expected_others),
        ] = [found, expected].map(parts);
        assert_eq!(heard, expected, "{at}: {told:?}");
        assert_eq!(rest, expected_rest, "{at}");
        assert_eq!(others, expected_others, "{at}");
        self.tally.heard += heard.len();
        self.tally.lost += usize::from(rest == Rest::Lost);
        // They are called otherwise, and change at the same time.
        let known = self.eras.iter().find(|(a, b)| *a == one || *b == other);
        match known {
            Some((a, b)) => assert_eq!((a, b), (&one, &other), "{at}: another era"),
            None => self.eras.push((one, other)),
        }
        Some(rest)
    }

    fn look(&mut self, at: &str) {
        let whose = self.draw_known();
        let (redis, model) = &mut self.stores[0];
        let whole = |store: &mut dyn LocationStore| {
            let (mut all, mut from) = (Vec::new(), 0);
            loop {
                let (part, next) = store.look(&whose, from).unwrap();
                all.extend(part);
                from = next;
                if from == 0 {
                    break;
                }
            }
            all.sort_by_key(LocationChange::key);
            all
        };
        let (found, expected) = (whole(redis), whole(model));
        assert_eq!(found, expected, "{at}: {whose}");
        self.tally.looked += found.len();
    }

    /// It is taken for dead, and sometimes joins under another name.
    fn bury(&mut self, node: usize) {
        let id = self.nodes[node].id.clone();
        self.server
            .ask(&format!("SADD tandem:buried {id}"))
            .unwrap();
        self.model.bury(&id);
        if self.below(4) > 0 {
            let id = format!("node-{}", self.known.len() + 100);
            self.nodes[node].id.clone_from(&id);
            self.known.push(id);
        }
    }

    /// More is told than is kept, while somebody does not listen.
    fn burst(&mut self, at: &str) {
        // More is kept for more nodes: only these two are known.
        self.server.ask("FLUSHALL").unwrap();
        self.model.flush();
        for number in 0..2 {
            self.nodes[number].id = format!("fresh-{number}");
        }
        self.exchange(at, 1, &[]);
        for version in 0..=KEPT_MAX {
            let (redis, model) = &mut self.stores[0];
            let told = [saved(1, version)];
            redis.exchange(&self.nodes[0], &told).unwrap();
            model.exchange(&self.nodes[0], &told).unwrap();
        }
        self.exchange(at, 1, &[]);
        self.exchange(at, 1, &[]);
        for _ in 0..=NODES * 12 {
            self.exchange(at, 0, &[]);
        }
    }
}

type Parts = (String, Vec<HeardChange>, Rest, Vec<KnownNode>);

fn parts(exchanged: Exchanged) -> Parts {
    let Exchanged::Heard {
        era,
        changes,
        rest,
        mut nodes,
    } = exchanged
    else {
        panic!("it was buried");
    };
    nodes.sort_by(|a, b| a.node.id.cmp(&b.node.id));
    (era, changes, rest, nodes)
}

const NODES: u16 = 3;
const SEEDS: u64 = 30;
const STEPS: usize = 150;
/// After so many seeds one node does not listen for long.
const BURST_EVERY: u64 = 10;
/// Portions that are kept for those who come late.
const KEPT_MAX: u64 = 1_000;
