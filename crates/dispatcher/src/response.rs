//! Responses: back where our Via says, unless the request is better sent elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use balancer::{Refusal, TargetId};
use clock::Time;
use forward::rewrite::{self, Framing};
use forward::{Branch, Seal};
use sip::uri::Uri;
use sip::{Destination, Flow, HeaderName, Message, Method, NameAddr, Transport, Via, Writer};

use crate::dispatcher::Key;
use crate::pending::{Original, Pending, State};
use crate::probe::COOKIE_LEN;
use crate::request::{NextAttempt, PATIENCE};
use crate::{Dispatcher, Redirects, Target, key, overload};

/// A response to something we forwarded.
#[derive(Clone, Copy, Debug)]
struct Opened {
    branch: Branch,
    /// Whether the one it goes to heeds our wishes (RFC 7339).
    is_heeded: bool,
}

impl Dispatcher {
    /// One response.
    pub(crate) fn handle_response(&mut self, now: Time, flow: Flow, message: &Message) {
        let Some(opened) = self.opened(now, flow, message) else {
            return;
        };
        let method = message.method();
        let is_kept = self
            .pending
            .find(opened.branch.key)
            .is_some_and(|pending| pending.method == method);
        if is_kept {
            self.handle_kept(now, flow, message, &opened);
        } else {
            self.pass(now, message, &opened);
        }
    }

    /// The branch of a response to something we forwarded; all others end here.
    fn opened(&mut self, now: Time, flow: Flow, message: &Message) -> Option<Opened> {
        let via = message.via().ok().filter(|via| self.hops.wrote(via));
        let Some(via) = via else {
            self.counters.strays += 1;
            return None;
        };
        if self.handle_probe_response(now, &via, message) {
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
            self.counters.strays += 1;
            return None;
        };
        let is_heeded = overload::is_understood(&below);
        if let Some(loss) = overload::wish(&via)
            && let Some(id) = self.target_at(flow.transport, flow.remote)
        {
            self.balancer.handle_loss(now, id, loss);
        }
        Some(Opened { branch, is_heeded })
    }

