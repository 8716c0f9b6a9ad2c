//! INVITE with Replaces (RFC 3891 §3): somebody takes the place of a leg.

use sip::{Dialog, Flow, Message, Replaces};

use crate::call::{Call, Phase};
use crate::headers::Trust;
use crate::io::{Ctx, MediaOp, Side, Uas};
use crate::leg::{Leg, Offering, PairId, Reach};
use crate::pending::{Relayed, Wait};
use crate::reason::Cause;
use crate::transfer::{Kind, Transfer};

impl Call {
    /// Puts the sender of an INVITE in the place of the leg its Replaces names. `false` if the
    /// call has no such leg that may be replaced now; the INVITE is then still to be answered.
    #[allow(
        clippy::too_many_arguments,
        reason = "one INVITE and what is known of its sender"
    )]
    pub fn replace(
        &mut self,
        ctx: &mut Ctx<'_>,
        replaces: &Replaces<'_>,
        uas: Uas,
        flow: Flow,
        reach: Reach,
        trust: Trust,
        invite: Message,
    ) -> bool {
        let free = self.phase == Phase::Answered && self.transfer.is_none() && !self.is_waiting();
        let Some((pair, side)) = self
            .named_leg(replaces)
            .filter(|_| free && !replaces.early_only)
        else {
            return false;
        };
        let tag = self.new_tag();
        let Ok(dialog) = Dialog::of_callee(&invite, &tag) else {
            return false;
        };
        let mut leg = Leg::new(dialog, flow, reach, trust);
        leg.learn(&invite);
        leg.offering = Offering::Peer;
        leg.received = invite.sdp().unwrap_or_default().into();
        let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) else {
            return false;
        };
        let mut transfer = Transfer::new(pair, side, Kind::Replacing);
        transfer.referrer = entry.legs[side as usize].replace(leg);
        if let Some(kept) = entry.leg_mut(side.other()) {
            kept.own_origin();
        }
        self.transfer = Some(Box::new(transfer));
        let sdp = invite.sdp().map(<[u8]>::to_vec);
        let offered = sdp.is_some();
        let relayed = Box::new(Relayed {
            pair,
            from: side,
            uas,
            flow,
            request: invite,
            offered,
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
        true
    }

    /// The other side has answered the newcomer's offer: the replaced leg ends, or returns.
    pub(crate) fn settle_replacement(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        status: u16,
    ) {
        let replacing = self
            .transfer
            .as_ref()
            .is_some_and(|t| t.kind == Kind::Replacing && t.pair == pair && t.by == side);
        if !replacing {
            return;
        }
        let old = self.transfer.take().and_then(|t| t.referrer);
        if (200..300).contains(&status) {
            if let Some(old) = old {
                self.part(ctx, old, Cause::Transferred.header().as_bytes());
            }
            return;
        }
        let left = old.is_none();
        if let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) {
            entry.legs[side as usize] = old;
        }
        if left {
            // It hung up while somebody was about to take its place.
            let cause = Cause::HungUp(self.who(pair, side));
            let reason = cause.header();
            self.hang_up(ctx, Some((pair, side)), cause, reason.as_bytes());
        }
    }
}
