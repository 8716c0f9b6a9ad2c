//! Talking: what is sent and answered inside a dialog, until it ends.

use std::time::Duration;

use sip::transaction::{ClientId, ServerId};
use sip::{Flow, Message, Method, Writer};

use super::session::{Offer, Role, Session, Stage};
use super::{Act, Agent, Step, What};
use crate::platform::{DOMAIN, USERS};

/// What a request of an agent is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    Register {
        challenges: u8,
    },
    /// The first INVITE of a session.
    Call {
        at: usize,
    },
    /// A later one.
    Again {
        at: usize,
    },
    Bye,
    /// Another request inside a session.
    Inside {
        at: usize,
    },
    Other,
}

impl Agent {
    /// Draws what happens in a call that was just answered. Times lie on a grid, so that both
    /// sides often act at once.
    pub(super) fn plan_conversation(&mut self, step: &mut Step<'_>, at: usize) {
        let life = self.life;
        let grid = |n: u64| Duration::from_millis(n * 1_000);
        for _ in 0..step.dice.below(4) {
            let act = match step.dice.below(10) {
                _ if !self.is_moody() => Act::Hold,
                0..6 => Act::Hold,
                6 => Act::Update,
                7 => Act::Message,
                8 => Act::Consult,
                _ => Act::Refer(step.dice.pick(&USERS)),
            };
            let after = grid(1 + step.dice.below(5));
            step.later(after, life, What::Session { at, act });
        }
        let after = match step.dice.below(10) {
            0 => Duration::ZERO,
            1..6 => grid(5 + step.dice.below(4)),
            6..8 => grid(20 + step.dice.below(3)),
            // It forgets to hang up.
            _ => grid(150),
        };
        let act = Act::Bye;
        step.later(after, life, What::Session { at, act });
    }

    /// A re-INVITE, unless an exchange is under way (RFC 3261 §14.1).
    pub(super) fn hold(&mut self, step: &mut Step<'_>, at: usize) {
        let contact = self.contact();
        let session = &mut self.sessions[at];
        if session.stage != Stage::Up || session.invite.is_some() || session.is_unacked {
            return;
        }
        session.held = !session.held;
        let sdp = session.describe(&self.host);
        let mut w = session.dialog.request("INVITE");
        session.invite_seq = session.dialog.local_seq;
        w.header("Contact", contact.as_bytes());
        let bytes = if step.dice.percent(85) {
            session.offer = Offer::InInvite;
            w.finish_with(b"application/sdp", &sdp)
        } else {
            session.offer = Offer::InAnswer;
            w.finish()
        };
        let client = self.send(step.now, &bytes, Errand::Again { at });
        self.sessions[at].invite = Some(client);
    }

    /// UPDATE without description, INFO, or REFER.
    pub(super) fn mention(&mut self, step: &mut Step<'_>, at: usize, act: Act) {
        let contact = self.contact();
        let session = &mut self.sessions[at];
        if session.stage != Stage::Up {
            return;
        }
        let method = match act {
            Act::Update => "UPDATE",
            Act::Refer(_) => "REFER",
            _ => "INFO",
        };
        let mut w = session.dialog.request(method);
        w.header("Contact", contact.as_bytes());
        if let Act::Refer(user) = act {
            w.header_fmt("Refer-To", format_args!("<sip:{user}@{DOMAIN}>"));
            step.ledger.note(session.call).is_rerouted = true;
        }
        let bytes = w.finish();
        self.send(step.now, &bytes, Errand::Inside { at });
    }

    /// Calls somebody else, to join the two calls some seconds later.
    pub(super) fn consult(&mut self, step: &mut Step<'_>, at: usize) {
        if self.sessions[at].stage != Stage::Up || step.ledger.is_closing {
            return;
        }
        let number = step.ledger.next_number();
        let to = step.dice.pick(&USERS).to_owned();
        self.call(step, number, to);
        for act in [Act::Join, Act::Join] {
            let after = step.dice.millis(1_000, 9_000);
            step.later(after, self.life, What::Session { at, act });
        }
    }

    /// REFER to the peer of another session, which the new call is to replace.
    pub(super) fn join(&mut self, step: &mut Step<'_>, at: usize) {
        let Some(other) = self.other_session(at) else {
            return;
        };
        let contact = self.contact();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let dialog = &self.sessions[other].dialog;
        let refer_to = format!(
            "<{}?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
            text(&dialog.target),
            text(&dialog.call_id).replace('@', "%40"),
            text(&dialog.remote_tag),
            text(&dialog.local_tag),
        );
        step.ledger.note(self.sessions[other].call).is_rerouted = true;
        let session = &mut self.sessions[at];
        if session.stage != Stage::Up {
            return;
        }
        step.ledger.note(session.call).is_rerouted = true;
        let mut w = session.dialog.request("REFER");
        w.header("Contact", contact.as_bytes());
        w.header("Refer-To", refer_to.as_bytes());
        let bytes = w.finish();
        self.send(step.now, &bytes, Errand::Inside { at });
    }

    /// A MESSAGE to a user.
    pub(super) fn write(&mut self, step: &mut Step<'_>, to: &str) {
        let tag = self.tag();
        let uri = format!("sip:{to}@{DOMAIN}");
        let mut w = Writer::request("MESSAGE", uri.as_bytes());
        let user = self.user;
        w.header_fmt("From", format_args!("<sip:{user}@{DOMAIN}>;tag={tag}"));
        w.header_fmt("To", format_args!("<{uri}>"));
        w.header_fmt("Call-ID", format_args!("message-{tag}"));
        w.header("CSeq", b"1 MESSAGE").header("Max-Forwards", b"70");
        if self.kind == super::Kind::Phone {
            self.authorize(&mut w, b"MESSAGE", &uri);
        }
        let bytes = w.finish_with(b"text/plain", b"hello");
        self.send(step.now, &bytes, Errand::Other);
    }

