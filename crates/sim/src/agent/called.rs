//! The callee's side of a call that is not answered yet.

use std::time::Duration;

use sip::transaction::ServerId;
use sip::{Dialog, Flow, HeaderName, Message, Method, Writer};

use super::session::{Called, Role, Session, Stage};
use super::{Act, Agent, Kind, Step, Temper, What};
use crate::platform::{DOMAIN, USERS};

impl Agent {
    /// Whether it does not hear an INVITE at all: a gateway that is silent, not refusing.
    pub(super) fn ignores(&mut self, step: &mut Step<'_>, message: &Message) -> bool {
        let begins = message.is_request()
            && message.method() == Method::Invite
            && message.to().is_ok_and(|to| to.tag().is_none());
        if !begins {
            return false;
        }
        let call_id = message.call_id().unwrap_or_default().to_vec();
        if self.muted.contains(&call_id) {
            return true;
        }
        if self.heard.contains(&call_id) {
            return false;
        }
        let mute = step.dice.percent(8);
        if mute {
            step.trace
                .line(step.now, || format!("{} does not hear it", self.name));
            self.muted.push(call_id);
        } else {
            self.heard.push(call_id);
        }
        mute
    }

    pub(super) fn handle_invite(
        &mut self,
        step: &mut Step<'_>,
        server: ServerId,
        flow: Flow,
        message: Message,
    ) {
        if self.kind == Kind::Phone {
            let wanted = self.contact_uri();
            if message.uri() != wanted.as_bytes() {
                let got = String::from_utf8_lossy(message.uri()).into_owned();
                step.ledger
                    .violation(format!("{} got an INVITE for {got}", self.name));
            }
        }
        let call = number_of(&message);
        let tag = self.tag();
        let Ok(dialog) = Dialog::of_callee(&message, tag.as_bytes()) else {
            step.ledger
                .violation("an INVITE that makes no dialog".into());
            return;
        };
        let called = Called {
            flow,
            request: message,
            is_stubborn: step.dice.percent(20),
            rseq: 0,
        };
        let mut session = Session::new(step.now, call, dialog, Role::Callee(called));
        session.server = Some(server);
        self.sessions.push(session);
        let notes = step.ledger.note(call);
        notes.reached = true;
        notes.is_blurred |= self.is_blurred;
        self.plan_answer(step, self.sessions.len() - 1);
    }

