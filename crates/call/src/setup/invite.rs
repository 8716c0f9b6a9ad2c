//! The INVITE of an attempt.

use std::time::Duration;

use bytes::Bytes;
use sip::{HeaderName, Message, Method};

use super::{Setup, Upstream};
use crate::call::Call;
use crate::config::Config;
use crate::headers::{self, ALLOW, Trust};
use crate::io::{Ctx, Hop, Timer, Toward};
use crate::pending::Purpose;

impl Call {
    /// Sends the INVITE of a branch to the last of its targets.
    pub(crate) fn send_invite(&mut self, ctx: &mut Ctx<'_>, branch: usize, sdp: Option<&[u8]>) {
        let trust = self.trust;
        let Some(setup) = &mut self.setup else { return };
        if let Some(sdp) = sdp {
            let toward = setup.toward(branch);
            if setup.relayed_offer(toward).is_none() {
                let sdp = Bytes::copy_from_slice(sdp);
                setup.relayed_offers.push((toward, sdp));
            }
        }
        let Some(target) = setup.branches[branch].targets.pop() else {
            return;
        };
        let bytes = setup.write_invite(ctx.config, branch, sdp, trust);
        let silence_max = setup.attempts[setup.branches[branch].attempt].silence_max;
        let hop = Hop::To(target);
        let id = self.send(ctx, Method::Invite, hop, bytes, Purpose::Invite { branch });
        if silence_max > Duration::ZERO {
            self.arm_after(ctx, Timer::Silence(id), silence_max);
        }
        if let Some(setup) = &mut self.setup {
            setup.branches[branch].request = Some(id);
        }
    }
}

impl Setup {
    /// What phones of a kind are offered, if any was asked before.
    pub(super) fn relayed_offer(&self, toward: Toward) -> Option<&Bytes> {
        let mut offers = self.relayed_offers.iter();
        let found = offers.find(|(known, _)| *known == toward)?;
        Some(&found.1)
    }

    /// The caller's INVITE, if this is a caller's.
    fn source(&self) -> Option<&Message> {
        match &self.upstream {
            Upstream::Caller { invite, .. } => Some(invite),
            Upstream::Transfer { .. } => None,
        }
    }

    fn write_invite(
        &mut self,
        config: &Config,
        branch: usize,
        sdp: Option<&[u8]>,
        caller_trust: Trust,
    ) -> Bytes {
        let entry = &mut self.branches[branch];
        let attempt = &self.attempts[entry.attempt];
        entry.dialog.local_seq += 1;
        let mut w = sip::Writer::request("INVITE", &attempt.uri);
        if !attempt.routes.is_empty() {
            w.header("Route", &attempt.routes);
        }
        entry
            .dialog
            .write_identity(&mut w, "INVITE", entry.dialog.local_seq);
        let contact = config.contact(entry.flow.listener);
        w.contact(contact);
        let source = match &self.upstream {
            Upstream::Caller { invite, .. } => Some(invite),
            Upstream::Transfer { .. } => None,
        };
        let hops = source
            .and_then(|m| m.number(HeaderName::MaxForwards))
            .unwrap_or(70);
        w.header_number("Max-Forwards", hops.saturating_sub(1).min(70));
        w.header("Allow", ALLOW);
        let reliable = source.is_some_and(wants_100rel);
        w.header(
            "Supported",
            if reliable {
                b"timer, replaces, 100rel"
            } else {
                b"timer, replaces"
            },
        );
        if source.is_some_and(|m| m.lists(HeaderName::Require, "100rel")) {
            w.header("Require", b"100rel");
        }
        if entry.session_s > 0 {
            w.header_number("Session-Expires", entry.session_s);
            w.header_number("Min-SE", config.session_expires_min_s);
        }
        w.header("User-Agent", config.product.as_bytes());
        let private = source.is_some_and(headers::is_private);
        let may_see = attempt.trust == Trust::Trusted || !private;
        if !attempt.identity.is_empty() && may_see {
            w.header("P-Asserted-Identity", &attempt.identity);
        }
        if let Some((authorization, _)) = &entry.authorization {
            w.raw(authorization);
        }
        let Some(source) = self.source() else {
            return match sdp {
                Some(sdp) => w.finish_with(b"application/sdp", sdp),
                None => w.finish(),
            };
        };
        let believed = if attempt.identity.is_empty() {
            caller_trust
        } else {
            Trust::Untrusted
        };
        headers::carry(&mut w, source, believed, attempt.trust);
        headers::finish(w, source, sdp)
    }
}

/// Whether the caller can take reliable provisional responses (RFC 3262 §4).
pub(super) fn wants_100rel(invite: &Message) -> bool {
    invite.lists(HeaderName::Supported, "100rel") || invite.lists(HeaderName::Require, "100rel")
}
