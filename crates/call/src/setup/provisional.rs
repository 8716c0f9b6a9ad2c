//! Provisional answers: each early dialog of a callee is mirrored by one towards the caller, as
//! a forking proxy would show it, reliable ones one at a time (RFC 3262).

use std::collections::VecDeque;

use sip::{Dialog, Flow, HeaderName, Message, Writer};

use super::{Setup, Upstream};
use crate::call::{Call, is_reliable};
use crate::headers::{self, ALLOW};
use crate::io::{Ctx, Fact, MediaOp, Output, Respond, Side, Timer};
use crate::leg::{Leg, Pair, PairId};
use crate::pending::Wait;

use super::invite::wants_100rel;

/// The most early dialogs of a call; provisional responses that would make more are dropped,
/// an answer takes the place of the oldest.
const EARLY_MAX: usize = 32;

/// The most reliable responses that wait for the PRACK of the one before; more are dropped, and
/// the callee sends them again.
const RELIABLE_MAX: usize = 16;

/// Reliable provisional responses to the caller: the second may not leave before the first is
/// acknowledged (RFC 3262 §3).
#[derive(Debug, Default)]
pub(crate) struct Reliable {
    /// The number of the last one.
    rseq: u32,
    /// The one that waits for its PRACK: its pair and the callee's number.
    unacked: Option<(PairId, u32)>,
    /// Those behind it.
    waiting: VecDeque<Waiting>,
}

/// A reliable response to the caller that has to wait, and its description as the relay made it.
#[derive(Debug)]
struct Waiting {
    pair: PairId,
    message: Message,
    sdp: Option<Box<[u8]>>,
}

impl Reliable {
    /// After so many.
    pub(super) fn numbered(rseq: u32) -> Self {
        Self {
            rseq,
            ..Self::default()
        }
    }

    /// The number of the last one.
    pub(super) const fn rseq(&self) -> u32 {
        self.rseq
    }

    /// Whether none waits.
    pub(super) fn is_calm(&self) -> bool {
        self.unacked.is_none() && self.waiting.is_empty()
    }
}

impl Setup {
    /// The callee's number of the response that a PRACK within a pair names, once.
    pub(crate) fn acknowledge_reliable(&mut self, pair: PairId, rseq: u32) -> Option<u32> {
        let reliable = &mut self.reliable;
        let (_, theirs) = reliable
            .unacked
            .filter(|(p, _)| *p == pair && reliable.rseq == rseq)?;
        reliable.unacked = None;
        Some(theirs)
    }

    /// Forgets reliable responses of dialogs that are no more.
    fn forget_reliable(&mut self, gone: &[PairId]) {
        for branch in &mut self.branches {
            branch.rseqs.retain(|(p, _)| !gone.contains(p));
        }
        let waiting = &mut self.reliable.waiting;
        waiting.retain(|w| !gone.contains(&w.pair));
    }

    /// Whether the response that waits for its PRACK belongs to a dialog that is no more; it is
    /// forgotten then.
    fn drop_unacked(&mut self, gone: &[PairId]) -> bool {
        let reliable = &mut self.reliable;
        reliable
            .unacked
            .take_if(|(p, _)| gone.contains(p))
            .is_some()
    }
}

impl Call {
    pub(crate) fn handle_provisional(
        &mut self,
        ctx: &mut Ctx<'_>,
        branch: usize,
        flow: Flow,
        message: Message,
    ) {
        let Some(setup) = &self.setup else { return };
        let is_transfer = matches!(setup.upstream, Upstream::Transfer { .. });
        if let Some(id) = setup.branches[branch].request {
            self.disarm(Timer::Silence(id));
        }
        if message.status() == 100 {
            return;
        }
        if is_transfer {
            self.notify_progress(ctx, message.status());
            return;
        }
        if self.pairs.len() >= EARLY_MAX && self.early_pair(branch, &message).is_none() {
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
            None => self.pass_provisional(ctx, pair, message, None),
        }
    }

