//! Where each input goes: to the step that waits for it.

use bytes::Bytes;
use sip::{Flow, Message, Method};

use super::{Call, MEDIA_WAIT};
use crate::config::MediaMode;
use crate::io::{
    Ctx, Input, MediaAsk, MediaEnds, MediaOp, Output, RefusedDial, RequestId, Side, Timer, Uac,
};
use crate::leg::PairId;
use crate::pending::{Asked, Pending, Purpose, Question, Wait};
use crate::reason::Cause;

impl Call {
    pub(super) fn take(&mut self, ctx: &mut Ctx<'_>, input: Input) {
        match input {
            Input::Request { uas, flow, message } => self.handle_request(ctx, uas, flow, message),
            Input::Response {
                request,
                flow,
                message,
            } => {
                self.handle_response(ctx, request, flow, message);
            }
            Input::Failed { request, why } => self.handle_failed(ctx, request, why),
            Input::Cancelled { reason } => self.handle_cancelled(ctx, reason.as_deref()),
            Input::NoAck { uas } => self.handle_no_ack(ctx, uas),
            Input::Dial { attempt, targets } => self.handle_dial(ctx, attempt, targets),
            Input::Routed(plan) => self.handle_routed(ctx, plan),
            Input::Media(ask, answer) => self.handle_media(ctx, ask, answer),
            Input::MediaLost { session } => self.handle_media_lost(ctx, session),
            Input::SessionOver { session, cause } => {
                // Who was left behind by a transfer falls silent there.
                if session == self.session {
                    self.end(ctx, cause);
                }
            }
            Input::Key {
                session,
                from,
                press,
            } => self.handle_key(ctx, session, from, press),
            Input::Adopt { leg, token } => self.take_over(ctx, *leg, token),
            Input::End(cause) => self.end(ctx, cause),
        }
    }

    fn handle_response(&mut self, ctx: &mut Ctx<'_>, id: RequestId, flow: Flow, message: Message) {
        let Some(at) = self.pending.iter().position(|p| p.id == id) else {
            if message.method() == Method::Invite && (200..300).contains(&message.status()) {
                self.handle_stray_2xx(ctx, flow, &message);
            }
            return;
        };
        let is_final = message.status() >= 200;
        if !is_final {
            if let Purpose::Invite { branch } = self.pending[at].purpose {
                self.handle_provisional(ctx, branch, flow, message);
            }
            return;
        }
        let Pending {
            mut purpose,
            repeat,
            ..
        } = self.pending.swap_remove(at);
        if let Some(repeat) = repeat.filter(|_| matches!(message.status(), 401 | 407)) {
            match self.answer_dialog_challenge(ctx, repeat, purpose, flow, &message) {
                Ok(()) => return,
                Err(unanswered) => purpose = unanswered,
            }
        }
        match purpose {
            Purpose::Invite { branch } => self.handle_final(ctx, branch, flow, message),
            Purpose::Abandoned { token, access } => {
                self.attempt_given_up(ctx, token);
                if (200..300).contains(&message.status()) {
                    self.end_stray_dialog(ctx, flow, &message, access);
                }
            }
            Purpose::Relay(relayed) => self.handle_relayed(ctx, relayed, flow, message),
            Purpose::Refresh { pair, side, method } => {
                self.handle_refreshed(ctx, pair, side, method, flow, &message);
            }
            Purpose::JoinFirst { pair, side } => {
                self.handle_join_first(ctx, pair, side, flow, &message);
            }
            Purpose::JoinSecond { pair, side } => {
                self.handle_join_second(ctx, pair, side, flow, &message);
            }
            Purpose::Retell { pair, side } => self.handle_retold(ctx, pair, side, flow, &message),
            Purpose::Closing | Purpose::Bye { .. } => {}
            Purpose::Notify { last } => self.handle_notified(ctx, last),
        }
    }

    fn handle_failed(&mut self, ctx: &mut Ctx<'_>, id: RequestId, why: Uac) {
        let Some(at) = self.pending.iter().position(|p| p.id == id) else {
            return;
        };
        let pending = self.pending.swap_remove(at);
        match pending.purpose {
            Purpose::Invite { branch } => self.handle_silent(ctx, branch, why),
            Purpose::Abandoned { token, .. } => self.attempt_given_up(ctx, token),
            Purpose::Relay(relayed) => self.handle_relay_failed(ctx, *relayed),
            Purpose::Refresh { pair, side, .. }
            | Purpose::JoinFirst { pair, side }
            | Purpose::JoinSecond { pair, side }
            | Purpose::Retell { pair, side } => {
                let who = self.who(pair, side);
                self.end(ctx, Cause::PeerGone(who));
            }
            Purpose::Closing | Purpose::Bye { .. } => {}
            Purpose::Notify { last } => self.handle_notified(ctx, last),
        }
    }

