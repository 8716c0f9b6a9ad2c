//! One node: what it has of the limits, and where its threads are.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;
use cluster::{Member, Watch};
use limits::{EntityId, Limit, Limits, Shares};

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    /// What it is called at present.
    pub(super) id: String,
    /// How many names it has had.
    pub(super) names: u32,
    pub(super) state: State,
    /// Counts its starts; what was meant for an earlier one is not done.
    pub(super) life: u32,
    /// How far its clock is ahead.
    pub(super) skew: Duration,
    pub(super) limits: Limits,
    pub(super) shares: Shares,
    /// Of its last question to the store.
    pub(super) number: u64,
    /// The question that is under way.
    pub(super) asked: Option<u64>,
    /// How often the store did not answer.
    pub(super) outages: u64,
    pub(super) watch: Watch,
    /// The outages that the thread with the watch knows of.
    pub(super) watched_outages: u64,
    /// What the thread with the watch will look at next.
    pub(super) seen: Option<Vec<Member>>,
    /// What it looks at.
    pub(super) errand: Option<Errand>,
    /// Calls in progress.
    pub(super) calls: BTreeMap<u64, Vec<EntityId>>,
    /// How many calls a second come to it.
    pub(super) rate: u64,
    /// Whether it takes no calls any more, and is about to leave.
    pub(super) is_leaving: bool,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs.
    Up,
    /// It is stopped, and goes on then.
    Paused { until: Time },
    /// It is gone; its machine says so.
    Down,
    /// Its machine is gone.
    Dark,
}

/// Members to knock at.
#[derive(Debug)]
pub(super) struct Errand {
    /// When it was begun, by the node's clock.
    pub(super) asked: Time,
    pub(super) left: VecDeque<Member>,
    /// Whether one of them is being buried.
    pub(super) is_burying: bool,
}

impl Node {
    pub(super) fn new(at: usize, skew: Duration) -> Self {
        let name = NAMES[at];
        let octet = 1 + at as u8;
        let mut node = Self {
            name,
            address: SocketAddr::from(([192, 0, 2, octet], 8080)),
            id: String::new(),
            names: 0,
            state: State::Down,
            life: 0,
            skew,
            limits: Limits::new(),
            shares: Shares::new(),
            number: 0,
            asked: None,
            outages: 0,
            watch: Watch::new(),
            watched_outages: 0,
            seen: None,
            errand: None,
            calls: BTreeMap::new(),
            rate: 0,
            is_leaving: false,
        };
        node.rename();
        node
    }

    /// The process is started.
    pub(super) fn start(&mut self, limits: &[(EntityId, Limit)]) {
        self.life += 1;
        self.state = State::Up;
        self.limits = Limits::new();
        self.limits.share();
        self.limits.configure_all(limits.iter().copied());
        self.shares = Shares::new();
        (self.number, self.asked, self.outages) = (0, None, 0);
        (self.watch, self.watched_outages) = (Watch::new(), 0);
        (self.seen, self.errand) = (None, None);
        self.is_leaving = false;
        self.rename();
    }

    /// The process is gone, with all it had.
    pub(super) fn stop(&mut self, state: State) {
        self.state = state;
        self.life += 1;
        self.calls.clear();
    }

    /// It joins under another name.
    pub(super) fn rename(&mut self) {
        self.names += 1;
        self.id = format!("{}-{}", self.name, self.names);
    }

    /// The time by its clock.
    pub(super) fn clock(&self, now: Time) -> Time {
        now + self.skew
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.state, State::Up)
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Down | State::Dark)
    }

    /// Ends a call; false if it is not here.
    pub(super) fn hang_up(&mut self, now: Time, call: u64) -> bool {
        let at = self.clock(now);
        let Some(entities) = self.calls.remove(&call) else {
            return false;
        };
        // A release of nothing is counted, and found at the end.
        let _ = self.limits.release(at, &entities);
        true
    }

    pub(super) fn in_use(&self, now: Time, entity: EntityId) -> u32 {
        let usage = self.limits.usage(self.clock(now), entity);
        usage.map_or(0, |usage| usage.channels)
    }
}

pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];
