//! Our own registrations at carriers (RFC 3261 §10.2): what to send when, and what became of it.
//!
//! [`Upstream`] is a machine on the other side of the counter. Its owner finds out where a
//! carrier is, sends what [`Upstream::request`] writes, and tells what came back.
//!
//! A registration is renewed when five sixths of its time are over. One that fails is tried again
//! after some seconds, then ever more slowly; one that is refused for what it says, and not for
//! the state of the carrier, is repeated every few minutes only: carriers ban those who insist on
//! a wrong password.

mod registration;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{Gateway, GatewayId, GatewayRegistrationView};
use sip::Message;

pub use registration::{Dice, UpstreamFailure};
use registration::{Registration, Verdict, Wanted};

/// Names one registration at one carrier. A changed configuration makes a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(u64);

/// What the machine wants.
#[derive(Clone, Debug)]
pub enum UpstreamOutput {
    /// Find where the gateway is and send it what [`Upstream::request`] writes.
    Ask {
        /// The registration.
        id: UpstreamId,
        /// The gateway, as it was when the registration began.
        gateway: Arc<Gateway>,
    },
    /// We are registered, and were not before.
    Registered {
        /// Where.
        gateway: GatewayId,
    },
    /// We are not registered any more, or could not register.
    Failed {
        /// Where.
        gateway: GatewayId,
        /// Why.
        failure: UpstreamFailure,
    },
}

/// What is to be done after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamStep {
    /// Nothing.
    Wait,
    /// Write the request once more and send it to the same address.
    Repeat,
    /// This address is out of order: send it to another of the gateway's, and if there is none
    /// call [`Upstream::handle_exhausted`].
    TryNext,
}

/// Our registrations.
#[derive(Debug, Default)]
pub struct Upstream {
    registrations: BTreeMap<UpstreamId, Registration>,
    /// Those that are wanted. One that is being ended is no longer here.
    current: BTreeMap<GatewayId, UpstreamId>,
    timers: BTreeSet<(Time, UpstreamId)>,
    outputs: VecDeque<UpstreamOutput>,
    last: u64,
}

