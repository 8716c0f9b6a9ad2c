//! Requests made from an INVITE of ours: its CANCEL and the ACK to its failure.

use crate::transaction::branch::via_line;
use crate::{Framing, HeaderName, Message, Payload, Writer};

/// CANCEL (RFC 3261 §9.1). `reason` is the value of a Reason header (RFC 3326); empty for none.
pub(super) fn cancel(invite: &Payload, reason: &[u8]) -> Option<Payload> {
    let message = parsed(invite)?;
    let mut w = derived("CANCEL", invite, &message);
    w.copy(&message, HeaderName::To);
    if !reason.is_empty() {
        w.header("Reason", reason);
    }
    Some(w.finish())
}

/// ACK to a final response other than 2xx (RFC 3261 §17.1.1.3): To comes from the response.
pub(super) fn ack(invite: &Payload, response: &Message) -> Option<Payload> {
    let message = parsed(invite)?;
    let mut w = derived("ACK", invite, &message);
    w.copy(response, HeaderName::To);
    Some(w.finish())
}

/// What both have in common: request URI, top Via, Route, From, Call-ID and CSeq number.
fn derived(method: &str, invite: &Payload, message: &Message) -> Writer {
    let mut w = Writer::request(method, message.uri());
    w.raw(via_line(invite));
    w.header("Max-Forwards", b"70");
    for name in [HeaderName::Route, HeaderName::From, HeaderName::CallId] {
        w.copy(message, name);
    }
    let number = message.cseq().map_or(0, |c| c.number);
    w.cseq(number, method);
    w
}

/// `None` only if the user gave us bytes that are no request.
fn parsed(request: &Payload) -> Option<Message> {
    Message::parse(request.clone(), Framing::Datagram).ok()
}