    /// Draws what becomes of a new call.
    fn plan_answer(&mut self, step: &mut Step<'_>, at: usize) {
        let mut at_ms = step.dice.below(400);
        let life = self.life;
        let later = |step: &mut Step<'_>, after_ms: u64, act| {
            step.later(
                Duration::from_millis(after_ms),
                life,
                What::Session { at, act },
            );
        };
        if step.dice.percent(75) {
            let status = step.dice.pick(&[180, 180, 183]);
            later(step, at_ms, Act::Ring { status, fork: 0 });
            if self.is_moody() && self.kind == Kind::Trunk && step.dice.percent(25) {
                let status = step.dice.pick(&[180, 183]);
                later(step, at_ms + 200, Act::Ring { status, fork: 1 });
            }
            at_ms += step.dice.below(7_000);
        }
        match step.dice.below(100) {
            0..62 => later(step, at_ms, Act::Answer),
            62..90 => {
                let status = match self.temper {
                    Temper::Moody => step
                        .dice
                        .pick(&[486, 486, 404, 480, 603, 500, 503, 302, 407]),
                    Temper::Plain => step.dice.pick(&[486, 603]),
                };
                later(step, at_ms, Act::Refuse(status));
            }
            // It rings until somebody gives up; at last nobody remembers.
            _ => later(step, 100_000, Act::Refuse(480)),
        }
    }

    pub(super) fn ring(&mut self, step: &mut Step<'_>, at: usize, status: u16, fork: u8) {
        let contact = self.contact();
        let session = &mut self.sessions[at];
        let (Role::Callee(called), Some(server), Stage::Inviting) =
            (&mut session.role, session.server, session.stage)
        else {
            return;
        };
        let mut tag = session.dialog.local_tag.to_vec();
        if fork > 0 {
            tag.extend_from_slice(b"-fork");
        }
        let request = called.request.clone();
        let mut w = Writer::response(&request, called.flow.remote, status, "", &tag);
        w.header("Contact", contact.as_bytes());
        let may = request.lists(HeaderName::Supported, "100rel");
        let reliable = may && fork == 0 && called.rseq == 0 && step.dice.percent(50);
        if reliable {
            called.rseq = 1 + step.dice.below(1_000) as u32;
            w.header("Require", b"100rel")
                .header_fmt("RSeq", format_args!("{}", called.rseq));
        }
        let bytes = if status == 183 && request.sdp().is_some() {
            w.finish_with(b"application/sdp", &session.describe(&self.host))
        } else {
            w.finish()
        };
        if reliable {
            self.transactions.respond_reliably(step.now, server, bytes);
        } else {
            self.transactions.respond(step.now, server, status, bytes);
        }
    }

    pub(super) fn answer(&mut self, step: &mut Step<'_>, at: usize) {
        let contact = self.contact();
        let session = &mut self.sessions[at];
        let (Some(server), Stage::Inviting) = (session.server, session.stage) else {
            return;
        };
        let sdp = session.describe(&self.host);
        let Role::Callee(called) = &session.role else {
            return;
        };
        let tag = session.dialog.local_tag.clone();
        let mut w = Writer::response(&called.request, called.flow.remote, 200, "", &tag);
        w.header("Contact", contact.as_bytes());
        if step.dice.percent(50) {
            w.header("Allow", b"INVITE, ACK, CANCEL, BYE, UPDATE");
        }
        let bytes = w.finish_with(b"application/sdp", &sdp);
        session.is_unacked = true;
        session.go_up(step.now);
        step.ledger.note(session.call).answers += 1;
        self.transactions.respond(step.now, server, 200, bytes);
        if self.is_moody() && self.kind == Kind::Trunk && step.dice.percent(10) {
            self.answer_again(step, at);
        }
        self.plan_conversation(step, at);
    }

    /// A proxy behind the gateway forked, and two phones answered at once: another 2xx with a
    /// tag of its own, which nobody but the caller can end (RFC 3261 §13.2.2.4).
    fn answer_again(&mut self, step: &mut Step<'_>, at: usize) {
        let contact = self.contact();
        let Role::Callee(called) = &self.sessions[at].role else {
            return;
        };
        step.ledger.note(self.sessions[at].call).is_rerouted = true;
        let mut dialog = self.sessions[at].dialog.clone();
        let tag = [&*dialog.local_tag, b"-fork"].concat();
        dialog.local_tag = tag.clone().into();
        let mut w = Writer::response(&called.request, called.flow.remote, 200, "", &tag);
        w.header("Contact", contact.as_bytes());
        let again_to = called.flow.remote;
        let again = Called {
            flow: called.flow,
            request: called.request.clone(),
            is_stubborn: false,
            rseq: 0,
        };
        // It may get lost, and nobody repeats it: what becomes of it is not judged.
        let mut session = Session::new(step.now, 0, dialog, Role::Callee(again));
        let sdp = session.describe(&self.host);
        session.go_up(step.now);
        self.sessions.push(session);
        self.out
            .push((again_to, w.finish_with(b"application/sdp", &sdp)));
        let (at, act) = (self.sessions.len() - 1, Act::Bye);
        let after = Duration::from_secs(100);
        step.later(after, self.life, What::Session { at, act });
    }

    pub(super) fn refuse(&mut self, step: &mut Step<'_>, at: usize, status: u16) {
        let session = &mut self.sessions[at];
        let (Role::Callee(called), Some(server), Stage::Inviting) =
            (&session.role, session.server, session.stage)
        else {
            return;
        };
        let tag = session.dialog.local_tag.clone();
        let mut w = Writer::response(&called.request, called.flow.remote, status, "", &tag);
        match status {
            302 => {
                step.ledger.note(session.call).is_rerouted = true;
                let user = step.dice.pick(&USERS);
                w.header_fmt("Contact", format_args!("<sip:{user}@{DOMAIN}>"));
            }
            407 => {
                w.header(
                    "Proxy-Authenticate",
                    b"Digest realm=\"elsewhere\", nonce=\"1\", algorithm=MD5",
                );
            }
            503 => {
                w.header("Retry-After", b"2");
            }
            _ => {}
        }
        let bytes = w.finish();
        session.go_down(step.now);
        session.server = None;
        self.transactions.respond(step.now, server, status, bytes);
    }

    /// The INVITE was cancelled: 487, or the answer that crossed it.
    pub(super) fn handle_cancel(&mut self, step: &mut Step<'_>, server: ServerId) {
        let found = |s: &Session| s.server == Some(server) && s.stage == Stage::Inviting;
        let Some(at) = self.sessions.iter().position(found) else {
            return;
        };
        match &self.sessions[at].role {
            Role::Callee(called) if called.is_stubborn => self.answer(step, at),
            _ => self.refuse(step, at, 487),
        }
    }

    pub(super) fn handle_no_prack(&mut self, step: &mut Step<'_>, server: ServerId) {
        let found = |s: &Session| s.server == Some(server) && s.stage == Stage::Inviting;
        if let Some(at) = self.sessions.iter().position(found) {
            self.refuse(step, at, 500);
        }
    }
}

/// The number of the planned call, which the caller put into its display name.
fn number_of(invite: &Message) -> u32 {
    invite
        .from()
        .ok()
        .and_then(|from| core::str::from_utf8(from.display).ok())
        .and_then(|display| display.strip_prefix('c'))
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
