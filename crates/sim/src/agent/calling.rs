//! The caller's side of a call that is not answered yet.

use sip::{Dialog, HeaderName, Message, Writer};

use super::midcall::Errand;
use super::session::{Calling, Offer, Role, Session, Stage};
use super::{Act, Agent, Step, What};
use crate::platform::DOMAIN;

impl Agent {
    pub(super) fn call(&mut self, step: &mut Step<'_>, number: u32, to: String) {
        let tag = self.tag();
        let local = format!("\"c{number}\" <sip:{}@{DOMAIN}>", self.user);
        let remote = format!("<sip:{to}@{DOMAIN}>");
        let call_id = format!("{number}@{}", self.name);
        let mut dialog = Dialog::of_caller(
            call_id.as_bytes(),
            tag.as_bytes(),
            local.as_bytes(),
            remote.as_bytes(),
        );
        dialog.local_seq = 100;
        let offer = if !self.is_moody() || step.dice.percent(85) {
            Offer::InInvite
        } else {
            Offer::InAnswer
        };
        let role = Role::Caller(Calling {
            to,
            gave_up: false,
            challenges: 0,
            early: Vec::new(),
        });
        let mut session = Session::new(step.now, number, dialog, role);
        session.offer = offer;
        self.sessions.push(session);
        let at = self.sessions.len() - 1;
        step.ledger.called(number);
        step.ledger.note(number).is_blurred = self.is_blurred;
        self.send_invite(step, at);
        let act = Act::Cancel;
        if step.dice.percent(30) {
            let after = step.dice.millis(0, 12_000);
            step.later(after, self.life, What::Session { at, act });
        }
        if !self.is_moody() {
            // Nobody waits for ever.
            let after = step.dice.millis(70_000, 90_000);
            step.later(after, self.life, What::Session { at, act });
        }
    }

    fn send_invite(&mut self, step: &mut Step<'_>, at: usize) {
        let contact = self.contact();
        let (is_moody, replaces) = (self.is_moody(), self.replaced(step, at));
        let session = &mut self.sessions[at];
        let Role::Caller(calling) = &session.role else {
            return;
        };
        let uri = format!("sip:{}@{DOMAIN}", calling.to);
        let offer = session.offer;
        session.dialog.local_seq += 1;
        session.invite_seq = session.dialog.local_seq;
        let mut w = Writer::request("INVITE", uri.as_bytes());
        session
            .dialog
            .write_identity(&mut w, "INVITE", session.invite_seq);
        w.header("Max-Forwards", b"70")
            .header("Contact", contact.as_bytes());
        w.header("Allow", b"INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO");
        match step.dice.below(4) {
            _ if !is_moody => &mut w,
            0 => w.header("Supported", b"100rel"),
            1 => w.header("Supported", b"timer, 100rel"),
            _ => &mut w,
        };
        if step.dice.percent(10) {
            let interval_s = step.dice.pick(&[60, 90, 120]);
            w.header_fmt("Session-Expires", format_args!("{interval_s}"));
        }
        if let Some(replaces) = &replaces {
            w.header("Replaces", replaces.as_bytes());
        }
        let description = (offer == Offer::InInvite).then(|| session.describe(&self.host));
        if self.kind == super::Kind::Phone {
            self.authorize(&mut w, b"INVITE", &uri);
        }
        let bytes = match description {
            Some(sdp) => w.finish_with(b"application/sdp", &sdp),
            None => w.finish(),
        };
        let client = self.send(step.now, &bytes, Errand::Call { at });
        self.sessions[at].invite = Some(client);
    }

    /// Sometimes a new call takes the place of one the agent is in (RFC 3891), as when a call
    /// moves to another device.
    fn replaced(&mut self, step: &mut Step<'_>, at: usize) -> Option<String> {
        let other = self.other_session(at).filter(|_| self.is_moody())?;
        let other = step.dice.percent(15).then_some(other)?;
        for session in [&self.sessions[at], &self.sessions[other]] {
            step.ledger.note(session.call).is_rerouted = true;
        }
        let dialog = &self.sessions[other].dialog;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(format!(
            "{};to-tag={};from-tag={}",
            text(&dialog.call_id),
            text(&dialog.remote_tag),
            text(&dialog.local_tag)
        ))
    }

    /// Another session that is up.
    pub(super) fn other_session(&self, at: usize) -> Option<usize> {
        let up = |(n, s): &(usize, &Session)| *n != at && s.stage == Stage::Up;
        self.sessions.iter().enumerate().find(up).map(|(n, _)| n)
    }

