//! The calls in progress: how their wishes are carried out.

mod table;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use call::{Call, Ctx, Fact, Hop, Input, Output as CallOutput, RequestId, Respond, Uac};
use clock::Time;
use registrar::UpstreamFailure;
use sip::transaction::{ClientId, ServerId};
use sip::{Flow, Message, Method, Transmit};

pub(crate) use self::table::{Calls, Entry};
use crate::Switch;
use crate::dial::Question;
use crate::output::{CallKey, MediaRequest, Output};
use crate::owner::Owner;

/// How long a call that is over waits for the media relay's last report; then its record is
/// written without it.
const REPORT_WAIT: Duration = Duration::from_secs(5);

impl Switch {
    /// Passes an input to a call and carries out what comes of it. The call may be gone.
    pub(crate) fn feed(&mut self, now: Time, key: CallKey, input: Input) {
        self.work.push_back((key, input));
        if self.working {
            return;
        }
        self.working = true;
        while let Some((key, input)) = self.work.pop_front() {
            let Some(entry) = self.calls.entry_mut(key) else {
                continue;
            };
            let mut out = std::mem::take(&mut self.scratch);
            let mut ctx = Ctx {
                now,
                config: &self.call_config,
                out: &mut out,
            };
            entry.call.handle(&mut ctx, input);
            self.carry_out(now, key, out);
        }
        self.working = false;
    }

