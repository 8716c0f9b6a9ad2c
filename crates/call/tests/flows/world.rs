//! A world around one call: peers made of text, a media relay, a clock, and a ledger that is
//! balanced when the world ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use call::{
    Attempt, Call, CallFacts, Cause, Config, Credentials, Ctx, EndReport, EndedBy, Fact, Hop,
    Input, MediaAsk, MediaOp, Output, Plan, Reach, Redirects, RefusedDial, RequestId, Respond,
    Side, Snapshot, Trust, Uac, Yields,
};
use clock::Time;
use sip::{Destination, Flow, Framing, ListenerId, Message, Method, Transport};

use crate::ledger::Ledger;
use crate::peer::{self, Peer};

/// What a relay answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relay {
    /// At once, with its own addresses.
    Answers,
    /// At once, with this status.
    Refuses(u16),
    /// When the test says so.
    IsSlow,
}

/// A request of the call, as its peer gets it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: RequestId,
    pub(crate) hop: Hop,
    pub(crate) message: Message,
}

pub(crate) struct World {
    pub(crate) call: Call,
    pub(crate) config: Config,
    pub(crate) now: Time,
    pub(crate) relay: Relay,
    /// Targets of attempts by the user part of their URI; without an entry there is one.
    pub(crate) targets: BTreeMap<String, Result<Vec<Destination>, u16>>,
    /// The caller of the first INVITE.
    pub(crate) alice: Peer,
    out: VecDeque<Output>,
    requests: VecDeque<Sent>,
    acks: VecDeque<Message>,
    answers: VecDeque<(u64, u16, Message)>,
    pub(crate) cancels: Vec<(RequestId, String)>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) media: Vec<(u64, MediaOp, Side, String)>,
    /// How each of those descriptions was given.
    pub(crate) given: Vec<call::Given>,
    /// What sides named for their ICE agents.
    pub(crate) candidates: Vec<(Side, String)>,
    /// Questions about redirections and transfers.
    pub(crate) asked: VecDeque<Output>,
    pub(crate) pracked: u32,
    /// Attempts whose targets are not answered by the world.
    pub(crate) unresolved: Vec<usize>,
    pub(crate) holds_dials: bool,
    /// Whether a slow relay has been asked.
    owed: bool,
    /// The last question to the relay.
    pub(crate) ask: MediaAsk,
    pub(crate) ledger: Ledger,
    next_uas: u64,
    /// Of the attempts that have any, by token.
    credentials: Vec<(u32, Arc<Credentials>)>,
}

/// Whether calls at rest are replaced by what their snapshots say, after each step.
const RESTORES: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"flows_restored");

pub(crate) const INVITE: u64 = 1;

/// The listener that a call goes on at when its node has died.
const ELSEWHERE: ListenerId = ListenerId(1);

pub(crate) fn config() -> Config {
    Config {
        product: "test".into(),
        contacts: vec!["sip:203.0.113.1:5060".into(), "sip:203.0.113.1:5070".into()],
        duration_max: Duration::from_secs(7_200),
        session_expires_s: 1_800,
        session_expires_min_s: 90,
        media_lost_max: Duration::from_secs(60),
    }
}

/// One attempt to a user at 192.0.2.x.
pub(crate) fn attempt(stage: u16, token: u32, user: &str) -> Attempt {
    Attempt {
        stage,
        token,
        uri: format!("sip:{user}@192.0.2.20").into_bytes().into(),
        to: format!("<sip:{user}@example.com>").into_bytes().into(),
        from: (*b"\"Alice\" <sip:alice@example.com>").into(),
        identity: Box::default(),
        trust: Trust::Untrusted,
        keys: call::Keys::Events,
        routes: Box::default(),
        destination: None,
        beyond: None,
        credentials: None,
        silence_max: Duration::from_secs(4),
        ring_max: Duration::from_secs(30),
        redirects: Redirects::Follow,
        yields: Yields::AnyFailure,
    }
}

pub(crate) fn plan(attempts: Vec<Attempt>) -> Plan {
    Plan {
        attempts,
        media: call::MediaMode::Relay,
    }
}

pub(crate) fn to_bob() -> Plan {
    plan(vec![attempt(0, 0, "bob")])
}

pub(crate) fn udp(ip: &str, port: u16) -> Destination {
    Destination::Address {
        transport: Transport::Udp,
        listener: ListenerId(0),
        remote: (ip.parse::<std::net::IpAddr>().unwrap(), port).into(),
        name: "".into(),
    }
}

