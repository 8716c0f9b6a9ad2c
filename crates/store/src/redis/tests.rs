//! The scripts in Redis and the model of them, side by side.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clock::Time;
use cluster::{LiveModel, Renewal, Word};
use limits::{Claim, EntityId, EntityKind, LimitKind, Pool};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use testkit::RedisServer;

use crate::calls::{Change, Found, Kept};
use crate::{Member, PermitStore as _, RedisCalls, RedisPermits, Renewed};

#[test]
fn the_model_does_what_the_scripts_do() {
    let server = RedisServer::start().unwrap();
    let (mut granted, mut moved) = (0, 0);
    for seed in 1..=SEEDS {
        server.ask("FLUSHALL").unwrap();
        let mut pair = Pair::new(&server, seed);
        for step in 0..STEPS {
            pair.step(&format!("seed {seed}, step {step}"));
        }
        granted += pair.granted;
        moved += pair.moved;
    }
    // Where nothing is granted and nothing moves, nothing is compared.
    assert!(granted > 1_000 && moved > 100, "{granted}, {moved}");
}

/// Both, and what a node would know.
struct Pair<'a> {
    server: &'a RedisServer,
    permits: RedisPermits,
    calls: RedisCalls,
    model: LiveModel,
    dice: ChaCha8Rng,
    /// The members by the last answer of each.
    members: [Vec<Member>; 2],
    /// What the nodes are called, and the numbers of their last questions.
    ids: Vec<String>,
    numbers: [u64; NODES.len()],
    /// All that anybody was ever called.
    known: Vec<String>,
    granted: usize,
    moved: usize,
    /// About calls, by all nodes.
    words: u64,
    /// Of the server.
    runs: u64,
}

