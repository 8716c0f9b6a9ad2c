//! Any bytes as what happens to a switch: messages of a customer, of a gateway and of strangers,
//! answers to what it sends, media, time. It never panics, and once everybody is silent and time
//! has passed, nothing of a call is left.
//!
//! An input is a list of steps. `@` followed by `T` in a message stands for the tag of
//! the switch's last answer, so that inputs reach into dialogs.

#[path = "steps.rs"]
mod steps;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{
    Account, AccountId, Carrier, CarrierId, Customer, CustomerAuth, CustomerId, Gateway, GatewayId,
    LimitSpec, Rewrite, Route, RouteId, Settings, Snapshot,
};
use sip::{ConnId, Framing, ListenerId, Message, Method, Targets, Transport, Writer};
use steps::{World, flow, number};
use switch::{CallKey, Leftovers, Listener, Output, Switch, SwitchConfig};

const CUSTOMER: [u8; 4] = [198, 51, 100, 7];
const GATEWAY: [u8; 4] = [203, 0, 113, 7];
const STRANGER: [u8; 4] = [192, 0, 2, 66];

pub(crate) fn run(input: &[u8]) {
    steps::run(Switched::new(), input);
}

struct Switched {
    switch: Switch,
    now: Time,
    /// Requests of the switch that nobody has answered.
    asked: Vec<Message>,
    tag: Vec<u8>,
    keys: Vec<u64>,
    session: Option<(CallKey, u64)>,
    /// Whether the relay answers.
    relay: Relay,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relay {
    Answers,
    Refuses,
    IsSilent,
}

impl World for Switched {
    fn now(&mut self) -> &mut Time {
        &mut self.now
    }

    fn step(&mut self, kind: u8, rest: &[u8]) {
        let number = number(rest);
        match kind {
            b'C' => self.receive(CUSTOMER, rest),
            b'G' => self.receive(GATEWAY, rest),
            b'S' => self.receive(STRANGER, rest),
            b'B' => self.receive_stream(rest),
            b'A' => self.answer(rest),
            b'T' => self.pass(Duration::from_millis(number % 4_000_000)),
            b'M' => {
                if let Some((call, session)) = self.session {
                    self.switch.handle_media_silent(self.now, call, session);
                }
            }
            b'R' => {
                self.relay = match number % 3 {
                    0 => Relay::Answers,
                    1 => Relay::Refuses,
                    _ => Relay::IsSilent,
                }
            }
            b'F' => {
                if let Some(key) = self.keys.pop() {
                    self.switch.handle_transmit_failed(self.now, key);
                }
            }
            _ => self.switch.handle_closed(self.now, ConnId(1)),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Record { .. } | Output::Candidates { .. } | Output::Press { .. } => {}
                Output::Transmit(transmit) => {
                    self.keys.push(transmit.key);
                    let message = Message::parse(transmit.bytes, Framing::Datagram);
                    self.note(message.ok());
                }
                Output::Resolve { id, .. } => {
                    self.switch
                        .handle_resolved(self.now, id, &Targets::default());
                }
                Output::Media(request) => {
                    self.session = Some((request.call, request.session));
                    let answer = match self.relay {
                        Relay::Answers => Ok(Bytes::from_static(SDP)),
                        Relay::Refuses => Err(488),
                        Relay::IsSilent => continue,
                    };
                    let (call, ask) = (request.call, request.ask);
                    self.switch.handle_media(self.now, call, ask, answer);
                }
                Output::MediaEnd { call, .. } => {
                    self.switch
                        .handle_media_report(call, Default::default(), Vec::new());
                }
                Output::Journal(_) | Output::RemoveBinding { .. } | Output::Event(_) => {}
                // One switch, which tells nobody of its calls.
                Output::Adopt(_)
                | Output::Forsake { .. }
                | Output::Keep { .. }
                | Output::Unkeep { .. }
                | Output::Seek { .. } => {}
            }
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.switch.poll_timeout()
    }

    fn handle_timeout(&mut self) {
        self.switch.handle_timeout(self.now);
    }

    fn end(mut self) {
        self.relay = Relay::Refuses;
        self.pass(Duration::from_secs(2 * 86_400));
        assert_eq!(self.switch.leftovers(), Leftovers::default());
    }
}

impl Switched {
    fn new() -> Self {
        let mut switch = Switch::new(SwitchConfig {
            node: "fuzz".into(),
            product: "Tandem".into(),
            seed: 7,
            cluster_key: [1; 32],
            sequence: 0,
        });
        for (id, transport) in [(0, Transport::Udp), (1, Transport::Tcp)] {
            switch.set_listener(Listener {
                id: ListenerId(id),
                transport,
                advertised: ([192, 0, 2, 1], 5060).into(),
            });
        }
        let now = Time::from_secs(1_000);
        switch.configure(now, Arc::new(snapshot()));
        Self {
            switch,
            now,
            asked: Vec::new(),
            tag: b"none".to_vec(),
            keys: Vec::new(),
            session: None,
            relay: Relay::Answers,
        }
    }

