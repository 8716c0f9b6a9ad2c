//! Setting a call up: the INVITE of a caller, or a transfer, is offered to attempts until one
//! answers (RFC 3261 §13, §16.7 for the choice among answers).

mod answer;
mod invite;
mod outcome;

use std::net::IpAddr;

use bytes::Bytes;
use sip::{Destination, Dialog, Flow, HeaderName, Message, Writer};

use crate::call::{Call, Phase};
use crate::ending;
use crate::headers;
use crate::io::{
    Ctx, Fact, Family, MediaOp, Output, RefusedDial, RequestId, Respond, Side, Timer, Uac, Uas,
};
use crate::leg::{Leg, PairId, Reach, session_expires};
use crate::pending::{Purpose, Wait};
use crate::plan::{ATTEMPTS_MAX, Attempt, Plan};
use crate::reason::Cause;

/// The most redirections one set-up follows (RFC 3261 §8.1.3.4 leaves it to us).
const REDIRECTS_MAX: u8 = 5;

/// An INVITE of ours in search of somebody who answers.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) upstream: Upstream,
    attempts: Vec<Attempt>,
    /// The first attempt that has not been dialled.
    next: usize,
    /// Attempts dialled whose targets are not known yet, and redirections being routed.
    asking: usize,
    branches: Vec<Branch>,
    /// The description to offer; `None` if the caller leaves the offer to the callee.
    offer: Option<Box<[u8]>>,
    /// What the relay made of it, for one family.
    relayed_offer: Option<(Family, Bytes)>,
    /// The best failure so far.
    best: Option<(u16, Option<Message>)>,
    redirects: u8,
    /// The number of the last reliable provisional response to the caller.
    pub(crate) rseq: u32,
    /// The mirror of RSeq: ours, the pair, the callee's.
    pub(crate) reliable: Vec<(u32, PairId, u32)>,
}

/// For whom somebody is looked for.
#[derive(Debug)]
pub(crate) enum Upstream {
    /// The caller waits for an answer to its INVITE.
    Caller {
        uas: Uas,
        flow: Flow,
        reach: Reach,
        invite: Message,
    },
    /// A side of the call was referred to somebody else (RFC 3515).
    Transfer { kept: Side },
}

/// One attempt under way.
#[derive(Debug)]
struct Branch {
    attempt: usize,
    /// The dialog before any response; early dialogs are made from it.
    dialog: Dialog,
    flow: Flow,
    /// The request under way; `None` when it has ended.
    request: Option<RequestId>,
    /// Targets not yet tried (RFC 3263 §4.3).
    targets: Vec<Destination>,
    /// The Authorization header of the next try, and how often we were challenged.
    authorization: Option<(Vec<u8>, u8)>,
    /// Session-Expires asked for; raised by 422.
    session_s: u32,
    /// The last RSeq seen, by early dialog.
    rseqs: Vec<(PairId, u32)>,
}

impl Setup {
    pub(crate) fn of_caller(
        uas: Uas,
        flow: Flow,
        reach: Reach,
        invite: Message,
        plan: Plan,
    ) -> Self {
        let offer = invite.sdp().map(Into::into);
        Self::new(
            Upstream::Caller {
                uas,
                flow,
                reach,
                invite,
            },
            plan,
            offer,
        )
    }

    pub(crate) fn of_transfer(kept: Side, plan: Plan, offer: &[u8]) -> Self {
        let offer = (!offer.is_empty()).then(|| offer.into());
        Self::new(Upstream::Transfer { kept }, plan, offer)
    }

    fn new(upstream: Upstream, plan: Plan, offer: Option<Box<[u8]>>) -> Self {
        let mut attempts = plan.attempts;
        attempts.truncate(ATTEMPTS_MAX);
        Self {
            upstream,
            attempts,
            next: 0,
            asking: 0,
            branches: Vec::new(),
            offer,
            relayed_offer: None,
            best: None,
            redirects: 0,
            rseq: 0,
            reliable: Vec::new(),
        }
    }
}

impl Setup {
    /// Whether the caller made the offer.
    pub(crate) const fn has_offer(&self) -> bool {
        self.offer.is_some()
    }
}

