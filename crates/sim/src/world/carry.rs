//! What travels between the switch and the agents.

use bytes::Bytes;
use sip::{ConnId, Destination, Flow, Framing, ListenerId, Message, Transmit, Transport};

use super::{Happening, World};
use crate::agent::{Agent, Step, What, Wish, switch_address};
use crate::names;
use crate::network::Path;
use crate::trace::summary;

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
        let (way, conn) = (way_to(agent), agent.conn);
        let sent = agent.take_output();
        for (when, wish) in wishes {
            self.push(when, Happening::Wish { agent: at, wish });
        }
        for (_, bytes) in sent {
            for arrival in self.network.arrivals(self.now, way, &mut self.dice) {
                let (agent, bytes) = (at, bytes.clone());
                self.push(arrival, Happening::ToSwitch { agent, conn, bytes });
            }
        }
    }

    /// Something the switch sends goes on its way, if there is one.
    pub(super) fn carry(&mut self, transmit: &Transmit) {
        let (to, bytes, key) = (transmit.to.remote(), &transmit.bytes, transmit.key);
        if to == names::nobody() {
            return;
        }
        let (conn, transport) = match &transmit.to {
            Destination::Flow(flow) => (flow.conn, flow.transport),
            Destination::Address { transport, .. } => (None, *transport),
        };
        let known = conn.is_some() && self.agents.iter().any(|a| a.conn == conn);
        if transport == Transport::Tcp && !known {
            // The connection is gone, and nobody connects to a phone behind NAT.
            self.tell(|_| format!("switch -> {to}  {}  (no connection)", read(bytes)));
            self.push(self.now, Happening::TransmitFailed { key });
            return;
        }
        let meant = |a: &Agent| a.conn == conn && (conn.is_some() || a.address == to);
        let at = self.agents.iter().position(meant);
        let peer = at.map(|at| &self.agents[at]);
        if let Err(rule) = self.watch.judge(to, peer, bytes) {
            self.tell(|_| format!("switch -> {to}  {}", read(bytes)));
            self.ledger.violation(rule);
        }
        let Some(agent) = at else { return };
        let way = way_to(&self.agents[agent]);
        let arrivals = self.network.arrivals(self.now, way, &mut self.dice);
        self.tell(|w| {
            let fate = if arrivals.is_empty() { "  (lost)" } else { "" };
            format!("switch .. {}  {}{fate}", w.agents[agent].name, read(bytes))
        });
        for arrival in arrivals {
            let bytes = bytes.clone();
            self.push(arrival, Happening::ToAgent { agent, conn, bytes });
        }
    }

    pub(super) fn reach_switch(&mut self, at: usize, conn: Option<ConnId>, bytes: &Bytes) {
        let agent = &self.agents[at];
        let (name, remote) = (agent.name, agent.address);
        if conn != agent.conn {
            return;
        }
        self.tell(|_| format!("{name} -> switch  {}", read(bytes)));
        let transport = transport_of(conn);
        let flow = Flow {
            transport,
            listener: ListenerId(u16::from(transport == Transport::Tcp)),
            conn,
            remote,
        };
        if conn.is_some() {
            self.switch
                .handle_stream_message(self.now, flow, bytes.clone());
        } else {
            self.switch.handle_datagram(self.now, flow, bytes);
        }
    }

    pub(super) fn reach_agent(&mut self, at: usize, conn: Option<ConnId>, bytes: &Bytes) {
        if conn != self.agents[at].conn {
            return;
        }
        self.with_agent(at, |agent, step| {
            let text = || format!("switch -> {}  {}", agent.name, read(bytes));
            step.trace.line(step.now, text);
            agent.handle_datagram(step, switch_address(), bytes.clone());
        });
    }

    /// A connection breaks; what was under way is gone. The phone opens another and registers.
    pub(super) fn break_connection(&mut self, at: usize) {
        let Some(old) = self.agents[at].conn else {
            return;
        };
        self.tell(|w| format!("the connection of {} breaks", w.agents[at].name));
        self.agents[at].conn = Some(ConnId(old.0 + 1_000));
        self.switch.handle_closed(self.now, old);
        let what = What::Register;
        let life = self.agents[at].life;
        let wish = Wish { life, what };
        self.push(self.now, Happening::Wish { agent: at, wish });
    }
}

fn way_to(agent: &Agent) -> (std::net::SocketAddr, Path) {
    let path = agent.conn.map_or(Path::Datagram, |_| Path::Connection);
    (agent.address, path)
}

fn transport_of(conn: Option<ConnId>) -> Transport {
    conn.map_or(Transport::Udp, |_| Transport::Tcp)
}

fn read(bytes: &Bytes) -> String {
    match Message::parse(bytes.clone(), Framing::Datagram) {
        Ok(message) => summary(&message),
        Err(_) => format!("{} bytes", bytes.len()),
    }
}