    /// Runs a step on a call that is no input of its own.
    pub(crate) fn step<R>(
        &mut self,
        now: Time,
        key: CallKey,
        step: impl FnOnce(&mut Call, &mut Ctx<'_>) -> R,
    ) -> Option<R> {
        let entry = self.calls.entry_mut(key)?;
        let mut out = std::mem::take(&mut self.scratch);
        let mut ctx = Ctx {
            now,
            config: &self.call_config,
            out: &mut out,
        };
        let result = step(&mut entry.call, &mut ctx);
        self.carry_out(now, key, out);
        Some(result)
    }

    /// Does what a call wants, in order; then its alarm is set anew.
    pub(crate) fn carry_out(&mut self, now: Time, key: CallKey, mut out: VecDeque<CallOutput>) {
        while let Some(output) = out.pop_front() {
            self.do_for_call(now, key, output);
        }
        self.scratch = out;
        self.set_alarm(key);
        self.keep(key);
        if !self.working && !self.work.is_empty() {
            let (key, input) = self.work.pop_front().expect("it is not empty");
            self.feed(now, key, input);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each wish")]
    fn do_for_call(&mut self, now: Time, key: CallKey, output: CallOutput) {
        match output {
            CallOutput::Respond {
                uas,
                status,
                bytes,
                how,
            } => match ServerId::from_u64(uas) {
                Some(server) if how == Respond::Reliable => {
                    self.transactions.respond_reliably(now, server, bytes);
                }
                Some(server) => self.transactions.respond(now, server, status, bytes),
                None => {}
            },
            CallOutput::Request {
                id,
                method,
                hop,
                bytes,
            } => {
                self.request_for_call(now, key, id, method, hop, bytes);
            }
            CallOutput::Ack {
                hop: Hop::To(to),
                bytes,
            } => self.send_ack(to, &bytes),
            CallOutput::Ack {
                hop: Hop::Resolve(uri, last),
                bytes,
            } => {
                let speaker = last.listener();
                self.resolve(now, &uri, speaker, Question::Ack { bytes, last });
            }
            CallOutput::Cancel { id, reason } => self.cancel_request(now, key, id, &reason),
            CallOutput::Acknowledged { uas } => {
                if let Some(server) = ServerId::from_u64(uas) {
                    self.transactions.acknowledged(now, server);
                }
            }
            CallOutput::Pracked { uas } => {
                if let Some(server) = ServerId::from_u64(uas) {
                    self.transactions.pracked(now, server);
                }
            }
            CallOutput::Dial {
                attempt,
                token,
                destination,
                uri,
            } => {
                self.dial(now, key, attempt, token, destination, &uri);
            }
            CallOutput::Redirected { contacts, .. } => self.redirect(now, key, &contacts),
            CallOutput::Transfer {
                by,
                target,
                replaces,
            } => {
                self.transfer(now, key, by, &target, replaces.as_deref());
            }
            CallOutput::Media {
                ask,
                session,
                op,
                from,
                sdp,
                ends,
            } => {
                let entry = self.calls.entry(key);
                let sip_call_id = entry.map_or("", |entry| entry.facts.sip_call_id());
                let request = MediaRequest {
                    call: key,
                    sip_call_id: sip_call_id.into(),
                    ask,
                    session,
                    op,
                    from,
                    sdp,
                    ends,
                    place: self.place_of(key),
                    tried: Vec::new(),
                    refusal: None,
                    why: None,
                };
                self.outputs.push_back(Output::Media(Box::new(request)));
                if op != call::MediaOp::Offer {
                    self.note_session(key, session);
                }
            }
            CallOutput::Candidates {
                session,
                from,
                fragment,
            } => self.outputs.push_back(Output::Candidates {
                session,
                from,
                fragment,
            }),
            CallOutput::Press { session, to, press } => {
                self.outputs.push_back(Output::Press { session, to, press });
            }
            CallOutput::MediaEnd { session } => {
                if let Some(entry) = self.calls.entry_mut(key) {
                    entry.facts.sessions_open += 1;
                }
                self.outputs
                    .push_back(Output::MediaEnd { call: key, session });
            }
            CallOutput::Fact(fact) => self.note(now, key, fact),
            CallOutput::Gone => self.forget(now, key),
        }
    }

    fn request_for_call(
        &mut self,
        now: Time,
        key: CallKey,
        request: RequestId,
        method: Method,
        hop: Hop,
        bytes: Bytes,
    ) {
        let to = match hop {
            Hop::To(to) => to,
            Hop::Resolve(uri, last) => {
                let speaker = last.listener();
                let question = Question::Request {
                    key,
                    request,
                    bytes,
                    last,
                };
                self.resolve(now, &uri, speaker, question);
                return;
            }
        };
        let client = self.send_request(now, to, &bytes, Owner::Call { key, request });
        if method == Method::Invite
            && let Some(entry) = self.calls.entry_mut(key)
        {
            entry.note_invite(request, client);
        }
    }

    pub(crate) fn send_ack(&mut self, to: sip::Destination, bytes: &[u8]) {
        let transmit: Transmit = self.transactions.stateless(to, bytes, 0);
        self.outputs.push_back(Output::Transmit(transmit));
    }

    fn cancel_request(&mut self, now: Time, key: CallKey, id: call::RequestId, reason: &str) {
        let entry = self.calls.entry(key);
        let client = entry.and_then(|entry| entry.client_of(id));
        match client {
            Some(client) => self.transactions.cancel(now, client, reason.as_bytes()),
            None => self.forget_question(now, key, id),
        }
    }

    fn set_alarm(&mut self, key: CallKey) {
        let Some(entry) = self.calls.entry_mut(key).filter(|e| !e.facts.is_settled) else {
            return;
        };
        let wanted = entry.call.poll_timeout();
        if entry.alarm.map(|(at, _)| at) == wanted {
            return;
        }
        if let Some((_, timer)) = entry.alarm.take() {
            self.alarms.cancel(timer);
        }
        if let Some(at) = wanted {
            entry.alarm = Some((at, self.alarms.insert(at, key)));
        }
    }

    /// Fires the alarms of calls.
    pub(crate) fn ring_alarms(&mut self, now: Time) {
        while let Some(key) = self.alarms.pop_expired(now) {
            let Some(entry) = self.calls.entry_mut(key) else {
                continue;
            };
            entry.alarm = None;
            if entry.facts.is_settled {
                self.remove_call(key);
            } else {
                self.step(now, key, Call::handle_timeout);
            }
        }
    }

    /// The call has nothing more to do. Its record may still wait for a media report: a call
    /// without a second leg is over with its own BYE.
    fn forget(&mut self, now: Time, key: CallKey) {
        match self.calls.entry_mut(key) {
            Some(entry) if entry.facts.sessions_open > 0 => {
                entry.facts.is_settled = true;
                if let Some((_, timer)) = entry.alarm.take() {
                    self.alarms.cancel(timer);
                }
                let at = now + REPORT_WAIT;
                entry.alarm = Some((at, self.alarms.insert(at, key)));
            }
            _ => self.remove_call(key),
        }
    }

    /// The last media report of a call that has nothing more to do has come.
    pub(crate) fn remove_if_settled(&mut self, key: CallKey) {
        let entry = self.calls.entry(key);
        if entry.is_some_and(|e| e.facts.is_settled && e.facts.sessions_open == 0) {
            self.remove_call(key);
        }
    }

    fn remove_call(&mut self, key: CallKey) {
        let Some(entry) = self.calls.remove(key) else {
            return;
        };
        if let Some((_, timer)) = entry.alarm {
            self.alarms.cancel(timer);
        }
        if entry.kept != 0 {
            self.outputs.push_back(Output::Unkeep { call: key });
        }
        self.close_record(entry.facts);
    }

    /// A response to one of our requests.
    pub(crate) fn handle_response(
        &mut self,
        now: Time,
        client: ClientId,
        flow: Flow,
        message: Message,
    ) {
        let is_final = message.status() >= 200;
        let is_over = is_final && message.method() != Method::Invite;
        match self.owners.get(&client) {
            Some(Owner::Call { key, request }) => {
                let (key, request) = (*key, *request);
                if is_final && let Some(entry) = self.calls.entry_mut(key) {
                    entry.forget_invite(request);
                }
                self.feed(
                    now,
                    key,
                    Input::Response {
                        request,
                        flow,
                        message,
                    },
                );
            }
            Some(Owner::BindingPing { ping, sent }) if is_final => {
                let (ping, sent) = (*ping, *sent);
                self.binding_answered(now, ping, sent, message.status());
            }
            Some(Owner::GatewayPing { gateway, sent }) if is_final => {
                let (gateway, sent) = (*gateway, *sent);
                self.gateway_answered(now, gateway, sent, message.status());
            }
            Some(Owner::Upstream { id }) if is_final => {
                let id = *id;
                self.upstream_answered(now, id, flow, &message);
            }
            Some(Owner::Message { server }) if is_final => {
                let server = *server;
                self.message_answered(now, server, message.status());
            }
            _ => {}
        }
        if is_over {
            // Of transactions other than INVITE nothing more is heard.
            self.owners.remove(&client);
        }
    }

    /// A request of ours that nobody answered.
    pub(crate) fn handle_request_failed(&mut self, now: Time, client: ClientId, why: Uac) {
        match self.owners.remove(&client) {
            Some(Owner::Call { key, request }) => {
                self.feed(now, key, Input::Failed { request, why });
            }
            Some(Owner::BindingPing { ping, .. }) => self.binding_silent(now, ping),
            Some(Owner::GatewayPing { gateway, .. }) => {
                self.gateway_silent(now, gateway);
            }
            Some(Owner::Upstream { id }) => self.upstream_next(now, id, UpstreamFailure::Silent),
            Some(Owner::Message { server }) => self.message_answered(now, server, 408),
            None => {}
        }
    }

    /// What a call tells: for its record, its permits, the gateways' health and watchers.
    fn note(&mut self, now: Time, key: CallKey, fact: Fact) {
        match fact {
            Fact::Ringing => self.note_ringing(now, key),
            Fact::Answered { token } => self.note_answered(now, key, token),
            Fact::AttemptEnded {
                token,
                status,
                answered_by_peer,
                retry_after_s,
            } => {
                let outcome = crate::dial::Outcome {
                    status,
                    answered_by_peer,
                    retry_after_s,
                };
                self.attempt_ended(now, key, token, &outcome);
            }
            Fact::MediaMoved { took } => self.note_media_moved(key, took),
            Fact::AttemptMoved { token } => self.give_up_permit(key, token),
            Fact::Ended(report) => self.note_ended(now, key, &report),
        }
    }
}
