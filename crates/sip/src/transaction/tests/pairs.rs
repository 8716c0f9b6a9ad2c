//! Two tables on virtual time with a network between them that loses, doubles and delays, so
//! that messages also overtake each other. Whatever happens, every transaction ends, each
//! request reaches its user at most once, and each client learns exactly one outcome.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

const SEEDS: u64 = 1_000;
const REQUESTS: usize = 8;

#[test]
fn every_transaction_ends_whatever_the_network_does() {
    for seed in 0..SEEDS {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut world = World::new(seed, transport);
            world.run();
            world.check(&format!("seed {seed} {transport}"));
        }
    }
}

#[test]
fn a_network_without_faults_gives_every_request_its_response() {
    for seed in 0..100 {
        let mut world = World::new(seed, Transport::Udp);
        world.loss = 0.0;
        world.run();
        world.check(&format!("seed {seed}"));
        assert_eq!(
            world.callee.requests,
            world.callee.served.len(),
            "seed {seed}"
        );
        for outcome in world.caller.outcomes.values() {
            assert_ne!(*outcome, Outcome::Failed, "seed {seed}");
        }
    }
}

/// How a request ended for the one who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered(u16),
    Failed,
}

#[derive(Default)]
struct Caller {
    sent: Vec<ClientId>,
    outcomes: BTreeMap<ClientId, Outcome>,
    ended: Vec<ClientId>,
}

#[derive(Default)]
struct Callee {
    requests: usize,
    /// Call-IDs with CSeq that reached the user, and their transactions.
    served: BTreeMap<Vec<u8>, ServerId>,
    /// INVITEs without a final response.
    ringing: BTreeMap<ServerId, Message>,
    ended: Vec<ServerId>,
}

/// What happens at a time.
enum Step {
    Request,
    Cancel(ClientId),
    Respond(ServerId, u16),
    Arrive(Side, Bytes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Caller,
    Callee,
}

struct World {
    rng: ChaCha8Rng,
    transport: Transport,
    loss: f64,
    now: Time,
    /// By time and order of planning.
    plan: BTreeMap<(Time, usize), Step>,
    planned: usize,
    tables: [Transactions; 2],
    caller: Caller,
    callee: Callee,
}

impl World {
    fn new(seed: u64, transport: Transport) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let table = |host: &str, seed| {
            let listener = Listener {
                id: ListenerId(0),
                sent_by: host.into(),
                stream: None,
            };
            let mut config = TransactionConfig::new(vec![listener], [seed, 1]);
            config.timers.c = ms(200_000);
            config.timers.trying = ms(seed % 2 * 200);
            Transactions::new(config)
        };
        let mut world = Self {
            transport,
            loss: if transport.is_reliable() {
                0.0
            } else {
                rng.random_range(0.0..0.6)
            },
            rng,
            now: START,
            plan: BTreeMap::new(),
            planned: 0,
            tables: [table("192.0.2.1:5060", seed), table("192.0.2.2:5060", seed)],
            caller: Caller::default(),
            callee: Callee::default(),
        };
        for _ in 0..REQUESTS {
            let at = START + ms(world.rng.random_range(0..5_000));
            world.plan(at, Step::Request);
        }
        world
    }

    fn plan(&mut self, at: Time, step: Step) {
        self.planned += 1;
        self.plan.insert((at, self.planned), step);
    }

    fn after(&mut self, longest_ms: u64, step: Step) {
        let at = self.now + ms(self.rng.random_range(0..longest_ms));
        self.plan(at, step);
    }

