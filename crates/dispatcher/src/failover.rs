//! Requests that are sent elsewhere: because a target failed, was silent, or named another.

use std::time::Duration;

use balancer::{Refusal, TargetId, Work};
use clock::Time;
use sip::uri::Uri;
use sip::{Flow, HeaderName, Message, Method, NameAddr, Transport};

use crate::dispatcher::of_attempt;
use crate::own::Head;
use crate::pending::{Original, Pending, State};
use crate::request::{NextAttempt, PATIENCE};
use crate::{Dispatcher, Target, key};

impl Dispatcher {
    /// Sends a request to the next target; `failed` is the response that it failed with, if it
    /// did not fail silently.
    pub(crate) fn move_on(&mut self, now: Time, key: u64, failed: Option<(Flow, &Message)>) {
        let Some((original, number)) = self.end_attempt(key, failed) else {
            return;
        };
        let wait = failed.map(|(_, response)| retry_after(response).unwrap_or(RETRY_AFTER));
        self.try_next(now, original, number, wait);
    }

    /// Sends a request to a target that was not asked before; `wait` is what the last one said
    /// that was.
    pub(crate) fn try_next(
        &mut self,
        now: Time,
        original: Box<Original>,
        number: u8,
        wait: Option<Duration>,
    ) {
        if number > ATTEMPTS_MAX {
            let refusal = refusal_after(wait);
            return self.refuse_after(now, &original, number, refusal);
        }
        let hash = key::of(&original.message, &self.config, &self.seal);
        let work = work_of(original.message.method());
        let next = self
            .balancer
            .choose(now, work, hash, &original.tried, &mut self.draw);
        match next {
            Ok(target) => {
                self.counters.failovers += 1;
                let next = NextAttempt {
                    target,
                    number,
                    uri: None,
                };
                self.begin_attempt(now, original, next);
            }
            Err(refusal) => {
                let refusal = match refusal {
                    Refusal::NoneUp => refusal_after(wait),
                    overloaded @ Refusal::Overloaded { .. } => overloaded,
                };
                self.refuse_after(now, &original, number, refusal);
            }
        }
    }

    /// Follows a redirection to a target that was not asked before and can take the call; else
    /// the next one is tried: two full targets never bounce a call.
    pub(crate) fn follow(
        &mut self,
        now: Time,
        key: u64,
        (flow, response): (Flow, &Message),
        id: TargetId,
        uri: Box<[u8]>,
    ) {
        let is_new = self.pending.find(key).is_some_and(|pending| {
            pending.target != Some(id)
                && pending.original.as_ref().is_some_and(|original| {
                    !original.tried.contains(&id) && original.redirects < REDIRECTS_MAX
                })
        });
        if !is_new
            || !self
                .balancer
                .choose_named(now, work_of(response.method()), id, &mut self.draw)
        {
            return self.move_on(now, key, Some((flow, response)));
        }
        let Some((mut original, number)) = self.end_attempt(key, Some((flow, response))) else {
            return;
        };
        self.counters.redirects += 1;
        original.redirects += 1;
        let next = NextAttempt {
            target: id,
            number,
            uri: Some(uri),
        };
        self.begin_attempt(now, original, next);
    }

    /// Takes a request back from the target it was sent to; with the number of the next attempt.
    fn end_attempt(
        &mut self,
        key: u64,
        failed: Option<(Flow, &Message)>,
    ) -> Option<(Box<Original>, u8)> {
        let pending = self.forget(key)?;
        let mut original = pending.original?;
        if let (Some((flow, response)), Method::Invite) = (failed, pending.method) {
            let head = Head::of(&original, pending.uri.as_deref());
            self.acknowledge(flow, response, &head);
        }
        original.tried.extend(pending.target);
        Some((original, pending.attempt + 1))
    }

