//! What travels between dispatchers, switches and agents, and what switches do with it.

use std::net::SocketAddr;

use bytes::Bytes;
use cluster::Order;
use sip::{Flow, Framing, ListenerId, Message, Transport};
use switch::Output;

use super::node::State;
use super::world::{Happening, World};
use crate::agent::{Agent, Step};
use crate::network::Path;
use crate::trace::{entry, summary};

impl World {
    /// An agent does something; what it sends goes on its way.
    pub(super) fn with_agent(&mut self, at: usize, act: impl FnOnce(&mut Agent, &mut Step<'_>)) {
        let mut wishes = Vec::new();
        let mut step = Step {
            now: self.now,
            dice: &mut self.dice,
            ledger: &mut self.ledger,
            trace: &mut self.trace,
            wishes: &mut wishes,
        };
        let agent = &mut self.agents[at];
        act(agent, &mut step);
        let (from, sent) = (agent.address, agent.take_output());
        for (when, wish) in wishes {
            self.push_at(when, Happening::Wish { agent: at, wish });
        }
        for (to, bytes) in sent {
            self.send(from, to, &bytes);
        }
    }

    /// A datagram goes on its way, if there is one.
    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        let peer = self.agents.iter().find(|agent| agent.address == to);
        let is_agent = peer.is_some();
        let judged = peer.map(|peer| self.watch.judge(to, Some(peer), bytes));
        if let Some(Err(rule)) = judged
            && !self.may_differ(bytes)
        {
            self.tell(|w| format!("{} -> {}  {}", w.who(from), w.who(to), read(bytes)));
            self.violation(rule);
        }
        // Whom the network fails is whoever is not one of ours.
        let way = if is_agent { to } else { from };
        let mut arrivals = self
            .network
            .arrivals(self.now, (way, Path::Datagram), &mut self.dice);
        if self.is_lost_by_plan(from, to, bytes) {
            arrivals.clear();
        }
        self.tell(|w| {
            let fate = if arrivals.is_empty() { "  (lost)" } else { "" };
            format!("{} .. {}  {}{fate}", w.who(from), w.who(to), read(bytes))
        });
        for arrival in arrivals {
            let bytes = bytes.clone();
            self.push_at(arrival, Happening::Datagram { from, to, bytes });
        }
    }

