//! Requests: by what they carry of ours, or to a target of our choice.

use std::time::Duration;

use balancer::{Admission, Refusal, TargetId};
use bytes::Bytes;
use clock::Time;
use forward::{Dialog, End, Origin, OwnRoutes, Pass, Seal, Token};
use sip::uri::Uri;
use sip::{Destination, Flow, HeaderName, Message, Method, Transport, Via};
use smallvec::SmallVec;

use crate::client::sender_address;
use crate::dispatcher::{Key, of_attempt};
use crate::failover::work_of;
use crate::onward::{Mark, Onward, To};
use crate::pending::{Original, Pending, State};
use crate::repeat::Again;
use crate::{Dispatcher, key};

/// Where a request came from, and where its responses go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ingress {
    pub(crate) flow: Flow,
    /// Where responses go.
    pub(crate) end: End,
    /// Names the transaction.
    pub(crate) key: u64,
    /// A hash of the From tag.
    pub(crate) from_tag: u32,
    /// Whether its sender is a target that speaks for another.
    pub(crate) is_stand_in: bool,
}

/// Where a request of a choice goes.
#[derive(Debug)]
struct Attempt<'a> {
    destination: &'a Destination,
    target: Option<TargetId>,
    number: u8,
    uri: Option<&'a [u8]>,
    own_routes: usize,
}

/// The target that a request is sent to next.
#[derive(Debug)]
pub(crate) struct NextAttempt {
    pub(crate) target: TargetId,
    /// How many were tried before.
    pub(crate) number: u8,
    /// The request URI of a redirection.
    pub(crate) uri: Option<Box<[u8]>>,
}

impl Dispatcher {
    /// One request.
    pub(crate) fn handle_request(&mut self, now: Time, flow: Flow, message: Message) {
        if let Err(violation) = message.check_passing() {
            self.counters.malformed += 1;
            self.answer(
                now,
                flow,
                &message,
                violation.status(),
                violation.phrase(),
                |_| {},
            );
            return;
        }
        if is_too_large(&message) {
            self.answer(now, flow, &message, 513, "", |_| {});
            return;
        }
        let is_spent = message.number(HeaderName::MaxForwards) == Some(0);
        if is_spent && message.method() == Method::Options {
            self.answer_options(now, flow, &message);
        }
        let Some(ingress) = self.ingress(flow, &message).filter(|_| !is_spent) else {
            return;
        };
        self.note_relief(now, &ingress);
        if self.recall(ingress.key, message.method()) {
            return;
        }
        let routes = OwnRoutes::of(&message, &self.hops, &self.seal);
        match routes.token {
            // None of ours names a registration.
            Token::Forged | Token::Genuine(Pass::Binding(_)) => {
                self.counters.forged += 1;
                self.answer(now, flow, &message, 403, "Forged Route", |_| {});
            }
            Token::Genuine(Pass::Dialog(dialog)) => {
                self.send_inside(now, &ingress, &message, routes.count, &dialog);
            }
            Token::Genuine(Pass::Path(end)) => {
                self.send_to_flow(now, &ingress, &message, routes.count, &end);
            }
            Token::None => self.handle_outside(now, &ingress, message, routes.count),
        }
    }

    /// A request that carries nothing of ours.
    fn handle_outside(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: Message,
        own_routes: usize,
    ) {
        let flow = ingress.flow;
        match message.method() {
            Method::Ack => return self.send_after(now, ingress, &message, own_routes),
            Method::Cancel => {
                let pending = self.pending.find(ingress.key);
                let is_there =
                    |p: &&mut Pending| p.method == Method::Invite && p.state != State::Refused;
                if let Some(pending) = pending.filter(is_there) {
                    pending.call_off(now);
                    self.pending.hasten(ingress.key);
                    self.send_after(now, ingress, &message, own_routes);
                } else {
                    self.answer(now, flow, &message, 481, "", |_| {});
                }
                return;
            }
            _ => {}
        }
        if message.to().is_ok_and(|to| to.tag().is_some()) {
            self.answer(now, flow, &message, 481, "No Route of Ours", |_| {});
            return;
        }
        if message.method() == Method::Options && self.is_for_us(&message) {
            self.answer_options(now, flow, &message);
            return;
        }
        if self.has_been_here(&message) {
            self.counters.loops += 1;
            self.answer(now, flow, &message, 482, "", |_| {});
            return;
        }
        if let Some(pending) = self.pending.find(ingress.key) {
            // RFC 6026 §7.1: the answer is on its way, and whoever gave it says it again until it is
            // acknowledged. A target that has begun anew would take this for another call.
            if !pending.is_answered_call() {
                self.send_after(now, ingress, &message, own_routes);
            }
            return;
        }
        self.dispatch(now, ingress, message, own_routes);
    }

