//! Anything may happen in any order: whatever does, all that was begun ends, once.

use call::{Cause, Input, MediaMode, Output, RefusedDial, Uac};
use proptest::prelude::*;
use sip::{HeaderName, Method};

use crate::peer::{ALICE_SDP, Peer, sdp};
use crate::world::{INVITE, Relay, Sent, World, attempt, config, plan, udp};

/// Responses that peers choose from.
const STATUSES: [u16; 24] = [
    100, 180, 183, 183, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 302, 302, 404, 407, 422,
    481, 486, 491, 503, 603,
];
const METHODS: [&str; 16] = [
    "INVITE", "INVITE", "INVITE", "UPDATE", "UPDATE", "BYE", "INFO", "REFER", "REFER", "REFER",
    "PRACK", "OPTIONS", "ACK", "ACK", "ACK", "ACK",
];
const PROVISIONAL: &str = "Require: 100rel\r\nRSeq: 1\r\n";
const HEADERS: &str = "Min-SE: 200\r\nRefer-To: <sip:carol@example.com>\r\nRAck: 1 1 INVITE\r\n\
    Allow: INVITE, UPDATE\r\nSupported: timer, 100rel\r\n";

/// The peers around the call, and what they have not answered yet.
struct Chaos {
    w: World,
    open: Vec<Sent>,
    callees: Vec<Peer>,
    /// Alice in each of her dialogs.
    callers: Vec<Peer>,
    /// Our 2xx to INVITE that wait for ACK, with the peer that owes it.
    unacked: Vec<u64>,
    is_final: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_everything_ends_once(
        setup in 0_u8..32,
        steps in prop::collection::vec((0_u8..16, any::<u8>(), any::<u8>()), 0..100),
    ) {
        let mut chaos = Chaos::new(setup);
        for (what, which, how) in steps {
            chaos.step(what, usize::from(which), usize::from(how));
        }
        chaos.end();
    }
}

impl Chaos {
    fn new(setup: u8) -> Self {
        if setup & 16 != 0 {
            return Self::answered(setup);
        }
        let mut whole = plan(vec![
            attempt(0, 0, "desk"),
            attempt(0, 1, "mobile"),
            attempt(1, 2, "voicemail"),
        ]);
        if setup & 1 != 0 {
            whole.media = MediaMode::Bypass;
        }
        let offer = if setup & 2 != 0 { ALICE_SDP } else { "" };
        let headers = "Supported: 100rel, timer\r\n";
        let trust = call::Trust::Untrusted;
        let w = World::build(whole, config(), trust, headers, offer, |w| {
            w.holds_dials = setup & 4 != 0;
            w.relay = if setup & 8 != 0 {
                Relay::IsSlow
            } else {
                Relay::Answers
            };
        });
        let mut chaos = Self {
            w,
            open: Vec::new(),
            callees: Vec::new(),
            callers: Vec::new(),
            unacked: Vec::new(),
            is_final: false,
        };
        chaos.look();
        chaos
    }

    fn answered(setup: u8) -> Self {
        let (mut w, bob) = World::answered_with(HEADERS, HEADERS);
        if setup & 8 != 0 {
            w.relay = Relay::IsSlow;
        }
        w.holds_dials = setup & 4 != 0;
        let alice = w.alice.clone();
        Self {
            w,
            open: Vec::new(),
            callees: vec![bob],
            callers: vec![alice],
            unacked: Vec::new(),
            is_final: true,
        }
    }

    fn step(&mut self, what: u8, which: usize, how: usize) {
        if how.is_multiple_of(4) {
            self.relay(which);
        }
        if self.w.is_gone() {
            return;
        }
        match what {
            0..=5 => self.respond(which, how),
            6 => self.fail(which, how),
            7 | 8 => self.ask(which, how, Party::Caller),
            9 | 10 => self.ask(which, how, Party::Callee),
            11 if how < 16 && !self.is_final => self.w.cancel(),
            12 => self.w.pass_s(how as u64),
            11 | 13 => self.resolve(which, how),
            14 => self.relay(how),
            15 => self.route(how),
            _ => {}
        }
        self.look();
    }

    /// Takes in what the call has sent.
    fn look(&mut self) {
        while let Some(sent) = self.w.next_sent() {
            if sent.message.method() == Method::Invite && self.callees.len() < 8 {
                let tag = format!("tag{}", self.callees.len());
                self.callees.push(Peer::callee(&sent.message, &tag));
            }
            self.open.push(sent);
        }
        while let Some((uas, status, message)) = self.w.next_answer() {
            self.is_final |= uas == INVITE && status >= 200;
            if uas == INVITE && status > 100 && self.callers.len() < 8 {
                let peer = self.w.alice.in_dialog_of(&message);
                self.callers.push(peer);
            }
            if message.method() == Method::Invite && (200..300).contains(&status) {
                self.unacked.push(uas);
            }
        }
    }

