//! A switch of the simulated cluster, and where its threads are.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use cluster::{Keeper, Member, Order, PauseWatch, Roster, Watch};
use model::{CallId, Snapshot};
use sip::{ListenerId, Transport};
use switch::{Listener, Switch, SwitchConfig};

use super::platform::{door_address, switch_address};

/// A switch.
pub(super) struct Node {
    pub(super) name: &'static str,
    /// Where it takes calls.
    pub(super) sip: SocketAddr,
    /// Where its API listens.
    pub(super) door: SocketAddr,
    pub(super) state: State,
    /// Counts its starts; what was meant for an earlier one is not done.
    pub(super) life: u32,
    /// How far its clock is ahead.
    pub(super) skew: Duration,
    pub(super) switch: Switch,
    pub(super) pause: PauseWatch<(SocketAddr, Bytes)>,
    /// Its next beat, by its clock.
    pub(super) next_tick: Time,
    /// Calls that a crash left open, and of which nobody has said yet what became of them.
    pub(super) unsettled: BTreeSet<CallId>,
    /// How many names it has had.
    names: u32,
    /// What it was called, as its disk has it.
    pub(super) starts: Vec<String>,
    pub(super) roster: Roster,
    pub(super) permits: Permits,
    pub(super) calls: Calls,
}

/// The threads of the permits.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// Of its last question to the store.
    pub(super) number: u64,
    /// The question that is under way, and since when by the node's clock.
    pub(super) asked: Option<(u64, Time)>,
    /// How often the store did not answer.
    pub(super) outages: u64,
    pub(super) watch: Watch,
    /// The outages that the thread with the watch knows of.
    pub(super) watched_outages: u64,
    /// What the thread with the watch will look at next.
    pub(super) seen: Option<Vec<Member>>,
    /// What it looks at.
    pub(super) errand: Option<Errand>,
}

/// Members to knock at.
#[derive(Debug)]
pub(super) struct Errand {
    /// When it was begun, by the node's clock.
    pub(super) asked: Time,
    pub(super) left: VecDeque<Member>,
    /// Who is being buried.
    pub(super) burying: Option<Member>,
}

/// The thread of the calls.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) keeper: Keeper,
    /// What the store knows the node by.
    pub(super) id: String,
    /// What the switch has said since the last round began.
    pub(super) orders: Vec<Order>,
    /// Numbers what it waits for.
    pub(super) turn: u64,
    /// Whether a round is under way.
    pub(super) is_busy: bool,
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
}

impl Node {
    pub(super) fn new(at: usize, skew: Duration) -> Self {
        Self {
            name: NAMES[at],
            sip: switch_address(at),
            door: door_address(at),
            state: State::Down,
            life: 0,
            skew,
            switch: blank_switch(0, 0),
            pause: PauseWatch::new(Time::ZERO),
            next_tick: Time::ZERO,
            unsettled: BTreeSet::new(),
            names: 0,
            starts: Vec::new(),
            roster: Roster::default(),
            permits: Permits::default(),
            calls: Calls::new(Time::ZERO, "", Vec::new()),
        }
    }

    /// The process is started, with what its disk has.
    pub(super) fn start(
        &mut self,
        now: Time,
        (seed, sequence): (u64, u64),
        unsettled: BTreeSet<CallId>,
        snapshot: &Arc<Snapshot>,
    ) {
        let at = self.clock(now);
        self.life += 1;
        self.state = State::Up;
        self.switch = blank_switch(seed, sequence);
        self.switch.share_limits();
        self.switch.share_calls();
        self.switch.configure(at, Arc::clone(snapshot));
        self.switch.set_listener(Listener {
            id: ListenerId(0),
            transport: Transport::Udp,
            advertised: self.sip,
        });
        self.pause = PauseWatch::new(at);
        self.next_tick = at;
        self.unsettled = unsettled;
        let id = self.next_id();
        self.roster = Roster::default();
        self.roster.rename(&id);
        self.permits = Permits::default();
        self.calls = Calls::new(at, &id, self.starts.clone());
        self.starts.push(id);
    }

    /// The process is gone, with all it had.
    pub(super) fn stop(&mut self) {
        self.state = State::Down;
        self.life += 1;
        self.switch = blank_switch(0, 0);
    }

    /// A name that it never had.
    pub(super) fn next_id(&mut self) -> String {
        self.names += 1;
        format!("{}-{}", self.name, self.names)
    }

    /// All names it has had.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.names).map(|number| format!("{}-{number}", self.name))
    }

    /// The time by its clock.
    pub(super) fn clock(&self, now: Time) -> Time {
        now + self.skew
    }

    /// When its loop wakes up, by the world's clock.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        if self.state != State::Up {
            return None;
        }
        let due = match self.pause.until() {
            Some(until) => Some(until),
            None => {
                let due = self.switch.poll_timeout();
                Some(due.map_or(self.next_tick, |due| due.min(self.next_tick)))
            }
        };
        due.map(|due| due - self.skew)
    }
}

impl Calls {
    fn new(now: Time, id: &str, earlier: Vec<String>) -> Self {
        Self {
            keeper: Keeper::new(now, id, earlier),
            id: id.to_owned(),
            orders: Vec::new(),
            turn: 0,
            is_busy: false,
        }
    }
}

fn blank_switch(seed: u64, sequence: u64) -> Switch {
    Switch::new(SwitchConfig {
        node: "sim".into(),
        product: "tandem".into(),
        seed,
        cluster_key: super::CLUSTER_KEY,
        sequence,
    })
}

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];