    fn run(&mut self) {
        for _ in 0..100_000 {
            let timer = self
                .tables
                .iter()
                .filter_map(Transactions::poll_timeout)
                .min();
            let planned = self.plan.keys().next().copied();
            match (planned, timer) {
                (None, None) => return,
                (Some(key), at) if at.is_none_or(|at| key.0 <= at) => {
                    self.now = key.0;
                    let step = self.plan.remove(&key).expect("it was just seen");
                    self.step(step);
                }
                (_, at) => {
                    self.now = self.now.max(at.expect("one of the two is there"));
                    for table in &mut self.tables {
                        table.handle_timeout(self.now);
                    }
                }
            }
            self.drain(Side::Caller);
            self.drain(Side::Callee);
        }
        panic!("no end");
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Request => self.request(),
            Step::Cancel(client) => self.tables[0].cancel(self.now, client, b""),
            Step::Respond(server, status) => self.respond(server, status),
            Step::Arrive(side, bytes) => {
                let message = Message::parse(bytes, Framing::Datagram).expect("ours");
                let flow = self.flow(side);
                self.tables[side as usize].handle_message(self.now, flow, message);
            }
        }
    }

    fn request(&mut self) {
        let invite = self.rng.random_bool(0.7);
        let method = if invite { "INVITE" } else { "OPTIONS" };
        let number = self.caller.sent.len();
        let mut w = Writer::request(method, b"sip:callee@192.0.2.2");
        w.raw(b"From: <sip:a@b>;tag=a\r\nTo: <sip:callee@192.0.2.2>\r\n");
        w.header_fmt("Call-ID", format_args!("{number}"));
        w.header_fmt("CSeq", format_args!("1 {method}"));
        let to = Destination::Flow(self.flow(Side::Caller));
        let client = self.tables[0].request(self.now, to, &w.finish());
        self.caller.sent.push(client);
        if invite && self.rng.random_bool(0.4) {
            self.after(20_000, Step::Cancel(client));
        }
    }

    fn respond(&mut self, server: ServerId, status: u16) {
        let Some(request) = self.callee.ringing.get(&server).cloned() else {
            return;
        };
        if status >= 200 {
            self.callee.ringing.remove(&server);
        }
        let remote = self.flow(Side::Callee).remote;
        let response = Writer::response(&request, remote, status, "", b"b").finish();
        self.tables[1].respond(self.now, server, status, response);
    }

    /// The path a side sees.
    fn flow(&self, side: Side) -> Flow {
        let peer: SocketAddr = match side {
            Side::Caller => "192.0.2.2:5060",
            Side::Callee => "192.0.2.1:5060",
        }
        .parse()
        .expect("an address");
        Flow {
            transport: self.transport,
            listener: ListenerId(0),
            conn: (self.transport != Transport::Udp).then_some(crate::ConnId(1)),
            remote: peer,
        }
    }

    fn drain(&mut self, side: Side) {
        while let Some(output) = self.tables[side as usize].poll_output() {
            match (output, side) {
                (TransactionOutput::Transmit(t), _) => self.send(side, t.bytes),
                (TransactionOutput::Event(e), Side::Caller) => self.caller_event(e),
                (TransactionOutput::Event(e), Side::Callee) => self.callee_event(e),
            }
        }
    }

    fn send(&mut self, from: Side, bytes: Bytes) {
        let to = match from {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        };
        if self.transport.is_reliable() {
            // A stream keeps the order: equal delays do.
            let at = self.now + ms(20);
            return self.plan(at, Step::Arrive(to, bytes));
        }
        for _ in 0..=usize::from(self.rng.random_bool(0.1)) {
            if !self.rng.random_bool(self.loss) {
                self.after(300, Step::Arrive(to, bytes.clone()));
            }
        }
    }

    fn caller_event(&mut self, event: Event) {
        match event {
            Event::Response {
                client, message, ..
            } => {
                let status = message.status();
                if status >= 200 {
                    let before = self
                        .caller
                        .outcomes
                        .insert(client, Outcome::Answered(status));
                    let is_2xx = status < 300 && message.method() == Method::Invite;
                    let fits =
                        before.is_none() || (is_2xx && before == Some(Outcome::Answered(status)));
                    assert!(fits, "{before:?} then {status}");
                    if is_2xx {
                        self.acknowledge(&message);
                    }
                }
            }
            Event::Timeout { client } | Event::RequestFailed { client } => {
                let before = self.caller.outcomes.insert(client, Outcome::Failed);
                assert_eq!(before, None);
            }
            Event::ClientEnded { client } => self.caller.ended.push(client),
            Event::StrayResponse { .. } => {}
            other => panic!("the caller sees {other:?}"),
        }
    }

    fn acknowledge(&mut self, ok: &Message) {
        let mut w = Writer::request("ACK", b"sip:callee@192.0.2.2");
        w.copy(ok, crate::HeaderName::From)
            .copy(ok, crate::HeaderName::To)
            .copy(ok, crate::HeaderName::CallId)
            .header("CSeq", b"1 ACK");
        let to = Destination::Flow(self.flow(Side::Caller));
        let ack = self.tables[0].stateless(to, &w.finish(), 0);
        self.send(Side::Caller, ack.bytes);
    }

    fn callee_event(&mut self, event: Event) {
        match event {
            Event::Request {
                server, message, ..
            } => self.serve(server, message),
            Event::Cancel { server, .. } => self.respond(server, 487),
            Event::Ack { message, .. } => {
                let key = message.call_id().expect("ours").to_vec();
                let server = self.callee.served[&key];
                self.tables[1].acknowledged(self.now, server);
            }
            Event::ServerEnded { server } => self.callee.ended.push(server),
            Event::NoAck { .. } | Event::ResponseFailed { .. } => {}
            other => panic!("the callee sees {other:?}"),
        }
    }

    fn serve(&mut self, server: ServerId, message: Message) {
        self.callee.requests += 1;
        let key = message.call_id().expect("ours").to_vec();
        self.callee.served.insert(key, server);
        let statuses: &[u16] = match message.method() {
            Method::Invite => &[200, 200, 302, 486, 603],
            _ => &[200, 404],
        };
        let status = statuses[self.rng.random_range(0..statuses.len())];
        if message.method() == Method::Invite {
            self.callee.ringing.insert(server, message);
            self.after(3_000, Step::Respond(server, 180));
            self.after(60_000, Step::Respond(server, status));
        } else {
            self.callee.ringing.insert(server, message);
            self.after(6_000, Step::Respond(server, status));
        }
    }

    fn check(&self, run: &str) {
        for table in &self.tables {
            assert!(table.is_empty(), "{run}");
            assert!(table.wheel.is_empty(), "{run}");
            assert!(
                table.by_key.is_empty() && table.by_origin.is_empty(),
                "{run}"
            );
        }
        let caller = &self.caller;
        assert_eq!(
            caller.outcomes.len(),
            caller.sent.len(),
            "{run}: {:?}",
            caller.outcomes
        );
        let mut ended = caller.ended.clone();
        ended.dedup();
        assert_eq!(ended.len(), caller.ended.len(), "{run}");
        assert_eq!(
            self.callee.requests,
            self.callee.served.len(),
            "{run}: twice"
        );
    }
}