    /// What a description in a response to our INVITE is: the answer, or the offer we left to
    /// the callee (RFC 3264 §4, RFC 6337 §2.2).
    pub(super) fn early_op(&self) -> MediaOp {
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

    /// Sends a provisional response to the caller, or keeps it until its turn comes.
    pub(crate) fn pass_provisional(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        message: Message,
        sdp: Option<&[u8]>,
    ) {
        let from = self.trust_of(pair, Side::B);
        let trust = self.trust;
        let Some(setup) = &mut self.setup else { return };
        let Upstream::Caller {
            uas, flow, invite, ..
        } = &setup.upstream
        else {
            return;
        };
        let reliable = is_reliable(&message) && wants_100rel(invite);
        if reliable && setup.reliable.unacked.is_some() {
            if setup.reliable.waiting.len() < RELIABLE_MAX {
                let sdp = sdp.map(Into::into);
                let waiting = Waiting { pair, message, sdp };
                setup.reliable.waiting.push_back(waiting);
            }
            return;
        }
        let entry = self.pairs.iter_mut().find(|p| p.id == pair);
        let Some(leg) = entry.and_then(|p| p.leg_mut(Side::A)) else {
            return;
        };
        let status = message.status();
        let phrase = core::str::from_utf8(message.reason()).unwrap_or("");
        let tag = &leg.dialog.local_tag;
        let mut w = Writer::response(invite, flow.remote, status, phrase, tag);
        w.contact(leg.contact(ctx.config));
        w.header("Allow", ALLOW);
        w.copy(invite, HeaderName::RecordRoute);
        if reliable {
            setup.reliable.rseq += 1;
            let theirs = message.number(HeaderName::RSeq).unwrap_or(0);
            setup.reliable.unacked = Some((pair, theirs));
            w.header("Require", b"100rel")
                .header_number("RSeq", setup.reliable.rseq);
        }
        headers::carry(&mut w, &message, from, trust);
        if let Some(sdp) = sdp {
            leg.sent = sdp.into();
        }
        let bytes = headers::finish(w, &message, sdp);
        if status >= 180 && !std::mem::replace(&mut setup.rang, true) {
            ctx.emit(Output::Fact(Fact::Ringing));
        }
        ctx.emit(Output::Respond {
            uas: *uas,
            status,
            bytes,
            how: if reliable {
                Respond::Reliable
            } else {
                Respond::Plain
            },
        });
    }

    /// Tells the caller once more that it rings, in the early dialog that it heard of last: whoever
    /// stands between learns by it who has the call now.
    pub(crate) fn ring_again(&mut self, ctx: &mut Ctx<'_>) {
        let Some(setup) = &self.setup else { return };
        let Upstream::Caller {
            uas, flow, invite, ..
        } = &setup.upstream
        else {
            return;
        };
        let Some(tag) = &setup.tag else { return };
        let mut legs = self.pairs.iter().filter_map(|pair| pair.leg(Side::A));
        let leg = legs.find(|leg| leg.dialog.local_tag == *tag);
        let sdp = leg.map(|leg| &*leg.sent).filter(|sdp| !sdp.is_empty());
        let status = if sdp.is_some() { 183 } else { 180 };
        let mut w = Writer::response(invite, flow.remote, status, "", tag);
        let contact = ctx.config.contact(flow.listener);
        w.contact(contact);
        w.header("Allow", ALLOW);
        w.copy(invite, HeaderName::RecordRoute);
        let bytes = match sdp {
            Some(sdp) => w.finish_with(b"application/sdp", sdp),
            None => w.finish(),
        };
        ctx.emit(Output::Respond {
            uas: *uas,
            status,
            bytes,
            how: Respond::Plain,
        });
    }

    /// The caller has acknowledged a reliable response: the next may leave.
    pub(crate) fn pracked(&mut self, ctx: &mut Ctx<'_>) {
        let Some(setup) = &mut self.setup else { return };
        if let Upstream::Caller { uas, .. } = &setup.upstream {
            ctx.emit(Output::Pracked { uas: *uas });
        }
        if let Some(Waiting { pair, message, sdp }) = setup.reliable.waiting.pop_front() {
            self.pass_provisional(ctx, pair, message, sdp.as_deref());
        }
    }

    /// Early dialogs are no more: nobody waits for the PRACK of their responses.
    pub(crate) fn forget_reliable(&mut self, ctx: &mut Ctx<'_>, gone: &[PairId]) {
        let Some(setup) = &mut self.setup else { return };
        setup.forget_reliable(gone);
        if setup.drop_unacked(gone) {
            self.pracked(ctx);
        }
    }

    /// The early dialog that a response belongs to, if it is known.
    fn early_pair(&self, branch: usize, message: &Message) -> Option<PairId> {
        let to = message.to();
        let remote_tag = to.ok().and_then(|t| t.tag()).unwrap_or_default();
        let known = |p: &&Pair| {
            let leg = p.leg(Side::B).filter(|_| p.branch == branch);
            leg.is_some_and(|l| *l.dialog.remote_tag == *remote_tag)
        };
        self.pairs.iter().find(known).map(|p| p.id)
    }

    /// The pair of an early dialog, made when its first response arrives (RFC 3261 §12.1).
    pub(super) fn mirror(
        &mut self,
        branch: usize,
        flow: Flow,
        message: &Message,
    ) -> Option<PairId> {
        if let Some(pair) = self.early_pair(branch, message) {
            return Some(pair);
        }
        let tag = self.new_tag();
        let caller = self.caller_leg(&tag)?;
        let id = self.new_pair_id();
        let setup = self.setup.as_mut()?;
        let callee = setup.callee_leg(branch, flow, message);
        setup.tag = Some(tag);
        if self.pairs.len() >= EARLY_MAX {
            self.pairs.remove(0);
        }
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
            access,
            invite,
            ..
        } = &setup.upstream
        else {
            return None;
        };
        let dialog = Dialog::of_callee(invite, tag).ok()?;
        let mut leg = Leg::new(dialog, *flow, *reach, self.trust);
        leg.keys = self.keys;
        leg.access.clone_from(access);
        leg.learn(invite);
        leg.received = setup.offer.clone().unwrap_or_default();
        Some(leg)
    }
}
