//! Successful answers: the first 2xx is taken, every other dialog ends.

use std::sync::Arc;

use sip::{Dialog, Flow, HeaderName, Message, Method, Writer};

use super::{ELSEWHERE, Setup, Upstream};
use crate::call::{Call, Phase};
use crate::challenge::Access;
use crate::ending::dialog_name;
use crate::headers::{self, ALLOW, Trust};
use crate::io::{Ctx, Fact, Output, Respond, Side, Timer};
use crate::leg::{Leg, NO_BRANCH, PairId, Reach, Role};
use crate::pending::{Pending, Purpose, Wait};
use crate::reason::Cause;
use crate::refresh;

/// Numbers left free for the PRACKs that may have followed an INVITE in an early dialog nobody
/// remembers: a gap is no error (RFC 3261 §12.2.2), a number used twice is.
const EARLY_REQUESTS_MAX: u32 = 1_000;

impl Call {
    pub(crate) fn keep_received(&mut self, pair: PairId, side: Side, sdp: &[u8]) {
        if let Some(leg) = self.leg_mut(pair, side) {
            leg.received = sdp.into();
        }
    }

    pub(crate) fn trust_of(&self, pair: PairId, side: Side) -> Trust {
        self.leg(pair, side).map(|l| l.trust).unwrap_or_default()
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
            self.handle_transfer_answer(ctx, branch, flow, &message);
            return;
        }
        let Some(pair) = self.mirror(branch, flow, &message) else {
            return;
        };
        self.abandon_others(ctx, branch);
        self.drop_pairs(ctx, |p| p.id != pair);
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
                let then = Wait::Answer { pair, message };
                self.media(ctx, op, Some(pair), Side::B, &sdp, then);
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
        let (from, trust) = (self.trust_of(pair, Side::B), self.trust);
        let Some(setup) = self.forget_setup() else {
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
        let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) else {
            return;
        };
        entry.branch = NO_BRANCH;
        let token = entry.leg(Side::B).and_then(|l| l.token);
        let Some(leg) = entry.leg_mut(Side::A) else {
            return;
        };
        let phrase = core::str::from_utf8(message.reason()).unwrap_or("");
        let tag = &leg.dialog.local_tag;
        let mut w = Writer::response(invite, flow.remote, message.status(), phrase, tag);
        w.contact(leg.contact(ctx.config));
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        w.copy(invite, HeaderName::RecordRoute);
        refresh::accept_as_callee(leg, ctx.config, invite, &mut w);
        headers::carry(&mut w, message, from, trust);
        if let Some(sdp) = sdp {
            leg.sent = sdp.into();
        }
        leg.await_ack(*uas, invite);
        let bytes = headers::finish(w, message, sdp);
        ctx.emit(Output::Fact(Fact::Answered { token }));
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
        self.move_media_soon(ctx);
    }

    /// The callee has answered, and the relay refuses its description: nobody will hear anybody,
    /// so the callee is sent off again and the caller told why.
    pub(crate) fn take_back_answer(&mut self, ctx: &mut Ctx<'_>, pair: PairId, status: u16) {
        let cause = Cause::MediaFailed;
        let entry = self.pairs.iter_mut().find(|p| p.id == pair);
        if let Some(leg) = entry.and_then(|p| p.legs[Side::B as usize].take()) {
            self.part(ctx, leg, cause.header().as_bytes());
        }
        self.fail_setup(ctx, status, None, cause);
    }

    /// A 2xx that belongs to no request we wait for: of the winner a repetition, whose ACK was
    /// lost; of anybody else a dialog that must end (RFC 3261 §13.2.2.4).
    pub(crate) fn handle_stray_2xx(&mut self, ctx: &mut Ctx<'_>, flow: Flow, message: &Message) {
        let from = message.from();
        let local = from.ok().and_then(|f| f.tag()).unwrap_or_default();
        let remote = message.to().ok().and_then(|t| t.tag()).unwrap_or_default();
        let seq = message.cseq().map_or(0, |c| c.number);
        let Some((pair, side)) = self.leg_with_tags(local, remote) else {
            self.end_stray_dialog(ctx, flow, message, None);
            return;
        };
        let Some(leg) = self.leg(pair, side) else {
            return;
        };
        if !leg.owes_ack && leg.invite_seq == seq {
            let with = leg.acked_with.clone();
            self.send_ack(ctx, pair, side, with.as_deref());
        }
    }

    /// Acknowledges and ends a dialog nobody wants.
    pub(crate) fn end_stray_dialog(
        &mut self,
        ctx: &mut Ctx<'_>,
        flow: Flow,
        message: &Message,
        access: Option<Arc<Access>>,
    ) {
        let Some(mut dialog) = dialog_of_response(message) else {
            return;
        };
        let seq = message.cseq().map_or(1, |c| c.number);
        dialog.local_seq = seq;
        let mut leg = Leg::new(dialog, flow, Reach::Flow, Trust::Untrusted);
        leg.access = access;
        let ack = leg.dialog.request_numbered("ACK", seq).finish();
        ctx.emit(Output::Ack {
            hop: leg.hop(),
            bytes: ack,
        });
        let ended = dialog_name(&leg);
        let bye = |p: &Pending| matches!(&p.purpose, Purpose::Bye { dialog } if *dialog == ended);
        if self.pending.iter().any(bye) {
            return;
        }
        leg.dialog.local_seq += EARLY_REQUESTS_MAX;
        let mut w = leg.dialog.request("BYE");
        w.header("Reason", ELSEWHERE.as_bytes());
        let purpose = Purpose::Bye { dialog: ended };
        self.send(ctx, Method::Bye, leg.way(), w.finish(), purpose);
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
        let mut w = leg.dialog.request_numbered("ACK", leg.invite_seq);
        w.raw(leg.authorization.as_deref().unwrap_or_default());
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
        leg.beyond = attempt.beyond;
        leg.role = Role::Caller;
        leg.learn(message);
        leg.invite_seq = entry.dialog.local_seq;
        leg.token = Some(attempt.token);
        leg.access = entry.access(attempt);
        leg.keys = attempt.keys;
        leg.authorization = entry
            .authorization
            .as_ref()
            .map(|(a, _)| a.as_slice().into());
        if let Some(sdp) = self.relayed_offer(self.toward(branch)) {
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
