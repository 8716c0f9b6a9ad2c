//! Ending: both legs always end together, and the owner hears of it once.

use std::time::Duration;

use sip::{Flow, HeaderName, Message, Method};

use crate::call::{Call, Phase};
use crate::io::{Ctx, EndReport, Fact, Output, Side, Uas};
use crate::leg::{Leg, PairId};
use crate::pending::{Purpose, Relayed};
use crate::reason::{Cause, EndedBy};

/// How long the last requests of an ended call may stay unanswered before it is forgotten: the
/// transaction layer gives each up after 64*T1 (RFC 3261 §17.1.2.2), so this never decides.
pub(crate) const LINGER: Duration = Duration::from_secs(40);

/// A leg that is to be ended as soon as its peer knows that it was answered: a BYE may not
/// overtake the 2xx (RFC 3261 §15).
#[derive(Debug)]
pub(crate) struct Parting {
    pub(crate) leg: Leg,
    reason: Box<[u8]>,
}

impl Call {
    /// Who sits at a side, in the words of the CDR.
    pub(crate) const fn who(&self, _pair: PairId, side: Side) -> EndedBy {
        match side {
            Side::A => EndedBy::Caller,
            Side::B => EndedBy::Callee,
        }
    }

    /// Ends the call from our side, whatever its phase.
    pub(crate) fn end(&mut self, ctx: &mut Ctx<'_>, cause: Cause) {
        match self.phase {
            Phase::Setup => {
                let status = match cause {
                    Cause::Operator | Cause::DurationLimit => 480,
                    Cause::Stopping => 503,
                    _ => 500,
                };
                self.fail_setup(ctx, status, None, cause);
            }
            Phase::Answered => {
                let reason = cause.header();
                self.hang_up(ctx, None, cause, reason.as_bytes());
            }
            Phase::Over => {}
        }
    }

    /// Sends BYE to every leg but the one that is gone, and closes the call.
    pub(crate) fn hang_up(
        &mut self,
        ctx: &mut Ctx<'_>,
        gone: Option<(PairId, Side)>,
        cause: Cause,
        reason: &[u8],
    ) {
        if self.phase != Phase::Answered {
            return;
        }
        self.phase = Phase::Over;
        self.reanchor = None;
        self.stop_looking(ctx, &cause.header());
        self.forget_setup();
        self.refuse_relays(ctx, 487, |_| true);
        let callee_call_id = self.callee_call_id();
        let mut left: Vec<Leg> = Vec::with_capacity(2);
        for mut pair in std::mem::take(&mut self.pairs) {
            for side in [Side::A, Side::B] {
                let leg = pair.legs[side as usize].take();
                if Some((pair.id, side)) == gone {
                    leg.iter().for_each(|leg| peer_left(ctx, leg));
                } else {
                    left.extend(leg);
                }
            }
        }
        if let Some(transfer) = self.transfer.take() {
            transfer.end_media(ctx);
            left.extend(transfer.referrer);
        }
        for leg in left {
            self.part(ctx, leg, reason);
        }
        self.finish(ctx, cause, 200, callee_call_id);
    }

    /// Ends one leg, at once if its peer has acknowledged our 2xx, else when it does.
    pub(crate) fn part(&mut self, ctx: &mut Ctx<'_>, leg: Leg, reason: &[u8]) {
        if leg.unacked == 0 {
            self.bye(ctx, leg, reason);
        } else {
            let reason = reason.into();
            self.parting.push(Parting { leg, reason });
        }
    }

    fn bye(&mut self, ctx: &mut Ctx<'_>, mut leg: Leg, reason: &[u8]) {
        if leg.owes_ack {
            // The callee waits for an ACK that will not come: end its INVITE first.
            let mut w = leg.dialog.request_numbered("ACK", leg.invite_seq);
            w.raw(leg.authorization.as_deref().unwrap_or_default());
            ctx.emit(Output::Ack {
                hop: leg.hop(),
                bytes: w.finish(),
            });
        }
        let mut w = leg.dialog.request("BYE");
        w.header("Reason", reason);
        w.header("User-Agent", ctx.config.product.as_bytes());
        let dialog = dialog_name(&leg);
        self.send(
            ctx,
            Method::Bye,
            leg.way(),
            w.finish(),
            Purpose::Bye { dialog },
        );
        leg_ended(ctx, &leg);
    }

    /// A request of a peer whose leg waits for its BYE; `false` if it is none of those.
    pub(crate) fn handle_parting(
        &mut self,
        ctx: &mut Ctx<'_>,
        uas: Uas,
        flow: Flow,
        message: &Message,
    ) -> bool {
        let local = message.to().ok().and_then(|t| t.tag()).unwrap_or_default();
        let from = message.from();
        let remote = from.ok().and_then(|f| f.tag()).unwrap_or_default();
        let found = |p: &Parting| p.leg.is_dialog(local, remote);
        let Some(at) = self.parting.iter().position(found) else {
            return false;
        };
        match message.method() {
            Method::Ack => {
                if let Some(uas) = self.parting[at].leg.acknowledge(message) {
                    ctx.emit(Output::Acknowledged { uas });
                    let Parting { leg, reason } = self.parting.remove(at);
                    self.bye(ctx, leg, &reason);
                }
            }
            Method::Bye => {
                let Parting { leg, .. } = self.parting.remove(at);
                peer_left(ctx, &leg);
                self.respond(ctx, uas, flow, message, 200);
            }
            _ => self.respond(ctx, uas, flow, message, 481),
        }
        true
    }

