//! Provisional and successful answers: early dialogs mirrored, the first 2xx taken.

use sip::{Dialog, Flow, HeaderName, Message, Method, Writer};

use super::{Setup, Upstream};
use crate::call::{Call, Phase, is_reliable};
use crate::headers::{self, ALLOW, Trust};
use crate::io::{Ctx, Fact, MediaOp, Output, Respond, Side, Timer};
use crate::leg::{Leg, Pair, PairId, Reach};
use crate::pending::{Purpose, Wait};
use crate::reason::Cause;
use crate::refresh;

impl Call {
    pub(crate) fn handle_provisional(
        &mut self,
        ctx: &mut Ctx<'_>,
        branch: usize,
        flow: Flow,
        message: Message,
    ) {
        let Some(setup) = &self.setup else { return };
        if let Some(id) = setup.branches[branch].request {
            self.disarm(Timer::Silence(id));
        }
        if message.status() == 100 {
            return;
        }
        let Some(setup) = &self.setup else { return };
        if let Upstream::Transfer { .. } = setup.upstream {
            self.notify_progress(ctx, message.status());
            return;
        }
        let Some(pair) = self.mirror(branch, flow, &message) else {
            return;
        };
        if is_reliable(&message) && !self.is_next_rseq(branch, pair, &message) {
            return;
        }
        match message.sdp().map(<[u8]>::to_vec) {
            Some(sdp) => {
                let op = self.early_op();
                let then = Wait::Provisional { pair, message };
                self.keep_received(pair, Side::B, &sdp);
                self.media(ctx, op, Some(pair), Side::B, &sdp, then);
            }
            None => self.pass_provisional(ctx, pair, &message, None),
        }
    }

    /// What a description in a response to our INVITE is: the answer, or the offer we left to
    /// the callee (RFC 3264 §4, RFC 6337 §2.2).
    fn early_op(&self) -> MediaOp {
        match self.setup.as_ref().map(|s| s.offer.is_some()) {
            Some(true) => MediaOp::Answer,
            _ => MediaOp::Offer,
        }
    }

    /// Whether a reliable response is the next of its early dialog; repeated ones are not
    /// (RFC 3262 §4).
    fn is_next_rseq(&mut self, branch: usize, pair: PairId, message: &Message) -> bool {
        let Some(setup) = &mut self.setup else {
            return false;
        };
        let rseq = message.number(HeaderName::RSeq).unwrap_or(0);
        let rseqs = &mut setup.branches[branch].rseqs;
        match rseqs.iter_mut().find(|(p, _)| *p == pair) {
            Some((_, last)) if rseq != last.wrapping_add(1) => false,
            Some((_, last)) => {
                *last = rseq;
                true
            }
            None => {
                rseqs.push((pair, rseq));
                true
            }
        }
    }