    /// A new request: to a target of our choice.
    fn dispatch(&mut self, now: Time, ingress: &Ingress, message: Message, own_routes: usize) {
        let flow = ingress.flow;
        let is_call = message.method() == Method::Invite;
        if is_call && self.refused.has(now, ingress.key) {
            return self.refuse_again(now, flow, &message);
        }
        let target = match self.choose(now, &message) {
            Ok(target) => target,
            Err(refused) => {
                if is_call {
                    self.refused.note(now, ingress.key);
                }
                return match refused {
                    Some(refusal) => self.refuse(now, flow, &message, refusal),
                    None => self.refuse_draining(now, flow, &message),
                };
            }
        };
        let original = Original {
            ingress: *ingress,
            message,
            own_routes,
            tried: SmallVec::new(),
            redirects: 0,
            inside: None,
            began: now,
        };
        let attempt = NextAttempt {
            target,
            number: 0,
            uri: None,
        };
        self.begin_attempt(now, Box::new(original), attempt);
    }

    /// The target for a new request; why there is none, `None` for draining.
    fn choose(&mut self, now: Time, message: &Message) -> Result<TargetId, Option<Refusal>> {
        if self.admission == Admission::Draining {
            return Err(None);
        }
        let is_call = message.method() == Method::Invite;
        if self.pending.is_full() || (is_call && self.is_too_fast(now)) {
            let retry_after = Duration::from_secs(1);
            return Err(Some(Refusal::Overloaded { retry_after }));
        }
        let hash = key::of(message, &self.config, &self.seal);
        let work = work_of(message.method());
        let target = self.balancer.choose(now, work, hash, &[], &mut self.draw);
        target.map_err(Some)
    }

    /// Sends a request to a target, and keeps it.
    pub(crate) fn begin_attempt(
        &mut self,
        now: Time,
        mut original: Box<Original>,
        next: NextAttempt,
    ) {
        let Ingress { flow, key, .. } = original.ingress;
        let Some(place) = self.place(next.target) else {
            return;
        };
        let (transport, remote) = (place.transport, place.remote);
        let Some(hop) = self.hops.towards(transport, remote, flow.listener) else {
            // No listener of ours speaks to it: it is as good as down.
            self.balancer.handle_refused(now, next.target);
            original.tried.push(next.target);
            return self.try_next(now, original, next.number + 1, None);
        };
        let destination = Destination::Address {
            transport,
            listener: hop.id,
            remote,
            name: place.name.clone(),
        };
        let attempt = Attempt {
            destination: &destination,
            target: Some(next.target),
            number: next.number,
            uri: next.uri.as_deref(),
            own_routes: original.own_routes,
        };
        let bytes = self.attempt_bytes(&original.ingress, &original.message, &attempt);
        let is_repeated = flow.transport.is_reliable() && !transport.is_reliable();
        original.began = now;
        let pending = Pending {
            key,
            method: original.message.method(),
            original: Some(original),
            again: is_repeated.then(|| Again::of(now, &destination, &bytes)),
            uri: next.uri,
            destination: destination.clone(),
            target: Some(next.target),
            attempt: next.number,
            state: State::Waiting,
            cancelled: false,
            until: now + self.config.answer_timeout,
        };
        if let Some(id) = pending.attempt_at() {
            self.balancer.handle_attempt(id);
        }
        self.pending.insert(pending);
        let sent = Key::Pending(of_attempt(key, next.number)).write();
        self.transmit(destination, bytes, sent);
    }

