//! What a call costs a dispatcher without sockets: for `valgrind --tool=callgrind`, whose counts
//! depend on nothing else that the machine does. Give the number of calls; two numbers that differ
//! by one call tell what one costs.

use std::net::SocketAddr;
use std::time::Duration;

use balancer::{Policy, TargetSpec};
use clock::Time;
use dispatcher::{Config, Dispatcher, HashOn, Listener, Output, Redirects, Target};
use sip::{Flow, Framing, HeaderName, ListenerId, Message, Transport};

fn main() {
    let calls = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let mut world = World::new();
    for number in 0..calls.unwrap_or(10_000) {
        world.call(number);
    }
    println!("{} messages, {} bytes sent", world.messages, world.bytes);
}

/// A dispatcher between a caller and a target, all on loopback.
struct World {
    dispatcher: Dispatcher,
    now: Time,
    messages: u64,
    bytes: usize,
}

impl World {
    fn new() -> Self {
        let mut policy = Policy::default();
        policy.probing.interval = Duration::ZERO;
        let mut dispatcher = Dispatcher::new(Config {
            product: "Tandem".into(),
            cluster_key: [7; 32],
            seed: 1,
            policy,
            hash_on: HashOn::CallId,
            redirects: Redirects::Follow,
            names: Vec::new(),
            route_name: None,
            answer_timeout: Duration::from_secs(2),
            cps_max: 0,
        });
        dispatcher.set_listener(&Listener {
            id: ListenerId(0),
            transport: Transport::Udp,
            advertised: address(US),
        });
        let target = Target {
            spec: TargetSpec::new("callee"),
            transport: Transport::Udp,
            remote: address(CALLEE),
            host: "".into(),
            name: "".into(),
        };
        let now = Time::from_secs(1_800_000_000);
        let set = dispatcher.set_targets(now, &[target]);
        assert!(set.is_ok(), "one target is a set");
        Self {
            dispatcher,
            now,
            messages: 0,
            bytes: 0,
        }
    }

    /// INVITE, 100, 180, 200, ACK, BYE, 200.
    fn call(&mut self, number: u32) {
        let invite = self.pass(CALLER, &request("INVITE", number, "", SESSION));
        for status in ["100 Trying", "180 Ringing"] {
            self.pass(CALLEE, &answer(&invite, status, ""));
        }
        self.pass(CALLEE, &answer(&invite, "200 OK", SESSION));
        let routes = lines(&invite, HeaderName::RecordRoute, "Route");
        self.pass(CALLER, &request("ACK", number, &routes, ""));
        let bye = self.pass(CALLER, &request("BYE", number, &routes, ""));
        self.pass(CALLEE, &answer(&bye, "200 OK", ""));
        // As at ten thousand calls in a second.
        self.now += Duration::from_micros(100);
        if self
            .dispatcher
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.dispatcher.handle_timeout(self.now);
        }
    }

    /// What is sent for a message.
    fn pass(&mut self, from: &str, text: &str) -> Message {
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            conn: None,
            remote: address(from),
        };
        self.dispatcher
            .handle_datagram(self.now, flow, text.as_bytes());
        let Some(Output::Transmit(transmit)) = self.dispatcher.poll_output() else {
            panic!("nothing was sent for {text}");
        };
        self.messages += 1;
        self.bytes += transmit.bytes.len();
        Message::parse(transmit.bytes, Framing::Datagram).expect("what is sent is a message")
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn request(method: &str, number: u32, routes: &str, body: &str) -> String {
    let cseq = if method == "BYE" { 2 } else { 1 };
    let to_tag = if method == "INVITE" {
        ""
    } else {
        ";tag=callee"
    };
    format!(
        "{method} sip:bob@{US} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK-{method}-{number};rport\r\n\
         {routes}Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@{CALLER}>;tag=caller{number}\r\n\
         To: <sip:bob@{US}>{to_tag}\r\nCall-ID: {number}-call@{CALLER}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:alice@{CALLER}>\r\nUser-Agent: load\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(request: &Message, status: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in [
        HeaderName::Via,
        HeaderName::RecordRoute,
        HeaderName::From,
        HeaderName::CallId,
        HeaderName::CSeq,
    ] {
        text += &lines(request, name, name.as_str());
    }
    let length = body.len();
    text + &format!(
        "To: <sip:bob@{US}>;tag=callee\r\nContact: <sip:bob@{CALLEE}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The values of a header, each in a line of that name.
fn lines(message: &Message, name: HeaderName, written: &str) -> String {
    let values = message.values(name);
    values
        .map(|value| format!("{written}: {}\r\n", String::from_utf8_lossy(value)))
        .collect()
}

const US: &str = "127.0.0.1:5060";
const CALLER: &str = "127.0.0.2:40000";
const CALLEE: &str = "127.0.0.1:41000";
const SESSION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