    pub(super) fn bye(&mut self, step: &mut Step<'_>, at: usize) {
        let session = &mut self.sessions[at];
        if session.stage != Stage::Up {
            return;
        }
        if session.is_unacked && session.up_at == Some(step.now) {
            // RFC 3261 §15: the callee's BYE waits for the ACK.
            let act = Act::Bye;
            let after = Duration::from_secs(1);
            step.later(after, self.life, What::Session { at, act });
            return;
        }
        let bytes = session.dialog.request("BYE").finish();
        session.go_down(step.now);
        step.ledger
            .said_bye(session.call, session.is_caller(), step.now);
        self.send(step.now, &bytes, Errand::Bye);
    }

    /// A request inside a dialog.
    pub(super) fn handle_inside(
        &mut self,
        step: &mut Step<'_>,
        server: ServerId,
        flow: Flow,
        request: &Message,
    ) {
        let Some(at) = self.sessions.iter().position(|s| s.is_named_by(request)) else {
            self.respond(step, server, flow, request, 481);
            return;
        };
        let session = &mut self.sessions[at];
        if !session.dialog.accept(request) {
            self.respond(step, server, flow, request, 500);
            return;
        }
        match (request.method(), session.stage) {
            (Method::Bye, Stage::Inviting) => {
                self.respond(step, server, flow, request, 200);
                self.refuse(step, at, 487);
            }
            (Method::Bye, _) => {
                session.go_down(step.now);
                self.respond(step, server, flow, request, 200);
            }
            (_, Stage::Down) => self.respond(step, server, flow, request, 481),
            (Method::Prack, _) => {
                if let Some(invite) = session.server {
                    self.transactions.pracked(step.now, invite);
                }
                self.respond(step, server, flow, request, 200);
            }
            (Method::Invite, _) if session.invite.is_some() => {
                self.respond(step, server, flow, request, 491);
            }
            (Method::Invite, _) if session.is_unacked => {
                self.respond(step, server, flow, request, 500);
            }
            (Method::Invite, _) => self.accept_offer(step, at, server, flow, request),
            _ => self.respond(step, server, flow, request, 200),
        }
    }

    fn accept_offer(
        &mut self,
        step: &mut Step<'_>,
        at: usize,
        server: ServerId,
        flow: Flow,
        request: &Message,
    ) {
        if step.dice.percent(10) {
            self.respond(step, server, flow, request, 488);
            return;
        }
        let contact = self.contact();
        let session = &mut self.sessions[at];
        session.server = Some(server);
        session.is_unacked = true;
        let sdp = session.describe(&self.host);
        let mut w = Writer::response(request, flow.remote, 200, "", b"");
        w.header("Contact", contact.as_bytes());
        let bytes = w.finish_with(b"application/sdp", &sdp);
        self.transactions.respond(step.now, server, 200, bytes);
    }

    pub(super) fn handle_ack(&mut self, step: &mut Step<'_>, ack: &Message) {
        let Some(at) = self.sessions.iter().position(|s| s.is_named_by(ack)) else {
            return;
        };
        let session = &mut self.sessions[at];
        if let Some(server) = session.server.filter(|_| session.is_unacked) {
            session.server = None;
            session.is_unacked = false;
            self.transactions.acknowledged(step.now, server);
        }
    }

    /// No ACK for a 2xx: RFC 3261 §13.3.1.4 wants a BYE.
    pub(super) fn handle_no_ack(&mut self, step: &mut Step<'_>, server: ServerId) {
        let found = |s: &Session| s.server == Some(server) && s.is_unacked;
        if let Some(at) = self.sessions.iter().position(found) {
            self.sessions[at].is_unacked = false;
            self.bye(step, at);
        }
    }

    pub(super) fn handle_response(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        response: &Message,
    ) {
        let Some((_, errand)) = self.requests.iter().find(|(c, _)| *c == client) else {
            return;
        };
        let errand = *errand;
        let is_final = response.status() >= 200;
        match errand {
            Errand::Call { at } => self.handle_progress(step, at, response),
            Errand::Again { at } if is_final => self.handle_again(step, at, response),
            Errand::Register { challenges } if is_final => {
                self.handle_registered(step, challenges, response);
            }
            Errand::Inside { at } if is_final => {
                if matches!(response.status(), 408 | 481) {
                    self.bye(step, at);
                }
            }
            _ => {}
        }
        if is_final && response.method() != Method::Invite {
            self.requests.retain(|(c, _)| *c != client);
        }
    }

    /// The answer to a re-INVITE.
    fn handle_again(&mut self, step: &mut Step<'_>, at: usize, response: &Message) {
        self.sessions[at].invite = None;
        match response.status() {
            200..300 => self.send_ack_of(at, response),
            408 | 481 => self.bye(step, at),
            _ => {}
        }
    }

    /// No response at all.
    pub(super) fn handle_silence(&mut self, step: &mut Step<'_>, client: ClientId) {
        let Some(place) = self.requests.iter().position(|(c, _)| *c == client) else {
            return;
        };
        let (_, errand) = self.requests.swap_remove(place);
        match errand {
            Errand::Call { at } => {
                self.handle_refusal(step, at, 408);
                let session = &self.sessions[at];
                if let Role::Caller(_) = session.role {
                    step.ledger.note(session.call).unheard = true;
                }
            }
            Errand::Again { at } => {
                self.sessions[at].invite = None;
                self.bye(step, at);
            }
            Errand::Inside { at } => self.bye(step, at),
            Errand::Register { .. } | Errand::Bye | Errand::Other => {}
        }
    }
}