    /// A datagram has come.
    pub(super) fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if let Some(at) = self.agents.iter().position(|agent| agent.address == to) {
            self.tell(|w| format!("{} -> {}  {}", w.who(from), w.who(to), read(&bytes)));
            self.with_agent(at, |agent, step| agent.handle_datagram(step, from, bytes));
        } else if let Some(at) = self.fronts.iter().position(|front| front.address == to) {
            let front = &mut self.fronts[at];
            if front.is_up {
                let flow = flow_of(from);
                front.dispatcher.handle_datagram(self.now, flow, &bytes);
                self.drain_front(at);
            }
        } else if let Some(at) = self.nodes.iter().position(|node| node.sip == to) {
            match self.nodes[at].state {
                State::Down => {}
                // It waits in the socket.
                State::Paused { until } => {
                    self.push_at(until, Happening::Datagram { from, to, bytes });
                }
                State::Up => self.reach_switch(at, from, bytes),
            }
        }
    }

    fn reach_switch(&mut self, at: usize, from: SocketAddr, bytes: Bytes) {
        self.tell(|w| format!("{} -> {}  {}", w.who(from), w.nodes[at].name, read(&bytes)));
        if self.is_held(at) {
            self.nodes[at].pause.hold((from, bytes));
        } else {
            let node = &mut self.nodes[at];
            let now = node.clock(self.now);
            node.switch.handle_datagram(now, flow_of(from), &bytes);
        }
        self.drain_switch(at);
    }

    /// The beat of a switch, or its timers.
    pub(super) fn tick(&mut self, at: usize) {
        let is_held = self.is_held(at);
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        if is_held {
            if node.pause.until().is_some_and(|until| now < until) {
                return self.drain_switch(at);
            }
            self.note_unsure(at);
            self.go_on(at);
        }
        let node = &mut self.nodes[at];
        if now >= node.next_tick {
            node.next_tick = now + TICK;
        }
        node.switch.handle_timeout(now);
        self.drain_switch(at);
    }

    /// Time passes for a switch; whether what comes is held back.
    fn is_held(&mut self, at: usize) -> bool {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        if node.pause.pass(now) {
            self.tell(|w| format!("{} was stopped", w.nodes[at].name));
            self.order(at, Order::ClearUp);
        }
        self.nodes[at].pause.until().is_some()
    }

    /// A pause is cleared up: what has come since is served.
    pub(super) fn go_on(&mut self, at: usize) {
        self.tell(|w| format!("{} goes on", w.nodes[at].name));
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        for (from, bytes) in node.pause.release() {
            node.switch.handle_datagram(now, flow_of(from), &bytes);
        }
    }

    /// Does what a switch wants.
    pub(super) fn drain_switch(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].switch.poll_output() {
            let from = self.nodes[at].sip;
            match output {
                Output::Transmit(transmit) => {
                    self.send(from, transmit.to.remote(), &transmit.bytes);
                }
                Output::Journal(event) => {
                    self.tell(|w| format!("{} journal  {}", w.nodes[at].name, entry(&event)));
                    if let switch::JournalEvent::Opened(opening) = &event {
                        // This node itself goes on with what it had left.
                        self.nodes[at].unsettled.remove(&opening.call);
                    }
                    self.journal.write(at, event);
                }
                Output::Keep { call, record } => self.order(at, Order::Keep(call.0, record)),
                Output::Unkeep { call } => self.order(at, Order::Unkeep(call.0)),
                Output::Seek { call } => self.order(at, Order::Seek(call.0)),
                Output::Resolve { id, .. } => {
                    let now = self.nodes[at].clock(self.now);
                    let nothing = sip::Targets::new();
                    self.nodes[at].switch.handle_resolved(now, id, &nothing);
                    self.violation("a switch asks for a name".into());
                }
                Output::Media(_) | Output::MediaEnd { .. } | Output::Adopt(_) => {
                    self.violation("a switch wants media".into());
                }
                Output::Record { .. }
                | Output::Candidates { .. }
                | Output::Press { .. }
                | Output::Forsake { .. }
                | Output::RemoveBinding { .. }
                | Output::Event(_) => {}
            }
        }
    }

    /// Does what a dispatcher wants.
    pub(super) fn drain_front(&mut self, at: usize) {
        while let Some(output) = self.fronts[at].dispatcher.poll_output() {
            let from = self.fronts[at].address;
            match output {
                dispatcher::Output::Transmit(transmit) => {
                    self.send(from, transmit.to.remote(), &transmit.bytes);
                }
                dispatcher::Output::Event { event, target } => {
                    self.tell(|_| format!("dispatcher: {target} {event:?}"));
                }
            }
        }
    }

    /// Whose an address is.
    fn who(&self, address: SocketAddr) -> String {
        let agents = self.agents.iter().map(|a| (a.address, a.name));
        let nodes = self.nodes.iter().map(|n| (n.sip, n.name));
        let fronts = self.fronts.iter().map(|f| (f.address, "dispatcher"));
        let mut all = agents.chain(nodes).chain(fronts);
        let found = all.find(|(known, _)| *known == address);
        found.map_or_else(|| address.to_string(), |(_, name)| name.to_owned())
    }
}

fn flow_of(remote: SocketAddr) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote,
    }
}

fn read(bytes: &Bytes) -> String {
    match Message::parse(bytes.clone(), Framing::Datagram) {
        Ok(message) => summary(&message),
        Err(_) => format!("{} bytes", bytes.len()),
    }
}

/// Between two signs of life in the journal, as in `node::machine`.
const TICK: std::time::Duration = std::time::Duration::from_millis(500);
