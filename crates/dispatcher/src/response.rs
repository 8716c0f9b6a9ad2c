//! Responses: back where our Via says, unless the request is better sent elsewhere.

use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use forward::rewrite::{self, Framing};
use forward::{Branch, Seal};
use sip::{Destination, Flow, HeaderName, Message, Method, Transport, Via};

use crate::failover::{TRYING_LOOK, retry_after};
use crate::own::Head;
use crate::pending::{Pending, State};
use crate::probe::COOKIE_LEN;
use crate::repeat::own_key;
use crate::request::PATIENCE;
use crate::{Dispatcher, Redirects, overload};

/// A response to something we forwarded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// How it came.
    pub(crate) flow: Flow,
    pub(crate) branch: Branch,
    pub(crate) method: Method,
    /// What its request would be kept under.
    pub(crate) key: u64,
    /// Whether the one it goes to heeds our wishes (RFC 7339).
    is_heeded: bool,
}

impl Dispatcher {
    /// One response.
    pub(crate) fn handle_response(&mut self, now: Time, flow: Flow, message: &Message) {
        let Some(opened) = self.opened(now, flow, message) else {
            return;
        };
        if opened.method == Method::Invite && self.absorb_second_refusal(now, message, &opened) {
            return;
        }
        self.follow_answer(now, message, &opened);
        let is_kept = self
            .pending
            .find(opened.key)
            .is_some_and(|pending| pending.method == opened.method);
        if is_kept {
            self.handle_kept(now, message, &opened);
        } else {
            self.pass_for_good(now, message, &opened);
        }
    }

    /// The branch of a response to something we forwarded; all others end here.
    fn opened(&mut self, now: Time, flow: Flow, message: &Message) -> Option<Opened> {
        let via = message.via().ok().filter(|via| self.hops.wrote(via));
        let Some(via) = via else {
            self.counters.strays += 1;
            return None;
        };
        if self.handle_probe_response(now, &via, message) || self.handle_end_response(&via) {
            return None;
        }
        let text = via.branch().and_then(|branch| branch.get(COOKIE_LEN..));
        let branch = text.and_then(Seal::read_branch);
        let below = message.values(HeaderName::Via).nth(1);
        let below = below.and_then(|below| Via::parse(below).ok());
        let from = message.from().ok().and_then(|from| from.tag());
        let from = from.unwrap_or_default();
        let genuine = branch.zip(below).filter(|(branch, below)| {
            self.seal.transaction(message, from, below, &branch.end) == branch.key
        });
        let Some((branch, below)) = genuine else {
            let is_own = below.is_none()
                && branch.is_some_and(|branch| self.handle_own_response(message, &branch));
            self.counters.strays += u64::from(!is_own);
            return None;
        };
        let is_heeded = overload::is_understood(&below);
        if let Some(loss) = overload::wish(&via)
            && let Some(id) = self.target_at(flow.transport, flow.remote)
        {
            self.balancer.handle_loss(now, id, loss);
        }
        let method = message.method();
        let key = own_key(branch.key, method);
        Some(Opened {
            flow,
            branch,
            method,
            key,
            is_heeded,
        })
    }

    /// A response to a request that is kept.
    fn handle_kept(&mut self, now: Time, message: &Message, opened: &Opened) {
        let Opened { flow, key, .. } = *opened;
        let status = message.status();
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.attempt != opened.branch.attempt || pending.state == State::Refused {
            return self.handle_late(now, message, opened);
        }
        if pending.target.is_some() && !is_from(flow, &pending.destination) {
            self.relieve(now, message, opened);
        }
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.target.is_some() && !is_from(flow, &pending.destination) {
            self.counters.strays += 1;
            return;
        }
        if pending.state.is_settled() {
            return self.handle_repeated(now, message, opened);
        }
        if is_refusal_of_another(message) {
            return self.handle_refusal_of_another(now, message, opened);
        }
        if let Some(id) = pending.target {
            let is_first = pending.state == State::Waiting;
            let original = pending.original.as_ref().filter(|_| is_first);
            let latency = original.map(|original| now.since(original.began));
            let wait = retry_after(message);
            self.balancer.handle_answer(now, id, status, latency, wait);
        }
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if status < 200 {
            pending.handle_provisional(now, status);
            self.pending.hasten(key);
            return self.pass(now, message, opened);
        }
        if pending.is_movable() {
            match status {
                503 => return self.move_on(now, key, Some((flow, message))),
                301 | 302 if self.config.redirects == Redirects::Follow => {
                    if let Some((id, uri)) = self.redirection(message) {
                        return self.follow(now, key, (flow, message), id, uri);
                    }
                    if Self::is_overflow(message) {
                        return self.move_on(now, key, Some((flow, message)));
                    }
                }
                _ => {}
            }
        }
        self.settle(now, message, opened);
    }

