//! The set of targets, and all that is known of them.

mod learn;
mod set;
mod status;

use std::collections::VecDeque;

use core::time::Duration;

use clock::Time;

pub use self::status::TargetStatus;
use crate::calls::Calls;
use crate::choice::{self, Candidate, Candidates};
use crate::health::{Change, Health};
use crate::latency::Latency;
use crate::overload::Overload;
use crate::{Admission, Algorithm, Cause, Draw, Policy, TargetId, TargetSpec};

/// Chooses targets, and learns from what becomes of the choice.
#[derive(Debug)]
pub struct Balancer {
    policy: Policy,
    targets: Vec<Target>,
    /// The memory of the interleaving, target by target.
    turns: Vec<i64>,
    next_id: u32,
    calls: Calls,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Target {
    id: TargetId,
    spec: TargetSpec,
    name_hash: u64,
    health: Health,
    overload: Overload,
    latency: Latency,
    /// The last probe's round trip.
    probe_rtt: Option<Duration>,
    /// Calls of ours.
    calls: u32,
    /// Those that may become calls.
    attempts: u32,
    /// Calls it has from others, by its last report.
    foreign_calls: u32,
    /// New calls in the second that began then.
    second: (Time, u32),
    chosen: u64,
    /// Those times that it was for a call.
    chosen_calls: u64,
    /// Whether it has been said that a draining target is empty.
    told_empty: bool,
}

/// What a target is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A call, for which it must have room.
    Call,
    /// Anything else, such as a registration, which takes none.
    Other,
}

/// Why there is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// None answers, or none is there.
    NoneUp,
    /// All that answer are full, closed or want to be spared.
    Overloaded {
        /// When asking again may help.
        retry_after: Duration,
    },
}

/// Something the operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A target takes calls again.
    Up {
        /// Which.
        target: TargetId,
    },
    /// A target takes no calls.
    Down {
        /// Which.
        target: TargetId,
        /// Why.
        cause: Cause,
    },
    /// The last call of a draining target has ended.
    Drained {
        /// Which.
        target: TargetId,
    },
}

/// Why a set was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Two targets have one name.
    #[error("two targets have the name \"{0}\"")]
    Duplicate(Box<str>),
    /// No target has this name.
    #[error("there is no target \"{0}\"")]
    Unknown(Box<str>),
    /// A weight is 0 or beyond 1,000.
    #[error("the weight of \"{0}\" must be from 1 to 1000")]
    Weight(Box<str>),
    /// Too many.
    #[error("more than {TARGETS_MAX} targets")]
    TooMany,
}