    fn attempt_bytes(&self, ingress: &Ingress, message: &Message, attempt: &Attempt<'_>) -> Bytes {
        let listener = attempt.destination.listener();
        let begins = matches!(
            message.method(),
            Method::Invite | Method::Subscribe | Method::Refer
        );
        let dialog = begins.then(|| Dialog {
            origin: Origin::Client,
            next_hop: Self::next_hop_to(ingress, message),
            from_tag: ingress.from_tag,
            client: ingress.end,
            target: End {
                transport: attempt.destination.transport(),
                listener,
                remote: attempt.destination.remote(),
                conn: None,
            },
        });
        let mark = match &dialog {
            Some(dialog) => Mark::RecordRoute(dialog, [listener, ingress.flow.listener]),
            None if message.method() == Method::Register => Mark::Path,
            None => Mark::None,
        };
        let onward = Onward {
            destination: attempt.destination,
            own_routes: attempt.own_routes,
            attempt: attempt.number,
            uri: attempt.uri,
            mark,
            to: To::Target(attempt.target),
        };
        self.onward_bytes(ingress, message, &onward)
    }

    /// What goes where another request of its transaction went: CANCEL, ACK to a refusal, and
    /// the same request again.
    fn send_after(&mut self, now: Time, ingress: &Ingress, message: &Message, own_routes: usize) {
        let Some(pending) = self.pending.find(ingress.key) else {
            // An ACK to an answer of ours, or to nothing.
            return;
        };
        let method = message.method();
        let is_same = method == pending.method;
        let is_other = !is_same && pending.method != Method::Invite;
        let is_called_off = is_same && pending.cancelled && pending.state.is_settled();
        if is_other || is_called_off || pending.state == State::Refused {
            return;
        }
        let (to, uri) = (pending.destination.clone(), pending.uri.clone());
        let (target, number) = (pending.target, pending.attempt);
        let bytes = if is_same {
            let again = Attempt {
                destination: &to,
                target,
                number,
                uri: uri.as_deref(),
                own_routes,
            };
            self.attempt_bytes(ingress, message, &again)
        } else {
            let onward = Onward {
                destination: &to,
                own_routes,
                attempt: number,
                uri: uri.as_deref(),
                mark: Mark::None,
                to: To::Target(target),
            };
            self.onward_bytes(ingress, message, &onward)
        };
        self.repeat_request(now, ingress, (method, number), (&to, &bytes));
        self.transmit(to, bytes, 0);
    }

    pub(crate) fn ingress(&self, flow: Flow, message: &Message) -> Option<Ingress> {
        let via = message.via().ok()?;
        let mut end = End::of(&flow, self.instance);
        let is_udp = flow.transport == Transport::Udp;
        let said = is_udp.then(|| self.spoken_for(flow, &via)).flatten();
        if is_udp {
            end.remote = said.unwrap_or_else(|| sender_address(&flow, &via));
        }
        let tag = message.from().ok().and_then(|from| from.tag());
        let tag = tag.unwrap_or_default();
        Some(Ingress {
            flow,
            end,
            key: self.seal.transaction(message, tag, &via, &end),
            from_tag: self.seal.tag(tag),
            is_stand_in: said.is_some(),
        })
    }

    /// Whether one of its Vias is ours: it comes back without having been to a phone
    /// (RFC 3261 §16.3 point 4).
    fn has_been_here(&self, message: &Message) -> bool {
        let vias = message.values(HeaderName::Via);
        vias.filter_map(|via| Via::parse(via).ok())
            .any(|via| self.hops.wrote(&via) && via.branch().is_some_and(is_of_our_form))
    }

    /// Whether a request is for us and not for anybody behind us.
    fn is_for_us(&self, message: &Message) -> bool {
        Uri::parse(message.uri()).is_ok_and(|uri| uri.user.is_none() && self.hops.owns(&uri))
    }
}

/// Whether a request could not be sent on with what we write into it: where it ends a connection or
/// fits into no datagram, the target would seem to fail.
fn is_too_large(message: &Message) -> bool {
    let whole = message.end();
    whole > WHOLE_BYTES_MAX || whole - message.body().len() > HEAD_BYTES_MAX
}

fn is_of_our_form(branch: &[u8]) -> bool {
    let text = branch.get(crate::probe::COOKIE_LEN..).unwrap_or_default();
    Seal::read_branch(text).is_some()
}

/// Timers B and F of RFC 3261 §17.1.
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);
/// The longest request that is sent on: what a UDP datagram on IPv4 carries, less what we write.
const WHOLE_BYTES_MAX: usize = 65_507 - 1_024;
/// The longest of its heads: what streams take as one, ours among them, less what we write.
const HEAD_BYTES_MAX: usize = 32_768 - 1_024;
