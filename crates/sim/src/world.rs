//! The world of one run: the switch, everybody around it, and the order in which things happen.

mod carry;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::CdrLegMedia;
use sip::{ConnId, ListenerId, Targets, Transport};
use switch::{CallKey, Listener, MediaAsk, Output, Switch, SwitchConfig};

use crate::Keep;
use crate::agent::{Agent, Wish, switch_address};
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::network::Network;
use crate::relay::{self, Relay};
use crate::scenario::{self, Scenario};
use crate::trace::Trace;
use crate::watch::Watch;
use crate::{names, trace};

/// Everything.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) switch: Switch,
    pub(crate) agents: Vec<Agent>,
    pub(crate) relay: Relay,
    pub(crate) ledger: Ledger,
    pub(crate) trace: Trace,
    dice: Dice,
    network: Network,
    watch: Watch,
    queue: BinaryHeap<Reverse<Entry>>,
    /// Numbers entries, so that those of one moment keep their order.
    entries: u64,
    steps: u32,
}

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    ToSwitch {
        agent: usize,
        conn: Option<ConnId>,
        bytes: Bytes,
    },
    ToAgent {
        agent: usize,
        conn: Option<ConnId>,
        bytes: Bytes,
    },
    /// An agent's connection breaks; it opens another.
    Break {
        agent: usize,
    },
    TransmitFailed {
        key: u64,
    },
    Wish {
        agent: usize,
        wish: Wish,
    },
    Crash {
        agent: usize,
    },
    Revive {
        agent: usize,
    },
    Media {
        call: CallKey,
        ask: MediaAsk,
        answer: Result<Bytes, u16>,
    },
    MediaReport {
        call: CallKey,
        legs: [CdrLegMedia; 2],
    },
    Resolved {
        id: u64,
        targets: Targets,
    },
    /// The relay hears nothing of its first session any more.
    MediaSilent,
    /// The operator hangs up the first call there is.
    OperatorHangsUp,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    what: Happening,
}

impl World {
    pub(crate) fn new(seed: u64, keep: Keep) -> Self {
        let mut dice = Dice::new(seed);
        let start = Time::ZERO + crate::START;
        let Scenario {
            snapshot,
            network,
            agents,
            happenings,
        } = scenario::draw(&mut dice);
        let mut switch = Switch::new(SwitchConfig {
            node: "sim".into(),
            product: "tandem".into(),
            seed,
            cluster_key: [7; 32],
            sequence: 0,
        });
        for (id, transport) in [Transport::Udp, Transport::Tcp].into_iter().enumerate() {
            switch.set_listener(Listener {
                id: ListenerId(id as u16),
                transport,
                advertised: switch_address(),
            });
        }
        switch.configure(start, Arc::new(snapshot));
        let mut world = Self {
            now: start,
            switch,
            agents,
            relay: Relay::new(seed),
            ledger: Ledger::default(),
            trace: Trace::new(keep, start),
            dice,
            network,
            watch: Watch::default(),
            queue: BinaryHeap::new(),
            entries: 0,
            steps: 0,
        };
        for (at, what) in happenings {
            world.push(at, what);
        }
        world.drain_switch();
        world
    }