    pub(crate) fn pass_provisional(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        message: &Message,
        sdp: Option<&[u8]>,
    ) {
        let trust = self.trust;
        let Some(setup) = &mut self.setup else { return };
        let Upstream::Caller {
            uas, flow, invite, ..
        } = &setup.upstream
        else {
            return;
        };
        let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) else {
            return;
        };
        let Some(leg) = entry.leg_mut(Side::A) else {
            return;
        };
        let status = message.status();
        let phrase = core::str::from_utf8(message.reason()).unwrap_or("");
        let tag = &leg.dialog.local_tag;
        let mut w = Writer::response(invite, flow.remote, status, phrase, tag);
        w.header_fmt(
            "Contact",
            format_args!("<{}>", ctx.config.contact(flow.listener)),
        );
        w.header("Allow", ALLOW);
        w.copy(invite, HeaderName::RecordRoute);
        let how = if is_reliable(message) {
            setup.rseq += 1;
            let theirs = message.number(HeaderName::RSeq).unwrap_or(0);
            setup.reliable.push((setup.rseq, pair, theirs));
            w.header("Require", b"100rel")
                .header_fmt("RSeq", format_args!("{}", setup.rseq));
            Respond::Reliable
        } else {
            Respond::Plain
        };
        headers::carry(&mut w, message, Trust::Untrusted, trust);
        if let Some(sdp) = sdp {
            leg.sent = sdp.into();
        }
        let bytes = headers::finish(w, message, sdp);
        let uas = *uas;
        if status >= 180 {
            ctx.emit(Output::Fact(Fact::Ringing));
        }
        ctx.emit(Output::Respond {
            uas,
            status,
            bytes,
            how,
        });
    }

    /// The pair of an early dialog, made when its first response arrives (RFC 3261 §12.1).
    fn mirror(&mut self, branch: usize, flow: Flow, message: &Message) -> Option<PairId> {
        let remote_tag: Box<[u8]> = message
            .to()
            .ok()
            .and_then(|t| t.tag())
            .unwrap_or_default()
            .into();
        let known = self.pairs.iter().find(|p| {
            p.branch == branch
                && p.leg(Side::B)
                    .is_some_and(|l| l.dialog.remote_tag == remote_tag)
        });
        if let Some(pair) = known {
            return Some(pair.id);
        }
        let tag = self.random.tag(self.key);
        let caller = self.caller_leg(&tag)?;
        let id = self.new_pair_id();
        let setup = self.setup.as_ref()?;
        let callee = setup.callee_leg(branch, flow, message);
        self.pairs.push(Pair {
            id,
            legs: [Some(caller), Some(callee)],
            branch,
        });
        Some(id)
    }

    /// The caller's end of a new early dialog.
    fn caller_leg(&self, tag: &[u8]) -> Option<Leg> {
        let setup = self.setup.as_ref()?;
        let Upstream::Caller {
            flow,
            reach,
            invite,
            ..
        } = &setup.upstream
        else {
            return None;
        };
        let dialog = Dialog::of_callee(invite, tag).ok()?;
        let mut leg = Leg::new(dialog, *flow, *reach, self.trust);
        leg.learn(invite);
        leg.received = setup.offer.clone().unwrap_or_default();
        Some(leg)
    }

    pub(crate) fn keep_received(&mut self, pair: PairId, side: Side, sdp: &[u8]) {
        if let Some(leg) = self.leg_mut(pair, side) {
            leg.received = sdp.into();
        }
    }

    /// The first 2xx: everybody else is cancelled, its dialog becomes the call's.
    pub(crate) fn handle_success(
        &mut self,
        ctx: &mut Ctx<'_>,
        branch: usize,
        flow: Flow,
        message: Message,
    ) {
        if let Some(Upstream::Transfer { .. }) = self.setup.as_ref().map(|s| &s.upstream) {
            self.handle_transfer_answer(ctx, branch, flow, message);
            return;
        }
        let Some(pair) = self.mirror(branch, flow, &message) else {
            return;
        };
        self.abandon_all(ctx, Some(branch), &Cause::HungUp(crate::EndedBy::Platform));
        self.pairs.retain(|p| p.id == pair);
        let early_offer = self.setup.as_ref().is_some_and(|s| s.offer.is_some());
        if let Some(leg) = self.leg_mut(pair, Side::B) {
            leg.dialog.establish(&message);
            leg.flow = learned(leg.flow, flow);
            leg.learn(&message);
            leg.owes_ack = !early_offer;
        }
        if early_offer {
            self.send_ack(ctx, pair, Side::B, None);
        }
        match message.sdp().map(<[u8]>::to_vec) {
            Some(sdp) => {
                let op = self.early_op();
                self.keep_received(pair, Side::B, &sdp);
                self.media(
                    ctx,
                    op,
                    Some(pair),
                    Side::B,
                    &sdp,
                    Wait::Answer { pair, message },
                );
            }
            None => self.pass_answer(ctx, pair, &message, None),
        }
    }

    /// Sends the 2xx to the caller; from here on the call is answered.
    pub(crate) fn pass_answer(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        message: &Message,
        sdp: Option<&[u8]>,
    ) {
        let Some(setup) = self.setup.take() else {
            return;
        };
        let Upstream::Caller {
            uas, flow, invite, ..
        } = &setup.upstream
        else {
            return;
        };
        self.phase = Phase::Answered;
        self.disarm_all();
        let trust = self.trust;
        let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) else {
            return;
        };
        let token = setup.attempts[setup.branches[entry.branch].attempt].token;
        let Some(leg) = entry.leg_mut(Side::A) else {
            return;
        };
        let phrase = core::str::from_utf8(message.reason()).unwrap_or("");
        let tag = &leg.dialog.local_tag;
        let mut w = Writer::response(invite, flow.remote, message.status(), phrase, tag);
        w.header_fmt(
            "Contact",
            format_args!("<{}>", ctx.config.contact(flow.listener)),
        );
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        w.copy(invite, HeaderName::RecordRoute);
        refresh::accept_as_callee(leg, ctx.config, invite, &mut w);
        headers::carry(&mut w, message, Trust::Untrusted, trust);
        if let Some(sdp) = sdp {
            leg.sent = sdp.into();
        }
        leg.unacked = *uas;
        let bytes = headers::finish(w, message, sdp);
        ctx.emit(Output::Fact(Fact::Answered { token: Some(token) }));
        let status = message.status();
        ctx.emit(Output::Respond {
            uas: *uas,
            status,
            bytes,
            how: Respond::Plain,
        });
        self.arm_after(ctx, Timer::Duration, ctx.config.duration_max);
        if let Some(leg) = self.leg_mut(pair, Side::B) {
            refresh::accept_as_caller(leg, ctx.config, message);
        }
        self.arm_session(ctx, pair, Side::A);
        self.arm_session(ctx, pair, Side::B);
    }

    /// A final response to an INVITE we had given up.
    pub(crate) fn handle_abandoned(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: u32,
        flow: Flow,
        message: &Message,
    ) {
        self.attempt_ended(ctx, token, 0);
        if (200..300).contains(&message.status()) && message.method() == Method::Invite {
            self.end_stray_dialog(ctx, flow, message);
        }
    }

    /// A 2xx that belongs to no request we wait for: of the winner a repetition, whose ACK was
    /// lost; of anybody else a dialog that must end (RFC 3261 §13.2.2.4).
    pub(crate) fn handle_stray_2xx(&mut self, ctx: &mut Ctx<'_>, flow: Flow, message: &Message) {
        let local = message
            .from()
            .ok()
            .and_then(|f| f.tag())
            .unwrap_or_default();
        let remote = message.to().ok().and_then(|t| t.tag()).unwrap_or_default();
        let seq = message.cseq().map_or(0, |c| c.number);
        let known = self.pairs.iter().find_map(|pair| {
            [Side::A, Side::B]
                .into_iter()
                .find(|s| pair.leg(*s).is_some_and(|l| l.is_dialog(local, remote)))
                .map(|side| (pair.id, side))
        });
        match known {
            Some((pair, side)) => {
                let Some(leg) = self.leg(pair, side) else {
                    return;
                };
                if !leg.owes_ack && leg.invite_seq == seq {
                    let with = leg.acked_with.clone();
                    self.send_ack(ctx, pair, side, with.as_deref());
                }
            }
            None => self.end_stray_dialog(ctx, flow, message),
        }
    }

    /// Acknowledges and ends a dialog nobody wants.
    pub(crate) fn end_stray_dialog(&mut self, ctx: &mut Ctx<'_>, flow: Flow, message: &Message) {
        let Some(mut dialog) = dialog_of_response(message) else {
            return;
        };
        let seq = message.cseq().map_or(1, |c| c.number);
        dialog.local_seq = seq;
        let mut leg = Leg::new(dialog, flow, Reach::Flow, Trust::Untrusted);
        let ack = leg.dialog.request_numbered("ACK", seq).finish();
        ctx.emit(Output::Ack {
            hop: leg.hop(),
            bytes: ack,
        });
        let mut w = leg.dialog.request("BYE");
        w.header("Reason", Cause::Cancelled.header().as_bytes());
        self.send(ctx, Method::Bye, leg.hop(), w.finish(), Purpose::Closing);
    }

    /// The ACK of a 2xx to an INVITE of ours (RFC 3261 §13.2.2.4).
    pub(crate) fn send_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        sdp: Option<&[u8]>,
    ) {
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if leg.invite_seq == 0 {
            leg.invite_seq = leg.dialog.local_seq;
        }
        let w = leg.dialog.request_numbered("ACK", leg.invite_seq);
        leg.owes_ack = false;
        leg.acked_with = sdp.map(Into::into);
        let bytes = match sdp {
            Some(sdp) => w.finish_with(b"application/sdp", sdp),
            None => w.finish(),
        };
        ctx.emit(Output::Ack {
            hop: leg.hop(),
            bytes,
        });
    }
}