impl Balancer {
    /// Without targets.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            targets: Vec::new(),
            turns: Vec::new(),
            next_id: 1,
            calls: Calls::default(),
            events: VecDeque::new(),
        }
    }

    /// Takes another policy; what is known of targets stays.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The target for a new request, none of `tried`. `key` is what [`Algorithm::Hash`] goes by.
    ///
    /// # Errors
    /// If none can take it.
    pub fn choose(
        &mut self,
        now: Time,
        work: Work,
        key: u64,
        tried: &[TargetId],
        draw: &mut Draw,
    ) -> Result<TargetId, Refusal> {
        let mut candidates = Candidates::new();
        let mut priority = u16::MAX;
        let mut refusal = Refusal::NoneUp;
        for index in 0..self.targets.len() {
            let target = &self.targets[index];
            if tried.contains(&target.id) || !target.is_open() {
                continue;
            }
            if target.spec.priority > priority {
                continue;
            }
            if let Some(wait) = target.is_busy(now, work, draw) {
                refusal = Refusal::Overloaded {
                    retry_after: match refusal {
                        Refusal::NoneUp => wait,
                        Refusal::Overloaded { retry_after } => wait.min(retry_after),
                    },
                };
                continue;
            }
            if target.spec.priority < priority {
                candidates.clear();
                priority = target.spec.priority;
            }
            candidates.push(self.candidate(index, self.share_permille(now, index)));
        }
        let algorithm = self.policy.algorithm;
        let chosen = choice::choose(algorithm, &candidates, &mut self.turns, key, draw);
        let target = chosen.and_then(|index| self.targets.get_mut(index));
        let target = target.ok_or(refusal)?;
        target.count_choice(now, work);
        Ok(target.id)
    }

    /// Takes a target that was named, as by a redirection; whether it can take the request.
    pub fn choose_named(&mut self, now: Time, work: Work, id: TargetId, draw: &mut Draw) -> bool {
        let Some(target) = self.targets.iter_mut().find(|t| t.id == id) else {
            return false;
        };
        if !target.is_open() || target.is_busy(now, work, draw).is_some() {
            return false;
        }
        target.count_choice(now, work);
        true
    }

    /// Whether a target takes new calls as far as its health goes.
    #[must_use]
    pub fn is_up(&self, id: TargetId) -> bool {
        self.target(id).is_some_and(|t| t.health.is_up())
    }

    /// Whether there is somebody, who may take no new calls but has those he has.
    #[must_use]
    pub fn is_there(&self, id: TargetId) -> bool {
        self.target(id).is_some_and(|t| t.health.is_there())
    }

    /// For a request inside a call whose target is gone: one that is there, always the same for
    /// the same key while the set stays.
    #[must_use]
    pub fn stand_in(&self, key: u64) -> Option<TargetId> {
        let there = |index: &usize| self.targets[*index].health.is_there();
        let indices = (0..self.targets.len()).filter(there);
        // Shares grow and shrink from one request to the next, and keys would move with them.
        let candidates = indices.map(|index| self.candidate(index, FULL_SHARE));
        let candidates: Candidates = candidates.collect();
        let mut draw = Draw::new(key);
        let chosen = choice::choose(Algorithm::Hash, &candidates, &mut [], key, &mut draw);
        chosen.map(|index| self.targets[index].id)
    }

    /// The next target to probe; it counts as sent.
    pub fn poll_probe(&mut self, now: Time) -> Option<TargetId> {
        let probing = &self.policy.probing;
        for target in &mut self.targets {
            if target.health.begin_probe(now, probing) {
                return Some(target.id);
            }
        }
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        let Policy {
            passive, probing, ..
        } = &self.policy;
        for target in &mut self.targets {
            let change = target.health.handle_timeout(now, probing, passive);
            if change == Some(Change::Up) {
                target.overload.open();
            }
            tell(target.id, change, &mut self.events);
        }
        let mut ended = Vec::new();
        self.calls.sweep(now, |id| ended.push(id));
        for id in ended {
            self.lose_call(id);
        }
    }

    /// When [`Self::handle_timeout`] or [`Self::poll_probe`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let probing = &self.policy.probing;
        let targets = self.targets.iter();
        targets.filter_map(|t| t.health.poll_timeout(probing)).min()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The target of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<TargetId> {
        let target = self.targets.iter().find(|t| &*t.spec.name == name);
        target.map(|target| target.id)
    }

    /// What the operator said of a target.
    #[must_use]
    pub fn spec(&self, id: TargetId) -> Option<&TargetSpec> {
        self.target(id).map(|target| &target.spec)
    }

    /// Calls that are known to be up.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// How many of 100 new requests the targets together want to be spared: 100 if none can
    /// take any.
    #[must_use]
    pub fn loss_percent(&self, now: Time) -> u8 {
        let open = || self.targets.iter().filter(|t| t.is_open());
        let all: u64 = open().map(|t| u64::from(t.spec.weight)).sum();
        let lost: u64 = open()
            .map(|t| {
                let is_closed = t.overload.closed_until(now).is_some() || t.is_full(now);
                let percent = if is_closed {
                    100
                } else {
                    t.overload.percent(now)
                };
                u64::from(percent) * u64::from(t.spec.weight)
            })
            .sum();
        lost.checked_div(all).map_or(100, |percent| percent as u8)
    }

    fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.iter().find(|t| t.id == id)
    }

    /// How much of its weight a target has at the moment.
    fn share_permille(&self, now: Time, index: usize) -> u64 {
        let target = &self.targets[index];
        match self.policy.algorithm {
            Algorithm::Hash => FULL_SHARE,
            _ => {
                let fresh = target.health.share_permille(now, self.policy.slow_start);
                let latency_max = self.policy.passive.latency_max;
                fresh.min(target.latency.share_permille(latency_max))
            }
        }
    }

    fn candidate(&self, index: usize, share_permille: u64) -> Candidate {
        let target = &self.targets[index];
        let weight = match self.policy.algorithm {
            Algorithm::RoundRobin => 1,
            _ => u64::from(target.spec.weight),
        };
        Candidate {
            index,
            weight: weight * share_permille,
            load: u64::from(target.load()),
            name: target.name_hash,
        }
    }
}

impl Target {
    fn load(&self) -> u32 {
        let ours = self.calls.saturating_add(self.attempts);
        ours.saturating_add(self.foreign_calls)
    }

    /// Whether it is to have calls at all.
    fn is_open(&self) -> bool {
        self.spec.admission == Admission::Open && self.health.is_up()
    }

    fn is_full(&self, now: Time) -> bool {
        let calls = self.spec.calls_max.is_some_and(|max| self.load() >= max);
        let (start, count) = self.second;
        let is_same = now.since(start) < SECOND;
        calls || (is_same && self.spec.cps_max.is_some_and(|max| count >= max))
    }

    /// Why it takes no request just now: how long to wait.
    fn is_busy(&self, now: Time, work: Work, draw: &mut Draw) -> Option<Duration> {
        if let Some(until) = self.overload.closed_until(now) {
            return Some(until.since(now));
        }
        let is_full = work == Work::Call && self.is_full(now);
        (is_full || self.overload.spares(now, draw)).then_some(SECOND)
    }

    fn count_choice(&mut self, now: Time, work: Work) {
        self.chosen += 1;
        if work == Work::Other {
            return;
        }
        self.chosen_calls += 1;
        let (start, count) = self.second;
        self.second = if now.since(start) < SECOND {
            (start, count + 1)
        } else {
            (now, 1)
        };
    }
}

fn tell(id: TargetId, change: Option<Change>, events: &mut VecDeque<Event>) {
    match change {
        None => {}
        Some(Change::Up) => events.push_back(Event::Up { target: id }),
        Some(Change::Down(cause)) => events.push_back(Event::Down { target: id, cause }),
    }
}

fn tell_if_empty(target: &mut Target, events: &mut VecDeque<Event>) {
    let is_draining = target.spec.admission == Admission::Draining;
    if is_draining && target.calls == 0 && !target.told_empty {
        target.told_empty = true;
        events.push_back(Event::Drained { target: target.id });
    }
}

/// The most targets: each choice looks at all of them.
pub const TARGETS_MAX: usize = 256;
/// In thousandths.
const FULL_SHARE: u64 = 1_000;
const SECOND: Duration = Duration::from_secs(1);
