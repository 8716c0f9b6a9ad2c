//! Refusals: what a request that begins nothing is told, and what is written down of it.

use call::{Cause, Why};
use clock::Time;
use limits::{EntityKind, Refused};
use routing::{Caller, Decision, Refusal};
use sip::transaction::ServerId;
use sip::{Flow, HeaderName, Message, Writer};

use crate::Switch;
use crate::dial::limit_text;
use crate::invite::Invitation;
use crate::overflow::NextPeer;

/// Option tags we understand in Require (RFC 3261 §8.2.2.3).
const UNDERSTOOD: [&str; 5] = ["100rel", "timer", "replaces", "path", "outbound"];

impl Switch {
    pub(crate) fn refuse_call(
        &mut self,
        now: Time,
        invitation: &Invitation,
        decision: &Decision,
        refusal: Refusal,
    ) {
        let status = refusal.status();
        let why = Why::Open(refusal.to_string().into());
        let cause = Cause::RefusedByUs {
            status,
            why: why.clone(),
        };
        let Invitation {
            server,
            flow,
            message,
            ..
        } = invitation;
        let is_marked = status == 503 && self.is_dispatcher(flow.remote.ip());
        self.refuse_with(now, *server, *flow, message, status, |w| {
            w.header("Reason", cause.header().as_bytes());
            if let Refusal::NoGateway {
                retry_after_s: Some(s),
            } = refusal
            {
                w.header_fmt("Retry-After", format_args!("{s}"));
            }
            if is_marked {
                mark_for_another(w, EntityKind::Gateway.name());
            }
            w.header_fmt("Warning", format_args!("399 tandem \"{refusal}\""));
        });
        self.record_refused(now, invitation, decision, status, why);
    }

    /// At a limit: 302 to the next peer if it is the server's own, else 503 with Retry-After
    /// (MISSION 32, 33).
    pub(crate) fn refuse_for_room(
        &mut self,
        now: Time,
        invitation: &Invitation,
        decision: &Decision,
        refused: &Refused,
    ) {
        self.counters.limited(refused);
        let Invitation {
            server,
            flow,
            message,
            texts,
        } = invitation;
        let own = refused.entity.kind == EntityKind::Server;
        let next = own.then(|| self.next_peer(message)).flatten();
        let status = if next.is_some() { 302 } else { 503 };
        let mut text = limit_text(refused);
        if let Some(next) = &next {
            text.push_str(", sent on to ");
            text.push_str(&next.peer);
        }
        let retry_after_s = self.snapshot.settings.overflow.retry_after_s;
        let why = match &decision.caller {
            Caller::User(_) | Caller::Customer(_) => Why::Open(text.into()),
            // Whose limit it is, and how high, is no affair of others.
            Caller::Carrier { .. } | Caller::Unknown => Why::Internal(text.into()),
        };
        let cause = Cause::RefusedByUs {
            status,
            why: why.clone(),
        };
        let told = match &why {
            Why::Open(text) => text,
            Why::Internal(_) => "limit reached",
        };
        let is_marked = !own && self.is_dispatcher(flow.remote.ip());
        self.refuse_with(now, *server, *flow, message, status, |w| {
            w.header("Reason", cause.header().as_bytes());
            if is_marked {
                mark_for_another(w, refused.entity.kind.name());
            }
            match &next {
                Some(NextPeer { peer, mark }) => {
                    let user = sip::uri::escape_user(&texts.called);
                    w.header_fmt("Contact", format_args!("<sip:{user}@{peer}{mark}>"));
                }
                None => {
                    let s = u32::from(retry_after_s).max(refused.retry_after_s);
                    w.header_fmt("Retry-After", format_args!("{s}"));
                }
            }
            w.header_fmt("Warning", format_args!("399 tandem \"{told}\""));
        });
        self.record_refused(now, invitation, decision, status, why);
    }

    fn record_refused(
        &mut self,
        now: Time,
        invitation: &Invitation,
        decision: &Decision,
        status: u16,
        why: Why,
    ) {
        let id = self.new_call_id(now);
        let facts = invitation.facts(now, id, decision);
        self.record_refusal(now, &facts, status, why);
    }

    /// 420 for what we must support and do not (RFC 3261 §8.2.2.3).
    pub(crate) fn refuse_extensions(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
    ) -> bool {
        let unknown = unknown_extensions(message);
        if unknown.is_empty() {
            return false;
        }
        self.refuse_with(now, server, flow, message, 420, |w| {
            w.header("Unsupported", &unknown.join(&b", "[..]));
        });
        true
    }

    /// A final answer to a request that begins nothing.
    pub(crate) fn refuse(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
        status: u16,
        phrase: &str,
    ) {
        let tag = format!("{:08x}", self.random.bits());
        let mut w = Writer::response(message, flow.remote, status, phrase, tag.as_bytes());
        w.header("Server", self.call_config.product.as_bytes());
        self.transactions.respond(now, server, status, w.finish());
    }

    /// As [`Switch::refuse`], with more headers.
    pub(crate) fn refuse_with(
        &mut self,
        now: Time,
        server: ServerId,
        flow: Flow,
        message: &Message,
        status: u16,
        headers: impl FnOnce(&mut Writer),
    ) {
        let tag = format!("{:08x}", self.random.bits());
        let mut w = Writer::response(message, flow.remote, status, "", tag.as_bytes());
        w.header("Server", self.call_config.product.as_bytes());
        headers(&mut w);
        self.transactions.respond(now, server, status, w.finish());
    }
}

/// Tells a dispatcher that it was not this server that had no room: others would say the same, and
/// the next caller may be welcome.
pub(crate) fn mark_for_another(w: &mut Writer, kind: &str) {
    w.header_fmt("X-Tandem-Refusal", format_args!("entity={kind}"));
}

/// Option tags that we would have to understand and do not.
pub(crate) fn unknown_extensions(message: &Message) -> Vec<Vec<u8>> {
    message
        .values(HeaderName::Require)
        .filter(|v| {
            !UNDERSTOOD
                .iter()
                .any(|u| v.eq_ignore_ascii_case(u.as_bytes()))
        })
        .map(<[u8]>::to_vec)
        .collect()
}
