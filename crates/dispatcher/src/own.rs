//! Requests of our own, where nobody else speaks for a call any more: ACK and CANCEL to targets
//! that were given up, and the end of a call that its caller was refused before it was answered.

use clock::Time;
use forward::{Branch, Seal};
use sip::uri::Uri;
use sip::{Destination, Flow, HeaderName, Message, Method, NameAddr, Via, Writer};

use crate::Dispatcher;
use crate::pending::{Original, Pending, State};
use crate::probe::COOKIE_LEN;
use crate::repeat::{Again, own_key};
use crate::request::PATIENCE;
use crate::response::Opened;

/// What requests of a transaction have in common with its INVITE as it left us (RFC 3261 §9.1,
/// §17.1.1.3); empty where it is not known any more.
#[derive(Debug, Default)]
pub(crate) struct Head {
    uri: Vec<u8>,
    routes: Vec<u8>,
}

impl Head {
    /// Of an INVITE that went to `uri`, if that is another than it came with.
    pub(crate) fn of(original: &Original, uri: Option<&[u8]>) -> Self {
        let message = &original.message;
        let routes = message.values(HeaderName::Route).skip(original.own_routes);
        let lines = routes.map(|route| [b"Route: ", route, b"\r\n"].concat());
        Self {
            uri: uri.unwrap_or(message.uri()).to_vec(),
            routes: lines.flatten().collect(),
        }
    }
}

impl Dispatcher {
    /// ACK of our own to whoever refused an INVITE of ours.
    pub(crate) fn acknowledge(&mut self, flow: Flow, refusal: &Message, head: &Head) {
        let Some(via) = refusal.values(HeaderName::Via).next() else {
            return;
        };
        let bytes = own_request(Method::Ack, flow, &without_overload(via), refusal, head);
        self.transmit(Destination::Flow(flow), bytes, 0);
    }

    /// CANCEL of our own to whoever works on an INVITE of ours that nobody waits for: by the Via of
    /// ours in its response.
    pub(crate) fn cancel(&mut self, now: Time, response: &Message, opened: &Opened, head: &Head) {
        if let Some(via) = response.values(HeaderName::Via).next() {
            let (to, via) = (Destination::Flow(opened.flow), without_overload(via));
            self.send_cancel(
                now,
                response,
                opened,
                (to, &via, opened.branch.attempt),
                head,
            );
        }
    }

    /// The caller has an answer from one that was given up before: the one that was asked next is
    /// told so (RFC 3261 §16.7 point 10), and what it says from now on is late.
    pub(crate) fn call_off(&mut self, now: Time, answer: &Message, opened: &Opened) {
        let Some(pending) = self.pending.find(opened.key) else {
            return;
        };
        if pending.state.is_over() {
            return;
        }
        let (asked, state) = (pending.attempt_at(), pending.state);
        let (to, attempt) = (pending.destination.clone(), pending.attempt);
        let original = pending.original.take();
        let uri = pending.uri.take();
        pending.attempt = NO_ATTEMPT;
        pending.cancelled = true;
        self.pending.settle(now, opened.key);
        if let Some(id) = asked {
            self.balancer.handle_attempt_end(id);
        }
        // One that has said nothing has its CANCEL as soon as it does (RFC 3261 §9.1).
        if state == State::Waiting {
            return;
        }
        let head = original.map(|original| Head::of(&original, uri.as_deref()));
        let branch = Branch {
            attempt,
            ..opened.branch
        };
        let hop = self.hops.of(to.listener());
        if let Some(hop) = hop {
            let via = hop.via(|out| Seal::write_branch(out, &branch));
            let head = head.unwrap_or_default();
            self.send_cancel(now, answer, opened, (to, &via, attempt), &head);
        }
    }

    /// Takes the response to a CANCEL of our own, below whose Via there is none; false if it is no
    /// such response.
    pub(crate) fn handle_own_response(&mut self, message: &Message, branch: &Branch) -> bool {
        let key = own_key(branch.key, Method::Cancel);
        let is_own = message.method() == Method::Cancel
            && self
                .pending
                .find(key)
                .is_some_and(|own| own.attempt == branch.attempt);
        if is_own {
            self.pending.remove(key);
        }
        is_own
    }

    /// A call was answered whose caller we have refused: it is taken and ended at once, for nobody
    /// else will (RFC 3261 §13.2.2.4).
    pub(crate) fn hang_up(&mut self, now: Time, answer: &Message, opened: &Opened) {
        let (flow, key) = (opened.flow, opened.branch.key);
        let text = format!("{END}{key:x}.{:016x}", self.seal.probe(&end_proof(key)));
        let Some(hop) = self.hops.of(flow.listener) else {
            return;
        };
        let bye = hop.via(|out| out.extend_from_slice(text.as_bytes()));
        // A transaction of its own (RFC 3261 §17.1.1.3).
        let ack = [bye.as_slice(), b".ack"].concat();
        let head = self.head_inside(answer);
        let bytes = own_request(Method::Ack, flow, &ack, answer, &head);
        self.transmit(Destination::Flow(flow), bytes, 0);
        let key = key ^ OF_BYE;
        if self.pending.find(key).is_some() {
            return;
        }
        let bytes = own_request(Method::Bye, flow, &bye, answer, &head);
        let to = Destination::Flow(flow);
        self.keep_own(now, key, Method::Bye, (&to, &bytes, NO_ATTEMPT));
        self.transmit(to, bytes, 0);
    }

