//! One round's outputs, kept until the journal is written.

use clock::Time;
use sip::{Destination, Flow, ListenerId, Transmit, Transport};

use super::{Host, Machine, Output, ResolveQuery, TransmitError};
use crate::counters::Counters;
use crate::sys::mmsg::Datagram;
use crate::udp::UdpListener;

/// What the machine wanted in this round, and what is to be told to it in the next.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Messages for stream connections, in order.
    pub(crate) streams: Vec<Transmit>,
    /// Connections to close after those.
    pub(crate) closes: Vec<Flow>,
    /// Questions for the resolver.
    pub(crate) queries: Vec<(u64, ResolveQuery)>,
    /// Failed transmissions with a key, for the next round.
    pub(crate) failures: Vec<(u64, TransmitError)>,
}

impl Round {
    /// Collects all that the machine wants; true if there was anything.
    pub(crate) fn collect<M: Machine, H: Host<M>>(
        &mut self,
        now: Time,
        machine: &mut M,
        host: &mut H,
        udp: &mut UdpTable,
    ) -> bool {
        let mut has_output = false;
        while let Some(output) = machine.poll_output() {
            has_output = true;
            match output {
                Output::Transmit(transmit) => self.take(transmit, udp),
                Output::Resolve { id, query } => self.queries.push((id, query)),
                Output::Close(flow) => self.closes.push(flow),
                Output::Effect(effect) => host.handle_effect(now, effect, machine),
            }
        }
        has_output
    }

    /// Notes a failure for the next round, if anybody wants to know.
    pub(crate) fn fail(&mut self, key: u64, error: TransmitError) {
        if key != 0 {
            self.failures.push((key, error));
        }
    }

    fn take(&mut self, transmit: Transmit, udp: &mut UdpTable) {
        if transmit.to.transport() != Transport::Udp {
            self.streams.push(transmit);
            return;
        }
        match udp.find(transmit.to.listener()) {
            Some(listener) => listener.push(Datagram {
                remote: transmit.to.remote(),
                bytes: transmit.bytes,
                key: transmit.key,
            }),
            None => self.fail(transmit.key, error_without_listener(&transmit.to)),
        }
    }
}

/// The open UDP listeners by number.
#[derive(Debug, Default)]
pub(crate) struct UdpTable {
    slots: Vec<Option<UdpListener>>,
}

impl UdpTable {
    pub(crate) fn insert(&mut self, id: ListenerId, listener: UdpListener) {
        let index = usize::from(id.0);
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        self.slots[index] = Some(listener);
    }

    pub(crate) fn remove(&mut self, id: ListenerId) {
        if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
            *slot = None;
        }
    }

    pub(crate) fn find(&mut self, id: ListenerId) -> Option<&mut UdpListener> {
        self.slots.get_mut(usize::from(id.0))?.as_mut()
    }

    /// Sends what waits at each listener.
    pub(crate) fn flush(&mut self, counters: &Counters, round: &mut Round) {
        for listener in self.slots.iter_mut().flatten() {
            listener.flush(counters, |key, error| round.fail(key, error));
        }
    }
}

fn error_without_listener(to: &Destination) -> TransmitError {
    match to {
        Destination::Flow(_) => TransmitError::NoConnection,
        Destination::Address { .. } => TransmitError::NoListener,
    }
}
