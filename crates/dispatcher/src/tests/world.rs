//! A dispatcher with a phone and targets around it, on virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use balancer::{Admission, Policy, TargetSpec};
use bytes::Bytes;
use clock::Time;
use sip::{ConnId, Destination, Flow, Framing, HeaderName, ListenerId, Message, Transport};

use crate::{Config, Dispatcher, HashOn, Listener, Output, Redirects, Target};

pub(super) const A: &str = "10.0.0.1:5060";
pub(super) const B: &str = "10.0.0.2:5060";
pub(super) const PHONE: &str = "192.0.2.7:40000";
const US: &str = "198.51.100.1:5060";
const US_TLS: &str = "198.51.100.1:5061";

/// A dispatcher and its time.
pub(super) struct World {
    pub(super) dispatcher: Dispatcher,
    pub(super) now: Time,
    pub(super) events: Vec<(balancer::Event, String)>,
    /// Where keep-alives went.
    pub(super) pulses: Vec<SocketAddr>,
}

/// What was sent.
pub(super) struct Sent {
    pub(super) to: SocketAddr,
    pub(super) conn: Option<ConnId>,
    pub(super) transport: Transport,
    /// The name of its certificate.
    pub(super) name: String,
    pub(super) key: u64,
    pub(super) message: Message,
}

pub(super) fn config() -> Config {
    let mut policy = Policy::default();
    policy.probing.interval = Duration::ZERO;
    Config {
        product: "test".into(),
        cluster_key: [7; 32],
        seed: 1,
        policy,
        hash_on: HashOn::CallId,
        redirects: Redirects::Follow,
        names: vec!["sip.example.com".into()],
        route_name: None,
        answer_timeout: Duration::from_secs(2),
        cps_max: 0,
    }
}

pub(super) fn target(name: &str, remote: &str) -> Target {
    Target {
        spec: TargetSpec::new(name),
        transport: Transport::Udp,
        remote: remote.parse().unwrap(),
        host: "".into(),
        name: "".into(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: Config) -> Self {
        let mut dispatcher = Dispatcher::new(config);
        for (id, transport, advertised) in [(0, Transport::Udp, US), (1, Transport::Tls, US_TLS)] {
            dispatcher.set_listener(&Listener {
                id: ListenerId(id),
                transport,
                advertised: advertised.parse().unwrap(),
            });
        }
        let now = Time::from_secs(1_800_000_000);
        dispatcher
            .set_targets(now, &[target("a", A), target("b", B)])
            .unwrap();
        Self {
            dispatcher,
            now,
            events: Vec::new(),
            pulses: Vec::new(),
        }
    }

    /// A datagram comes from an address; what is sent then.
    pub(super) fn udp(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let flow = udp(from);
        self.dispatcher
            .handle_datagram(self.now, flow, text.as_bytes());
        self.sent()
    }

    /// A message of the phone comes over TLS.
    pub(super) fn tls(&mut self, conn: u64, text: &str) -> Vec<Sent> {
        self.tls_from(conn, PHONE, text)
    }

    /// A message comes over TLS.
    pub(super) fn tls_from(&mut self, conn: u64, from: &str, text: &str) -> Vec<Sent> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let flow = Flow {
            remote: from.parse().unwrap(),
            ..tls(conn)
        };
        self.dispatcher.handle_stream_message(self.now, flow, bytes);
        self.sent()
    }

    /// The only target is one on TLS.
    pub(super) fn with_secure_target() -> Self {
        let mut world = Self::new();
        let secure = Target {
            transport: Transport::Tls,
            name: "a.example.com".into(),
            ..target("a", A)
        };
        let now = world.now;
        world.dispatcher.set_targets(now, &[secure]).unwrap();
        world
    }

    /// Both targets are on TLS.
    pub(super) fn with_secure_targets() -> Self {
        let mut world = Self::new();
        let secure = |name: &str, remote: &str| Target {
            transport: Transport::Tls,
            name: format!("{name}.example.com").into(),
            ..target(name, remote)
        };
        let (now, both) = (world.now, [secure("a", A), secure("b", B)]);
        world.dispatcher.set_targets(now, &both).unwrap();
        world
    }

    pub(super) fn wait(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(due) = self.dispatcher.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.dispatcher.handle_timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }

    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(output) = self.dispatcher.poll_output() {
            match output {
                Output::Transmit(transmit)
                    if transmit.bytes.iter().all(u8::is_ascii_whitespace) =>
                {
                    self.pulses.push(transmit.to.remote());
                }
                Output::Transmit(transmit) => all.push(Sent {
                    to: transmit.to.remote(),
                    transport: transmit.to.transport(),
                    conn: match transmit.to {
                        Destination::Flow(flow) => flow.conn,
                        Destination::Address { .. } => None,
                    },
                    name: match transmit.to {
                        Destination::Flow(_) => String::new(),
                        Destination::Address { name, .. } => name.into(),
                    },
                    key: transmit.key,
                    message: Message::parse(transmit.bytes, Framing::Datagram).expect("a message"),
                }),
                Output::Event { event, target } => self.events.push((event, target.to_string())),
            }
        }
        all
    }

    pub(super) fn calls(&self, name: &str) -> u32 {
        let mut all = self.dispatcher.statuses(self.now);
        all.find(|(target, _)| &*target.spec.name == name)
            .map_or(0, |(_, status)| status.calls)
    }

    pub(super) fn drain(&mut self, name: &str) {
        let mut targets: Vec<_> = self.dispatcher.targets().cloned().collect();
        for target in targets.iter_mut().filter(|t| &*t.spec.name == name) {
            target.spec.admission = Admission::Draining;
        }
        self.dispatcher.set_targets(self.now, &targets).unwrap();
        self.sent();
    }
}

