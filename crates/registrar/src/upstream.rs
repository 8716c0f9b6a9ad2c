//! Our own registrations at carriers (RFC 3261 §10.2): what to send when, and what became of it.
//!
//! [`Upstream`] is a machine on the other side of the counter. Its owner finds out where a
//! carrier is, sends what [`Upstream::request`] writes, and tells what came back.
//!
//! A registration is renewed when five sixths of its time are over. One that fails is tried again
//! after some seconds, then ever more slowly; one that is refused for what it says, and not for
//! the state of the carrier, is repeated every few minutes only: carriers ban those who insist on
//! a wrong password.

mod flows;
mod registration;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{Gateway, GatewayId, GatewayRegistrationView};
use sip::{ConnId, Destination, Flow, Message};

pub use registration::{Dice, UpstreamFailure};
use registration::{Registration, Verdict, Wanted};

/// Names one registration at one carrier. Another address of record, or another place, makes a
/// new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(u64);

/// What the machine wants.
#[derive(Clone, Debug)]
pub enum UpstreamOutput {
    /// Find where the gateway is and send it what [`Upstream::request`] writes.
    Ask {
        /// The registration.
        id: UpstreamId,
        /// The gateway.
        gateway: Arc<Gateway>,
    },
    /// Send a double CRLF on a connection that we are registered on (RFC 5626 §3.5.1).
    KeepAlive(Flow),
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
    /// The gateways at which we are registered, here or by another node, by the user that we are
    /// registered as.
    by_user: BTreeMap<Box<[u8]>, Vec<Arc<Gateway>>>,
    /// What other nodes register for.
    elsewhere: Vec<Wanted>,
    /// Those whose address of record is still being given up by another, by that address.
    waiting: BTreeMap<String, Vec<UpstreamId>>,
    /// Those that were accepted on a connection.
    by_conn: BTreeMap<ConnId, BTreeSet<UpstreamId>>,
    timers: BTreeSet<(Time, UpstreamId)>,
    /// When connections are to be kept alive.
    pings: BTreeSet<(Time, UpstreamId)>,
    outputs: VecDeque<UpstreamOutput>,
    last: u64,
}