    /// A target says that somebody else than itself has no room, such as the caller's own account:
    /// its fellows would say the same, and it takes the calls of others.
    fn handle_refusal_of_another(&mut self, now: Time, message: &Message, opened: &Opened) {
        let pending = self.pending.find(opened.key);
        let target = pending.and_then(|pending| pending.target);
        if let Some(id) = target {
            self.balancer.handle_heard(now, id);
        }
        self.settle(now, message, opened);
    }

    /// A final response passes.
    fn settle(&mut self, now: Time, message: &Message, opened: &Opened) {
        let Some(pending) = self.pending.find(opened.key) else {
            return;
        };
        let tried_at = pending.attempt_at();
        let original = pending.original.take();
        let (target, method) = (pending.target, pending.method);
        self.pending.settle(now, opened.key);
        if method == Method::Invite
            && message.status() >= 300
            && let Some(pending) = self.pending.find(opened.key)
        {
            pending.state = State::Declined;
        }
        match (method, message.status(), target, original) {
            (Method::Invite, 200..300, Some(target), _) => self.note_call(now, message, target),
            (Method::Register, 200..300, Some(_), Some(original)) => {
                let end = &opened.branch.end;
                self.note_registration(now, end, &original.message, message);
            }
            _ => {}
        }
        if let Some(id) = tried_at {
            self.balancer.handle_attempt_end(id);
        }
        self.pass_for_good(now, message, opened);
    }

    /// A final response that comes again, because the caller's ACK is not there yet: it says
    /// nothing new of the target.
    fn handle_repeated(&mut self, now: Time, message: &Message, opened: &Opened) {
        let is_refusal = opened.method == Method::Invite && message.status() >= 300;
        let pending = self.pending.find(opened.key);
        let state = pending.map(|pending| pending.state);
        if state == Some(State::Declined) && (200..300).contains(&message.status()) {
            return self.hang_up(now, message, opened);
        }
        if state == Some(State::Settled) && is_refusal {
            // Its caller has a 2xx (RFC 3261 §16.7 point 5). A target that has begun anew in between knows
            // no better.
            return self.acknowledge(opened.flow, message, &Head::default());
        }
        let is_lossy = !opened.flow.transport.is_reliable();
        if is_refusal && is_lossy && opened.branch.end.transport.is_reliable() {
            // The caller has it, and does not say ACK twice (RFC 3261 §17.1.1.2).
            self.acknowledge(opened.flow, message, &Head::default());
        } else if message.status() >= 200 {
            self.pass(now, message, opened);
        }
    }

    /// A response of a target that was given up already.
    fn handle_late(&mut self, now: Time, message: &Message, opened: &Opened) {
        let flow = opened.flow;
        let is_target = self.target_from(flow).is_some();
        if !is_target && !self.retired.has(flow.transport, flow.remote) {
            self.counters.strays += 1;
            return;
        }
        let pending = self.pending.find(opened.key);
        let state = pending.as_ref().map(|pending| pending.state);
        if opened.method != Method::Invite {
            // Whoever has done what was asked first is heard; what comes after that is over.
            let is_open = !state.is_some_and(State::is_over);
            if let Some(pending) = self.pending.find(opened.key)
                && is_open
                && message.status() >= 200
                && message.status() != 503
            {
                pending.attempt = opened.branch.attempt;
                self.settle(now, message, opened);
            }
            return;
        }
        let original = pending.and_then(|pending| pending.original.as_ref());
        let head = original.map_or_else(Head::default, |original| Head::of(original, None));
        let has_refusal = matches!(state, Some(State::Refused | State::Declined));
        match message.status() {
            ..200 => self.cancel(now, message, opened, &head),
            200..300 if has_refusal => self.hang_up(now, message, opened),
            // It was answered after all: the caller hangs up one of two (RFC 3261 §16.7 point 5).
            200..300 => {
                if let Some(id) = self.target_from(flow) {
                    self.note_call(now, message, id);
                }
                self.pass(now, message, opened);
                self.call_off(now, message, opened);
            }
            _ => self.acknowledge(flow, message, &head),
        }
    }

