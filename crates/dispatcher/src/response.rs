//! Responses: back where our Via says, unless the request is better sent elsewhere.

use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use forward::rewrite::{self, Framing};
use forward::{Branch, Seal};
use sip::{Destination, Flow, HeaderName, Message, Method, Transport, Via, Writer};

use crate::failover::{TRYING_LOOK, retry_after};
use crate::pending::State;
use crate::probe::COOKIE_LEN;
use crate::repeat::own_key;
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
            self.relieve(flow, key);
        }
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.target.is_some() && !is_from(flow, &pending.destination) {
            self.counters.strays += 1;
            return;
        }
        if pending.state == State::Settled {
            return self.handle_repeated(now, message, opened);
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
        let pending = self.pending.find(opened.key);
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
        let Some(pending) = self.pending.find(opened.key) else {
            return;
        };
        let tried_at = pending.attempt_at();
        let original = pending.original.take();
        let (target, method) = (pending.target, pending.method);
        self.pending.settle(now, opened.key);
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
        let is_lossy = !opened.flow.transport.is_reliable();
        if is_refusal && is_lossy && opened.branch.end.transport.is_reliable() {
            // The caller has it, and does not say ACK twice (RFC 3261 §17.1.1.2).
            self.send_for(opened.flow, message, "ACK");
        } else if message.status() >= 200 {
            self.pass(now, message, opened);
        }
    }

    /// A response of a target that was given up already.
    fn handle_late(&mut self, now: Time, message: &Message, opened: &Opened) {
        let flow = opened.flow;
        let is_target = self.target_at(flow.transport, flow.remote).is_some();
        if !is_target && !self.retired.has(flow.transport, flow.remote) {
            self.counters.strays += 1;
            return;
        }
        if opened.method != Method::Invite {
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
        let relief = self.relief(now, message, &opened.branch);
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
        let bytes = rewrite::response(message, wish.as_bytes(), framing);
        Some((to, bytes))
    }

    /// ACK or CANCEL of our own, to whoever sent a response to an INVITE of ours: it goes by
    /// the Via of ours in that response (RFC 3261 §9.1, §17.1.1.3).
    pub(crate) fn send_for(&mut self, flow: Flow, response: &Message, method: &str) {
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

/// How long a request may be worked on without a word: timer C of RFC 3261 §16.6 point 11 and a
/// margin; then only our memory of it ends.
const PROCEEDING_MAX: Duration = Duration::from_secs(600);
/// Who it was that had no room, by the word of a target: `X-Tandem-Refusal: entity=customer`.
const REFUSAL_HEADER: &str = "X-Tandem-Refusal";
