//! Calls that were answered, and whose node died before the ACK came: nobody else says again what was
//! said (RFC 3261 §13.3.1.4).
//!
//! Whoever takes such a call up repeats the 2xx for as long as the dead node would have from its first
//! on. If no ACK comes, both sides are hung up on. A caller that had heard the 2xx acknowledges it again
//! (§13.2.2.4).

use bytes::Bytes;
use call::Call;
use clock::Time;
use sip::{Flow, Framing, HeaderName, Message, Writer};

use crate::Switch;
use crate::keep::Answered;
use crate::output::CallKey;

impl Switch {
    /// Says again what the dead node had answered.
    pub(super) fn inherit_answers(
        &mut self,
        now: Time,
        key: CallKey,
        call: &mut Call,
        answers: Vec<Answered>,
    ) {
        for answered in answers {
            self.inherit_answer(now, key, call, answered);
        }
    }

    fn inherit_answer(&mut self, now: Time, key: CallKey, call: &mut Call, answered: Answered) {
        let here = Flow {
            conn: None,
            ..self.listeners.here(answered.flow)
        };
        let Ok(success) = Message::parse(answered.bytes, Framing::Datagram) else {
            return;
        };
        let contact = self.call_config.contact(here.listener);
        let bytes = at_contact(&success, contact);
        let Some(server) = self.transactions.inherit_success(now, here, bytes) else {
            return;
        };
        // It may have come here already, before it was known whose it was.
        if let Some(sought) = self.sought.get_mut(&key) {
            let is_answered = |uas: u64| uas == server.as_u64();
            sought.requests.retain(|(uas, ..)| !is_answered(*uas));
        }
        if let Some(begun_anew) = self.invites.insert(server, key) {
            self.step(now, begun_anew, Call::give_way);
        }
        call.await_ack(server.as_u64(), &success);
    }
}

/// The same response, for its ACK to come here where no dispatcher sees to it.
fn at_contact(response: &Message, contact: &str) -> Bytes {
    let raw = response.raw();
    let mut fields = response.fields().iter();
    let index = fields.position(|field| field.name == HeaderName::Contact);
    let Some(line) = index.map(|index| response.line(index)) else {
        return raw.clone();
    };
    let mut out = Writer::with_capacity(raw.len() + contact.len());
    out.raw(&raw[..line.start]);
    out.contact(contact);
    out.raw(&raw[line.end..]);
    out.into_bytes()
}
