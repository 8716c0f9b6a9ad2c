//! Ending: both legs always end together, and the owner hears of it once.

use std::time::Duration;

use sip::{Message, Method};

use crate::call::{Call, Phase};
use crate::io::{Ctx, EndReport, Fact, Output, Side, Uas};
use crate::leg::{Leg, PairId};
use crate::pending::Purpose;
use crate::reason::{Cause, EndedBy};

/// How long the last requests of an ended call may stay unanswered before it is forgotten: the
/// transaction layer gives each up after 64*T1 (RFC 3261 §17.1.2.2), so this never decides.
pub(crate) const LINGER: Duration = Duration::from_secs(40);

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
                self.abandon_all(ctx, None, &cause);
                let status = match cause {
                    Cause::Operator | Cause::DurationLimit => 480,
                    _ => 500,
                };
                self.answer_caller_finally(ctx, status, None, Some(&cause));
                self.close(ctx, cause, status);
            }
            Phase::Answered => self.hang_up(ctx, None, cause),
            Phase::Over => {}
        }
    }

    /// Sends BYE to every leg but the one that is gone, and closes the call.
    pub(crate) fn hang_up(
        &mut self,
        ctx: &mut Ctx<'_>,
        gone: Option<(PairId, Side)>,
        cause: Cause,
    ) {
        if self.phase != Phase::Answered {
            return;
        }
        self.abandon_all(ctx, None, &cause);
        self.setup = None;
        let reason = cause.header();
        let mut byes: Vec<Leg> = Vec::with_capacity(2);
        for pair in &self.pairs {
            for side in [Side::A, Side::B] {
                if Some((pair.id, side)) != gone {
                    byes.extend(pair.leg(side).cloned());
                }
            }
        }
        if let Some(transfer) = self.transfer.take() {
            byes.extend(transfer.referrer);
        }
        for leg in byes {
            self.bye(ctx, leg, &reason);
        }
        finish(self, ctx, cause, 200);
    }

    /// Ends one leg.
    pub(crate) fn bye(&mut self, ctx: &mut Ctx<'_>, mut leg: Leg, reason: &str) {
        if leg.owes_ack {
            // The callee waits for an ACK that will not come: end its INVITE first.
            let ack = leg.dialog.request_numbered("ACK", leg.invite_seq).finish();
            ctx.emit(Output::Ack {
                hop: leg.hop(),
                bytes: ack,
            });
        }
        let mut w = leg.dialog.request("BYE");
        w.header("Reason", reason.as_bytes());
        w.header("User-Agent", ctx.config.product.as_bytes());
        self.send(ctx, Method::Bye, leg.hop(), w.finish(), Purpose::Closing);
    }

    /// A BYE from a side.
    pub(crate) fn handle_bye(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: sip::Flow,
        request: &Message,
    ) {
        self.respond(ctx, uas, flow, request, 200);
        self.refuse_relays_to(ctx, pair, side);
        let phase = self.phase;
        match phase {
            Phase::Setup if side == Side::A => {
                // A BYE in an early dialog ends the set-up (RFC 3261 §15).
                self.abandon_all(ctx, None, &Cause::Cancelled);
                self.answer_caller_finally(ctx, 487, None, Some(&Cause::Cancelled));
                self.close(ctx, Cause::Cancelled, 487);
            }
            Phase::Setup => self.pairs.retain(|p| p.id != pair),
            Phase::Answered if self.leaves_for_transfer(pair, side) => {}
            Phase::Answered => {
                let cause = Cause::HungUp(self.who(pair, side));
                self.hang_up(ctx, Some((pair, side)), cause);
            }
            Phase::Over => {}
        }
    }

    /// No ACK for our 2xx: the call never really began (RFC 3261 §13.3.1.4).
    pub(crate) fn handle_no_ack(&mut self, ctx: &mut Ctx<'_>, uas: Uas) {
        let waits = self
            .pairs
            .iter()
            .flat_map(|p| p.legs.iter().flatten())
            .any(|leg| leg.unacked == uas && uas != 0);
        if waits {
            self.end(ctx, Cause::NoAck);
        }
    }

    /// Requests carried to the side that has just left get their answer from us.
    pub(crate) fn refuse_relays_to(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side) {
        let mut at = 0;
        while at < self.pending.len() {
            let hit = matches!(&self.pending[at].purpose,
                Purpose::Relay(r) if r.pair == pair && r.from != side);
            if !hit {
                at += 1;
                continue;
            }
            if let Purpose::Relay(relayed) = self.pending.swap_remove(at).purpose {
                self.respond(ctx, relayed.uas, relayed.flow, &relayed.request, 487);
            }
        }
    }
}

/// Tells the owner that the call is over; what is left are lingering transactions.
pub(crate) fn finish(call: &mut Call, ctx: &mut Ctx<'_>, cause: Cause, status: u16) {
    if call.phase == Phase::Over {
        return;
    }
    call.phase = Phase::Over;
    call.disarm_all();
    for leg in call.pairs.iter().flat_map(|p| p.legs.iter().flatten()) {
        if let Some(token) = leg.token {
            ctx.emit(Output::Fact(Fact::AttemptEnded {
                token,
                status: 200,
                answered_by_peer: true,
                retry_after_s: None,
            }));
        }
    }
    let callee_call_id = call
        .pairs
        .iter()
        .find_map(|p| p.leg(Side::B))
        .map(|l| l.dialog.call_id.clone())
        .unwrap_or_default();
    if call.session_open {
        ctx.emit(Output::MediaEnd {
            session: call.session,
        });
        call.session_open = false;
    }
    ctx.emit(Output::Fact(Fact::Ended(EndReport {
        cause,
        status,
        callee_call_id,
    })));
    call.pairs.clear();
    call.transfer = None;
}