    /// A response to a request that is kept.
    fn handle_kept(&mut self, now: Time, flow: Flow, message: &Message, opened: &Opened) {
        let status = message.status();
        let key = opened.branch.key;
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.attempt != opened.branch.attempt {
            return self.handle_late(now, flow, message, opened);
        }
        if pending.target.is_some() && !is_from(flow, &pending.destination) {
            self.counters.strays += 1;
            return;
        }
        if pending.state == State::Settled {
            // Repeated until the caller's ACK is there; nothing new of the target.
            if status >= 200 {
                self.pass(now, message, opened);
            }
            return;
        }
        if status >= 300 && message.header_named(REFUSAL_HEADER).is_some() {
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
            pending.until = now + PROCEEDING_MAX;
            if status == 100 {
                pending.state = pending.state.max_trying();
                if pending.state == State::Trying {
                    pending.until = now + TRYING_LOOK;
                }
            } else {
                pending.state = State::Proceeding;
                pending.original = None;
            }
            pending.again = None;
            return self.pass(now, message, opened);
        }
        if pending.is_movable() {
            match status {
                503 => return self.move_on(now, key, Some((flow, message))),
                301 | 302 if self.config.redirects == Redirects::Follow => {
                    if let Some((id, uri)) = self.redirection(message) {
                        return self.follow(now, key, (flow, message), id, uri);
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
        let pending = self.pending.find(opened.branch.key);
        let target = pending.and_then(|pending| pending.target);
        if let Some(id) = target {
            self.balancer.handle_heard(now, id);
        }
        // The mark is between us and the target.
        let bytes = rewrite::without(message, REFUSAL_HEADER);
        if let Ok(bare) = Message::parse(bytes, sip::Framing::Datagram) {
            self.settle(now, &bare, opened);
        }
    }

    /// A final response passes.
    fn settle(&mut self, now: Time, message: &Message, opened: &Opened) {
        let Some(pending) = self.pending.find(opened.branch.key) else {
            return;
        };
        let tried_at = pending.attempt_at();
        pending.state = State::Settled;
        pending.until = now + PATIENCE;
        pending.original = None;
        pending.again = None;
        let (target, method) = (pending.target, pending.method);
        // It may have been kept for longer: for as long as a call may ring.
        self.pending.hasten(opened.branch.key);
        match (method, message.status(), target) {
            (Method::Invite, 200..300, Some(target)) => self.note_call(now, message, target),
            (Method::Register, 200..300, Some(_)) => {
                self.note_registration(now, &opened.branch.end, message);
            }
            _ => {}
        }
        if let Some(id) = tried_at {
            self.balancer.handle_attempt_end(id);
        }
        self.pass(now, message, opened);
    }

    /// Forgets a request; its target has it no more.
    fn forget(&mut self, key: u64) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        if let Some(id) = pending.attempt_at() {
            self.balancer.handle_attempt_end(id);
        }
        Some(pending)
    }

    /// A response of a target that was given up already.
    fn handle_late(&mut self, now: Time, flow: Flow, message: &Message, opened: &Opened) {
        if self.target_at(flow.transport, flow.remote).is_none() {
            self.counters.strays += 1;
            return;
        }
        if message.method() != Method::Invite {
            return;
        }
        match message.status() {
            ..200 => self.send_for(flow, message, "CANCEL"),
            // It was answered after all: the caller hangs up one of two (RFC 3261 §16.7 point 5).
            200..300 => {
                if let Some(id) = self.target_at(flow.transport, flow.remote) {
                    self.note_call(now, message, id);
                }
                self.pass(now, message, opened);
            }
            _ => self.send_for(flow, message, "ACK"),
        }
    }

    /// Sends a request to the next target; `failed` is the response that it failed with, if it
    /// did not fail silently.
    fn move_on(&mut self, now: Time, key: u64, failed: Option<(Flow, &Message)>) {
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
        let flow = original.ingress.flow;
        if number > ATTEMPTS_MAX {
            return self.refuse(now, flow, &original.message, Refusal::NoneUp);
        }
        let hash = key::of(&original.message, &self.config, &self.seal);
        let next = self
            .balancer
            .choose(now, hash, &original.tried, &mut self.draw);
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
                let refusal = match wait {
                    // Somebody is up, and has said when to come back.
                    Some(retry_after) if refusal == Refusal::NoneUp => {
                        Refusal::Overloaded { retry_after }
                    }
                    _ => refusal,
                };
                self.refuse(now, flow, &original.message, refusal);
            }
        }
    }

    /// Follows a redirection to a target that was not asked before and can take the call; else
    /// the next one is tried: two full targets never bounce a call.
    fn follow(
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
        if !is_new || !self.balancer.choose_named(now, id, &mut self.draw) {
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
        if let (Some((flow, response)), Method::Invite) = (failed, pending.method) {
            self.send_for(flow, response, "ACK");
        }
        let mut original = pending.original?;
        original.tried.extend(pending.target);
        Some((original, pending.attempt + 1))
    }

    /// The target a redirection names, and the URI it names it by.
    fn redirection(&self, message: &Message) -> Option<(TargetId, Box<[u8]>)> {
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
        let ip = uri.host_ip()?;
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let port = uri.port.unwrap_or(transport.default_port());
        let is_there = |target: &Target| {
            target.remote == SocketAddr::new(ip, port)
                && (uri.transport().is_none() || target.transport == transport)
        };
        let exact = self.places.iter().find(|(_, target)| is_there(target));
        let mut same_host = self.places.iter().filter(|(_, t)| t.remote.ip() == ip);
        let only = match (same_host.next(), same_host.next()) {
            (only, None) => only,
            _ => None,
        };
        exact.or(only).map(|(id, _)| *id)
    }

    /// What was sent did not arrive.
    pub(crate) fn handle_unreachable(&mut self, now: Time, key: u64) {
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.state != State::Waiting {
            return;
        }
        if let Some(id) = pending.target {
            self.balancer.handle_refused(now, id);
        }
        self.give_up(now, key);
    }

    /// The time of a kept request is over.
    pub(crate) fn handle_end_of(&mut self, now: Time, key: u64) {
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        // Only what may still be sent elsewhere has a target and this.
        let began = pending
            .original
            .as_ref()
            .map_or(now, |original| original.began);
        match (pending.state, pending.target) {
            (State::Waiting, Some(id)) => self.balancer.handle_timeout_of(now, id, began),
            (State::Waiting, None) => {}
            // Whoever works on it may have died over it.
            (State::Trying, Some(id)) => {
                let goes_on = self.balancer.is_there(id) && now.since(began) < TRYING_MAX;
                if goes_on {
                    pending.until = now + TRYING_LOOK;
                    self.pending.hasten(key);
                    return;
                }
            }
            _ => {
                self.forget(key);
                return;
            }
        }
        self.give_up(now, key);
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
            self.answer(now, flow, &original.message, 487, "", |_| {});
        }
    }

    /// Sends a kept request once more.
    pub(crate) fn repeat(&mut self, now: Time, key: u64) {
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        let is_invite = pending.method == Method::Invite;
        let longest = if is_invite { PATIENCE } else { REPEAT_MAX };
        let Some(again) = &mut pending.again else {
            return;
        };
        again.interval = (again.interval * 2).min(longest);
        again.at = now + again.interval;
        let (to, bytes) = (pending.destination.clone(), again.bytes.clone());
        self.pending.hasten(key);
        self.transmit(to, bytes, Key::Pending(key).write());
    }

    /// Passes a response on to where its request came from (RFC 3261 §16.7).
    fn pass(&mut self, now: Time, message: &Message, opened: &Opened) {
        let Some(to) = self.live(&opened.branch.end) else {
            return;
        };
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
        let bytes = rewrite::response(message, wish.as_bytes(), framing);
        self.transmit(to, bytes, 0);
    }

    /// ACK or CANCEL of our own, to whoever sent a response to an INVITE of ours: it goes by
    /// the Via of ours in that response (RFC 3261 §9.1, §17.1.1.3).
    fn send_for(&mut self, flow: Flow, response: &Message, method: &str) {
        let Some(via) = response.values(HeaderName::Via).next() else {
            return;
        };
        let uri = format!("sip:{}", flow.remote);
        let mut writer = Writer::request(method, uri.as_bytes());
        writer.header("Via", without_overload(via).as_slice());
        writer.header("Max-Forwards", b"70");
        writer.copy(response, HeaderName::From);
        if method == "CANCEL" {
            let to = response.to().ok();
            let to = to.map(|to| to.uri).unwrap_or_default();
            writer.raw(b"To: <").raw(to).raw(b">\r\n");
        } else {
            writer.copy(response, HeaderName::To);
        }
        writer.copy(response, HeaderName::CallId);
        let number = response.cseq().map_or(0, |cseq| cseq.number);
        writer.header_fmt("CSeq", format_args!("{number} {method}"));
        self.transmit(Destination::Flow(flow), writer.finish(), 0);
    }
}

impl State {
    const fn max_trying(self) -> Self {
        match self {
            Self::Waiting => Self::Trying,
            other => other,
        }
    }
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

/// Our Via as we first wrote it, without what others put in.
fn without_overload(value: &[u8]) -> Vec<u8> {
    let Ok(via) = Via::parse(value) else {
        return value.to_vec();
    };
    let mut out = value[..value.len() - via.params.0.len()].to_vec();
    if let Some(branch) = via.branch() {
        out.extend_from_slice(b";branch=");
        out.extend_from_slice(branch);
    }
    out
}

/// Retry-After, of a 503 (RFC 3261 §20.33).
fn retry_after(message: &Message) -> Option<Duration> {
    let value = message.header(HeaderName::RetryAfter)?;
    let end = value.iter().position(|b| !b.is_ascii_digit());
    let seconds: u32 = sip::lex::number(&value[..end.unwrap_or(value.len())])?;
    Some(Duration::from_secs(seconds.into()))
}

/// How long a request may be worked on without a word: timer C of RFC 3261 §16.6 point 11 and a
/// margin; then only our memory of it ends.
const PROCEEDING_MAX: Duration = Duration::from_secs(600);
/// After what time it is seen to whether the target that has a request is still there.
const TRYING_LOOK: Duration = Duration::from_secs(5);
/// How long a target may say nothing but 100: timer C of RFC 3261 §16.6 point 11.
const TRYING_MAX: Duration = Duration::from_secs(180);
/// Who it was that had no room, by the word of a target: `X-Tandem-Refusal: entity=customer`.
const REFUSAL_HEADER: &str = "X-Tandem-Refusal";
/// T2 of RFC 3261 §17.1.2.2.
const REPEAT_MAX: Duration = Duration::from_secs(4);
/// When a caller may come back whom all targets have refused without saying when.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Targets asked for one request.
const ATTEMPTS_MAX: u8 = 8;
/// Redirections followed for one request.
const REDIRECTS_MAX: u8 = 4;
