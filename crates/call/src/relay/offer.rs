//! Re-INVITE and UPDATE: carried to the other side, or answered here where nothing changes
//! (RFC 3261 §14, RFC 3311, RFC 4028 §9).

use sip::{Flow, HeaderName, Message, Method, Writer};

use crate::call::{Call, Phase};
use crate::headers::ALLOW;
use crate::io::{Ctx, MediaOp, Output, Respond, Side, Uas};
use crate::leg::{Offering, PairId};
use crate::pending::{Purpose, Relayed, Wait};
use crate::reason::Cause;
use crate::refresh;
use crate::setup::asks_too_short_session;

impl Call {
    /// A re-INVITE or UPDATE.
    pub(super) fn handle_offer(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let is_update = message.method() == Method::Update;
        let alone = self.leg(pair, side.other()).is_none();
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        let too_short = asks_too_short_session(&message, ctx.config.session_expires_min_s);
        let is_refresh = is_update && message.sdp().is_none();
        let glare = leg.offering == Offering::Us;
        let too_soon = leg.offering == Offering::Peer || (!is_update && leg.unacked != 0);
        let unchanged = message.sdp().is_some_and(|s| *s == *leg.received) && !leg.sent.is_empty();
        let status = if too_short {
            422
        } else if is_refresh {
            0
        } else if glare || (alone && self.transfer.is_some()) {
            // RFC 3261 §14.2, RFC 3311 §5.2: our own offer is under way, or about to be.
            491
        } else if too_soon {
            500
        } else {
            0
        };
        if status != 0 {
            self.respond(ctx, uas, flow, &message, status);
            return;
        }
        if let Some(leg) = self.leg_mut(pair, side) {
            leg.dialog.refresh_target(&message);
        }
        if is_refresh || (self.phase == Phase::Answered && unchanged) {
            self.answer_refresh(ctx, (pair, side), uas, flow, &message);
        } else if alone {
            self.ask_application(ctx, (pair, side), uas, flow, message);
        } else {
            self.begin_offer(ctx, (pair, side), uas, flow, message);
        }
    }

    /// The application answers in the place of another side.
    fn ask_application(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let sdp = message.sdp().unwrap_or_default().to_vec();
        let then = Wait::Local {
            pair,
            side,
            uas,
            flow,
            request: message,
        };
        self.media(ctx, MediaOp::Echo, Some(pair), side, &sdp, then);
    }

    fn begin_offer(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        if !self.leg(pair, side.other()).is_some_and(|l| l.is_idle()) {
            // The other side is in the middle of its own exchange: RFC 3261 §14.2.
            self.respond(ctx, uas, flow, &message, 491);
            return;
        }
        if let Some(leg) = self.leg_mut(pair, side) {
            leg.offering = Offering::Peer;
        }
        let sdp = message.sdp().map(<[u8]>::to_vec);
        let relayed = Box::new(Relayed {
            pair,
            from: side,
            uas,
            flow,
            request: message,
            offered: sdp.is_some(),
            rack: None,
            before: None,
        });
        match sdp {
            Some(sdp) => {
                let then = Wait::Request(relayed);
                self.media(ctx, MediaOp::Offer, Some(pair), side, &sdp, then);
            }
            None => self.carry_request(ctx, relayed, None),
        }
    }

    /// A session refresh is answered here: nothing changes for the other side (RFC 4028 §9).
    fn answer_refresh(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        request: &Message,
    ) {
        let sent = self.leg(pair, side).map(|l| l.sent.clone());
        let sdp = sent.filter(|_| request.sdp().is_some()).unwrap_or_default();
        self.answer_locally(ctx, (pair, side), uas, flow, request, &sdp);
    }

    /// Answers a re-INVITE or UPDATE with a description of our own making.
    pub(crate) fn answer_locally(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        request: &Message,
        sdp: &[u8],
    ) {
        let answered = self.phase == Phase::Answered;
        let Some(leg) = self.leg_mut(pair, side) else {
            self.respond(ctx, uas, flow, request, 481);
            return;
        };
        let mut w = Writer::response(request, flow.remote, 200, "", b"");
        w.contact(leg.contact(ctx.config));
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        if answered {
            refresh::accept_as_callee(leg, ctx.config, request, &mut w);
        }
        if let Some(offer) = request.sdp() {
            leg.received = offer.into();
        }
        let bytes = if sdp.is_empty() {
            w.finish()
        } else {
            leg.sent = sdp.into();
            w.finish_with(b"application/sdp", sdp)
        };
        if request.method() == Method::Invite {
            leg.await_ack(uas, request);
        }
        ctx.emit(Output::Respond {
            uas,
            status: 200,
            bytes,
            how: Respond::Plain,
        });
        self.arm_session(ctx, pair, side);
    }

    /// The other side answered a carried re-INVITE or UPDATE with a 2xx.
    pub(super) fn accept_offer_answer(
        &mut self,
        ctx: &mut Ctx<'_>,
        relayed: &Relayed,
        flow: Flow,
        message: &Message,
    ) {
        let (pair, to) = (relayed.pair, relayed.from.other());
        let answered = self.phase == Phase::Answered;
        let Some(leg) = self.leg_mut(pair, to) else {
            return;
        };
        leg.offering = Offering::Nobody;
        leg.dialog.refresh_target(message);
        leg.flow.conn = flow.conn.or(leg.flow.conn);
        leg.learn(message);
        if answered {
            refresh::accept_as_caller(leg, ctx.config, message);
        }
        if relayed.request.method() == Method::Invite {
            leg.owes_ack = !relayed.offered;
            if relayed.offered {
                self.send_ack(ctx, pair, to, None);
            }
        }
        self.arm_session(ctx, pair, to);
    }

    /// The sender of a carried re-INVITE has cancelled it; there is never more than one.
    pub(crate) fn cancel_relayed(&mut self, ctx: &mut Ctx<'_>, reason: Option<&[u8]>) {
        let is_invite = |purpose: &Purpose| matches!(purpose, Purpose::Relay(r) if r.request.method() == Method::Invite);
        let Some(pending) = self.pending.iter().find(|p| is_invite(&p.purpose)) else {
            return;
        };
        let reason = match reason.and_then(|r| core::str::from_utf8(r).ok()) {
            Some(reason) => reason.into(),
            None => Cause::Cancelled.header().into(),
        };
        ctx.emit(Output::Cancel {
            id: pending.id,
            reason,
        });
    }

    /// What a request that creates a dialog needs in its answer (RFC 3261 §12.1.1).
    pub(super) fn answer_new_dialog(w: &mut Writer, request: &Message) {
        if request.to().is_ok_and(|to| to.tag().is_none()) {
            w.copy(request, HeaderName::RecordRoute);
        }
    }
}