pub(crate) fn flow(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: remote.parse().unwrap(),
    }
}

impl World {
    /// Alice calls; the plan says whom.
    pub(crate) fn new(plan: Plan) -> Self {
        Self::with_invite(
            plan,
            "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n",
            peer::ALICE_SDP,
        )
    }

    pub(crate) fn with_invite(plan: Plan, headers: &str, sdp: &str) -> Self {
        Self::build(plan, config(), Trust::Untrusted, headers, sdp, |_| ())
    }

    /// `prepare` runs before the call begins.
    pub(crate) fn build(
        plan: Plan,
        config: Config,
        trust: Trust,
        headers: &str,
        sdp: &str,
        prepare: impl FnOnce(&mut Self),
    ) -> Self {
        let known = |a: &Attempt| Some((a.token, a.credentials.clone()?));
        let credentials = plan.attempts.iter().filter_map(known).collect();
        let mut world = Self::begin(
            config,
            trust,
            headers,
            sdp,
            prepare,
            |ctx, facts, invite| {
                Call::start(ctx, facts, INVITE, flow("192.0.2.10:5060"), invite, plan)
            },
        );
        world.credentials = credentials;
        world
    }

    pub(crate) fn echo(headers: &str, sdp: &str) -> Self {
        Self::begin_echo(headers, sdp, Relay::Answers)
    }

    pub(crate) fn begin_echo(headers: &str, sdp: &str, relay: Relay) -> Self {
        let prepare = |w: &mut Self| w.relay = relay;
        let flow = flow("192.0.2.10:5060");
        Self::begin(
            config(),
            Trust::Untrusted,
            headers,
            sdp,
            prepare,
            |ctx, facts, invite| Call::start_echo(ctx, facts, INVITE, flow, invite),
        )
    }