impl Upstream {
    /// Takes over a configuration: ends what is no longer wanted, begins what is new, changes
    /// what goes on as the same binding, and leaves alone what stays.
    pub fn configure<'g>(&mut self, now: Time, gateways: impl Iterator<Item = &'g Arc<Gateway>>) {
        self.configure_shared(now, gateways, [].iter());
    }

    /// As [`Self::configure`], where other nodes register at others for us all.
    pub fn configure_shared<'g>(
        &mut self,
        now: Time,
        gateways: impl Iterator<Item = &'g Arc<Gateway>>,
        others: impl Iterator<Item = &'g Arc<Gateway>>,
    ) {
        let others = others.filter(|gateway| gateway.enabled);
        self.elsewhere = others.filter_map(Wanted::of).collect();
        let mut old = core::mem::take(&mut self.current);
        let mut fresh = Vec::new();
        for wanted in gateways.filter(|g| g.enabled).filter_map(Wanted::of) {
            let gateway = wanted.gateway.id;
            let kept = old.get(&gateway).copied().filter(|id| {
                let registration = self.registrations.get(id);
                registration.is_some_and(|r| r.wanted.is_at_the_place_of(&wanted))
            });
            if let Some(id) = kept {
                old.remove(&gateway);
                self.current.insert(gateway, id);
                self.change(id, wanted);
                continue;
            }
            self.last += 1;
            let id = UpstreamId(self.last);
            fresh.push((id, wanted.aor()));
            self.registrations.insert(id, Registration::new(wanted));
            self.current.insert(gateway, id);
        }
        for id in old.into_values() {
            self.leave(now, id);
        }
        self.begin(fresh);
        self.index_users();
    }

    /// Whether a gateway wants us to register.
    #[must_use]
    pub fn is_wanted(gateway: &Arc<Gateway>) -> bool {
        gateway.enabled && Wanted::of(gateway).is_some()
    }

    /// The address of record of our registration at a gateway; `None` if it wants none.
    #[must_use]
    pub fn aor_of(gateway: &Arc<Gateway>) -> Option<String> {
        Wanted::of(gateway).map(|wanted| wanted.aor())
    }

    /// Our Contact at a gateway, once it was told.
    #[must_use]
    pub fn contact(&self, gateway: GatewayId) -> Option<&str> {
        let registration = self.registrations.get(self.current.get(&gateway)?)?;
        Some(registration.contact())
    }

    /// The gateways at which there is a registration, be it that it is about to end.
    pub fn present(&self) -> impl Iterator<Item = GatewayId> {
        let all = self.registrations.values();
        all.map(|registration| registration.wanted.gateway.id)
    }

    /// The registration at a gateway takes the place of another node's Contact, which ends with the
    /// same request.
    pub fn succeed(&mut self, gateway: GatewayId, contact: &str) {
        let id = self.current.get(&gateway);
        if let Some(registration) = id.and_then(|id| self.registrations.get_mut(id)) {
            registration.succeed(contact);
        }
    }

    /// Another node has a registration now: nothing more is said of it here.
    pub fn forget(&mut self, gateway: GatewayId) {
        let Some(id) = self.current.remove(&gateway) else {
            return;
        };
        if let Some(registration) = self.registrations.get_mut(&id) {
            if let Some(due) = registration.due.take() {
                self.timers.remove(&(due, id));
            }
            if let Some(due) = registration.ping_due.take() {
                self.pings.remove(&(due, id));
            }
        }
        self.remove(id);
        self.index_users();
    }

    /// Ends all registrations.
    pub fn leave_all(&mut self, now: Time) {
        for id in core::mem::take(&mut self.current).into_values() {
            self.leave(now, id);
        }
        self.index_users();
    }

    /// Whether a carrier is still to be told, or to confirm, that we can no longer be called.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.registrations.values().any(Registration::is_leaving)
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
        self.keep_alive(now);
    }

    /// When [`Upstream::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let firsts = [self.timers.first(), self.pings.first()];
        firsts.into_iter().flatten().map(|(due, _)| *due).min()
    }

    /// What it wants next.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput> {
        self.outputs.pop_front()
    }

    /// The REGISTER to send now to this address of the gateway. `contact` is our own URI towards
    /// it, without a user; `None` if the registration is gone.
    pub fn request(
        &mut self,
        id: UpstreamId,
        to: &Destination,
        contact: &str,
        product: &str,
        dice: &Dice,
    ) -> Option<Bytes> {
        let registration = self.registrations.get_mut(&id)?;
        Some(registration.write(to, contact, product, dice))
    }

    /// A final response to it, and the path it came by.
    pub fn handle_response(
        &mut self,
        now: Time,
        id: UpstreamId,
        flow: Flow,
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
                self.accepted_on(now, id, flow);
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
        self.by_user.get(user).into_iter().flatten()
    }

    fn index_users(&mut self) {
        self.by_user.clear();
        let here = self.current.values();
        let here = here.filter_map(|id| Some(&self.registrations.get(id)?.wanted));
        for wanted in here.chain(&self.elsewhere) {
            let user = wanted.user.as_bytes().into();
            let gateways = self.by_user.entry(user).or_default();
            gateways.push(wanted.gateway.clone());
        }
    }

    /// Takes over what is wanted now of a binding that goes on: under the same Call-ID, so that
    /// the carrier sees a change and not a second registration.
    fn change(&mut self, id: UpstreamId, wanted: Wanted) {
        let registration = self.registrations.get_mut(&id);
        if registration.is_some_and(|registration| registration.change(wanted)) {
            self.ask_now(id);
        }
    }

    /// Begins registrations, but for those whose address of record another is giving up: the
    /// removal of a Contact takes it from whoever else has registered it (RFC 3261 §10.3, step 7).
    fn begin(&mut self, fresh: Vec<(UpstreamId, String)>) {
        if fresh.is_empty() {
            return;
        }
        let leaving = self.registrations.values().filter(|r| r.is_leaving());
        let leaving: BTreeSet<String> = leaving.map(|r| r.wanted.aor()).collect();
        for (id, aor) in fresh {
            if leaving.contains(&aor) {
                self.waiting.entry(aor).or_default().push(id);
            } else {
                self.ask(id);
            }
        }
    }

    /// A registration is over. Whoever waited for its address of record begins.
    fn remove(&mut self, id: UpstreamId) {
        let Some(registration) = self.registrations.remove(&id) else {
            return;
        };
        self.forget_flow(id, &registration);
        let aor = registration.wanted.aor();
        if let Some(waiting) = self.waiting.remove(&aor) {
            self.begin(waiting.into_iter().map(|id| (id, aor.clone())).collect());
        }
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
        let outdated = registration.take_outdated();
        self.set_timer(id, now + shortened(left * 5 / 6, dice));
        if outdated {
            self.ask_now(id);
        }
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
            match failure {
                // It expires by itself where it cannot be ended.
                UpstreamFailure::NoAddress | UpstreamFailure::Silent => self.remove(id),
                _ => self.end(now, id),
            }
            return;
        }
        let gateway = registration.wanted.gateway.id;
        let wait = registration.wait_after(&failure);
        let is_news = registration.take_failure(failure.clone());
        let outdated = registration.take_outdated();
        self.set_timer(id, now + shortened(wait, dice));
        if outdated {
            self.ask_now(id);
        }
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
            self.remove(id);
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
        if let Some(due) = registration.ping_due.take() {
            self.pings.remove(&(due, id));
        }
        if registration.is_asking() {
            // Ended when that is answered.
            return;
        }
        self.end(now, id);
    }

    /// Asks without waiting for what is due.
    fn ask_now(&mut self, id: UpstreamId) {
        let registration = self.registrations.get_mut(&id);
        if let Some(due) = registration.and_then(|registration| registration.due.take()) {
            self.timers.remove(&(due, id));
        }
        self.ask(id);
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
