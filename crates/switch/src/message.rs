//! MESSAGE outside of dialogs (RFC 3428): from somebody we know to the contacts of a user.

use bytes::Bytes;
use clock::Time;
use routing::Target;
use sip::digest::Side;
use sip::transaction::ServerId;
use sip::{Flow, HeaderName, Message, Writer};

use crate::Switch;
use crate::dial::Question;
use crate::invite::Origin;
use crate::owner::Owner;
use crate::ping::first_hop;

impl Switch {
    pub(crate) fn handle_pager_message(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
    ) {
        let identity = match self.authenticate(now, flow, message, Side::Proxy) {
            Ok(identity) => identity,
            Err(verdict) => {
                self.challenge(now, server, flow, message, Side::Proxy, verdict);
                return;
            }
        };
        if message.number(HeaderName::MaxForwards) == Some(0) {
            self.refuse(now, server, flow, message, 483, "");
            return;
        }
        let Some(mut texts) = self.texts_of_request(message) else {
            self.refuse(now, server, flow, message, 400, "Malformed URI");
            return;
        };
        let line = self.registered_line(flow, message, &mut texts);
        let from = Origin {
            flow: self.source(flow, message),
            identity,
            line,
        };
        let decision = self.decide(now, from, &texts, &mut Vec::new());
        let user = match decision.target {
            Target::User(user) => user,
            Target::Challenge => {
                self.challenge(now, server, flow, message, Side::Proxy, None);
                return;
            }
            Target::Refuse(refusal) => {
                self.refuse(now, server, flow, message, refusal.status(), "");
                return;
            }
            // Numbers outside take calls, not messages.
            _ => {
                self.refuse(now, server, flow, message, 404, "");
                return;
            }
        };
        let aor = format!("{}@{}", user.name, self.routes.domain());
        let contact = self.registrar.lookup(now, &aor).into_iter().next();
        let Some(contact) = contact else {
            self.refuse(now, server, flow, message, 480, "");
            return;
        };
        let Some(way) = self.way_to(&contact) else {
            self.refuse(now, server, flow, message, 480, "");
            return;
        };
        let bytes = self.forward(message, (&contact.uri, &way.routes), &aor);
        self.messages.insert(server, (flow, message.clone()));
        if let Some(to) = way.destination {
            self.send_request(now, to, &bytes, Owner::Message { server });
        } else {
            let hop = first_hop(&way.routes).to_vec();
            let question = Question::Message { server, bytes };
            self.resolve(now, &hop, flow.listener, question);
        }
    }

    fn forward(&mut self, message: &Message, (uri, routes): (&[u8], &[u8]), aor: &str) -> Bytes {
        let mut w = Writer::request("MESSAGE", uri);
        if !routes.is_empty() {
            w.header("Route", routes);
        }
        let call_id = self.random.call_id();
        let tag = format!("{:08x}", self.random.bits());
        let from = message.from().map(|f| f.uri.to_vec()).unwrap_or_default();
        w.raw(b"From: <")
            .raw(&from)
            .raw(b">;tag=")
            .raw(tag.as_bytes())
            .raw(b"\r\n");
        w.header_fmt("To", format_args!("<sip:{aor}>"));
        w.header("Call-ID", &call_id).header("CSeq", b"1 MESSAGE");
        let hops = message
            .number(HeaderName::MaxForwards)
            .unwrap_or(70)
            .min(70);
        w.header_fmt("Max-Forwards", format_args!("{}", hops.saturating_sub(1)));
        match message.header(HeaderName::ContentType) {
            Some(kind) => w.finish_with(kind, message.body()),
            None => w.finish(),
        }
    }

    /// The callee's answer goes back to the sender.
    pub(crate) fn message_answered(&mut self, now: Time, server: ServerId, status: u16) {
        if let Some((flow, message)) = self.messages.remove(&server) {
            let status = if matches!(status, 401 | 407) {
                480
            } else {
                status
            };
            self.refuse(now, server, flow, &message, status, "");
        }
    }
}