    fn begin(
        config: Config,
        trust: Trust,
        headers: &str,
        sdp: &str,
        prepare: impl FnOnce(&mut Self),
        start: impl FnOnce(&mut Ctx<'_>, CallFacts, Message) -> Call,
    ) -> Self {
        let mut alice = Peer::caller("alice", "bob");
        let invite = alice.request("INVITE", headers, sdp);
        let facts = CallFacts {
            key: 0xA11CE,
            seal: 0x5EA1,
            seed: 42,
            reach: Reach::Target,
            trust,
            keys: call::Keys::Events,
            credentials: None,
        };
        let now = Time::from_secs(1_000_000);
        let mut out = VecDeque::new();
        let mut ctx = Ctx {
            now,
            config: &config,
            out: &mut out,
        };
        let call = start(&mut ctx, facts, invite);
        let mut world = Self {
            call,
            config,
            now,
            relay: Relay::Answers,
            targets: BTreeMap::new(),
            alice,
            out,
            requests: VecDeque::new(),
            acks: VecDeque::new(),
            answers: VecDeque::new(),
            cancels: Vec::new(),
            facts: Vec::new(),
            media: Vec::new(),
            given: Vec::new(),
            candidates: Vec::new(),
            asked: VecDeque::new(),
            pracked: 0,
            unresolved: Vec::new(),
            holds_dials: false,
            owed: false,
            ask: MediaAsk::default(),
            ledger: Ledger::default(),
            next_uas: INVITE + 1,
            credentials: Vec::new(),
        };
        world.ledger.finals.insert(INVITE, 0);
        prepare(&mut world);
        world.collect();
        world
    }

    /// A call to Bob that Alice has acknowledged.
    pub(crate) fn answered() -> (Self, Peer) {
        Self::answered_with("", "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n")
    }

    /// With headers of Bob's 200 and of Alice's INVITE.
    pub(crate) fn answered_with(ok: &str, invite: &str) -> (Self, Peer) {
        Self::answer(Self::with_invite(to_bob(), invite, peer::ALICE_SDP), ok)
    }

    /// Bob answers, and Alice acknowledges.
    pub(crate) fn answer(mut world: Self, ok: &str) -> (Self, Peer) {
        let invite = world.sent(Method::Invite);
        Self::answer_to(world, &invite, ok)
    }

    pub(crate) fn answer_to(mut world: Self, invite: &Sent, ok: &str) -> (Self, Peer) {
        world.reply(invite, 200, "bobtag", ok, peer::BOB_SDP);
        let bob = Peer::callee(&invite.message, "bobtag");
        world.ack();
        let answer = world.told(INVITE, 200);
        world.alice.established(&answer);
        let ack = world.alice.ack(1, "");
        world.request(ack);
        (world, bob)
    }

    /// Feeds an input, and everything that follows from it at once.
    pub(crate) fn feed(&mut self, input: Input) {
        let mut ctx = Ctx {
            now: self.now,
            config: &self.config,
            out: &mut self.out,
        };
        self.call.handle(&mut ctx, input);
        self.collect();
    }

    /// Runs a step that is no input.
    pub(crate) fn step<R>(&mut self, step: impl FnOnce(&mut Call, &mut Ctx<'_>) -> R) -> R {
        let mut ctx = Ctx {
            now: self.now,
            config: &self.config,
            out: &mut self.out,
        };
        let result = step(&mut self.call, &mut ctx);
        self.collect();
        result
    }

    /// A request of a peer; names its server transaction.
    pub(crate) fn request(&mut self, message: Message) -> u64 {
        self.request_from(message, flow("192.0.2.10:5060"))
    }

    pub(crate) fn request_from(&mut self, message: Message, flow: Flow) -> u64 {
        let uas = match message.method() {
            Method::Ack => 0,
            _ => self.open_uas(),
        };
        self.feed(Input::Request { uas, flow, message });
        uas
    }

    /// A server transaction for which an answer will be due.
    pub(crate) fn open_uas(&mut self) -> u64 {
        let uas = self.next_uas;
        self.next_uas += 1;
        self.ledger.finals.insert(uas, 0);
        uas
    }

    /// The call did not take the request.
    pub(crate) fn forget_uas(&mut self, uas: u64) {
        self.ledger.finals.remove(&uas);
    }

    /// The peer's response to a request of the call.
    pub(crate) fn reply(&mut self, to: &Sent, status: u16, tag: &str, headers: &str, sdp: &str) {
        let message = peer::response(&to.message, status, tag, headers, sdp);
        self.feed(Input::Response {
            request: to.id,
            flow: flow("192.0.2.20:5060"),
            message,
        });
    }

    /// A response whose only Contact is what the headers say.
    pub(crate) fn reply_raw(&mut self, to: &Sent, status: u16, headers: &str) {
        let message = peer::response(&to.message, status, "x", headers, "");
        let text = text(&message).replace("Contact: <sip:x@192.0.2.20>\r\n", "");
        let message = parse(&Bytes::from(text));
        self.feed(Input::Response {
            request: to.id,
            flow: flow("192.0.2.20:5060"),
            message,
        });
    }

    pub(crate) fn fail(&mut self, to: &Sent, why: Uac) {
        self.feed(Input::Failed {
            request: to.id,
            why,
        });
    }

    pub(crate) fn cancel(&mut self) {
        self.feed(Input::Cancelled { reason: None });
    }

    /// The relay's late answer.
    pub(crate) fn relay_answers(&mut self) {
        self.owed = false;
        let (_, op, _, sdp) = self.media.last().cloned().expect("nothing was asked");
        self.feed(Input::Media(self.ask, Ok(relayed(op, &sdp))));
    }

    pub(crate) fn relay_refuses(&mut self, status: u16) {
        self.owed = false;
        self.feed(Input::Media(self.ask, Err(RefusedDial::from(status))));
    }

    /// Lets time pass, timers firing one by one.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.call.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.step(|call, ctx| call.handle_timeout(ctx));
        }
        self.now = end;
    }

    pub(crate) fn pass_s(&mut self, s: u64) {
        self.pass(Duration::from_secs(s));
    }

    /// The oldest request of the call that no test has looked at, which must be of this method.
    #[track_caller]
    pub(crate) fn sent(&mut self, method: Method) -> Sent {
        let sent = self.requests.pop_front();
        let sent = sent.unwrap_or_else(|| panic!("no {method:?} was sent"));
        assert_eq!(sent.message.method(), method, "{:?}", sent.message);
        sent
    }

    /// The oldest request of a method, others left aside.
    #[track_caller]
    pub(crate) fn sent_among(&mut self, method: Method) -> Sent {
        let at = self
            .requests
            .iter()
            .position(|s| s.message.method() == method);
        let at = at.unwrap_or_else(|| panic!("no {method:?} among {:?}", self.requests));
        self.requests.remove(at).unwrap()
    }

    #[track_caller]
    pub(crate) fn ack(&mut self) -> Message {
        self.acks.pop_front().expect("no ACK was sent")
    }