impl Upstream {
    /// Takes over a configuration: ends what is no longer wanted, begins what is new, and leaves
    /// alone what stays.
    pub fn configure<'g>(&mut self, now: Time, gateways: impl Iterator<Item = &'g Arc<Gateway>>) {
        let mut old = core::mem::take(&mut self.current);
        for gateway in gateways.filter(|gateway| gateway.enabled) {
            let Some(wanted) = Wanted::of(gateway) else {
                continue;
            };
            let kept = old.get(&gateway.id).copied().filter(|id| {
                let registration = self.registrations.get(id);
                registration.is_some_and(|r| r.wanted == wanted)
            });
            if let Some(id) = kept {
                old.remove(&gateway.id);
                self.current.insert(gateway.id, id);
                continue;
            }
            self.last += 1;
            let id = UpstreamId(self.last);
            self.registrations.insert(id, Registration::new(wanted));
            self.current.insert(gateway.id, id);
            self.ask(id);
        }
        for id in old.into_values() {
            self.leave(now, id);
        }
    }

    /// Ends all registrations.
    pub fn leave_all(&mut self, now: Time) {
        for id in core::mem::take(&mut self.current).into_values() {
            self.leave(now, id);
        }
    }

    /// Asks for what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((due, id)) = self.timers.first().copied()
            && due <= now
        {
            self.timers.pop_first();
            if let Some(registration) = self.registrations.get_mut(&id) {
                registration.due = None;
                self.ask(id);
            }
        }
    }

    /// When [`Upstream::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// What it wants next.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput> {
        self.outputs.pop_front()
    }

    /// The REGISTER to send now. `contact` is our own URI towards the gateway, without a user;
    /// `None` if the registration is gone.
    pub fn request(
        &mut self,
        id: UpstreamId,
        contact: &str,
        product: &str,
        dice: &Dice,
    ) -> Option<Bytes> {
        let registration = self.registrations.get_mut(&id)?;
        Some(registration.write(contact, product, dice))
    }

    /// A final response to it.
    pub fn handle_response(
        &mut self,
        now: Time,
        id: UpstreamId,
        response: &Message,
        dice: &Dice,
    ) -> UpstreamStep {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return UpstreamStep::Wait;
        };
        match registration.handle_response(now, response) {
            Verdict::Repeat => UpstreamStep::Repeat,
            Verdict::TryNext => UpstreamStep::TryNext,
            Verdict::Registered => {
                self.registered(now, id, dice);
                UpstreamStep::Wait
            }
            Verdict::Failed(failure) => {
                self.failed(now, id, failure, dice);
                UpstreamStep::Wait
            }
        }
    }

    /// No address of the gateway is left to try: it has none, is silent, or is out of order.
    pub fn handle_exhausted(
        &mut self,
        now: Time,
        id: UpstreamId,
        failure: UpstreamFailure,
        dice: &Dice,
    ) {
        self.failed(now, id, failure, dice);
    }

    /// Whether a registration is still wanted or being ended.
    #[must_use]
    pub fn knows(&self, id: UpstreamId) -> bool {
        self.registrations.contains_key(&id)
    }

    /// How the registration at a gateway is; `None` if there is to be none.
    #[must_use]
    pub fn view(&self, now: Time, gateway: GatewayId) -> Option<GatewayRegistrationView> {
        let registration = self.registrations.get(self.current.get(&gateway)?)?;
        Some(registration.view(now))
    }

    /// The gateways that we are registered at under this user: whose carriers may call us by it.
    pub fn gateways_of<'u>(&'u self, user: &'u [u8]) -> impl Iterator<Item = &'u Arc<Gateway>> {
        self.current
            .values()
            .filter_map(|id| self.registrations.get(id))
            .filter(move |registration| registration.wanted.user.as_bytes() == user)
            .map(|registration| &registration.wanted.gateway)
    }

    fn registered(&mut self, now: Time, id: UpstreamId, dice: &Dice) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if registration.is_leaving() {
            self.end(now, id);
            return;
        }
        let gateway = registration.wanted.gateway.id;
        let is_news = registration.take_success();
        let left = registration.until.map_or(Duration::ZERO, |t| t.since(now));
        self.set_timer(id, now + shortened(left * 5 / 6, dice));
        if is_news {
            self.outputs
                .push_back(UpstreamOutput::Registered { gateway });
        }
    }

    fn failed(&mut self, now: Time, id: UpstreamId, failure: UpstreamFailure, dice: &Dice) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if registration.is_leaving() {
            // It expires by itself where it cannot be ended.
            self.registrations.remove(&id);
            return;
        }
        let gateway = registration.wanted.gateway.id;
        let wait = registration.wait_after(&failure);
        let is_news = registration.take_failure(failure.clone());
        self.set_timer(id, now + shortened(wait, dice));
        if is_news {
            self.outputs
                .push_back(UpstreamOutput::Failed { gateway, failure });
        }
    }

    /// The answer to a request of one that is to end: the request may have been an older one.
    fn end(&mut self, now: Time, id: UpstreamId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if registration.has_said_farewell() || registration.until.is_none_or(|until| until <= now) {
            self.registrations.remove(&id);
        } else {
            self.ask(id);
        }
    }

    fn leave(&mut self, now: Time, id: UpstreamId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if let Some(due) = registration.due.take() {
            self.timers.remove(&(due, id));
        }
        registration.leave();
        if registration.is_asking {
            // Ended when that is answered.
            return;
        }
        self.end(now, id);
    }

    fn ask(&mut self, id: UpstreamId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.begin();
        let gateway = registration.wanted.gateway.clone();
        self.outputs.push_back(UpstreamOutput::Ask { id, gateway });
    }

    fn set_timer(&mut self, id: UpstreamId, due: Time) {
        if let Some(registration) = self.registrations.get_mut(&id) {
            if let Some(old) = registration.due.replace(due) {
                self.timers.remove(&(old, id));
            }
            self.timers.insert((due, id));
        }
    }
}

/// Up to a tenth less, so that not all registrations at a carrier come at once.
fn shortened(wait: Duration, dice: &Dice) -> Duration {
    wait - wait / 10 * (dice.number & 0xFF) / 0xFF
}

#[cfg(test)]
mod tests;