    /// The target a redirection names, and the URI it names it by.
    pub(crate) fn redirection(&self, message: &Message) -> Option<(TargetId, Box<[u8]>)> {
        message.values(HeaderName::Contact).find_map(|contact| {
            let address = NameAddr::parse(contact).ok()?;
            let uri = Uri::parse(address.uri).ok()?;
            let id = self.target_of(&uri)?;
            // Headers of the URI have no place in a request line (RFC 3261 §19.1.5).
            let end = uri.raw.iter().position(|b| *b == b'?');
            let text = &uri.raw[..end.unwrap_or(uri.raw.len())];
            Some((id, text.into()))
        })
    }

    /// The target that a URI leads to: the one at its address, else the only one of its host,
    /// which may be reached by another transport and port than those who named it use.
    fn target_of(&self, uri: &Uri<'_>) -> Option<TargetId> {
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let port = uri.port.unwrap_or(transport.default_port());
        let ip = uri.host_ip();
        let is_host = |target: &Target| match ip {
            Some(ip) => target.remote.ip() == ip,
            None => {
                !target.host.is_empty() && uri.host.eq_ignore_ascii_case(target.host.as_bytes())
            }
        };
        let is_there = |target: &Target| {
            is_host(target)
                && target.remote.port() == port
                && (uri.transport().is_none() || target.transport == transport)
        };
        let exact = self.places.iter().find(|(_, target)| is_there(target));
        let mut same_host = self.places.iter().filter(|(_, t)| is_host(t));
        let only = match (same_host.next(), same_host.next()) {
            (only, None) => only,
            // All that a name stands for are as good.
            (first, Some(_)) if ip.is_none() => first,
            _ => None,
        };
        exact.or(only).map(|(id, _)| *id)
    }

    /// Whether a redirection leads to a peer of a target that is full: not for the caller, also if
    /// it is no target of ours.
    pub(crate) fn is_overflow(message: &Message) -> bool {
        let mut contacts = message.values(HeaderName::Contact);
        contacts.any(|contact| {
            let address = NameAddr::parse(contact).ok();
            let uri = address.and_then(|address| Uri::parse(address.uri).ok());
            uri.is_some_and(|uri| uri.params.has(OVERFLOW_PARAMETER))
        })
    }

    /// What was sent under a key did not arrive.
    pub(crate) fn handle_attempt_failed(&mut self, now: Time, sent: u64) {
        for attempt in 0..=ATTEMPTS_MAX {
            let Some(pending) = self.pending.find(of_attempt(sent, attempt)) else {
                continue;
            };
            if pending.attempt == attempt {
                let key = pending.key;
                return self.handle_unreachable(now, key);
            }
            // It has moved on since: this speaks of who had it then.
            let original = pending.original.as_ref();
            let then = original.and_then(|o| o.tried.get(usize::from(attempt)).copied());
            if let Some(id) = then {
                self.balancer.handle_refused(now, id);
            }
        }
    }

    fn handle_unreachable(&mut self, now: Time, key: u64) {
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.state != State::Waiting {
            return;
        }
        let original = pending.original.as_ref();
        let inside = original.and_then(|original| original.inside);
        if let Some(id) = pending.target.or(inside.map(|(_, id)| id)) {
            self.balancer.handle_refused(now, id);
        }
        if inside.is_none() {
            self.give_up(now, key);
        } else if !self.follow_call(now, key) {
            // If nobody has its call yet, somebody may soon.
            self.handle_lost(now, key);
        }
    }