    /// The next response to a request, which must have this status.
    #[track_caller]
    pub(crate) fn told(&mut self, uas: u64, status: u16) -> Message {
        let at = self.answers.iter().position(|(u, ..)| *u == uas);
        let at = at.unwrap_or_else(|| panic!("no response to {uas} among {:?}", self.answers));
        let (_, got, message) = self.answers.remove(at).unwrap();
        assert_eq!(got, status, "{message:?}");
        message
    }

    /// The next request, whatever it is.
    pub(crate) fn next_sent(&mut self) -> Option<Sent> {
        self.acks.clear();
        self.requests.pop_front()
    }

    /// The next response, whatever it is.
    pub(crate) fn next_answer(&mut self) -> Option<(u64, u16, Message)> {
        self.answers.pop_front()
    }

    /// Whether the relay has been asked and has not answered.
    pub(crate) fn owed_by_relay(&self) -> bool {
        self.owed
    }

    /// All that was begun has ended.
    #[track_caller]
    pub(crate) fn balance(&self) {
        self.ledger.balance();
    }

    /// Nothing has been sent that no test has looked at.
    #[track_caller]
    pub(crate) fn silent(&self) {
        assert!(self.requests.is_empty(), "{:?}", self.requests);
        assert!(self.acks.is_empty(), "{:?}", self.acks);
        assert!(self.answers.is_empty(), "{:?}", self.answers);
    }

    #[track_caller]
    pub(crate) fn was_cancelled(&self, sent: &Sent) -> &str {
        let found = self.cancels.iter().find(|(id, _)| *id == sent.id);
        &found
            .unwrap_or_else(|| panic!("{sent:?} was not cancelled"))
            .1
    }

