//! Targets that go on with what another has begun.
//!
//! A target that takes over a call which rings sends its INVITE again with the Via of the dead one.
//! To the phone it has to be the same request, so our Via is the same, too: it says that responses go
//! to the dead target, and here is remembered who has them instead. Towards a caller the target
//! answers in the other's place, and has what follows: CANCEL and the ACK to a refusal.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;
use forward::Branch;
use sip::{Destination, Flow, Message, Transport, Via};

use crate::Dispatcher;
use crate::own::Head;
use crate::pending::State;
use crate::request::Ingress;
use crate::response::Opened;

/// Who has the responses of a transaction instead of whom our Via names.
#[derive(Debug, Default)]
pub(crate) struct Reliefs {
    by_key: BTreeMap<u64, Flow>,
    /// In the order in which they are forgotten.
    until: VecDeque<(Time, u64)>,
}

impl Reliefs {
    fn insert(&mut self, now: Time, key: u64, flow: Flow) {
        while let Some((until, old)) = self.until.front().copied() {
            if until > now && self.by_key.len() < RELIEFS_MAX {
                break;
            }
            self.until.pop_front();
            self.by_key.remove(&old);
        }
        if self.by_key.insert(key, flow).is_none() {
            self.until.push_back((now + KEPT, key));
        }
    }
}

impl Dispatcher {
    /// The target that a request speaks for, if it is not the one that sends it: its address stands in
    /// the Via.
    pub(crate) fn spoken_for(&self, flow: Flow, via: &Via<'_>) -> Option<SocketAddr> {
        self.target_at(Transport::Udp, flow.remote)?;
        let port = via.port.unwrap_or(Transport::Udp.default_port());
        let said = SocketAddr::new(sip::uri::parse_ip(via.host)?, port);
        let is_other = said != flow.remote && self.target_at(Transport::Udp, said).is_some();
        is_other.then_some(said)
    }

    /// Remembers who goes on with a transaction.
    pub(crate) fn note_relief(&mut self, now: Time, ingress: &Ingress) {
        if ingress.is_stand_in {
            self.counters.stand_ins += 1;
            self.reliefs.insert(now, ingress.key, ingress.flow);
        }
    }

    /// Where a response to a target goes if that is gone: to who goes on with the transaction; before
    /// that is known, to one who can find out.
    pub(crate) fn relief(&self, message: &Message, branch: &Branch) -> Option<Destination> {
        if let Some(flow) = self.reliefs.by_key.get(&branch.key) {
            return Some(Destination::Flow(*flow));
        }
        let end = &branch.end;
        let target = self.target_at(end.transport, end.remote)?;
        if self.balancer.is_there(target) {
            return None;
        }
        let call = self.seal.call(message.call_id().unwrap_or_default());
        let place = self.place(self.balancer.stand_in(call)?)?;
        Some(Destination::Address {
            transport: place.transport,
            listener: end.listener,
            remote: place.remote,
            name: place.name.clone(),
        })
    }

    /// A target answers a request that another was sent: it has it from now on. What the other had said
    /// of it may have been lost before us, or its answer behind us, which is repeated then.
    pub(crate) fn relieve(&mut self, now: Time, message: &Message, opened: &Opened) {
        let Opened { flow, key, .. } = *opened;
        let Some(successor) = self.target_from(flow) else {
            return;
        };
        let Some(place) = self.place(successor) else {
            return;
        };
        // What follows goes where the target is found, for over streams it calls from other ports.
        let destination = Destination::Address {
            transport: place.transport,
            listener: flow.listener,
            remote: place.remote,
            name: place.name.clone(),
        };
        let may_pass = |state| match state {
            // Who refuses what it was not asked has no such call.
            State::Waiting | State::Trying => message.status() < 300,
            State::Proceeding => true,
            // Its ACK is missing: nobody but the one who has the call now says it again.
            State::Settled => (200..300).contains(&message.status()),
            State::Declined | State::Lost | State::Refused => false,
        };
        let pending = self.pending.find(key);
        let Some(pending) = pending.filter(|pending| may_pass(pending.state)) else {
            return;
        };
        let (before, state) = (pending.attempt_at(), pending.state);
        let original = pending.original.as_ref();
        let head = original.map_or_else(Head::default, |original| Head::of(original, None));
        let is_unaware = pending.cancelled && message.status() < 200;
        pending.target = Some(successor);
        pending.destination = destination;
        if let Some(before) = before {
            self.balancer.handle_attempt_end(before);
            self.balancer.handle_attempt(successor);
        }
        self.counters.stand_ins += 1;
        self.note_moved(now, message, successor);
        if state == State::Settled {
            self.note_call(now, message, successor);
        }
        // Whoever was told so is dead.
        if is_unaware {
            self.cancel(now, message, opened, &head);
        }
    }
}

/// The most transactions at a time that somebody else goes on with; the oldest are forgotten first.
const RELIEFS_MAX: usize = 100_000;
/// How long: timer C of RFC 3261 §16.6 point 11, and as long again for the answer.
pub(crate) const KEPT: Duration = Duration::from_secs(360);