    fn handle_media(
        &mut self,
        ctx: &mut Ctx<'_>,
        ask: MediaAsk,
        answer: Result<Bytes, RefusedDial>,
    ) {
        let Some(asked) = self.wait.take_if(|asked| asked.ask == ask) else {
            return;
        };
        match answer {
            Ok(sdp) => self.resume(ctx, asked.then, &sdp),
            Err(refused) => self.media_failed(ctx, asked.then, &refused),
        }
    }

    /// The relay has not answered in time: as if it had refused.
    pub(super) fn give_up_on_relay(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(asked) = self.wait.take() {
            let why = "the media relay does not answer".into();
            self.media_failed(ctx, asked.then, &RefusedDial::because(503, why));
        }
    }

    fn resume(&mut self, ctx: &mut Ctx<'_>, wait: Wait, sdp: &[u8]) {
        match wait {
            Wait::Invite { branch } => self.send_invite(ctx, branch, Some(sdp)),
            Wait::Provisional { pair, message } => {
                self.pass_provisional(ctx, pair, message, Some(sdp));
            }
            Wait::Answer { pair, message } => self.pass_answer(ctx, pair, &message, Some(sdp)),
            Wait::Request(relayed) => self.carry_request(ctx, relayed, Some(sdp)),
            Wait::Response { relayed, message } => {
                self.carry_response(ctx, *relayed, &message, Some(sdp));
            }
            Wait::Ack { pair, from } => self.carry_ack(ctx, pair, from, Some(sdp)),
            Wait::Local {
                pair,
                side,
                uas,
                flow,
                request,
            } => {
                self.answer_locally(ctx, (pair, side), uas, flow, &request, sdp);
            }
            Wait::Application => self.answer_by_application(ctx, sdp),
            Wait::JoinOffer { pair, from } => self.send_join(ctx, pair, from, sdp),
            Wait::JoinAnswer { pair, from } => self.send_join_back(ctx, pair, from, sdp),
            Wait::JoinDone => self.joined_up(),
            Wait::Rebuilt { question, then } => self.ask(ctx, question, *then),
            Wait::Reanchor { pair, step } => self.go_on_moving(ctx, pair, step, sdp),
            Wait::ApplicationAnswer => {}
        }
    }

    pub(super) fn fire(&mut self, ctx: &mut Ctx<'_>, timer: Timer) {
        match timer {
            Timer::Silence(request) => self.handle_silence(ctx, request),
            Timer::Ring => self.handle_ring_timeout(ctx),
            Timer::Duration => self.end(ctx, Cause::DurationLimit),
            Timer::Refresh(pair, side) | Timer::Retry(pair, side) => {
                self.refresh_session(ctx, pair, side);
            }
            Timer::SessionExpires(pair, side) => {
                let who = self.who(pair, side);
                self.end(ctx, Cause::SessionExpired(who));
            }
            Timer::Linger => self.give_up_lingering(ctx),
            Timer::Reanchor => self.move_media(ctx),
            Timer::Retell(pair, side) => self.retell(ctx, pair, side),
        }
    }

    /// Hands a description to the relay, or goes on at once where media bypasses us.
    pub(crate) fn media(
        &mut self,
        ctx: &mut Ctx<'_>,
        op: MediaOp,
        pair: Option<PairId>,
        from: Side,
        sdp: &[u8],
        then: Wait,
    ) {
        if self.media == MediaMode::Bypass && op != MediaOp::Echo {
            self.resume(ctx, then, sdp);
            return;
        }
        let ends = self.media_ends(pair, from);
        self.ask_relay(ctx, op, ends, from, sdp, then);
    }

    /// Asks the relay; what comes next waits for its answer.
    pub(crate) fn ask_relay(
        &mut self,
        ctx: &mut Ctx<'_>,
        op: MediaOp,
        ends: MediaEnds,
        from: Side,
        sdp: &[u8],
        then: Wait,
    ) {
        let sdp = Bytes::copy_from_slice(sdp);
        let question = Question {
            op,
            from,
            sdp,
            ends,
        };
        if op == MediaOp::Answer && !self.session_open && self.reanchor.is_some() {
            self.rebuild(ctx, question, then);
        } else {
            self.ask(ctx, question, then);
        }
    }

    /// Puts a question to the relay.
    pub(crate) fn ask(&mut self, ctx: &mut Ctx<'_>, question: Question, then: Wait) {
        self.session_open = true;
        self.last_ask.0 = self.last_ask.0.wrapping_add(1);
        ctx.emit(Output::Media {
            ask: self.last_ask,
            session: self.session,
            op: question.op,
            from: question.from,
            sdp: question.sdp.clone(),
            ends: question.ends.clone(),
        });
        self.wait = Some(Box::new(Asked {
            ask: self.last_ask,
            until: ctx.now + MEDIA_WAIT,
            question,
            then,
        }));
    }
}
