//! Dialling: stages of attempts, their targets, redirections, and how long each may ring.

use std::time::Duration;

use bytes::Bytes;
use sip::{Destination, Dialog, Flow};

use super::outcome::Failure;
use super::{Branch, Upstream, attempt_ended};
use crate::call::Call;
use crate::io::{Ctx, Given, MediaEnds, MediaOp, Output, RefusedDial, RequestId, Side, Timer, Uac};
use crate::pending::{Purpose, Wait};
use crate::plan::{ATTEMPTS_MAX, Attempt, Plan};
use crate::reason::Cause;

impl Call {
    /// Dials all attempts of the next stage; `false` if there is none.
    pub(super) fn dial_next_stage(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some(setup) = &mut self.setup else {
            return false;
        };
        let Some(stage) = setup.attempts.get(setup.next).map(|a| a.stage) else {
            return false;
        };
        let mut ring_max = Duration::ZERO;
        while let Some(attempt) = setup.attempts.get(setup.next).filter(|a| a.stage == stage) {
            ring_max = ring_max.max(attempt.ring_max);
            ctx.emit(Output::Dial {
                attempt: setup.first + setup.next,
                token: attempt.token,
                destination: attempt.destination.clone(),
                uri: attempt.next_hop().into(),
            });
            setup.asking.push(setup.next);
            setup.next += 1;
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
        // Given up in the meantime, or of an earlier set-up.
        let Some(at) = setup.asking.iter().position(|a| setup.first + a == attempt) else {
            return;
        };
        let attempt = setup.asking.remove(at);
        let token = setup.attempts[attempt].token;
        let refused = match targets {
            Ok(mut targets) if !targets.is_empty() => {
                targets.reverse();
                let branch = self.new_branch(ctx, attempt, targets);
                self.try_target(ctx, branch);
                return;
            }
            Ok(_) => RefusedDial::because(503, "the next hop has no address".into()),
            Err(refused) => refused,
        };
        attempt_ended(ctx, token, refused.status);
        self.note_failure(refused.status, Failure::Us(refused.why));
        self.settle(ctx);
    }

    fn new_branch(&mut self, ctx: &Ctx<'_>, attempt: usize, targets: Vec<Destination>) -> usize {
        let tag = self.new_tag();
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
    pub(super) fn try_target(&mut self, ctx: &mut Ctx<'_>, branch: usize) {
        let Some(setup) = &mut self.setup else { return };
        let entry = &mut setup.branches[branch];
        let Some(target) = entry.targets.last() else {
            return;
        };
        entry.flow = flow_of(target);
        let reached = entry.flow;
        let beyond = setup.attempts[setup.branches[branch].attempt].beyond;
        let toward = setup.toward(branch);
        let Some(offer) = setup.offer.clone() else {
            self.send_invite(ctx, branch, None);
            return;
        };
        if let Some(sdp) = setup.relayed_offer(toward) {
            let sdp = sdp.clone();
            self.send_invite(ctx, branch, Some(&sdp));
            return;
        }
        let then = Wait::Invite { branch };
        if self.media == crate::MediaMode::Bypass {
            self.send_invite(ctx, branch, Some(&offer));
            return;
        }
        let (from, flow) = self.offerer();
        let signalling = flow.map_or(std::net::IpAddr::from([0; 4]), |f| {
            f.remote.ip().to_canonical()
        });
        let ends = MediaEnds {
            signalling,
            toward,
            reached: Some(beyond.unwrap_or(reached.remote.ip()).to_canonical()),
            known: Bytes::new(),
            given: Given::InTurn,
        };
        self.ask_relay(ctx, MediaOp::Offer, ends, from, &offer, then);
    }

    /// The relay refuses the offer: nobody can be asked.
    pub(crate) fn refuse_offer(&mut self, ctx: &mut Ctx<'_>, branch: usize, status: u16) {
        if let Some(setup) = &self.setup {
            attempt_ended(ctx, setup.token(branch), 0);
        }
        self.fail_setup(ctx, status, None, Cause::MediaFailed);
    }

    /// Which side of the media session makes the offer, and where its signalling comes from.
    fn offerer(&self) -> (Side, Option<Flow>) {
        match self.setup.as_ref().map(|s| &s.upstream) {
            Some(Upstream::Transfer { kept }) => {
                let leg = self.pairs.iter().find_map(|p| p.leg(*kept));
                (*kept, leg.map(|l| l.flow))
            }
            Some(Upstream::Caller { flow, .. }) => (Side::A, Some(*flow)),
            None => (Side::A, None),
        }
    }

    pub(crate) fn handle_routed(&mut self, ctx: &mut Ctx<'_>, plan: Result<Plan, RefusedDial>) {
        if self.transfer_waits_for_plan() {
            self.handle_transfer_plan(ctx, plan);
            return;
        }
        let Some(setup) = &mut self.setup else { return };
        if setup.redirecting == 0 {
            // Given up in the meantime.
            return;
        }
        setup.redirecting -= 1;
        match plan {
            Ok(plan) => self.dial_redirected(ctx, plan),
            Err(refused) => self.note_failure(refused.status, Failure::Us(refused.why)),
        }
        self.settle(ctx);
    }

    /// Redirected attempts come next, before later stages (RFC 3261 §8.1.3.4), in stages of
    /// their own.
    fn dial_redirected(&mut self, ctx: &mut Ctx<'_>, plan: Plan) {
        let Some(setup) = &mut self.setup else { return };
        let highest = setup.attempts.iter().map(|a| a.stage).max().unwrap_or(0);
        let room = ATTEMPTS_MAX.saturating_sub(setup.attempts.len());
        let fresh: Vec<Attempt> = plan
            .attempts
            .into_iter()
            .take(room)
            .map(|a| Attempt {
                stage: a.stage.saturating_add(highest).saturating_add(1),
                ..a
            })
            .collect();
        if fresh.is_empty() {
            self.note_failure(480, "redirected to nobody who can be rung".into());
            return;
        }
        let at = setup.next;
        setup.attempts.splice(at..at, fresh);
        self.dial_next_stage(ctx);
    }

    pub(crate) fn handle_silence(&mut self, ctx: &mut Ctx<'_>, request: RequestId) {
        let Some(pending) = self.pending.iter().find(|p| p.id == request) else {
            return;
        };
        let Purpose::Invite { branch } = pending.purpose else {
            return;
        };
        let reason = Cause::NoAnswer.header();
        let access = self.setup.as_ref().and_then(|s| s.access(branch));
        self.abandon_request(ctx, request, None, access, &reason);
        self.fail_over(ctx, branch, Uac::Timeout);
    }

    /// The stage has rung long enough: attempts without an answer, or even a target, are over.
    pub(crate) fn handle_ring_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let Some(setup) = &mut self.setup else { return };
        let mut given_up = !setup.asking.is_empty();
        for attempt in std::mem::take(&mut setup.asking) {
            attempt_ended(ctx, setup.attempts[attempt].token, 0);
        }
        let count = setup.branches.len();
        let reason = Cause::NoAnswer.header();
        for branch in 0..count {
            let open = |s: &super::Setup| s.branches[branch].request.is_some();
            if self.setup.as_deref().is_some_and(open) {
                self.abandon(ctx, branch, &reason);
                given_up = true;
            }
        }
        if given_up {
            self.note_failure(480, Failure::NoAnswer);
        }
        self.settle(ctx);
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
