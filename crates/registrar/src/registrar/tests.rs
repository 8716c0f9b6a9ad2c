//! One test per rule, over REGISTER messages as text.

use core::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::{ConnId, Flow, Framing, ListenerId, Message, Transport};
use smallvec::SmallVec;

use super::{Contact, Event, EventKind, Output, Registered, Registrar, Removal, SHARD_BITS};
use crate::output::{Ping, PingReason};
use crate::{Policy, Record, RegisterError, from_message};

mod flows;
mod gruus;
mod keep_alive;
mod model;
mod path;
mod register;
mod restore;
mod sharing;
mod verify;
mod views;

/// A registrar, the time, and one phone that counts its requests.
struct Rig {
    registrar: Registrar,
    now: Time,
    cseq: u32,
    call_id: String,
    via: String,
}

impl Rig {
    /// Bindings are routable at once, and there are no keep-alives.
    fn new() -> Self {
        Self::with(Policy {
            verify: false,
            keep_alive_interval: Duration::ZERO,
            ..Policy::default()
        })
    }

    fn with(policy: Policy) -> Self {
        Self {
            registrar: Registrar::new(policy, 3, &[9; 32]),
            now: Time::from_secs(1_800_000_000),
            cseq: 0,
            call_id: "call-1".into(),
            via: "Via: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1".into(),
        }
    }

    /// A REGISTER from the usual place, with the next CSeq.
    fn register(&mut self, headers: &str) -> Result<Registered, RegisterError> {
        self.register_from(udp("192.0.2.1:5060"), headers)
    }

    fn register_from(&mut self, flow: Flow, headers: &str) -> Result<Registered, RegisterError> {
        self.cseq += 1;
        self.send(flow, self.cseq, headers)
    }

    fn send(&mut self, flow: Flow, cseq: u32, headers: &str) -> Result<Registered, RegisterError> {
        let message = register_text(&self.via, &self.call_id, cseq, headers);
        let request = from_message(&message, flow, ALICE, 0)?;
        self.registrar.register(self.now, &request)
    }

    /// Lets time pass; timers fire when they are due, nobody answers anything.
    fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = self.outputs();
        while let Some(at) = self.registrar.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.registrar.handle_timeout(self.now);
            outputs.append(&mut self.outputs());
        }
        self.now = end;
        outputs
    }

    /// Lets time pass until an OPTIONS goes out; it is not answered yet.
    fn next_ping(&mut self) -> Ping {
        loop {
            let at = self.registrar.poll_timeout().expect("something is due");
            self.now = self.now.max(at);
            self.registrar.handle_timeout(self.now);
            if let Some(ping) = pings(&self.outputs()).pop() {
                return ping;
            }
        }
    }

    fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.registrar.poll_output()).collect()
    }

    /// The bindings that have changed since this was asked last.
    fn saved(&mut self) -> Vec<Record> {
        let mut saved = Vec::new();
        self.registrar
            .save_changed(usize::MAX, |state| saved.push(state.to_record()));
        saved
    }

    fn events(&mut self) -> Vec<EventKind> {
        events(&self.outputs())
    }

    /// The OPTIONS that is due at once.
    fn verification(&mut self) -> Ping {
        let pings = pings(&self.pass(Duration::from_millis(1)));
        let [ping] = <[Ping; 1]>::try_from(pings).expect("one OPTIONS");
        assert_eq!(ping.reason, PingReason::Verify);
        ping
    }

    fn answer(&mut self, ping: &Ping, status: u16) {
        self.registrar
            .handle_pong(self.now, ping.id, status, 20_000);
    }

    fn lookup(&self) -> SmallVec<[Contact; 2]> {
        self.registrar.lookup(self.now, ALICE)
    }

    /// The URIs calls go to, in order.
    fn routes(&self) -> Vec<String> {
        self.lookup().iter().map(|c| text(&c.uri)).collect()
    }
}

fn register_text(via: &str, call_id: &str, cseq: u32, headers: &str) -> Message {
    let headers = headers.replace('\n', "\r\n");
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\n{via}\r\nFrom: <sip:alice@example.com>;tag=1\r\n\
         To: <sip:alice@example.com>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n\
         {headers}\r\n\r\n"
    );
    Message::parse(Bytes::from(text), Framing::Datagram).expect("a REGISTER")
}

fn udp(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: remote.parse().expect("an address"),
    }
}

fn tcp(conn: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        listener: ListenerId(1),
        conn: Some(ConnId(conn)),
        remote: "192.0.2.1:40000".parse().expect("an address"),
    }
}

fn events(outputs: &[Output]) -> Vec<EventKind> {
    let kind = |output: &Output| match output {
        Output::Event(Event { kind, .. }) => Some(*kind),
        _ => None,
    };
    outputs.iter().filter_map(kind).collect()
}

fn pings(outputs: &[Output]) -> Vec<Ping> {
    let ping = |output: &Output| match output {
        Output::Ping(ping) => Some(ping.clone()),
        _ => None,
    };
    outputs.iter().filter_map(ping).collect()
}

/// What the 200 looks like.
fn written(registered: &Registered) -> String {
    let mut writer = sip::Writer::request("X", b"sip:x");
    registered.write(&mut writer);
    let text = text(&writer.finish());
    let (_, headers) = text.split_once("\r\n").expect("a first line");
    headers.replace("Content-Length: 0\r\n\r\n", "")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

const ALICE: &str = "alice@example.com";
const HOUR: Duration = Duration::from_secs(3_600);