    /// Attempts that have ended, by token, with status.
    pub(crate) fn ended_attempts(&self) -> Vec<(u32, u16)> {
        self.facts
            .iter()
            .filter_map(|f| match f {
                Fact::AttemptEnded { token, status, .. } => Some((*token, *status)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.ledger.gone > 0
    }

    pub(crate) fn report(&self) -> &EndReport {
        self.ledger.ended.first().expect("the call has not ended")
    }

    /// As [`World::close`], for a call that we refused ourselves.
    #[track_caller]
    pub(crate) fn close_refused(self, status: u16, why: &'static str) {
        let why = why.into();
        let report = self.close(&Cause::RefusedByUs { status, why });
        assert_eq!(report.cause.ended_by(), EndedBy::Platform);
    }

    /// Ends what is left by answering every BYE and NOTIFY, and balances the ledger.
    #[track_caller]
    pub(crate) fn close(mut self, cause: &Cause) -> EndReport {
        while let Some(sent) = self.requests.pop_front() {
            match sent.message.method() {
                Method::Bye | Method::Notify => self.reply(&sent, 200, "x", "", ""),
                Method::Invite => {
                    let cancelled = self.cancels.iter().any(|(id, _)| *id == sent.id);
                    assert!(cancelled, "{sent:?} is left over");
                    self.reply(&sent, 487, "x", "", "");
                }
                _ => {}
            }
        }
        self.pass_s(100);
        self.ledger.balance();
        let report = self.ledger.ended.remove(0);
        assert_eq!(&report.cause, cause);
        report
    }

    /// Answers the CANCELs of these INVITEs with 487.
    pub(crate) fn cancelled(&mut self, sent: &[&Sent]) {
        for sent in sent {
            self.was_cancelled(sent);
            self.reply(sent, 487, "x", "", "");
        }
    }

    pub(crate) fn collect(&mut self) {
        while let Some(output) = self.out.pop_front() {
            self.ledger.note(&output);
            self.take(output);
        }
        if RESTORES && self.call.is_at_rest() {
            self.call = self.restored();
        }
    }

    /// The call by what its snapshot says.
    pub(crate) fn restored(&self) -> Call {
        let snapshot = self.call.snapshot().expect("it is between exchanges");
        let credentials = |token: Option<u32>| {
            let known = self.credentials.iter().find(|(t, _)| Some(*t) == token);
            known.map(|(_, credentials)| credentials.clone())
        };
        let restored = Call::restore(&snapshot, self.now.as_micros(), credentials);
        let restored = restored.expect("a snapshot can be read");
        assert_eq!(restored.snapshot(), Some(snapshot));
        restored
    }

    /// The node dies, and another takes the call up as it was by that snapshot. Peers keep what
    /// they have; what the call had sent is lost.
    pub(crate) fn go_elsewhere(&mut self, snapshot: &Snapshot) {
        let seed = self.now.as_micros();
        self.call = Call::restore(snapshot, seed, |_| None).expect("a snapshot can be read");
        self.requests.clear();
        self.acks.clear();
        self.answers.clear();
        self.asked.clear();
        self.ledger = Ledger::default();
        for token in self.call.tokens() {
            self.ledger.attempts.insert(token, (1, 0));
        }
        if let Some(session) = self.call.kept_session() {
            self.ledger.sessions.insert(session, 0);
        }
        if self.call.callers_invite().is_some() {
            self.call.rename_caller(INVITE);
            self.ledger.finals.insert(INVITE, 0);
        }
        self.step(|call, ctx| {
            call.go_on(ctx, |flow| Flow {
                listener: ELSEWHERE,
                ..flow
            });
        });
    }

    /// The node dies as the call is, and the INVITEs that it had sent come to this.
    pub(crate) fn ring_elsewhere(&mut self, became: call::Invited) {
        let snapshot = self.call.snapshot().expect("it rings");
        let open: Vec<RequestId> = self.call.open_invites().collect();
        self.go_elsewhere(&snapshot);
        for id in open {
            self.step(|call, ctx| call.inherit(ctx, id, became));
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Respond {
                uas,
                status,
                bytes,
                how,
            } => {
                let message = parse(&bytes);
                assert_eq!(message.status(), status);
                assert_eq!(
                    how == Respond::Reliable,
                    message.lists(sip::HeaderName::Require, "100rel"),
                );
                self.answers.push_back((uas, status, message));
            }
            Output::Request {
                id,
                method,
                hop,
                bytes,
            } => {
                let message = parse(&bytes);
                assert_eq!(message.method(), method);
                self.requests.push_back(Sent { id, hop, message });
            }
            Output::Ack { bytes, .. } => self.acks.push_back(parse(&bytes)),
            Output::Cancel { id, reason } => self.cancels.push((id, reason.into())),
            Output::Dial { attempt, uri, .. } => self.dial(attempt, &uri),
            Output::Media {
                ask,
                session,
                op,
                from,
                sdp,
                ends,
            } => {
                self.given.push(ends.given);
                let sdp = String::from_utf8(sdp.to_vec()).unwrap();
                self.media.push((session, op, from, sdp.clone()));
                self.ask = ask;
                match self.relay {
                    Relay::Answers => self.feed(Input::Media(ask, Ok(relayed(op, &sdp)))),
                    Relay::Refuses(status) => self.relay_refuses(status),
                    Relay::IsSlow => self.owed = true,
                }
            }
            Output::Fact(fact) => self.facts.push(fact),
            Output::Pracked { .. } => self.pracked += 1,
            Output::Redirected { .. } | Output::Transfer { .. } => self.asked.push_back(output),
            Output::Candidates { from, fragment, .. } => {
                let fragment = String::from_utf8(fragment.to_vec()).unwrap();
                self.candidates.push((from, fragment));
            }
            Output::Press { .. }
            | Output::Acknowledged { .. }
            | Output::MediaEnd { .. }
            | Output::Gone => {}
        }
    }

    fn dial(&mut self, attempt: usize, uri: &[u8]) {
        if self.holds_dials {
            self.unresolved.push(attempt);
            return;
        }
        let uri = String::from_utf8_lossy(uri).into_owned();
        let user = uri["sip:".len()..].split('@').next().unwrap_or_default();
        let targets = self.targets.get(user).cloned();
        let targets = targets.unwrap_or_else(|| Ok(vec![udp("192.0.2.20", 5060)]));
        let targets = targets.map_err(RefusedDial::from);
        self.feed(Input::Dial { attempt, targets });
    }
}

pub(crate) fn parse(bytes: &Bytes) -> Message {
    let message = Message::parse(bytes.clone(), Framing::Datagram);
    message.unwrap_or_else(|e| panic!("{e:?}: {}", String::from_utf8_lossy(bytes)))
}

/// What the relay makes of a description: the same with its own addresses.
fn relayed(op: MediaOp, sdp: &str) -> Bytes {
    let sdp = if op == MediaOp::Echo {
        peer::sdp("echo", "192.0.2.99")
    } else {
        sdp.to_owned()
    };
    Bytes::from(sdp.replace("192.0.2.", "203.0.113."))
}

/// The body of a message as text.
pub(crate) fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

/// A header's first value as text.
pub(crate) fn header(message: &Message, name: sip::HeaderName) -> &str {
    core::str::from_utf8(message.header(name).unwrap_or_default()).unwrap()
}

/// The whole message as text.
pub(crate) fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.raw()).into_owned()
}