impl<'a> Pair<'a> {
    fn new(server: &'a RedisServer, seed: u64) -> Self {
        let place = place_of(0);
        Self {
            server,
            permits: RedisPermits::new(&server.url(), "x", place).unwrap(),
            calls: RedisCalls::new(&server.url(), "x", FORMAT).unwrap(),
            model: LiveModel::new(1),
            dice: ChaCha8Rng::seed_from_u64(seed),
            members: [Vec::new(), Vec::new()],
            ids: NODES.map(|name| format!("{name}-0")).to_vec(),
            numbers: [1; NODES.len()],
            known: NODES.map(|name| format!("{name}-0")).to_vec(),
            granted: 0,
            moved: 0,
            words: 0,
            runs: 1,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.dice.random_range(0..bound)
    }

    fn step(&mut self, at: &str) {
        let node = self.below(NODES.len());
        self.come_back(node);
        self.calls.rename(&self.ids[node]);
        self.permits.rename(&self.ids[node]);
        match self.below(100) {
            0..40 => self.renew(at, node),
            40..42 => self.bury(at, node),
            42..44 => self.bury_at_once(at, node),
            44..46 => self.leave(node),
            46..70 => self.keep(at, node),
            70..77 => self.claim(at, node),
            77..85 => self.find(at, node),
            85..90 => self.hand_over(at, node),
            90..94 => self.stand(at, node),
            94..97 => self.look(at, node),
            97 => self.remember(),
            98 => self.restart(),
            _ => self.flush(),
        }
    }

    /// Some who were taken out join under another name.
    fn come_back(&mut self, node: usize) {
        if self.model.is_buried(&self.ids[node]) && self.below(4) == 0 {
            let id = format!("{}-{}", NODES[node], self.known.len());
            self.ids[node].clone_from(&id);
            self.known.push(id);
            self.numbers[node] = 1;
        }
    }

    fn renew(&mut self, at: &str, node: usize) {
        let claims: Vec<Claim> = (0..self.below(4)).map(|_| self.draw_claim()).collect();
        // Some questions were under way for long.
        let is_late = self.below(10) == 0;
        let number = self.numbers[node] + u64::from(!is_late);
        self.numbers[node] = number;
        // Either it is over, or it never ends.
        let [grace, drain] = [0, 1].map(|_| self.some_or_no_time());
        let renewal = Renewal {
            node: &self.ids[node],
            address: place_of(node),
            number,
            grace,
            drain,
        };
        let expected = self.model.renew(now(), &renewal, &claims);
        self.permits.address = renewal.address;
        self.permits.sequence = number.wrapping_sub(1);
        (self.permits.grace, self.permits.drain) = (grace, drain);
        let renewed = self.permits.renew(&claims);
        let (Ok(expected), Ok(renewed)) = (&expected, &renewed) else {
            assert_eq!(expected.is_ok(), renewed.is_ok(), "{at}: {renewed:?}");
            return;
        };
        let (Some(expected), Some(renewed)) = (Told::of(expected), Told::of(renewed)) else {
            assert_eq!(expected, renewed, "{at}");
            return;
        };
        assert_eq!(expected.grants, renewed.grants, "{at}: {claims:?}");
        assert_eq!(expected.lacked, renewed.lacked, "{at}");
        let names = |told: &Told| -> Vec<_> {
            let of = |member: &Member| (member.id.clone(), member.address);
            told.members.iter().map(of).collect()
        };
        assert_eq!(names(&expected), names(&renewed), "{at}");
        self.granted += expected.grants.iter().filter(|g| g.share > 0).count();
        self.members = [expected.members, renewed.members];
    }

    fn some_or_no_time(&mut self) -> Duration {
        match self.below(3) {
            0 => Duration::from_secs(3_600),
            _ => Duration::ZERO,
        }
    }

    fn draw_claim(&mut self) -> Claim {
        let held = self.below(7) as u32;
        Claim {
            pool: Pool {
                entity: EntityId::new(EntityKind::Carrier, self.below(2) as u128),
                kind: [LimitKind::Channels, LimitKind::Cps][self.below(2)],
            },
            limit: 10 - self.below(3) as u32,
            held,
            ask: held + self.below(7) as u32,
            want: self.below(9) as u32,
        }
    }

    /// With the beat that was seen last, which may be old.
    fn bury(&mut self, at: &str, node: usize) {
        let known = |members: &[Member]| members.iter().find(|m| m.id == self.ids[node]).cloned();
        let [Some(expected), Some(seen)] = [0, 1].map(|side| known(&self.members[side])) else {
            return;
        };
        let expected = self.model.bury(&expected.id, Some(expected.beat));
        assert_eq!(self.permits.bury(&seen).unwrap(), expected, "{at}");
    }

    fn bury_at_once(&mut self, at: &str, node: usize) {
        let known = |members: &[Member]| members.iter().find(|m| m.id == self.ids[node]).cloned();
        let [Some(expected), Some(seen)] = [0, 1].map(|side| known(&self.members[side])) else {
            return;
        };
        let (id, beat) = (&expected.id, expected.beat);
        let expected = self.model.bury_at_once(now(), id, beat);
        assert_eq!(self.calls.bury(&seen).unwrap(), expected, "{at}");
    }

    fn leave(&mut self, node: usize) {
        self.model.bury(&self.ids[node], None);
        self.permits.leave().unwrap();
    }

    fn keep(&mut self, at: &str, node: usize) {
        let changes: Vec<Change> = (0..self.below(5))
            .map(|_| {
                let call = self.below(20) as u64;
                let is_kept = self.below(3) > 0;
                (call, is_kept.then(|| record(call, self.below(8))))
            })
            .collect();
        let (number, until) = self.draw_word();
        let [spared, grace] = [0, 1].map(|_| self.some_or_no_time());
        (self.calls.spared, self.calls.grace) = (spared, grace);
        let word = Word {
            node: &self.ids[node],
            number,
            until,
        };
        let times = (spared, grace);
        let expected = self.model.keep(now(), &word, &changes, times).ok();
        let kept = self.calls.keep(&changes).ok().map(sorted);
        assert_eq!(kept, expected, "{at}: {changes:?}");
    }

    fn claim(&mut self, at: &str, node: usize) {
        let dead = self.draw_known();
        // Who is taken by chance is not the same in both: so all of them.
        let all = self.model.calls_of(&dead).count() + 1;
        let [spared, grace] = [0, 1].map(|_| self.some_or_no_time());
        (self.calls.spared, self.calls.grace) = (spared, grace);
        let when = (now(), spared, grace);
        let who = (self.ids[node].as_str(), dead.as_str());
        let mut expected = self.model.claim(when, who, (FORMAT, all), |left| left - 1);
        let mut claimed = self.calls.claim(&dead, all).unwrap();
        for side in [&mut expected, &mut claimed].into_iter().flatten() {
            side.sort();
        }
        assert_eq!(claimed, expected, "{at}: {dead}");
        self.moved += claimed.map_or(0, |claimed| claimed.len());
    }

    fn draw_known(&mut self) -> String {
        match self.below(3) {
            0 => "nobody".to_owned(),
            _ => {
                let known = self.below(self.known.len());
                self.known[known].clone()
            }
        }
    }

    fn find(&mut self, at: &str, node: usize) {
        let call = self.below(20) as u64;
        // Where two have it, which is found is anybody's guess.
        let nobody = "nobody".to_owned();
        let owners = self.known.iter().chain([&nobody]);
        let owners = owners.filter(|owner| self.model.calls_of(owner).any(|c| c == call));
        if owners.count() > 1 {
            return;
        }
        let is_wanted = self.below(2) == 0;
        self.calls.grace = self.some_or_no_time();
        let (id, grace) = (&self.ids[node], self.calls.grace);
        let what = (call, FORMAT);
        let (expected, found) = match is_wanted {
            true => (
                self.model.find(now(), id, what, grace),
                self.calls.find(call),
            ),
            false => (
                self.model.look_for(now(), id, what, grace),
                self.calls.look_for(call),
            ),
        };
        let found = found.unwrap();
        self.moved += usize::from(matches!(found, Found::Taken(_)));
        assert_eq!(found, expected, "{at}: {call}");
    }

    fn hand_over(&mut self, at: &str, node: usize) {
        let call = self.below(20) as u64;
        let record = record(call, 0);
        let (number, until) = self.draw_word();
        let word = Word {
            node: &self.ids[node],
            number,
            until,
        };
        let expected = self.model.hand_over(now(), &word, (call, &record)).ok();
        let given = self.calls.hand_over(call, &record).ok();
        assert_eq!(given, expected, "{at}");
    }

    /// The number of the next word about calls, and until when it counts; some come late, by the one or
    /// the other.
    fn draw_word(&mut self) -> (u64, Time) {
        self.words += 1;
        let late = match self.below(10) {
            0 => 1 + self.below(20) as u64,
            _ => 0,
        };
        let number = self.words.saturating_sub(late).max(1);
        self.calls.number = number - 1;
        let hour = Duration::from_secs(3_600);
        let hour_us = hour.as_micros() as i64;
        let (until, patience_us) = match self.below(10) {
            0 => (now() - hour, -hour_us),
            _ => (now() + hour, hour_us),
        };
        self.calls.patience_us = patience_us;
        (number, until)
    }

    fn stand(&mut self, at: &str, node: usize) {
        self.calls.grace = self.some_or_no_time();
        let (id, grace) = (&self.ids[node], self.calls.grace);
        let expected = self.model.still_stands(now(), id, grace);
        assert_eq!(self.calls.still_stands().unwrap(), expected, "{at}");
    }

    fn look(&mut self, at: &str, node: usize) {
        let mut own = self.calls.own().unwrap();
        own.sort_unstable();
        let expected: Vec<u64> = self.model.calls_of(&self.ids[node]).collect();
        assert_eq!(own, expected, "{at}");
        let all: Vec<u128> = (0..20).map(identity).collect();
        let from = [self.draw_known(), self.draw_known()];
        let expected = self.model.were_taken(&all, &from);
        let taken = self.calls.were_taken(&all, &from).unwrap();
        assert_eq!(taken, expected, "{at}");
    }

    fn remember(&mut self) {
        let buried = [self.draw_known()];
        self.model.bury(&buried[0], None);
        self.calls.drain = Duration::ZERO;
        assert_eq!(self.calls.bury_earlier(&buried).unwrap(), [""; 0]);
        self.flush();
        self.model.remember(&buried);
        self.calls.remember(&buried).unwrap();
    }

    /// As the scripts see it: the run that they know is another.
    fn restart(&mut self) {
        self.server.ask("HSET tandem:epoch run before").unwrap();
        self.runs += 1;
        self.model.restart(self.runs);
    }

    fn flush(&mut self) {
        self.server.ask("FLUSHALL").unwrap();
        self.model.flush();
    }
}

/// What a renewal told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    grants: Vec<limits::Grant>,
    lacked: Vec<Pool>,
    members: Vec<Member>,
}

