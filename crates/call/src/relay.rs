//! Requests inside a dialog: what one side sends is carried to the other, byte for byte where it
//! is not ours to change, and the answer is carried back.

use sip::{Flow, HeaderName, Message, Method, Writer};

use crate::call::{Call, Phase};
use crate::headers::{self, ALLOW};
use crate::io::{Ctx, MediaOp, Output, Respond, Side, Uas};
use crate::leg::{Offering, PairId};
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
        if flow.conn.is_some() || leg.flow.transport == flow.transport {
            leg.flow = flow;
        }
        match method {
            Method::Bye => self.handle_bye(ctx, pair, side, uas, flow, &message),
            Method::Invite | Method::Update => {
                self.handle_offer(ctx, pair, side, uas, flow, message)
            }
            Method::Prack => self.handle_prack(ctx, pair, side, uas, flow, message),
            Method::Info | Method::Message | Method::Notify => {
                let relayed = Relayed {
                    pair,
                    from: side,
                    uas,
                    flow,
                    request: message,
                    offered: false,
                    rack: None,
                };
                self.carry_request(ctx, Box::new(relayed), None);
            }
            Method::Refer => self.handle_refer(ctx, pair, side, uas, flow, &message),
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
                self.forget_referrer();
            }
            _ => self.respond(ctx, uas, flow, message, 481),
        }
    }

    /// A re-INVITE or UPDATE.
    fn handle_offer(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let is_update = message.method() == Method::Update;
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        leg.dialog.refresh_target(&message);
        if is_update && message.sdp().is_none() {
            self.answer_refresh(ctx, pair, side, uas, flow, &message);
            return;
        }
        let glare = leg.offering == Offering::Us;
        let too_soon = leg.offering == Offering::Peer || (!is_update && leg.unacked != 0);
        let unchanged = message.sdp().is_some_and(|s| *s == *leg.received) && !leg.sent.is_empty();
        if glare {
            // RFC 3261 §14.2, RFC 3311 §5.2: our own offer is under way.
            self.respond(ctx, uas, flow, &message, 491);
        } else if too_soon {
            self.respond(ctx, uas, flow, &message, 500);
        } else if self.phase == Phase::Answered && unchanged {
            self.answer_refresh(ctx, pair, side, uas, flow, &message);
        } else {
            self.begin_offer(ctx, pair, side, uas, flow, message);
        }
    }

    fn begin_offer(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let sdp = message.sdp().map(<[u8]>::to_vec);
        let Some(other) = self.leg(pair, side.other()) else {
            let op = MediaOp::Echo;
            let sdp = sdp.unwrap_or_default();
            self.keep_received(pair, side, &sdp);
            let then = Wait::Local {
                pair,
                side,
                uas,
                flow,
                request: message,
            };
            self.media(ctx, op, Some(pair), side, &sdp, then);
            return;
        };
        if other.offering != Offering::Nobody || other.unacked != 0 || other.owes_ack {
            // The other side is in the middle of its own exchange: RFC 3261 §14.2.
            self.respond(ctx, uas, flow, &message, 491);
            return;
        }
        if let Some(leg) = self.leg_mut(pair, side) {
            leg.offering = Offering::Peer;
        }
        let offered = sdp.is_some();
        let relayed = Box::new(Relayed {
            pair,
            from: side,
            uas,
            flow,
            request: message,
            offered,
            rack: None,
        });
        match sdp {
            Some(sdp) => {
                self.keep_received(pair, side, &sdp);
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
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        request: &Message,
    ) {
        let sent = self
            .leg(pair, side)
            .map(|l| l.sent.clone())
            .unwrap_or_default();
        let sdp = if request.sdp().is_some() {
            sent
        } else {
            Box::default()
        };
        self.answer_locally(ctx, pair, side, uas, flow, request, &sdp);
    }

    /// Answers a re-INVITE or UPDATE with a description of our own making.
    #[allow(clippy::too_many_arguments, reason = "one request and one description")]
    pub(crate) fn answer_locally(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        request: &Message,
        sdp: &[u8],
    ) {
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        let mut w = Writer::response(request, flow.remote, 200, "", b"");
        w.header_fmt("Contact", format_args!("<{}>", leg.contact(ctx.config)));
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        refresh::accept_as_callee(leg, ctx.config, request, &mut w);
        let bytes = if sdp.is_empty() {
            w.finish()
        } else {
            leg.sent = sdp.into();
            w.finish_with(b"application/sdp", sdp)
        };
        if request.method() == Method::Invite {
            leg.unacked = uas;
        }
        ctx.emit(Output::Respond {
            uas,
            status: 200,
            bytes,
            how: Respond::Plain,
        });
        self.arm_session(ctx, pair, side);
    }

    /// Sends a request of one side on to the other.
    pub(crate) fn carry_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        relayed: Box<Relayed>,
        sdp: Option<&[u8]>,
    ) {
        let method = relayed.request.method();
        let from_trust = self
            .leg(relayed.pair, relayed.from)
            .map(|l| l.trust)
            .unwrap_or_default();
        let Some(leg) = self.leg_mut(relayed.pair, relayed.from.other()) else {
            self.respond(ctx, relayed.uas, relayed.flow, &relayed.request, 488);
            return;
        };
        let mut w = leg.dialog.request(method.as_str());
        if matches!(method, Method::Invite | Method::Update) {
            w.header_fmt("Contact", format_args!("<{}>", leg.contact(ctx.config)));
            w.header("Allow", ALLOW)
                .header("Supported", b"timer, replaces");
            if leg.session_s > 0 {
                w.header_fmt("Session-Expires", format_args!("{}", leg.session_s));
                w.header_fmt(
                    "Min-SE",
                    format_args!("{}", ctx.config.session_expires_min_s),
                );
            }
            leg.offering = Offering::Us;
        }
        if method == Method::Invite {
            leg.invite_seq = leg.dialog.local_seq;
        }
        if let Some(rack) = &relayed.rack {
            w.header("RAck", rack.as_bytes());
        }
        headers::carry(&mut w, &relayed.request, from_trust, leg.trust);
        let sdp = sdp.map(|sdp| leg.describe(sdp));
        let hop = leg.hop();
        let bytes = headers::finish(w, &relayed.request, sdp.as_deref());
        self.send(ctx, method, hop, bytes, Purpose::Relay(relayed));
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
        let method = relayed.request.method();
        let ok = (200..300).contains(&message.status());
        let Some(leg) = self.leg_mut(pair, to) else {
            return;
        };
        if matches!(method, Method::Invite | Method::Update) {
            leg.offering = Offering::Nobody;
            if ok {
                leg.dialog.refresh_target(&message);
                leg.flow.conn = flow.conn.or(leg.flow.conn);
                leg.learn(&message);
                refresh::accept_as_caller(leg, ctx.config, &message);
            }
        }
        if ok && method == Method::Invite {
            leg.owes_ack = !relayed.offered;
            if relayed.offered {
                self.send_ack(ctx, pair, to, None);
            }
            self.arm_session(ctx, pair, to);
        }
        if matches!(message.status(), 408 | 481)
            && matches!(method, Method::Invite | Method::Update)
            && self.phase == Phase::Answered
        {
            self.carry_response(ctx, &relayed, &message, None);
            let who = self.who(pair, to);
            self.end(ctx, Cause::PeerGone(who));
            return;
        }
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
            None => self.carry_response(ctx, &relayed, &message, None),
        }
    }

    /// Sends a response of one side on to the other.
    pub(crate) fn carry_response(
        &mut self,
        ctx: &mut Ctx<'_>,
        relayed: &Relayed,
        message: &Message,
        sdp: Option<&[u8]>,
    ) {
        let from_trust = self
            .leg(relayed.pair, relayed.from.other())
            .map(|l| l.trust)
            .unwrap_or_default();
        let method = relayed.request.method();
        let status = message.status();
        let Some(leg) = self.leg_mut(relayed.pair, relayed.from) else {
            return;
        };
        let phrase = core::str::from_utf8(message.reason()).unwrap_or("");
        let mut w = Writer::response(
            &relayed.request,
            relayed.flow.remote,
            status,
            phrase,
            &leg.dialog.local_tag,
        );
        if matches!(method, Method::Invite | Method::Update) {
            leg.offering = Offering::Nobody;
            if (200..300).contains(&status) {
                w.header_fmt("Contact", format_args!("<{}>", leg.contact(ctx.config)));
                w.header("Allow", ALLOW)
                    .header("Supported", b"timer, replaces");
                refresh::accept_as_callee(leg, ctx.config, &relayed.request, &mut w);
                if method == Method::Invite {
                    leg.unacked = relayed.uas;
                }
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
        self.arm_session(ctx, relayed.pair, relayed.from);
        self.settle_replacement(ctx, relayed.pair, relayed.from, status);
    }

    /// The other side did not answer a carried request.
    pub(crate) fn handle_relay_failed(&mut self, ctx: &mut Ctx<'_>, relayed: &Relayed) {
        let (pair, to) = (relayed.pair, relayed.from.other());
        if let Some(leg) = self.leg_mut(pair, to) {
            leg.offering = Offering::Nobody;
        }
        if let Some(leg) = self.leg_mut(pair, relayed.from) {
            leg.offering = Offering::Nobody;
        }
        self.respond(ctx, relayed.uas, relayed.flow, &relayed.request, 408);
        let offer = matches!(relayed.request.method(), Method::Invite | Method::Update);
        if offer && self.phase == Phase::Answered {
            let who = self.who(pair, to);
            self.end(ctx, Cause::PeerGone(who));
        }
    }

    /// The ACK of a 2xx: with a late offer it brings the answer.
    fn handle_ack(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side, message: &Message) {
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if leg.unacked != 0 {
            let uas = std::mem::take(&mut leg.unacked);
            ctx.emit(Output::Acknowledged { uas });
        }
        let owed = self.leg(pair, side.other()).is_some_and(|l| l.owes_ack);
        if !owed {
            return;
        }
        match message.sdp().map(<[u8]>::to_vec) {
            Some(sdp) => {
                self.keep_received(pair, side, &sdp);
                let then = Wait::Ack { pair, from: side };
                self.media(ctx, MediaOp::Answer, Some(pair), side, &sdp, then);
            }
            None => self.carry_ack(ctx, pair, side, None),
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

    /// PRACK of the caller: it stops our repetitions and goes on to the callee, with the number
    /// that callee gave (RFC 3262 §3).
    fn handle_prack(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        message: Message,
    ) {
        let ours = message
            .header(HeaderName::RAck)
            .and_then(|v| v.split(|b| *b == b' ').next())
            .and_then(sip::lex::number::<u32>);
        let invite = self.early_invite_seq(pair);
        let Some(setup) = &mut self.setup else {
            self.respond(ctx, uas, flow, &message, 481);
            return;
        };
        let known = setup
            .reliable
            .iter()
            .position(|(r, p, _)| Some(*r) == ours && *p == pair);
        let (Some(at), Side::A, Some(seq)) = (known, side, invite) else {
            self.respond(ctx, uas, flow, &message, 481);
            return;
        };
        let (_, _, theirs) = setup.reliable.swap_remove(at);
        if let crate::setup::Upstream::Caller { uas: invite, .. } = &setup.upstream {
            ctx.emit(Output::Pracked { uas: *invite });
        }
        let sdp = message.sdp().map(<[u8]>::to_vec);
        let rack = format!("{theirs} {seq} INVITE");
        let offered = sdp.is_some();
        let rack = Some(rack);
        let relayed = Box::new(Relayed {
            pair,
            from: side,
            uas,
            flow,
            request: message,
            offered,
            rack,
        });
        match sdp {
            Some(sdp) => {
                self.keep_received(pair, side, &sdp);
                // With a late offer the PRACK answers; otherwise it is a new offer (RFC 3262 §5).
                let late = self.setup.as_ref().is_some_and(|s| !s.has_offer());
                let op = if late {
                    MediaOp::Answer
                } else {
                    MediaOp::Offer
                };
                self.media(ctx, op, Some(pair), side, &sdp, Wait::Request(relayed));
            }
            None => self.carry_request(ctx, relayed, None),
        }
    }

    fn early_invite_seq(&self, pair: PairId) -> Option<u32> {
        self.leg(pair, Side::B).map(|l| l.invite_seq)
    }
}
