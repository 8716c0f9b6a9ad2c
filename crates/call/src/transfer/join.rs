//! Joining two legs that are both in the call: each is re-INVITEd with the other's description.
//!
//! The first re-INVITE offers what the relay made of one side's description; its answer, through
//! the relay, is the offer to that side, whose own answer is for the relay alone.

use sip::{Flow, Message, Method};

use super::{Kind, Transfer};
use crate::call::Call;
use crate::io::{Ctx, MediaOp, Side, Timer};
use crate::leg::{Offering, PairId};
use crate::pending::{Purpose, Wait};
use crate::reason::Cause;
use crate::relay::write_session;

/// A re-INVITE of a join.
#[derive(Clone, Debug)]
pub(super) struct Join {
    side: Side,
    sdp: Box<[u8]>,
    half: Half,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

impl Call {
    pub(crate) fn send_join(&mut self, ctx: &mut Ctx<'_>, pair: PairId, from: Side, sdp: &[u8]) {
        self.reoffer(
            ctx,
            pair,
            Join {
                side: from.other(),
                sdp: sdp.into(),
                half: Half::First,
            },
        );
    }

    pub(crate) fn send_join_back(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        from: Side,
        sdp: &[u8],
    ) {
        self.reoffer(
            ctx,
            pair,
            Join {
                side: from.other(),
                sdp: sdp.into(),
                half: Half::Second,
            },
        );
    }

    /// A re-INVITE of ours with another party's description; waits its turn if the leg is in the
    /// middle of an exchange.
    fn reoffer(&mut self, ctx: &mut Ctx<'_>, pair: PairId, join: Join) {
        let side = join.side;
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if !leg.is_idle() {
            self.put_off(ctx, pair, join);
            return;
        }
        leg.offering = Offering::Us;
        let sdp = leg.describe(&join.sdp);
        let mut w = leg.dialog.request("INVITE");
        leg.begin_invite();
        w.contact(leg.contact(ctx.config));
        w.header("Allow", crate::headers::ALLOW)
            .header("Supported", b"timer, replaces");
        write_session(&mut w, leg, ctx.config.session_expires_min_s);
        let bytes = w.finish_with(b"application/sdp", &sdp);
        let way = leg.way();
        let purpose = match join.half {
            Half::First => Purpose::JoinFirst { pair, side },
            Half::Second => Purpose::JoinSecond { pair, side },
        };
        self.keep_join(pair, join);
        self.send(ctx, Method::Invite, way, bytes, purpose);
    }

    fn put_off(&mut self, ctx: &mut Ctx<'_>, pair: PairId, join: Join) {
        let side = join.side;
        let after = self.back_off(pair, side);
        self.keep_join(pair, join);
        self.arm_after(ctx, Timer::Retry(pair, side), after);
    }

    fn keep_join(&mut self, pair: PairId, join: Join) {
        let side = join.side;
        let transfer = self
            .transfer
            .get_or_insert_with(|| Box::new(Transfer::new(pair, side, Kind::Joining)));
        transfer.join = Some(join);
    }

    /// Tries a put-off join again; `false` if there is none for that side.
    pub(crate) fn retry_join(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side) -> bool {
        let join = self
            .transfer
            .as_mut()
            .filter(|t| t.pair == pair && t.join.as_ref().is_some_and(|j| j.side == side))
            .and_then(|t| t.join.take());
        match join {
            Some(join) => {
                self.reoffer(ctx, pair, join);
                true
            }
            None => false,
        }
    }

    pub(crate) fn handle_join_first(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) {
        if !self.joined(ctx, pair, side, flow, message) {
            return;
        }
        match message.sdp().map(<[u8]>::to_vec) {
            Some(sdp) => {
                self.keep_received(pair, side, &sdp);
                let then = Wait::JoinAnswer { pair, from: side };
                self.media(ctx, MediaOp::Answer, Some(pair), side, &sdp, then);
            }
            None => self.joined_up(),
        }
    }

    pub(crate) fn handle_join_second(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) {
        if !self.joined(ctx, pair, side, flow, message) {
            return;
        }
        match message.sdp().map(<[u8]>::to_vec) {
            Some(sdp) => {
                self.keep_received(pair, side, &sdp);
                self.media(ctx, MediaOp::Answer, Some(pair), side, &sdp, Wait::JoinDone);
            }
            None => self.joined_up(),
        }
    }

    /// The answer to a re-INVITE of a join: acknowledged, put off, or the end of the call.
    fn joined(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) -> bool {
        let who = self.who(pair, side);
        let join = self.transfer.as_mut().and_then(|t| t.join.take());
        let Some(leg) = self.leg_mut(pair, side) else {
            return false;
        };
        leg.offering = Offering::Nobody;
        match (message.status(), join) {
            (200..300, _) => {
                leg.dialog.refresh_target(message);
                leg.flow.conn = flow.conn.or(leg.flow.conn);
                crate::refresh::accept_as_caller(leg, ctx.config, message);
                self.send_ack(ctx, pair, side, None);
                self.arm_session(ctx, pair, side);
                true
            }
            (491, Some(join)) => {
                self.put_off(ctx, pair, join);
                false
            }
            _ => {
                self.end(ctx, Cause::PeerGone(who));
                false
            }
        }
    }
}
