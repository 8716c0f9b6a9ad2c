//! Dialling: permits for an attempt, targets for its URI, and what became of it.

use bytes::Bytes;
use call::{Input, RefusedDial, RequestId, Side, Uac, Why};
use clock::Time;
use model::GatewayId;
use registrar::{PingId, UpstreamId};
use routing::Failure;
use sip::transaction::ServerId;
use sip::{Destination, ListenerId, Replaces, Target, Targets, Transport, Uri};

use crate::Switch;
use crate::facts::Tried;
use crate::output::{CallKey, Output};
use crate::owner::Owner;
use crate::plan::Source;

/// The most questions to DNS under way; what would be asked beyond fails at once.
const QUESTIONS_MAX: usize = 10_000;

/// What waits for the targets of a host.
#[derive(Debug)]
pub(crate) enum Question {
    /// An attempt.
    Dial { key: CallKey, attempt: usize },
    /// A request inside a dialog. If the resolver fails it goes where the dialog was last seen:
    /// a call that works does not end for want of a name server.
    Request {
        key: CallKey,
        request: RequestId,
        bytes: Bytes,
        last: Destination,
    },
    /// An ACK, as a request.
    Ack { bytes: Bytes, last: Destination },
    /// A MESSAGE to a binding behind a Path.
    Message { server: ServerId, bytes: Bytes },
    /// An OPTIONS to a binding behind a Path.
    BindingPing { ping: PingId, bytes: Bytes },
    /// An OPTIONS to a gateway.
    GatewayPing { gateway: GatewayId, bytes: Bytes },
    /// Our REGISTER at a carrier.
    Upstream { id: UpstreamId },
    /// Which addresses a gateway's calls may come from.
    GatewayAddress { gateway: GatewayId },
}

/// How an attempt ended.
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) answered_by_peer: bool,
    pub(crate) retry_after_s: Option<u32>,
}

/// What a limit says of itself in the record: `customer cps limit 10 reached`.
pub(crate) fn limit_text(refused: &limits::Refused) -> String {
    let limits::Refused {
        entity,
        kind,
        limit,
        ..
    } = refused;
    format!("{} {kind} limit {limit} reached", entity.kind)
}

impl Switch {
    /// Takes the permits of an attempt and finds its targets.
    pub(crate) fn dial(
        &mut self,
        now: Time,
        key: CallKey,
        attempt: usize,
        token: u32,
        destination: Option<Destination>,
        uri: &[u8],
    ) {
        if let Err(refused) = self.admit_attempt(now, key, token) {
            self.feed(
                now,
                key,
                Input::Dial {
                    attempt,
                    targets: Err(refused),
                },
            );
            return;
        }
        match destination {
            Some(to) => {
                self.feed(
                    now,
                    key,
                    Input::Dial {
                        attempt,
                        targets: Ok(vec![to]),
                    },
                );
            }
            None => {
                let listener = self.listeners.first();
                self.resolve(now, uri, listener, Question::Dial { key, attempt });
            }
        }
    }

    fn admit_attempt(&mut self, now: Time, key: CallKey, token: u32) -> Result<(), RefusedDial> {
        let Some(entry) = self.calls.entry_mut(key) else {
            return Ok(());
        };
        let Some(tried) = entry.facts.attempts.get_mut(token as usize) else {
            return Ok(());
        };
        if let Some(outbound) = &tried.outbound {
            if let Err(refused) = self.limits.try_admit(now, &outbound.entities()) {
                self.counters.limited(&refused);
                // How much our gateways can do is nobody's affair.
                let why = Why::Internal(limit_text(&refused).into());
                return Err(RefusedDial::because(503, why));
            }
            tried.admitted = true;
        }
        tried.dialled = true;
        Ok(())
    }