    /// A BYE from a side.
    pub(crate) fn handle_bye(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        request: &Message,
    ) {
        self.respond(ctx, uas, flow, request, 200);
        let phase = self.phase;
        match phase {
            // A BYE in an early dialog ends the set-up (RFC 3261 §15).
            Phase::Setup if side == Side::A => self.fail_setup(ctx, 487, None, Cause::Cancelled),
            Phase::Setup => self.drop_pairs(ctx, |p| p.id == pair),
            Phase::Answered if self.leaves_for_transfer(ctx, pair, side) => {}
            Phase::Answered => {
                let cause = Cause::HungUp(self.who(pair, side));
                let ours = cause.header();
                let theirs = request.header(HeaderName::Reason);
                let reason = theirs.unwrap_or(ours.as_bytes());
                self.hang_up(ctx, Some((pair, side)), cause, reason);
            }
            Phase::Over => {}
        }
    }

    /// No ACK for our 2xx: the call never really began (RFC 3261 §13.3.1.4).
    pub(crate) fn handle_no_ack(&mut self, ctx: &mut Ctx<'_>, uas: Uas) {
        if uas == 0 {
            return;
        }
        if let Some(at) = self.parting.iter().position(|p| p.leg.unacked == uas) {
            let Parting { leg, reason } = self.parting.remove(at);
            self.bye(ctx, leg, &reason);
            return;
        }
        let mut legs = self.pairs.iter_mut().flat_map(|p| p.legs.iter_mut());
        if let Some(leg) = legs.find_map(|l| l.as_mut().filter(|l| l.unacked == uas)) {
            leg.unacked = 0;
            self.end(ctx, Cause::NoAck);
        }
    }

    /// Gives requests carried from one side to the other their answer from us.
    pub(crate) fn refuse_relays(
        &mut self,
        ctx: &mut Ctx<'_>,
        status: u16,
        wanted: impl Fn(&Relayed) -> bool,
    ) {
        let mut at = 0;
        while at < self.pending.len() {
            let hit = matches!(&self.pending[at].purpose, Purpose::Relay(r) if wanted(r));
            if !hit {
                at += 1;
            } else if let Purpose::Relay(relayed) = self.pending.remove(at).purpose {
                self.refuse_relayed(ctx, *relayed, status);
            }
        }
    }

    /// Forgets early dialogs; requests carried within them are answered.
    pub(crate) fn drop_pairs(
        &mut self,
        ctx: &mut Ctx<'_>,
        dropped: impl Fn(&crate::leg::Pair) -> bool,
    ) {
        let gone: Vec<PairId> = self
            .pairs
            .iter()
            .filter(|p| dropped(p))
            .map(|p| p.id)
            .collect();
        if gone.is_empty() {
            return;
        }
        self.refuse_relays(ctx, 487, |r| gone.contains(&r.pair));
        self.pairs.retain(|p| !gone.contains(&p.id));
        self.forget_reliable(ctx, &gone);
    }

    /// Tells the owner that the call is over; what is left are lingering transactions.
    pub(crate) fn finish(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: Cause,
        status: u16,
        callee_call_id: Box<[u8]>,
    ) {
        self.phase = Phase::Over;
        self.disarm_all();
        if std::mem::take(&mut self.session_open) {
            ctx.emit(Output::MediaEnd {
                session: self.session,
            });
        }
        ctx.emit(Output::Fact(Fact::Ended(EndReport {
            cause,
            status,
            callee_call_id,
        })));
    }

    fn callee_call_id(&self) -> Box<[u8]> {
        self.pairs
            .iter()
            .find_map(|p| p.leg(Side::B))
            .map(|l| l.dialog.call_id.clone())
            .unwrap_or_default()
    }

    /// Whatever has not come by now will not come.
    pub(crate) fn give_up_lingering(&mut self, ctx: &mut Ctx<'_>) {
        for pending in std::mem::take(&mut self.pending) {
            if let Purpose::Abandoned { token, .. } = pending.purpose {
                self.attempt_given_up(ctx, token);
            }
        }
        for Parting { leg, reason } in std::mem::take(&mut self.parting) {
            self.bye(ctx, leg, &reason);
        }
        self.pending.clear();
    }
}

/// Names the dialog of a leg within a call: Call-ID and the peer's tag.
pub(crate) fn dialog_name(leg: &Leg) -> Box<[u8]> {
    [&*leg.dialog.call_id, b" ", &*leg.dialog.remote_tag]
        .concat()
        .into()
}

/// A leg whose peer has said BYE: that says that it has our 2xx, too, which need not be sent again.
pub(crate) fn peer_left(ctx: &mut Ctx<'_>, leg: &Leg) {
    if leg.unacked != 0 {
        ctx.emit(Output::Acknowledged { uas: leg.unacked });
    }
    leg_ended(ctx, leg);
}

/// The attempt that made a leg is over with it.
fn leg_ended(ctx: &mut Ctx<'_>, leg: &Leg) {
    if let Some(token) = leg.token {
        ctx.emit(Output::Fact(Fact::AttemptEnded {
            token,
            status: 200,
            answered_by_peer: true,
            retry_after_s: None,
        }));
    }
}
