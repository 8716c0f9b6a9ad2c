//! What a dispatcher keeps of the messages that pass it, where it has joined a platform: the part of a
//! call before a switch has it, and what never came to one.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clock::Time;
use dispatcher::Dispatcher;
use sip::{Flow, ListenerId, Transmit, Transport};
use trace::{Direction, Passage};

use crate::trace::TraceTap;

/// Copies messages into the trace.
pub(super) struct Watch {
    trace: TraceTap,
    /// When it passes on what it has; `None`: it has nothing.
    due: Option<Time>,
}

impl Watch {
    pub(super) const fn new(trace: TraceTap) -> Self {
        Self { trace, due: None }
    }

    /// A message came.
    pub(super) fn received(
        &mut self,
        now: Time,
        flow: Flow,
        bytes: &[u8],
        dispatcher: &Dispatcher,
    ) {
        if self.wants(bytes) {
            let ends = (flow.remote, ours(dispatcher, flow.listener, flow.remote));
            self.tell(now, (Direction::Received, flow.transport), ends, bytes);
        }
    }

    /// A message leaves.
    pub(super) fn sent(&mut self, now: Time, transmit: &Transmit, dispatcher: &Dispatcher) {
        if self.wants(&transmit.bytes) {
            let (to, transport) = (transmit.to.remote(), transmit.to.transport());
            let ends = (ours(dispatcher, transmit.to.listener(), to), to);
            self.tell(now, (Direction::Sent, transport), ends, &transmit.bytes);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            self.trace.flush();
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// What keeps flows alive, line ends and STUN, is no message: those begin with a letter.
    fn wants(&self, bytes: &[u8]) -> bool {
        bytes.first().is_some_and(u8::is_ascii_alphabetic) && self.trace.wants(bytes)
    }

    fn tell(
        &mut self,
        now: Time,
        (direction, transport): (Direction, Transport),
        (from, to): (SocketAddr, SocketAddr),
        message: &[u8],
    ) {
        let passage = Passage {
            at_us: now.as_micros(),
            transport,
            direction,
            from,
            to,
            node: "",
            correlation: &[],
        };
        self.trace.tell(&passage, message);
        self.due.get_or_insert(now + PATIENCE);
    }
}

fn ours(dispatcher: &Dispatcher, listener: ListenerId, peer: SocketAddr) -> SocketAddr {
    let unknown = SocketAddr::new(
        match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        },
        0,
    );
    dispatcher.listener_address(listener).unwrap_or(unknown)
}

/// How long messages wait for others before they go to the trace together.
const PATIENCE: Duration = Duration::from_millis(25);