impl Call {
    pub(crate) fn begin_setup(&mut self, ctx: &mut Ctx<'_>) {
        if !self.session_interval_fits(ctx) {
            return;
        }
        self.dial_next_stage(ctx);
        self.settle(ctx);
    }

    /// Refuses a caller that asks for too short a session (RFC 4028 §9).
    pub(crate) fn session_interval_fits(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let min_s = ctx.config.session_expires_min_s;
        let Some(setup) = &self.setup else {
            return false;
        };
        let Upstream::Caller {
            uas, flow, invite, ..
        } = &setup.upstream
        else {
            return true;
        };
        let too_short = session_expires(invite).is_some_and(|(s, _)| s < min_s)
            && invite.lists(HeaderName::Supported, "timer");
        if too_short {
            let tag = self.random.tag(self.key);
            let mut w = Writer::response(invite, flow.remote, 422, "", &tag);
            w.header_fmt("Min-SE", format_args!("{min_s}"));
            ctx.emit(Output::Respond {
                uas: *uas,
                status: 422,
                bytes: w.finish(),
                how: Respond::Plain,
            });
            self.close(ctx, Cause::Refused(422), 422);
        }
        !too_short
    }

    /// Dials all attempts of the next stage; `false` if there is none.
    fn dial_next_stage(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some(setup) = &mut self.setup else {
            return false;
        };
        let Some(stage) = setup.attempts.get(setup.next).map(|a| a.stage) else {
            return false;
        };
        let mut ring_max = std::time::Duration::ZERO;
        while let Some(attempt) = setup.attempts.get(setup.next).filter(|a| a.stage == stage) {
            ring_max = ring_max.max(attempt.ring_max);
            ctx.emit(Output::Dial {
                attempt: setup.next,
                token: attempt.token,
                destination: attempt.destination.clone(),
                uri: attempt.uri.clone(),
            });
            setup.next += 1;
            setup.asking += 1;
        }
        self.arm_after(ctx, Timer::Ring, ring_max);
        true
    }

    pub(crate) fn handle_dial(
        &mut self,
        ctx: &mut Ctx<'_>,
        attempt: usize,
        targets: Result<Vec<Destination>, RefusedDial>,
    ) {
        let Some(setup) = &mut self.setup else { return };
        setup.asking = setup.asking.saturating_sub(1);
        match targets {
            Ok(mut targets) if !targets.is_empty() => {
                targets.reverse();
                let branch = self.new_branch(ctx, attempt, targets);
                self.try_target(ctx, branch);
            }
            Ok(_) => self.note_failure(503, None),
            Err(refused) => self.note_failure(refused.status, None),
        }
        self.settle(ctx);
    }

    fn new_branch(&mut self, ctx: &Ctx<'_>, attempt: usize, targets: Vec<Destination>) -> usize {
        let tag = self.random.tag(self.key);
        let call_id = self.random.call_id();
        let Some(setup) = &mut self.setup else {
            return 0;
        };
        let plan = &setup.attempts[attempt];
        let mut dialog = Dialog::of_caller(&call_id, &tag, &plan.from, &plan.to);
        dialog.target = plan.uri.clone();
        dialog.routes = plan.routes.clone();
        setup.branches.push(Branch {
            attempt,
            dialog,
            flow: flow_of(&targets[0]),
            request: None,
            targets,
            authorization: None,
            session_s: ctx.config.session_expires_s,
            rseqs: Vec::new(),
        });
        setup.branches.len() - 1
    }

    /// Sends the INVITE of a branch to its next target, asking the relay for the offer first.
    fn try_target(&mut self, ctx: &mut Ctx<'_>, branch: usize) {
        let Some(setup) = &mut self.setup else { return };
        let entry = &mut setup.branches[branch];
        let Some(target) = entry.targets.last() else {
            return;
        };
        entry.flow = flow_of(target);
        let family = Family::of(entry.flow.remote.ip().to_canonical());
        let Some(offer) = setup.offer.clone() else {
            self.send_invite(ctx, branch, None);
            return;
        };
        if let Some((_, sdp)) = setup.relayed_offer.as_ref().filter(|(f, _)| *f == family) {
            let sdp = sdp.clone();
            self.send_invite(ctx, branch, Some(&sdp));
            return;
        }
        let from = self.offering_side();
        self.media(
            ctx,
            MediaOp::Offer,
            None,
            from,
            &offer,
            Wait::Invite { branch },
        );
    }