    /// Takes the response to a BYE of our own; false if it is none.
    pub(crate) fn handle_end_response(&mut self, via: &Via<'_>) -> bool {
        let branch = via.branch().and_then(|branch| branch.get(COOKIE_LEN..));
        let Some(text) = branch.and_then(|text| text.strip_prefix(END.as_bytes())) else {
            return false;
        };
        let text = core::str::from_utf8(text).unwrap_or_default();
        let parts = text.split_once('.').and_then(|(key, proof)| {
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(key)?, number(proof)?))
        });
        match parts.filter(|(key, proof)| self.seal.probe(&end_proof(*key)) == *proof) {
            Some((key, _)) => drop(self.pending.remove(key ^ OF_BYE)),
            None => self.counters.strays += 1,
        }
        true
    }

    fn send_cancel(
        &mut self,
        now: Time,
        response: &Message,
        opened: &Opened,
        (to, via, attempt): (Destination, &[u8], u8),
        head: &Head,
    ) {
        let flow = Flow {
            remote: to.remote(),
            ..opened.flow
        };
        let bytes = own_request(Method::Cancel, flow, via, response, head);
        let key = own_key(opened.branch.key, Method::Cancel);
        self.keep_own(now, key, Method::Cancel, (&to, &bytes, attempt));
        self.transmit(to, bytes, 0);
    }

    /// Has a request of our own repeated over UDP until it is answered.
    fn keep_own(
        &mut self,
        now: Time,
        key: u64,
        method: Method,
        (to, bytes, attempt): (&Destination, &bytes::Bytes, u8),
    ) {
        let is_known = self.pending.find(key).is_some();
        if is_known || self.pending.is_full() || to.transport().is_reliable() {
            return;
        }
        self.pending.insert(Pending {
            key,
            method,
            original: None,
            again: Some(Again::of(now, to, bytes)),
            uri: None,
            destination: to.clone(),
            target: None,
            attempt,
            state: State::Waiting,
            cancelled: false,
            until: now + PATIENCE,
        });
    }

    /// Where a request of our own inside a dialog leads: the Contact of an answer, by those who
    /// stand between us and who gave it (RFC 3261 §12.1.2).
    fn head_inside(&self, answer: &Message) -> Head {
        let contact = answer.address(HeaderName::Contact);
        let beyond = answer.values(HeaderName::RecordRoute).take_while(|route| {
            let uri = NameAddr::parse(route).ok().map(|address| address.uri);
            let uri = uri.and_then(|uri| Uri::parse(uri).ok());
            uri.is_some_and(|uri| !self.hops.owns(&uri))
        });
        let mut lines: Vec<_> = beyond.map(|r| [b"Route: ", r, b"\r\n"].concat()).collect();
        lines.reverse();
        Head {
            uri: contact
                .map(|address| address.uri.to_vec())
                .unwrap_or_default(),
            routes: lines.concat(),
        }
    }
}

/// A request of our own, of the transaction or the dialog that a response belongs to.
fn own_request(
    method: Method,
    flow: Flow,
    via: &[u8],
    response: &Message,
    head: &Head,
) -> bytes::Bytes {
    let fallback = format!("sip:{}", flow.remote);
    let uri = match head.uri.as_slice() {
        [] => fallback.as_bytes(),
        uri => uri,
    };
    let mut writer = Writer::request(method.as_str(), uri);
    writer.header("Via", via);
    writer.header("Max-Forwards", b"70");
    writer.raw(&head.routes);
    writer.copy(response, HeaderName::From);
    if method == Method::Cancel {
        let to = response.to().ok();
        let to = to.map(|to| to.uri).unwrap_or_default();
        writer.raw(b"To: <").raw(to).raw(b">\r\n");
    } else {
        writer.copy(response, HeaderName::To);
    }
    writer.copy(response, HeaderName::CallId);
    let number = response.cseq().map_or(0, |cseq| cseq.number);
    let number = number + u32::from(method == Method::Bye);
    writer.header_fmt("CSeq", format_args!("{number} {}", method.as_str()));
    writer.finish()
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

fn end_proof(key: u64) -> Vec<u8> {
    format!("end {key}").into_bytes()
}

/// Begins the branches of what ends a call; no base64 has a dot.
const END: &str = "end.";
/// The number of no attempt: what comes for any is late.
const NO_ATTEMPT: u8 = u8::MAX;
/// Any bit but the lowest, which keys of transactions always have, and that of CANCEL.
const OF_BYE: u64 = 1 << 62;