impl Told {
    /// `None` to who was taken out.
    fn of(renewed: &Renewed) -> Option<Self> {
        let Renewed::Granted {
            grants,
            lacked,
            members,
        } = renewed.clone()
        else {
            return None;
        };
        let mut lacked = lacked;
        lacked.sort_unstable();
        Some(Self {
            grants,
            lacked,
            members,
        })
    }
}

fn sorted(kept: Kept) -> Kept {
    match kept {
        Kept::Done {
            count,
            mut orphaned,
            mut wanted,
        } => {
            orphaned.sort_unstable();
            wanted.sort_unstable();
            Kept::Done {
                count,
                orphaned,
                wanted,
            }
        }
        Kept::Buried => Kept::Buried,
    }
}

/// One in so many is of another format.
fn record(call: u64, die: usize) -> Vec<u8> {
    let mut record = vec![if die == 7 { FORMAT + 1 } else { FORMAT }];
    record.extend_from_slice(&identity(call).to_be_bytes());
    record.push(die as u8);
    record
}

fn identity(call: u64) -> u128 {
    u128::from(call) << 64 | 0xCA11
}

/// The first two are one node by name and place.
fn place_of(node: usize) -> SocketAddr {
    let place = [1, 1, 2, 3, 3][node];
    SocketAddr::from(([192, 0, 2, place], 8080))
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Time::ZERO + since.unwrap()
}

/// The last two have an address in common, which means another machine to each.
const NODES: [&str; 5] = ["a", "a", "b", "c", "d"];
const FORMAT: u8 = 1;
const SEEDS: u64 = 40;
const STEPS: usize = 250;
