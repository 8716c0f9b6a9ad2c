//! Requests inside a dialog: what one side sends is carried to the other, byte for byte where it
//! is not ours to change, and the answer is carried back.

mod offer;
mod prack;
mod trickle;

use sip::{Flow, Message, Method, Writer};

use crate::call::{Call, Phase};
use crate::headers::{self, ALLOW};
use crate::io::{Ctx, MediaOp, Output, Respond, Side, Uas};
use crate::leg::{Leg, Offering, PairId, Reach, Refresher};
use crate::pending::{Purpose, Relayed, Wait};
use crate::reason::Cause;
use crate::refresh;

impl Call {
    pub(crate) fn handle_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let method = message.method();
        if self.handle_parting(ctx, uas, flow, &message) {
            return;
        }
        let Some((pair, side)) = self.find_leg(&message) else {
            self.handle_foreign_request(ctx, uas, flow, &message);
            return;
        };
        if method == Method::Ack {
            self.handle_ack(ctx, pair, side, &message);
            return;
        }
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if !leg.dialog.accept(&message) {
            self.respond(ctx, uas, flow, &message, 500);
            return;
        }
        leg.learn(&message);
        if flow.conn.is_some() && leg.flow.transport.is_reliable() {
            // The connection it had may have been left behind on another node.
            leg.reach = Reach::Flow;
        }
        if flow.conn.is_some() || leg.flow.transport == flow.transport {
            leg.flow = flow;
        }
        match method {
            Method::Bye => self.handle_bye(ctx, (pair, side), uas, flow, &message),
            Method::Invite | Method::Update => {
                self.handle_offer(ctx, (pair, side), uas, flow, message);
            }
            Method::Prack => self.handle_prack(ctx, (pair, side), uas, flow, message),
            Method::Info if self.takes_candidates(&message) => {
                self.take_candidates(ctx, side, &message);
                self.respond(ctx, uas, flow, &message, 200);
            }
            Method::Info if self.is_with_application(pair) => {
                self.answer_info(ctx, uas, flow, &message);
            }
            Method::Info if self.take_key(ctx, (pair, side), uas, flow, &message) => {}
            Method::Info | Method::Message | Method::Notify => {
                let relayed = Relayed {
                    pair,
                    from: side,
                    uas,
                    flow,
                    request: message,
                    offered: false,
                    rack: None,
                    before: None,
                };
                self.carry_request(ctx, Box::new(relayed), None);
            }
            Method::Refer => self.handle_refer(ctx, (pair, side), uas, flow, &message),
            Method::Options => self.respond(ctx, uas, flow, &message, 200),
            _ => self.respond(ctx, uas, flow, &message, 405),
        }
    }

    /// A request for a dialog that the call no longer has, or that waits for its transfer.
    fn handle_foreign_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        uas: Uas,
        flow: Flow,
        message: &Message,
    ) {
        match message.method() {
            Method::Ack => {}
            Method::Bye if self.is_referrer(message) => {
                self.respond(ctx, uas, flow, message, 200);
                self.forget_referrer(ctx);
            }
            _ => self.respond(ctx, uas, flow, message, 481),
        }
    }

    /// Sends a request of one side on to the other.
    pub(crate) fn carry_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        mut relayed: Box<Relayed>,
        sdp: Option<&[u8]>,
    ) {
        let method = relayed.request.method();
        let from_trust = self.trust_of(relayed.pair, relayed.from);
        let Some(leg) = self.leg_mut(relayed.pair, relayed.from.other()) else {
            self.refuse_relayed(ctx, *relayed, 488);
            return;
        };
        let mut w = leg.dialog.request(method.as_str());
        if relayed.may_offer() {
            w.contact(leg.contact(ctx.config));
            w.header("Allow", ALLOW)
                .header("Supported", b"timer, replaces");
            write_session(&mut w, leg, ctx.config.session_expires_min_s);
            leg.offering = Offering::Us;
        }
        if method == Method::Notify {
            w.contact(leg.contact(ctx.config));
        }
        if method == Method::Invite {
            leg.begin_invite();
        }
        if let Some(rack) = &relayed.rack {
            w.header("RAck", rack.as_bytes());
        }
        headers::carry(&mut w, &relayed.request, from_trust, leg.trust);
        let sdp = sdp.map(|sdp| {
            relayed.before = Some(leg.sent.clone());
            leg.describe(sdp)
        });
        let way = leg.way();
        let bytes = headers::finish(w, &relayed.request, sdp.as_deref());
        self.send(ctx, method, way, bytes, Purpose::Relay(relayed));
    }

    /// The final response to a carried request.
    pub(crate) fn handle_relayed(
        &mut self,
        ctx: &mut Ctx<'_>,
        relayed: Box<Relayed>,
        flow: Flow,
        message: Message,
    ) {
        let (pair, to) = (relayed.pair, relayed.from.other());
        let ok = (200..300).contains(&message.status());
        if ok && relayed.may_offer() {
            self.accept_offer_answer(ctx, &relayed, flow, &message);
        }
        // RFC 3261 §12.2.1.2: the peer has lost the dialog.
        let lost = relayed.may_offer() && matches!(message.status(), 408 | 481);
        let sdp = message.sdp().filter(|_| ok).map(<[u8]>::to_vec);
        match sdp {
            Some(sdp) => {
                self.keep_received(pair, to, &sdp);
                let op = if relayed.offered {
                    MediaOp::Answer
                } else {
                    MediaOp::Offer
                };
                let then = Wait::Response { relayed, message };
                self.media(ctx, op, Some(pair), to, &sdp, then);
            }
            None => self.carry_response(ctx, *relayed, &message, None),
        }
        if lost && self.phase == Phase::Answered {
            self.end(ctx, Cause::PeerGone(self.who(pair, to)));
        }
    }

    /// Sends a response of one side on to the other.
    pub(crate) fn carry_response(
        &mut self,
        ctx: &mut Ctx<'_>,
        mut relayed: Relayed,
        message: &Message,
        sdp: Option<&[u8]>,
    ) {
        let from_trust = self.trust_of(relayed.pair, relayed.from.other());
        let answered = self.phase == Phase::Answered;
        // Digest towards us is our affair: the sender could do nothing with the challenge.
        let status = match message.status() {
            401 | 407 => 502,
            status => status,
        };
        let ok = (200..300).contains(&status);
        if !ok {
            self.undo_offer(&mut relayed);
        }
        let Some(leg) = self.leg_mut(relayed.pair, relayed.from) else {
            self.respond(ctx, relayed.uas, relayed.flow, &relayed.request, 481);
            return;
        };
        let phrase = match message.status() == status {
            true => core::str::from_utf8(message.reason()).unwrap_or(""),
            false => "",
        };
        let (request, remote) = (&relayed.request, relayed.flow.remote);
        let tag = &leg.dialog.local_tag;
        let mut w = Writer::response(request, remote, status, phrase, tag);
        if ok && relayed.may_offer() {
            leg.offering = Offering::Nobody;
            w.contact(leg.contact(ctx.config));
            w.header("Allow", ALLOW)
                .header("Supported", b"timer, replaces");
            Self::answer_new_dialog(&mut w, request);
            if answered {
                refresh::accept_as_callee(leg, ctx.config, request, &mut w);
            }
            if let Some(offer) = request.sdp() {
                leg.received = offer.into();
            }
            if request.method() == Method::Invite {
                leg.await_ack(relayed.uas, request);
            }
        }
        headers::carry(&mut w, message, from_trust, leg.trust);
        let sdp = sdp.map(|sdp| leg.describe(sdp));
        let bytes = headers::finish(w, message, sdp.as_deref());
        ctx.emit(Output::Respond {
            uas: relayed.uas,
            status,
            bytes,
            how: Respond::Plain,
        });
        if ok && relayed.may_offer() {
            self.arm_session(ctx, relayed.pair, relayed.from);
        }
        self.settle_replacement(ctx, relayed.pair, relayed.from, status);
    }

    /// Answers a carried request ourselves: nothing came of it.
    pub(crate) fn refuse_relayed(&mut self, ctx: &mut Ctx<'_>, mut relayed: Relayed, status: u16) {
        self.undo_offer(&mut relayed);
        self.respond(ctx, relayed.uas, relayed.flow, &relayed.request, status);
        self.settle_replacement(ctx, relayed.pair, relayed.from, status);
    }

    /// The session stays as it was before a carried request (RFC 3261 §14.1).
    fn undo_offer(&mut self, relayed: &mut Relayed) {
        let may_offer = relayed.may_offer();
        if let Some(leg) = self.leg_mut(relayed.pair, relayed.from.other()) {
            if let Some(before) = relayed.before.take() {
                leg.sent = before;
            }
            if may_offer {
                leg.offering = Offering::Nobody;
            }
        }
        let from = self.leg_mut(relayed.pair, relayed.from);
        if let Some(leg) = from.filter(|_| may_offer) {
            leg.offering = Offering::Nobody;
        }
    }

    /// The other side did not answer a carried request.
    pub(crate) fn handle_relay_failed(&mut self, ctx: &mut Ctx<'_>, relayed: Relayed) {
        let who = self.who(relayed.pair, relayed.from.other());
        let lost = relayed.may_offer() && self.phase == Phase::Answered;
        self.refuse_relayed(ctx, relayed, 408);
        if lost {
            self.end(ctx, Cause::PeerGone(who));
        }
    }

    /// The relay refuses the description in a 2xx that is to be carried back. The other side has
    /// changed already; if it still waits for an answer, there is none to give.
    pub(crate) fn take_back_response(&mut self, ctx: &mut Ctx<'_>, relayed: Relayed, status: u16) {
        let dead = !relayed.offered && relayed.request.method() == Method::Invite;
        self.refuse_relayed(ctx, relayed, status);
        if dead {
            self.end(ctx, Cause::MediaFailed);
        }
    }

    /// The ACK of a 2xx: with a late offer it brings the answer.
    fn handle_ack(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side, message: &Message) {
        let Some(uas) = self
            .leg_mut(pair, side)
            .and_then(|l| l.acknowledge(message))
        else {
            return;
        };
        ctx.emit(Output::Acknowledged { uas });
        let sdp = message.sdp().map(<[u8]>::to_vec);
        let other = self.leg(pair, side.other());
        let then = match other {
            Some(leg) if leg.owes_ack => Wait::Ack { pair, from: side },
            None if self.transfer.is_none() => Wait::ApplicationAnswer,
            _ => return,
        };
        match (sdp, then) {
            (Some(sdp), then) => {
                self.keep_received(pair, side, &sdp);
                self.media(ctx, MediaOp::Answer, Some(pair), side, &sdp, then);
            }
            (None, Wait::Ack { .. }) => self.carry_ack(ctx, pair, side, None),
            (None, _) => {}
        }
    }

    pub(crate) fn carry_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        from: Side,
        sdp: Option<&[u8]>,
    ) {
        let sdp = match self.leg_mut(pair, from.other()) {
            Some(leg) => sdp.map(|sdp| leg.describe(sdp)),
            None => return,
        };
        self.send_ack(ctx, pair, from.other(), sdp.as_deref());
    }
}

/// Session-Expires of a request inside a dialog; whoever refreshes now goes on to
/// (RFC 4028 §7.4).
pub(crate) fn write_session(w: &mut Writer, leg: &Leg, min_s: u32) {
    if leg.session_s == 0 {
        return;
    }
    let refresher = match leg.refresher {
        Refresher::Peer => "uas",
        Refresher::Us | Refresher::Nobody => "uac",
    };
    let interval_s = leg.session_s;
    w.header_fmt(
        "Session-Expires",
        format_args!("{interval_s};refresher={refresher}"),
    );
    w.header_number("Min-SE", min_s);
}