    /// The time of a kept request is over.
    pub(crate) fn handle_end_of(&mut self, now: Time, key: u64) {
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.is_kept_for_its_call() {
            return self.look_after(now, key);
        }
        // Only what may still be sent elsewhere has a target and this.
        let original = pending.original.as_ref();
        let began = original.map_or(now, |original| original.began);
        let (wait, longest) = match (pending.state, pending.target) {
            (State::Waiting, Some(id)) => {
                let is_slow = pending.may_take_long();
                let is_probed = !self.config.policy.probing.interval.is_zero();
                // Where silences count, only those count that are none of a slow phone behind it.
                if is_probed || !is_slow {
                    self.balancer.handle_timeout_of(now, id, began);
                }
                match is_slow {
                    true => (self.config.answer_timeout, PATIENCE),
                    false => return self.give_up(now, key),
                }
            }
            (State::Waiting, None) => return self.give_up(now, key),
            (State::Trying, Some(_)) if pending.method != Method::Invite => (TRYING_LOOK, PATIENCE),
            (State::Trying, Some(_)) => (TRYING_LOOK, TRYING_MAX),
            _ => {
                self.forget(key);
                return;
            }
        };
        // Whoever works on it may have died over it. One that was taken out still has it.
        let id = pending.target;
        let is_dead =
            id.is_some_and(|id| self.balancer.spec(id).is_some() && !self.balancer.is_there(id));
        if !is_dead && now.since(began) < longest {
            pending.until = now + wait;
            self.pending.hasten(key);
        } else if !is_dead && pending.method != Method::Invite {
            // Its sender has given up, too (RFC 3261 §17.1.2.2).
            self.forget(key);
        } else {
            self.give_up(now, key);
        }
    }

    /// Nothing came of an attempt.
    fn give_up(&mut self, now: Time, key: u64) {
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.is_movable() {
            return self.move_on(now, key, None);
        }
        let Some(pending) = self.forget(key) else {
            return;
        };
        if let (true, Method::Invite, Some(original)) =
            (pending.cancelled, pending.method, pending.original)
        {
            let flow = original.ingress.flow;
            let before = self.outputs.len();
            self.answer(now, flow, &original.message, 487, "", |_| {});
            if self.outputs.len() > before {
                self.keep_refused(now, &original, pending.attempt + 1);
            }
        }
    }

    /// Refuses a request that targets had before.
    fn refuse_after(&mut self, now: Time, original: &Original, attempt: u8, refusal: Refusal) {
        let before = self.outputs.len();
        self.refuse(now, original.ingress.flow, &original.message, refusal);
        if self.outputs.len() > before {
            self.keep_refused(now, original, attempt);
        }
    }

    /// Forgets a request; its target has it no more.
    pub(crate) fn forget(&mut self, key: u64) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        if let Some(id) = pending.attempt_at() {
            self.balancer.handle_attempt_end(id);
        }
        Some(pending)
    }
}

/// Why nobody is left to ask: who said when to come back is up.
fn refusal_after(wait: Option<Duration>) -> Refusal {
    wait.map_or(Refusal::NoneUp, |retry_after| Refusal::Overloaded {
        retry_after,
    })
}

/// What a request asks of a target.
pub(crate) fn work_of(method: Method) -> Work {
    match method {
        Method::Invite => Work::Call,
        _ => Work::Other,
    }
}

/// Retry-After, of a 503 (RFC 3261 §20.33).
pub(crate) fn retry_after(message: &Message) -> Option<Duration> {
    let value = message.header(HeaderName::RetryAfter)?;
    let end = value.iter().position(|b| !b.is_ascii_digit());
    let seconds: u32 = sip::lex::number(&value[..end.unwrap_or(value.len())])?;
    Some(Duration::from_secs(seconds.into()))
}

/// After what time it is seen to whether the target that has a request is still there.
pub(crate) const TRYING_LOOK: Duration = Duration::from_secs(5);
/// How long a target may say nothing but 100: timer C of RFC 3261 §16.6 point 11.
const TRYING_MAX: Duration = Duration::from_secs(180);
/// When a caller may come back whom all targets have refused without saying when.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Targets asked for one request.
const ATTEMPTS_MAX: u8 = 8;
/// By what a full switch tells its peers from others: the peers that have had a call.
const OVERFLOW_PARAMETER: &str = "tandem-overflow";
/// Redirections followed for one request.
const REDIRECTS_MAX: u8 = 4;