pub(super) fn udp(from: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: from.parse().unwrap(),
    }
}

pub(super) fn tls(conn: u64) -> Flow {
    Flow {
        transport: Transport::Tls,
        listener: ListenerId(1),
        conn: Some(ConnId(conn)),
        remote: PHONE.parse().unwrap(),
    }
}

impl Sent {
    pub(super) fn start(&self) -> String {
        let raw = String::from_utf8_lossy(self.message.raw()).into_owned();
        raw.lines().next().unwrap_or_default().to_owned()
    }

    pub(super) fn all(&self, name: HeaderName) -> Vec<String> {
        let values = self.message.values(name);
        values
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .collect()
    }

    /// A response to this request, as its receiver writes it.
    pub(super) fn answer(&self, status: &str, more: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in [
            HeaderName::Via,
            HeaderName::RecordRoute,
            HeaderName::From,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            for value in self.all(name) {
                text += &format!("{}: {value}\r\n", name.as_str());
            }
        }
        let to = self.all(HeaderName::To).remove(0);
        let tag = if to.contains("tag=") || status.starts_with("100") {
            ""
        } else {
            ";tag=callee"
        };
        format!("{text}To: {to}{tag}\r\n{more}Content-Length: 0\r\n\r\n")
    }
}

/// A request from a phone; `more` are whole lines.
pub(super) fn request(method: &str, call: &str, branch: &str, more: &str) -> String {
    let cseq = if method == "BYE" { 2 } else { 1 };
    let cseq_method = method;
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=caller\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: {call}\r\nCSeq: {cseq} {cseq_method}\r\nContact: <sip:alice@10.9.9.9>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// A request as a phone on TLS writes it.
pub(super) fn secure(text: &str) -> String {
    text.replace("SIP/2.0/UDP 10.9.9.9:5060", "SIP/2.0/TLS 10.9.9.9:5061")
}

/// A request inside the dialog that an answered INVITE began: as the caller, or as the callee.
pub(super) fn inside(method: &str, call: &str, routes: &[String], side: Side) -> String {
    let routes: String = routes.iter().map(|r| format!("Route: {r}\r\n")).collect();
    let text = request(method, call, &format!("{method}{side:?}"), &routes);
    match side {
        Side::Caller => text.replace(
            "To: <sip:bob@example.com>",
            "To: <sip:bob@example.com>;tag=callee",
        ),
        Side::Callee => text
            .replace(
                "From: <sip:alice@example.com>;tag=caller",
                "From: <sip:bob@example.com>;tag=callee",
            )
            .replace(
                "To: <sip:bob@example.com>",
                "To: <sip:alice@example.com>;tag=caller",
            ),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}
