//! Taking up a call that another node has left: what it may have done after the snapshot is not
//! known, so numbers leave a gap, peers get time, and what was under way is begun again.

use std::time::Duration;

use sip::{Flow, Message};

use crate::call::{Call, Phase};
use crate::io::{Ctx, MediaOp, Output, Timer, Uas};
use crate::leg::Reach;
use crate::pending::Wait;
use crate::reason::Cause;
use crate::transfer::{Kind, active};

/// Numbers left free for requests that followed the snapshot: a gap is no error (RFC 3261 §12.2.2),
/// a number used twice is.
const REQUESTS_UNSEEN_MAX: u32 = 1_000;

/// The least that a peer is given for its next refresh: while nobody had the call, nobody took one.
const REFRESH_PATIENCE: Duration = Duration::from_secs(32);

impl Call {
    /// Goes on with a restored call on a node that did not have it. `here` says which listener of
    /// this node speaks to a peer; connections are left behind.
    pub fn go_on(&mut self, ctx: &mut Ctx<'_>, mut here: impl FnMut(Flow) -> Flow) {
        for leg in self.kept_legs_mut() {
            leg.dialog.local_seq += REQUESTS_UNSEEN_MAX;
            leg.flow = here(leg.flow);
            if leg.flow.conn.take().is_some() {
                leg.reach = Reach::Target;
            }
        }
        if let Some(setup) = &mut self.setup {
            setup.move_here(&mut here);
        }
        self.give_patience(ctx.now + REFRESH_PATIENCE);
        if self.reanchor.is_some() {
            self.look_for_relay(ctx);
        }
        self.resume_transfer(ctx);
        if self.phase() == Phase::Setup {
            self.resume_setup(ctx);
        }
        self.tidy(ctx);
    }

    /// The owner's names for the INVITEs of peers whose 2xx have no ACK yet.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Uas> {
        let legs = self.kept_legs().map(|leg| leg.unacked);
        legs.filter(|uas| *uas != 0)
    }

    /// Of a restored call: this 2xx is sent again, in the transaction `uas`, and its ACK is waited for.
    pub fn await_ack(&mut self, uas: Uas, success: &Message) {
        let to = success.to().ok().and_then(|to| to.tag());
        let from = success.from().ok().and_then(|from| from.tag());
        let (local, remote) = (to.unwrap_or_default(), from.unwrap_or_default());
        let mut legs = self.kept_legs_mut();
        if let Some(leg) = legs.find(|leg| leg.is_dialog(local, remote)) {
            leg.await_ack(uas, success);
        }
    }

    fn give_patience(&mut self, until: clock::Time) {
        let soon: Vec<Timer> = self
            .timers()
            .filter(|(at, timer)| matches!(timer, Timer::SessionExpires(..)) && *at < until)
            .map(|(_, timer)| timer)
            .collect();
        for timer in soon {
            self.arm(timer, until);
        }
    }

    fn resume_transfer(&mut self, ctx: &mut Ctx<'_>) {
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        let (pair, by, kind) = (transfer.pair, transfer.by, transfer.kind);
        // It was told that somebody has taken its place.
        if let Some(referrer) = transfer.referrer.take() {
            self.part(ctx, referrer, Cause::Transferred.header().as_bytes());
        }
        let Some(transfer) = &self.transfer else {
            return;
        };
        match kind {
            Kind::Routing => ctx.emit(Output::Transfer {
                by,
                target: transfer.target.clone(),
                replaces: None,
            }),
            Kind::Joining => {
                let from = by.other();
                let offer = self.leg(pair, from).map(|leg| active(&leg.received));
                let then = Wait::JoinOffer { pair, from };
                self.media(
                    ctx,
                    MediaOp::Offer,
                    Some(pair),
                    from,
                    &offer.unwrap_or_default(),
                    then,
                );
            }
            Kind::Joined | Kind::Dialling | Kind::Replacing => self.transfer = None,
        }
    }
}