    /// Runs until a time, or until a rule is broken.
    pub(crate) fn run_until(&mut self, end: Time) {
        while self.ledger.violations.is_empty() {
            let queued = self.queue.peek().map(|Reverse(e)| e.at);
            let switch = self.switch.poll_timeout();
            let agents = self.agents.iter().map(Agent::poll_timeout);
            let due = agents.chain([queued, switch]).flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.step();
            self.check_limits();
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.ledger
                    .violation("the run does not come to rest".into());
            }
        }
    }

    /// Reconfigures the switch so that nothing recurs any more.
    pub(crate) fn wind_down(&mut self) {
        let snapshot = crate::platform::emptied(self.switch.snapshot());
        self.switch.configure(self.now, Arc::new(snapshot));
        self.drain_switch();
    }

    fn step(&mut self) {
        if self.switch.poll_timeout().is_some_and(|t| t <= self.now) {
            self.switch.handle_timeout(self.now);
            self.drain_switch();
        }
        for at in 0..self.agents.len() {
            if self.agents[at]
                .poll_timeout()
                .is_some_and(|t| t <= self.now)
            {
                self.with_agent(at, |agent, step| agent.handle_timeout(step));
            }
        }
        if self.queue.peek().is_some_and(|Reverse(e)| e.at <= self.now)
            && let Some(Reverse(entry)) = self.queue.pop()
        {
            self.happen(entry.what);
            self.drain_switch();
        }
    }

    fn happen(&mut self, what: Happening) {
        let now = self.now;
        match what {
            Happening::ToSwitch { agent, conn, bytes } => self.reach_switch(agent, conn, &bytes),
            Happening::ToAgent { agent, conn, bytes } => self.reach_agent(agent, conn, &bytes),
            Happening::Break { agent } => self.break_connection(agent),
            Happening::TransmitFailed { key } => self.switch.handle_transmit_failed(now, key),
            Happening::Wish { agent, wish } => {
                self.with_agent(agent, |agent, step| agent.handle_wish(step, wish));
            }
            Happening::Crash { agent } => {
                self.tell(|w| format!("{} crashes", w.agents[agent].name));
                self.agents[agent].crash();
            }
            Happening::Revive { agent } => {
                self.tell(|w| format!("{} is back", w.agents[agent].name));
                self.with_agent(agent, Agent::revive);
            }
            Happening::Media { call, ask, answer } => {
                self.tell(|_| format!("relay -> switch  {call:?} {}", answer_text(&answer)));
                self.switch.handle_media(now, call, ask, answer);
            }
            Happening::MediaReport { call, legs } => {
                self.switch.handle_media_report(call, legs, Vec::new())
            }
            Happening::Resolved { id, targets } => {
                self.tell(|_| format!("resolver -> switch  {id} {targets:?}"));
                self.switch.handle_resolved(now, id, &targets);
            }
            Happening::MediaSilent => {
                if let Some((call, session)) = self.relay.first() {
                    self.tell(|_| format!("relay -> switch  {call:?} is silent"));
                    self.switch.handle_media_silent(now, call, session);
                }
            }
            Happening::OperatorHangsUp => {
                if let Some(call) = self.switch.calls().first().map(|c| c.id) {
                    self.tell(|_| format!("the operator hangs up {call}"));
                    self.switch.hang_up(now, call);
                }
            }
        }
    }

    fn drain_switch(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Transmit(transmit) => self.carry(&transmit),
                Output::Resolve { id, host, port, .. } => {
                    let targets = names::look_up(&host, port, &mut self.dice);
                    let at = self.now + self.dice.millis(0, 300);
                    self.push(at, Happening::Resolved { id, targets });
                }
                Output::Media(request) => {
                    let answer = self.relay.take(&request, &mut self.dice);
                    let at = self.now + self.dice.millis(0, 20);
                    let (call, ask) = (request.call, request.ask);
                    self.tell(|_| format!("switch -> relay  {call:?} {:?}", request.op));
                    match self.relay.lateness() {
                        Some(late) => self.push(at + late, Happening::Media { call, ask, answer }),
                        None => self.tell(|_| format!("relay says nothing to  {call:?}")),
                    }
                }
                Output::Record { .. } | Output::Candidates { .. } | Output::Press { .. } => {}
                Output::MediaEnd { call, session } => {
                    self.tell(|_| format!("switch -> relay  {call:?} end"));
                    if !self.relay.end(call, session) {
                        self.ledger
                            .violation("a media session was ended that was not open".into());
                    }
                    if !self.dice.percent(REPORTS_LOST_PERCENT) {
                        let at = self.now + self.dice.millis(0, 20);
                        let legs = relay::report();
                        self.push(at, Happening::MediaReport { call, legs });
                    }
                }
                Output::Journal(event) => {
                    self.tell(|_| format!("journal  {}", trace::entry(&event)));
                    self.ledger.journal.push((self.now, event));
                }
                Output::RemoveBinding { .. } | Output::Event(_) => {}
                // One switch, which tells nobody of its calls.
                Output::Adopt(_)
                | Output::Forsake { .. }
                | Output::Keep { .. }
                | Output::Unkeep { .. }
                | Output::Seek { .. } => {}
            }
        }
    }

    /// No limit is ever exceeded.
    fn check_limits(&mut self) {
        for (entity, limit) in routing::limits_of(self.switch.snapshot()) {
            let Some(usage) = self.switch.usage(self.now, entity) else {
                continue;
            };
            if limit.channels.is_some_and(|most| usage.channels > most) {
                self.ledger.violation(format!(
                    "{} has {} calls, more than its limit",
                    entity.kind, usage.channels
                ));
            }
        }
    }

    fn push(&mut self, at: Time, what: Happening) {
        self.entries += 1;
        let number = self.entries;
        self.queue.push(Reverse(Entry { at, number, what }));
    }

    fn tell(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.trace.is_on() {
            let text = text(self);
            self.trace.line(self.now, || text);
        }
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

fn answer_text(answer: &Result<Bytes, u16>) -> String {
    match answer {
        Ok(sdp) => format!("{} bytes", sdp.len()),
        Err(status) => format!("refused {status}"),
    }
}

/// More steps than any run of the scenarios needs; a run beyond runs for ever.
const STEPS_MAX: u32 = 200_000;
/// The relay may be restarted between the end of a session and its report.
const REPORTS_LOST_PERCENT: u64 = 3;