    /// An attempt is over: its permits go back, and its gateway is judged by it.
    pub(crate) fn attempt_ended(&mut self, now: Time, key: CallKey, token: u32, how: &Outcome) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        let Some(tried) = entry.facts.attempts.get_mut(token as usize) else {
            return;
        };
        let Some(outbound) = tried.outbound.as_ref().filter(|_| tried.admitted) else {
            return;
        };
        let (entities, gateway) = (outbound.entities(), outbound.gateway.id);
        tried.admitted = false;
        self.release(now, &entities);
        let failure = match (how.status, how.answered_by_peer) {
            (0 | 200, _) => None,
            (503, true) => Some(Failure::Unavailable {
                retry_after_s: how.retry_after_s,
            }),
            (408 | 503, false) => Some(Failure::Silent),
            (status @ 500..600, true) => Some(Failure::Status(status)),
            _ => {
                self.health.handle_success(gateway);
                None
            }
        };
        if let Some(failure) = failure {
            self.health.handle_failure(now, gateway, failure);
        }
    }

    /// Finds where a URI leads (RFC 3263): at once if its host is an address. `speaker` is the
    /// listener that speaks if none fits better.
    pub(crate) fn resolve(
        &mut self,
        now: Time,
        uri: &[u8],
        speaker: ListenerId,
        question: Question,
    ) {
        let Ok(uri) = Uri::parse(uri) else {
            self.answer(now, question, None);
            return;
        };
        let secure = uri.scheme == sip::Scheme::Sips;
        if let Some(ip) = uri.host_ip() {
            let fallback = if secure {
                Transport::Tls
            } else {
                Transport::Udp
            };
            let transport = uri.transport().unwrap_or(fallback);
            let port = uri.port.unwrap_or(transport.default_port());
            let target = Target {
                transport,
                remote: (ip, port).into(),
            };
            let to = self.destination(target, "", speaker);
            self.answer(now, question, Some(vec![to]));
            return;
        }
        if self.questions.len() >= QUESTIONS_MAX {
            self.answer(now, question, None);
            return;
        }
        self.last_question += 1;
        let id = self.last_question;
        let host: Box<str> = String::from_utf8_lossy(uri.host).into();
        self.questions.insert(id, (question, host.clone(), speaker));
        let (port, transport) = (uri.port, uri.transport());
        self.outputs.push_back(Output::Resolve {
            id,
            host,
            port,
            transport,
            secure,
        });
    }

    /// The answer to [`Output::Resolve`]; an empty list if there is none.
    pub fn handle_resolved(&mut self, now: Time, id: u64, targets: &Targets) {
        let Some((question, host, speaker)) = self.questions.remove(&id) else {
            return;
        };
        if let Question::GatewayAddress { gateway } = question {
            let addresses = targets.iter().map(|t| t.remote.ip()).collect();
            self.gateway_addresses.insert(gateway, addresses);
            return;
        }
        let found = targets
            .iter()
            .map(|t| self.destination(*t, &host, speaker))
            .collect();
        self.answer(now, question, Some(found));
        self.pump(now);
    }

    fn destination(&self, target: Target, name: &str, speaker: ListenerId) -> Destination {
        let listener = self
            .listeners
            .toward(target.transport, target.remote.ip())
            .unwrap_or(speaker);
        let name = if target.transport.is_reliable() {
            name
        } else {
            ""
        };
        Destination::Address {
            transport: target.transport,
            listener,
            remote: target.remote,
            name: name.into(),
        }
    }

    fn answer(&mut self, now: Time, question: Question, found: Option<Vec<Destination>>) {
        let found = found.unwrap_or_default();
        let first = found.first().cloned();
        match (question, first) {
            (Question::Dial { key, attempt }, first) => {
                let targets = if first.is_some() {
                    Ok(found)
                } else {
                    let why = "the next hop has no address".into();
                    Err(RefusedDial::because(503, why))
                };
                self.feed(now, key, Input::Dial { attempt, targets });
            }
            (
                Question::Request {
                    key,
                    request,
                    bytes,
                    last,
                },
                to,
            ) => {
                let to = to.unwrap_or(last);
                self.send_request(now, to, &bytes, Owner::Call { key, request });
            }
            (Question::Ack { bytes, last }, to) => self.send_ack(to.unwrap_or(last), &bytes),
            (Question::GatewayAddress { .. }, _) => {}
            (Question::Message { server, bytes }, Some(to)) => {
                self.send_request(now, to, &bytes, Owner::Message { server });
            }
            (Question::Message { server, .. }, None) => self.message_answered(now, server, 480),
            (Question::BindingPing { ping, bytes }, Some(to)) => {
                self.send_request(now, to, &bytes, Owner::BindingPing { ping, sent: now });
            }
            (Question::BindingPing { ping, .. }, None) => self.binding_silent(now, ping),
            (Question::GatewayPing { gateway, bytes }, Some(to)) => {
                self.send_request(now, to, &bytes, Owner::GatewayPing { gateway, sent: now });
            }
            (Question::GatewayPing { gateway, .. }, None) => self.gateway_silent(now, gateway),
            (Question::Upstream { id }, _) => self.upstream_found(now, id, found),
        }
    }

    /// A request was given up while its host was still being looked up.
    pub(crate) fn forget_question(&mut self, now: Time, key: CallKey, id: RequestId) {
        let waiting = self.questions.iter().find_map(|(question, (what, ..))| {
            matches!(what, Question::Request { key: k, request, .. } if *k == key && *request == id)
                .then_some(*question)
        });
        if let Some(waiting) = waiting {
            self.questions.remove(&waiting);
            self.feed(
                now,
                key,
                Input::Failed {
                    request: id,
                    why: Uac::Timeout,
                },
            );
        }
    }

    /// Where the contacts of a 3xx lead: routed as if the callee had dialled them, with the
    /// caller's rights, so that a redirection opens no way the caller does not have.
    pub(crate) fn redirect(&mut self, now: Time, key: CallKey, contacts: &[Box<[u8]>]) {
        let plan = contacts
            .iter()
            .find_map(|uri| self.plan_again(now, key, uri));
        let answer = plan.ok_or_else(|| {
            let why = "redirected to nobody who may be called".into();
            RefusedDial::because(480, why)
        });
        self.feed(now, key, Input::Routed(answer));
    }

    /// Where a Refer-To leads.
    pub(crate) fn transfer(
        &mut self,
        now: Time,
        key: CallKey,
        by: Side,
        target: &[u8],
        replaces: Option<&[u8]>,
    ) {
        let _ = by;
        if let Some(replaces) = replaces.and_then(Replaces::parse)
            && self.join(now, key, &replaces)
        {
            return;
        }
        let plan = self
            .plan_again(now, key, target)
            .ok_or_else(|| RefusedDial::because(404, "no such target".into()));
        self.feed(now, key, Input::Routed(plan));
    }

    /// Joins a call with the one that Replaces names; false if there is no such call.
    fn join(&mut self, now: Time, key: CallKey, replaces: &Replaces<'_>) -> bool {
        let Some(other) = self.calls.key_of_tag(replaces.to_tag) else {
            return false;
        };
        if other == key {
            return false;
        }
        let released = self
            .step(now, other, |call, ctx| call.release(ctx, replaces))
            .flatten();
        let Some(leg) = released else { return false };
        self.calls.adopt(&leg.dialog.local_tag, key);
        let token = leg.token.and_then(|t| self.move_permit(other, t, key));
        self.step(now, key, |call, ctx| call.adopt(ctx, leg, token));
        true
    }

    /// The leg of an attempt leaves its call: the permits are no longer that call's to return.
    pub(crate) fn give_up_permit(&mut self, key: CallKey, token: u32) {
        let entry = self.calls.entry_mut(key);
        if let Some(tried) = entry.and_then(|e| e.facts.attempts.get_mut(token as usize)) {
            tried.moves = std::mem::take(&mut tried.admitted);
        }
    }

    /// Enters an attempt of a call that has given it up among those of the call that takes its
    /// leg over; its name there. The record of either speaks of its own attempts.
    fn move_permit(&mut self, from: CallKey, token: u32, to: CallKey) -> Option<u32> {
        let left = self.calls.entry_mut(from)?;
        let tried = left.facts.attempts.get_mut(token as usize)?;
        let moved = Tried {
            outbound: tried.outbound.clone(),
            admitted: std::mem::take(&mut tried.moves),
            dialled: false,
            moves: false,
        };
        let attempts = &mut self.calls.entry_mut(to)?.facts.attempts;
        attempts.push(moved);
        u32::try_from(attempts.len() - 1).ok()
    }

    /// Routes a new target for a call that is already under way.
    fn plan_again(&mut self, now: Time, key: CallKey, uri: &[u8]) -> Option<call::Plan> {
        let parsed = Uri::parse(uri).ok()?;
        let called = match self.user_behind(&parsed) {
            Some(user) => user,
            None => String::from_utf8(parsed.user_unescaped()).ok()?,
        };
        let entry = self.calls.entry(key)?;
        let caller_text = entry.facts.caller_text().to_owned();
        let display = entry.facts.display().to_owned();
        let private = entry.facts.is_private;
        let first = entry.facts.attempts.len() as u32;
        let decision = self.decide_for(now, key, &called, &caller_text)?;
        let source = Source {
            caller: &caller_text,
            display: display.as_bytes(),
            private,
            gruu: Some(&parsed).filter(|uri| uri.params.has("gr")),
        };
        let planned = self.plan(now, &decision.target, &decision.caller, &source, first);
        if planned.plan.attempts.is_empty() {
            return None;
        }
        let entry = self.calls.entry_mut(key)?;
        entry.facts.attempts.extend(planned.tried);
        Some(planned.plan)
    }
}