    /// Which side of the media session the offer comes from.
    pub(crate) fn offering_side(&self) -> Side {
        match self.setup.as_ref().map(|s| &s.upstream) {
            Some(Upstream::Transfer { kept, .. }) => *kept,
            _ => Side::A,
        }
    }

    /// For the relay: where the offerer's signalling comes from, and the family toward the other
    /// side.
    pub(crate) fn media_ends(&self, pair: Option<PairId>, from: Side) -> (IpAddr, Family) {
        let here = pair.and_then(|p| self.leg(p, from)).map(|l| l.flow);
        let there = pair.and_then(|p| self.leg(p, from.other()));
        let upstream = match self.setup.as_ref().map(|s| &s.upstream) {
            Some(Upstream::Caller { flow, .. }) => Some(*flow),
            _ => None,
        };
        let newest = self
            .setup
            .as_ref()
            .and_then(|s| s.branches.last())
            .map(|b| b.flow);
        let signalling = here
            .or(upstream)
            .or(newest)
            .map(|f| f.remote.ip().to_canonical());
        let toward = there.map(Leg::family).or_else(|| {
            newest
                .or(upstream)
                .map(|f| Family::of(f.remote.ip().to_canonical()))
        });
        (
            signalling.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
            toward.unwrap_or(Family::V4),
        )
    }

    pub(crate) fn handle_routed(&mut self, ctx: &mut Ctx<'_>, plan: Result<Plan, RefusedDial>) {
        if self.transfer_waits_for_plan() {
            self.handle_transfer_plan(ctx, plan);
            return;
        }
        let Some(setup) = &mut self.setup else { return };
        setup.asking = setup.asking.saturating_sub(1);
        match plan {
            Ok(plan) => {
                // Redirected attempts come next, before later stages (RFC 3261 §8.1.3.4).
                let stage = setup
                    .attempts
                    .get(setup.next.wrapping_sub(1))
                    .map_or(0, |a| a.stage);
                let room = ATTEMPTS_MAX.saturating_sub(setup.attempts.len());
                let fresh = plan
                    .attempts
                    .into_iter()
                    .take(room)
                    .map(|a| Attempt { stage, ..a });
                let at = setup.next;
                setup.attempts.splice(at..at, fresh);
                if setup.attempts.len() > at {
                    self.dial_redirected(ctx, stage);
                }
            }
            Err(refused) => self.note_failure(refused.status, None),
        }
        self.settle(ctx);
    }

    fn dial_redirected(&mut self, ctx: &mut Ctx<'_>, stage: u16) {
        let Some(setup) = &self.setup else { return };
        if setup
            .attempts
            .get(setup.next)
            .is_some_and(|a| a.stage == stage)
        {
            self.dial_next_stage(ctx);
        }
    }

    pub(crate) fn handle_silence(&mut self, ctx: &mut Ctx<'_>, request: RequestId) {
        let Some(at) = self.pending.iter().position(|p| p.id == request) else {
            return;
        };
        let Purpose::Invite { branch } = self.pending[at].purpose else {
            return;
        };
        self.pending.swap_remove(at);
        ctx.emit(Output::Cancel {
            id: request,
            reason: Cause::NoAnswer.header().into(),
        });
        let token = self
            .setup
            .as_ref()
            .map_or(0, |s| s.attempts[s.branches[branch].attempt].token);
        self.pending.push(crate::pending::Pending {
            id: request,
            purpose: Purpose::Abandoned { token },
        });
        self.fail_over(ctx, branch, Uac::Timeout);
    }