    /// Passes a response on to where its request came from (RFC 3261 §16.7).
    fn pass(&mut self, now: Time, message: &Message, opened: &Opened) {
        if let Some((to, bytes)) = self.passed(now, message, opened) {
            self.transmit(to, bytes, 0);
        }
    }

    /// The same with one that comes to its end here, and is repeated if nobody else does.
    fn pass_for_good(&mut self, now: Time, message: &Message, opened: &Opened) {
        if let Some((to, bytes)) = self.passed(now, message, opened) {
            self.repeat_response(now, opened, message, (&to, &bytes));
            self.transmit(to, bytes, 0);
        }
    }

    /// Where a response goes, and how it leaves.
    fn passed(
        &self,
        now: Time,
        message: &Message,
        opened: &Opened,
    ) -> Option<(Destination, Bytes)> {
        let end = &opened.branch.end;
        let relief = self.relief(message, &opened.branch);
        let to = relief.or_else(|| self.live(end));
        let to = to.or_else(|| self.way_back_anew(message, end))?;
        let wish = if opened.is_heeded {
            overload::parameters(self.balancer.loss_percent(now), now)
        } else {
            String::new()
        };
        let framing = if to.transport().is_reliable() {
            Framing::Stream
        } else {
            Framing::Datagram
        };
        // The mark is between us and the target.
        let bare = is_refusal_of_another(message).then(|| {
            let bytes = rewrite::without(message, REFUSAL_HEADER);
            Message::parse(bytes, sip::Framing::Datagram)
        });
        let bare = bare.transpose().ok()?;
        let message = bare.as_ref().unwrap_or(message);
        let bytes = rewrite::response(message, wish.as_bytes(), framing);
        Some((to, bytes))
    }
}

impl Pending {
    /// Somebody works on it.
    fn handle_provisional(&mut self, now: Time, status: u16) {
        let is_call = self.method == Method::Invite;
        if is_call {
            self.again = None;
            self.until = match self.cancelled {
                true if self.state == State::Proceeding => self.until,
                true if status > 100 => now + PATIENCE,
                _ => now + PROCEEDING_MAX,
            };
        } else if let Some(again) = &mut self.again {
            // Its final response may still be lost (RFC 3261 §17.1.2.2).
            again.slow_down();
        }
        if status > 100 {
            self.state = State::Proceeding;
            self.original = None;
            return;
        }
        if matches!(self.state, State::Waiting | State::Lost) {
            self.state = State::Trying;
        }
        if self.state == State::Trying && self.target.is_some() {
            self.until = now + TRYING_LOOK;
        }
    }
}

/// Whether a target says that somebody else than itself refuses.
fn is_refusal_of_another(message: &Message) -> bool {
    message.status() >= 300 && message.header_named(REFUSAL_HEADER).is_some()
}

/// Whether a response came from where its request went. Over streams it may come by any
/// connection to that machine.
fn is_from(flow: Flow, to: &Destination) -> bool {
    let remote = to.remote();
    let is_same_way = flow.transport == to.transport();
    let is_same_place = match flow.transport {
        Transport::Udp => flow.remote == remote,
        _ => flow.remote.ip() == remote.ip(),
    };
    is_same_way && is_same_place
}

/// How long a request may be worked on without a word: timer C of RFC 3261 §16.6 point 11 and a
/// margin; then only our memory of it ends.
const PROCEEDING_MAX: Duration = Duration::from_secs(600);
/// Who it was that had no room, by the word of a target: `X-Tandem-Refusal: entity=customer`.
const REFUSAL_HEADER: &str = "X-Tandem-Refusal";