impl Setup {
    /// The callee's end of a new early dialog.
    pub(crate) fn callee_leg(&self, branch: usize, flow: Flow, message: &Message) -> Leg {
        let entry = &self.branches[branch];
        let attempt = &self.attempts[entry.attempt];
        let mut dialog = entry.dialog.clone();
        dialog.establish(message);
        let reach = match attempt.destination {
            Some(_) => Reach::Flow,
            None => Reach::Target,
        };
        let mut leg = Leg::new(dialog, learned(entry.flow, flow), reach, attempt.trust);
        leg.learn(message);
        leg.invite_seq = entry.dialog.local_seq;
        leg.token = Some(attempt.token);
        if let Some((_, sdp)) = &self.relayed_offer {
            leg.sent = sdp.to_vec().into();
        }
        leg
    }
}

/// The path to a peer: the connection its response came over, once there is one.
fn learned(sent: Flow, came: Flow) -> Flow {
    if came.conn.is_some() { came } else { sent }
}

/// Our side of the dialog that a 2xx to an INVITE of ours names.
fn dialog_of_response(message: &Message) -> Option<Dialog> {
    let from = message.from().ok()?;
    let to = message.to().ok()?;
    let bare = |uri: &[u8]| [b"<", uri, b">"].concat();
    let mut dialog = Dialog::of_caller(
        message.call_id()?,
        from.tag()?,
        &bare(from.uri),
        &bare(to.uri),
    );
    dialog.establish(message);
    Some(dialog)
}