    pub(crate) fn handle_ring_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let open: Vec<usize> = match &self.setup {
            Some(setup) => (0..setup.branches.len())
                .filter(|b| setup.branches[*b].request.is_some())
                .collect(),
            None => return,
        };
        for branch in open {
            self.abandon(ctx, branch, &Cause::NoAnswer);
            self.note_failure(480, None);
        }
        self.settle(ctx);
    }

    /// Gives up one branch: CANCEL, and a late 2xx is ended.
    fn abandon(&mut self, ctx: &mut Ctx<'_>, branch: usize, cause: &Cause) {
        let Some(setup) = &mut self.setup else { return };
        let Some(id) = setup.branches[branch].request.take() else {
            return;
        };
        let token = setup.attempts[setup.branches[branch].attempt].token;
        self.disarm(Timer::Silence(id));
        if let Some(pending) = self.pending.iter_mut().find(|p| p.id == id) {
            pending.purpose = Purpose::Abandoned { token };
        }
        ctx.emit(Output::Cancel {
            id,
            reason: cause.header().into(),
        });
        self.pairs.retain(|p| p.branch != branch);
    }

    /// Gives up all branches but one.
    pub(crate) fn abandon_all(&mut self, ctx: &mut Ctx<'_>, but: Option<usize>, cause: &Cause) {
        let count = self.setup.as_ref().map_or(0, |s| s.branches.len());
        for branch in (0..count).filter(|b| Some(*b) != but) {
            self.abandon(ctx, branch, cause);
        }
    }

    /// The caller gave up (RFC 3261 §9.2).
    pub(crate) fn handle_cancelled(&mut self, ctx: &mut Ctx<'_>, reason: Option<&[u8]>) {
        let Some(setup) = &self.setup else { return };
        if !matches!(setup.upstream, Upstream::Caller { .. }) {
            return;
        }
        let _ = reason;
        self.abandon_all(ctx, None, &Cause::Cancelled);
        self.answer_caller_finally(ctx, 487, None, None);
        self.close(ctx, Cause::Cancelled, 487);
    }

    /// The final failure to the caller, or to the leg that asked for the transfer.
    pub(crate) fn answer_caller_finally(
        &mut self,
        ctx: &mut Ctx<'_>,
        status: u16,
        source: Option<&Message>,
        cause: Option<&Cause>,
    ) {
        let Some(setup) = self.setup.take() else {
            return;
        };
        self.disarm(Timer::Ring);
        match setup.upstream {
            Upstream::Caller {
                uas, flow, invite, ..
            } => {
                let tag = self.random.tag(self.key);
                let phrase = source
                    .and_then(|m| core::str::from_utf8(m.reason()).ok())
                    .filter(|_| source.is_some_and(|m| m.status() == status))
                    .unwrap_or("");
                let mut w = Writer::response(&invite, flow.remote, status, phrase, &tag);
                w.header("Server", ctx.config.product.as_bytes());
                if let Some(source) = source {
                    headers::carry(&mut w, source, headers::Trust::Untrusted, self.trust);
                }
                let has_reason = source.is_some_and(|m| m.header(HeaderName::Reason).is_some());
                if !has_reason {
                    let refused = Cause::Refused(status);
                    w.header("Reason", cause.unwrap_or(&refused).header().as_bytes());
                }
                ctx.emit(Output::Respond {
                    uas,
                    status,
                    bytes: w.finish(),
                    how: Respond::Plain,
                });
                self.pairs.clear();
            }
            Upstream::Transfer { .. } => self.transfer_failed(ctx, status),
        }
    }

    pub(crate) fn attempt_ended(&self, ctx: &mut Ctx<'_>, token: u32, status: u16) {
        ctx.emit(Output::Fact(Fact::AttemptEnded {
            token,
            status,
            answered_by_peer: false,
            retry_after_s: None,
        }));
    }

    /// Closes a call that nobody answered.
    pub(crate) fn close(&mut self, ctx: &mut Ctx<'_>, cause: Cause, status: u16) {
        if self.phase != Phase::Setup {
            return;
        }
        self.setup = None;
        ending::finish(self, ctx, cause, status);
    }
}

/// The flow that a destination amounts to; a connection still to be opened has none of its own.
fn flow_of(destination: &Destination) -> Flow {
    match destination {
        Destination::Flow(flow) => *flow,
        Destination::Address {
            transport,
            listener,
            remote,
            ..
        } => Flow {
            transport: *transport,
            listener: *listener,
            conn: None,
            remote: *remote,
        },
    }
}