    fn receive(&mut self, from: [u8; 4], message: &[u8]) {
        let message = self.filled_in(message);
        let flow = flow(from, None);
        self.switch.handle_datagram(self.now, flow, &message);
    }

    fn receive_stream(&mut self, message: &[u8]) {
        let message = Bytes::from(self.filled_in(message));
        let flow = flow(CUSTOMER, Some(ConnId(1)));
        self.switch.handle_stream_message(self.now, flow, message);
    }

    fn filled_in(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len());
        let mut rest = message;
        while let Some(at) = memchr_pair(rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(&self.tag);
            rest = &rest[at + 2..];
        }
        out.extend_from_slice(rest);
        out
    }

    /// Answers the oldest request of the switch: a status in three digits, then headers.
    fn answer(&mut self, how: &[u8]) {
        let status = how.get(..3).and_then(|s| core::str::from_utf8(s).ok());
        let status: u16 = status.and_then(|s| s.parse().ok()).unwrap_or(200);
        if self.asked.is_empty() || !(100..700).contains(&status) {
            return;
        }
        let request = self.asked[0].clone();
        if status >= 200 {
            self.asked.remove(0);
        }
        let remote = ([192, 0, 2, 1], 5060).into();
        let mut w = Writer::response(&request, remote, status, "", b"callee");
        w.header("Contact", b"<sip:x@203.0.113.7>");
        w.raw(how.get(3..).unwrap_or_default());
        let is_invite = request.method() == Method::Invite && status < 300 && status > 100;
        let bytes = match is_invite {
            true => w.finish_with(b"application/sdp", SDP),
            false => w.finish(),
        };
        let flow = flow(GATEWAY, None);
        self.switch.handle_datagram(self.now, flow, &bytes);
    }

    /// What the switch sends is a message, and says where dialogs are.
    fn note(&mut self, message: Option<Message>) {
        let Some(message) = message else { return };
        if !message.is_request() {
            let tag = message
                .to()
                .ok()
                .and_then(|to| to.tag())
                .map(<[u8]>::to_vec);
            self.tag = tag.unwrap_or_else(|| std::mem::take(&mut self.tag));
        } else if message.method() != Method::Ack && !self.is_known(&message) {
            self.asked.push(message);
        }
    }

    fn is_known(&self, request: &Message) -> bool {
        let branch = |m: &Message| m.via().ok().and_then(|v| v.branch().map(<[u8]>::to_vec));
        self.asked
            .iter()
            .any(|m| branch(m) == branch(request) && m.method() == request.method())
    }
}

fn memchr_pair(text: &[u8]) -> Option<usize> {
    text.windows(2).position(|pair| pair == b"@T")
}

/// A customer at an address, and a gateway at another that takes all numbers.
fn snapshot() -> Snapshot {
    let account = AccountId::from_parts(1, 1);
    let carrier = CarrierId::from_parts(1, 1);
    let limits = LimitSpec::default();
    Snapshot {
        revision: 1,
        settings: Settings {
            verify_bindings: false,
            ..Settings::default()
        },
        accounts: vec![Arc::new(Account {
            id: account,
            name: "a".into(),
            enabled: true,
            music_on_hold: None,
            limits,
        })],
        customers: vec![Arc::new(Customer {
            id: CustomerId::from_parts(1, 1),
            account,
            name: "c".into(),
            auth: CustomerAuth::Address {
                networks: vec!["198.51.100.7/32".parse().expect("a network")],
            },
            host: None,
            rewrite: Rewrite::default(),
            media: None,
            media_zone: None,
            enabled: true,
            limits,
        })],
        carriers: vec![Arc::new(Carrier {
            id: carrier,
            account: None,
            name: "t".into(),
            rewrite: Rewrite::default(),
            media: None,
            media_zone: None,
            enabled: true,
            record: false,
            dtmf: model::DtmfMode::default(),
            limits,
        })],
        gateways: vec![Arc::new(gateway(carrier))],
        routes: vec![Arc::new(Route {
            id: RouteId::from_parts(1, 1),
            account: None,
            prefix: String::new(),
            carrier,
            priority: 0,
            cost_per_minute_micros: 0,
            rewrite: Rewrite::default(),
            media_zone: None,
            enabled: true,
        })],
        ..Snapshot::default()
    }
}

fn gateway(carrier: CarrierId) -> Gateway {
    Gateway {
        id: GatewayId::from_parts(1, 1),
        carrier,
        name: "g".into(),
        host: "203.0.113.7".into(),
        port: None,
        transport: None,
        priority: 0,
        weight: 1,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: Some(model::OutboundAuth {
            username: "us".into(),
            password: "secret".into(),
        }),
        registration: None,
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=-\r\nc=IN IP4 203.0.113.7\r\n\
    t=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