    /// The caller hangs up before anybody answers.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>, at: usize) {
        let session = &mut self.sessions[at];
        let Role::Caller(calling) = &mut session.role else {
            return;
        };
        if session.stage != Stage::Inviting {
            return;
        }
        calling.gave_up = true;
        step.ledger.note(session.call).cancelled = true;
        if let Some(client) = session.invite {
            self.transactions.cancel(step.now, client, b"");
        }
    }

    /// A response to the first INVITE of a call.
    pub(super) fn handle_progress(&mut self, step: &mut Step<'_>, at: usize, response: &Message) {
        match response.status() {
            100 => {}
            101..200 => self.acknowledge_early(step, at, response),
            200..300 => self.handle_answer(step, at, response),
            401 | 407 if self.try_again(step, at, response) => {}
            status => self.handle_refusal(step, at, status),
        }
    }

    /// PRACK (RFC 3262 §4), if the response asks for it and is the next of its dialog.
    fn acknowledge_early(&mut self, step: &mut Step<'_>, at: usize, response: &Message) {
        let session = &mut self.sessions[at];
        let Role::Caller(calling) = &mut session.role else {
            return;
        };
        let tag: Box<[u8]> = match response.to().ok().and_then(|to| to.tag()) {
            Some(tag) => tag.into(),
            None => {
                step.ledger
                    .violation("a provisional response without tag".into());
                return;
            }
        };
        let Some(rseq) = response.number(HeaderName::RSeq) else {
            return;
        };
        match calling.early.iter_mut().find(|(t, _)| *t == tag) {
            Some((_, last)) if rseq == *last + 1 => *last = rseq,
            Some(_) => return,
            None => calling.early.push((tag, rseq)),
        }
        let mut early = session.dialog.clone();
        early.establish(response);
        let mut w = early.request("PRACK");
        session.dialog.local_seq = early.local_seq;
        w.header_fmt("RAck", format_args!("{rseq} {} INVITE", session.invite_seq));
        let offered = session.offer == Offer::InInvite;
        let bytes = if response.sdp().is_some() && !offered {
            w.finish_with(b"application/sdp", &session.describe(&self.host))
        } else {
            w.finish()
        };
        self.send(step.now, &bytes, Errand::Other);
    }

    fn handle_answer(&mut self, step: &mut Step<'_>, at: usize, response: &Message) {
        let is_moody = self.is_moody();
        let session = &mut self.sessions[at];
        let tag = response.to().ok().and_then(|to| to.tag());
        let call = session.call;
        match session.stage {
            Stage::Inviting => {
                session.dialog.establish(response);
                session.invite = None;
                session.go_up(step.now);
                step.ledger.note(call).final_status = Some(200);
                self.send_ack_of(at, response);
                let gave_up = matches!(&self.sessions[at].role, Role::Caller(c) if c.gave_up);
                if gave_up {
                    self.bye(step, at);
                } else {
                    self.plan_conversation(step, at);
                }
            }
            Stage::Up | Stage::Down if tag == Some(&*session.dialog.remote_tag) => {
                self.send_ack_of(at, response);
            }
            // In a cluster it is looked elsewhere whether that may be.
            _ if !is_moody => {}
            _ => step
                .ledger
                .violation(format!("call {call}: the caller got two different answers")),
        }
    }

    pub(super) fn send_ack_of(&mut self, at: usize, response: &Message) {
        let session = &mut self.sessions[at];
        let seq = response.cseq().map_or(session.invite_seq, |c| c.number);
        let late = session.offer == Offer::InAnswer && session.invite_seq == seq;
        let w = session.dialog.request_numbered("ACK", seq);
        let bytes = if late && response.sdp().is_some() {
            w.finish_with(b"application/sdp", &session.describe(&self.host))
        } else {
            w.finish()
        };
        self.send_ack(&bytes);
    }

    /// Answers a challenge; false if it gives up.
    fn try_again(&mut self, step: &mut Step<'_>, at: usize, response: &Message) -> bool {
        let Role::Caller(calling) = &mut self.sessions[at].role else {
            return false;
        };
        calling.challenges += 1;
        if calling.gave_up || calling.challenges > 3 || self.kind == super::Kind::Trunk {
            return false;
        }
        if !self.learn_challenge(response) {
            return false;
        }
        self.send_invite(step, at);
        true
    }

    pub(super) fn handle_refusal(&mut self, step: &mut Step<'_>, at: usize, status: u16) {
        let session = &mut self.sessions[at];
        if session.stage != Stage::Inviting {
            return;
        }
        session.invite = None;
        session.go_down(step.now);
        step.ledger.note(session.call).final_status = Some(status);
    }
}