    fn respond(&mut self, which: usize, how: usize) {
        if self.open.is_empty() {
            return;
        }
        let at = which % self.open.len();
        let sent = self.open[at].clone();
        let is_invite = sent.message.method() == Method::Invite;
        let status = STATUSES[how % STATUSES.len()];
        if status < 200 && !is_invite {
            return;
        }
        if status >= 200 {
            self.open.remove(at);
        }
        let is_new = sent.message.to().is_ok_and(|to| to.tag().is_none());
        let known = self
            .callees
            .iter()
            .position(|c| c.is_called_by(&sent.message));
        let tag = match known {
            Some(at) if is_new && how < 200 => format!("tag{at}"),
            _ if is_new => "fork".to_owned(),
            _ => String::new(),
        };
        let body = match status {
            183 | 200 if is_invite || sent.message.sdp().is_some() => sdp("callee", "192.0.2.20"),
            _ => String::new(),
        };
        let headers = match status {
            183 if how.is_multiple_of(2) => format!("{HEADERS}{PROVISIONAL}"),
            _ => HEADERS.to_owned(),
        };
        self.w.reply(&sent, status, &tag, &headers, &body);
    }

    fn fail(&mut self, which: usize, how: usize) {
        if !self.open.is_empty() {
            let sent = self.open.remove(which % self.open.len());
            let why = if how.is_multiple_of(2) {
                Uac::Timeout
            } else {
                Uac::Unreachable
            };
            self.w.fail(&sent, why);
        }
    }

    fn ask(&mut self, which: usize, how: usize, party: Party) {
        let peers = match party {
            Party::Caller => &mut self.callers,
            Party::Callee => &mut self.callees,
        };
        if peers.is_empty() {
            return;
        }
        let at = which % peers.len();
        let peer = &mut peers[at];
        let method = METHODS[how % METHODS.len()];
        let body = match method {
            "INVITE" | "UPDATE" | "ACK" if !how.is_multiple_of(3) => {
                sdp(&format!("s{how}"), "192.0.2.10")
            }
            _ => String::new(),
        };
        let message = match method {
            "ACK" => peer.ack(peer.seq, &body),
            _ => peer.request(method, HEADERS, &body),
        };
        if method == "ACK" {
            // Which of them it was does not matter: those that remain fail in the end.
            self.unacked.retain(|uas| *uas != INVITE || at != 0);
        }
        self.w.request(message);
    }

    fn resolve(&mut self, which: usize, how: usize) {
        if !self.w.unresolved.is_empty() {
            let at = which % self.w.unresolved.len();
            let attempt = self.w.unresolved.remove(at);
            let targets = match how % 4 {
                0 => Err(RefusedDial::from(503)),
                _ => Ok(vec![udp("192.0.2.20", 5060), udp("192.0.2.21", 5060)]),
            };
            self.w.feed(Input::Dial { attempt, targets });
        }
    }

    fn relay(&mut self, how: usize) {
        if self.w.owed_by_relay() && !self.w.is_gone() {
            match how % 4 {
                0 => self.w.relay_refuses(503),
                _ => self.w.relay_answers(),
            }
        }
    }

    fn route(&mut self, how: usize) {
        if let Some(Output::Redirected { .. } | Output::Transfer { .. }) = self.w.asked.pop_front()
        {
            let token = 100 + self.w.facts.len() as u32;
            let token = token * 100 + how as u32;
            let answer = match how % 3 {
                0 => Err(RefusedDial::from(404)),
                _ => Ok(plan(vec![attempt(0, token, "carol")])),
            };
            self.w.feed(Input::Routed(answer));
        }
    }

    /// The transaction layer gives up whatever is left.
    fn end(mut self) {
        if !self.w.is_gone() {
            self.w.feed(Input::End(Cause::Operator));
        }
        for _ in 0..1_000 {
            if self.w.is_gone() {
                break;
            }
            self.look();
            if self.w.owed_by_relay() {
                self.w.relay_answers();
            } else if let Some(uas) = self.unacked.pop() {
                self.w.feed(Input::NoAck { uas });
            } else if let Some(sent) = self.open.pop() {
                self.w.fail(&sent, Uac::Timeout);
            } else {
                self.w.pass_s(41);
            }
        }
        self.w.balance();
    }
}

#[derive(Clone, Copy)]
enum Party {
    Caller,
    Callee,
}

impl Peer {
    fn is_called_by(&self, invite: &sip::Message) -> bool {
        invite.header(HeaderName::CallId) == Some(self.call_id().as_bytes())
    }
}
