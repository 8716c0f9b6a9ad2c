//! Calls that an application of the switch answers: the echo.

use sip::{Dialog, HeaderName, Message, Writer};

use crate::call::{Call, CallFacts, Phase};
use crate::challenge::Access;
use crate::headers::{self, ALLOW};
use crate::io::{Ctx, Fact, MediaOp, Output, RefusedDial, Respond, Side, Timer, Uas};
use crate::keys::{DTMF, DTMF_RELAY};
use crate::leg::{Leg, NO_BRANCH, Pair, PairId};
use crate::pending::Wait;
use crate::plan::Plan;
use crate::reason::Cause;
use crate::refresh;
use crate::setup::{Setup, Upstream};

impl Call {
    /// A call that the echo application answers at once.
    pub fn start_echo(
        ctx: &mut Ctx<'_>,
        facts: CallFacts,
        uas: Uas,
        flow: sip::Flow,
        invite: Message,
    ) -> Self {
        let mut call = Self::new(&facts, crate::config::MediaMode::Relay);
        let access = facts.credentials.map(|c| Access::new(c, flow));
        let offer = invite.sdp().map(<[u8]>::to_vec);
        let setup = Setup::of_caller(uas, flow, facts.reach, access, invite, Plan::default());
        call.setup = Some(Box::new(setup));
        if !call.may_begin(ctx) {
            call.tidy(ctx);
            return call;
        }
        // Without an offer the application makes one: an empty description asks the relay for it.
        let sdp = offer.unwrap_or_default();
        call.media(ctx, MediaOp::Echo, None, Side::A, &sdp, Wait::Application);
        call
    }

    pub(crate) fn answer_by_application(&mut self, ctx: &mut Ctx<'_>, sdp: &[u8]) {
        let Some(setup) = self.forget_setup() else {
            return;
        };
        let Upstream::Caller {
            uas,
            flow,
            reach,
            access,
            invite,
        } = &setup.upstream
        else {
            return;
        };
        let tag = self.new_tag();
        let Ok(dialog) = Dialog::of_callee(invite, &tag) else {
            return;
        };
        let mut leg = Leg::new(dialog, *flow, *reach, self.trust);
        leg.keys = self.keys;
        leg.access.clone_from(access);
        leg.learn(invite);
        leg.received = invite.sdp().unwrap_or_default().into();
        leg.sent = sdp.into();
        leg.await_ack(*uas, invite);
        let mut w = Writer::response(invite, flow.remote, 200, "", &tag);
        w.header_fmt(
            "Contact",
            format_args!("<{}>", ctx.config.contact(flow.listener)),
        );
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        w.copy(invite, HeaderName::RecordRoute);
        refresh::accept_as_callee(&mut leg, ctx.config, invite, &mut w);
        let id = self.new_pair_id();
        self.pairs.push(Pair {
            id,
            legs: [Some(leg), None],
            branch: NO_BRANCH,
        });
        self.phase = Phase::Answered;
        headers::announce_candidates(&mut w, sdp);
        let bytes = w.finish_with(b"application/sdp", sdp);
        ctx.emit(Output::Fact(Fact::Answered { token: None }));
        ctx.emit(Output::Respond {
            uas: *uas,
            status: 200,
            bytes,
            how: Respond::Plain,
        });
        self.arm_after(ctx, Timer::Duration, ctx.config.duration_max);
        self.arm_session(ctx, id, Side::A);
    }

    /// Whether an application answers in the place of another side.
    pub(crate) fn is_with_application(&self, pair: PairId) -> bool {
        let alone = self.pair(pair).is_some_and(|p| p.leg(Side::B).is_none());
        alone && self.transfer.is_none()
    }

    /// INFO to an application: digits are taken note of (RFC 6086 §4.2.1 with the bodies that
    /// phones have sent since before), anything else is not understood.
    pub(crate) fn answer_info(
        &mut self,
        ctx: &mut Ctx<'_>,
        uas: Uas,
        flow: sip::Flow,
        info: &Message,
    ) {
        let understood = info.body().is_empty()
            || [DTMF_RELAY, DTMF]
                .iter()
                .any(|kind| info.has_content_type(kind));
        let status = if understood { 200 } else { 415 };
        self.respond(ctx, uas, flow, info, status);
    }

    /// The relay refused: what waited for it fails.
    pub(crate) fn media_failed(&mut self, ctx: &mut Ctx<'_>, wait: Wait, refused: &RefusedDial) {
        let status = refused.status;
        match wait {
            Wait::Application if self.phase == Phase::Setup => {
                self.fail_setup(ctx, status, None, Cause::MediaFailed);
            }
            Wait::Invite { branch } => self.refuse_offer(ctx, branch, status),
            Wait::Answer { pair, .. } => self.take_back_answer(ctx, pair, status),
            Wait::Request(relayed) => self.refuse_relayed(ctx, *relayed, status),
            Wait::Local {
                uas, flow, request, ..
            } => {
                self.respond(ctx, uas, flow, &request, status);
            }
            Wait::Response { relayed, .. } => self.take_back_response(ctx, *relayed, status),
            // A description in a provisional response may come again in the final one.
            Wait::Provisional { pair, message } => self.pass_provisional(ctx, pair, message, None),
            Wait::JoinDone => self.joined_up(),
            Wait::Rebuilt { then, .. } => self.media_failed(ctx, *then, refused),
            Wait::Reanchor { step, .. } => self.moving_failed(ctx, &step),
            Wait::Application | Wait::ApplicationAnswer => self.end(ctx, Cause::MediaFailed),
            Wait::Ack { .. } | Wait::JoinOffer { .. } | Wait::JoinAnswer { .. } => {
                self.end(ctx, Cause::MediaFailed);
            }
        }
    }
}
