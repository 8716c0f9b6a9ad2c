use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::config::{AddressFamily, EngineConfig, Interface};
use crate::engine::{Engine, Negotiation};
use crate::options::Options;

/// Doubles each packet of RTP, and says one more a while later.
#[derive(Debug, Default)]
struct Doubler {
    due_us: Option<u64>,
    last: Vec<u8>,
    from: Option<Side>,
}

impl Stage for Doubler {
    fn handle_packet(&mut self, packet: Packet<'_>, now_us: u64, out: &mut Outbox) {
        out.push(packet);
        if packet.part == Part::Rtp {
            out.push(packet);
            self.last = packet.bytes.to_vec();
            self.from = Some(packet.from);
            self.due_us = Some(now_us + 5_000);
        }
    }

    fn handle_timeout(&mut self, now_us: u64, out: &mut Outbox) {
        assert!(self.due_us.take().is_some_and(|due_us| due_us <= now_us));
        let from = self.from.expect("a packet came");
        out.push_with(from, Part::Rtp, |room| {
            room[..self.last.len()].copy_from_slice(&self.last);
            room[self.last.len() - 1] = b'!';
            Some(self.last.len())
        });
    }

    fn poll_timeout(&self) -> Option<u64> {
        self.due_us
    }
}

/// Refuses RTP.
#[derive(Debug)]
struct Mute;

impl Stage for Mute {
    fn handle_packet(&mut self, packet: Packet<'_>, _now_us: u64, out: &mut Outbox) {
        if packet.part == Part::Rtcp {
            out.push(packet);
        }
    }
}

/// Asks to be called at once, whenever it was called.
#[derive(Debug)]
struct Restless;

impl Stage for Restless {
    fn handle_packet(&mut self, packet: Packet<'_>, _now_us: u64, out: &mut Outbox) {
        out.push(packet);
    }

    fn poll_timeout(&self) -> Option<u64> {
        Some(0)
    }
}

struct Call {
    engine: Engine,
    a: UdpSocket,
    a_rtcp: UdpSocket,
    b: UdpSocket,
    towards_b: SocketAddr,
    rtcp_towards_b: SocketAddr,
}

/// Both take RTCP by the port of RTP; A sends it by another all the same.
fn call() -> Call {
    let interface = Interface::same("127.0.0.1".parse().expect("an address"));
    let config = EngineConfig {
        v4: Some(interface),
        ..EngineConfig::new(20_000..=29_999)
    };
    let mut engine = Engine::new(config, || {}).expect("an engine");
    let (a, a_rtcp, b) = (socket(), socket(), socket());
    let sdp = |socket: &UdpSocket, more: &str| {
        let port = socket.local_addr().expect("bound").port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\n{more}"
        )
    };
    let rtcp = a_rtcp.local_addr().expect("bound").port();
    let offer = sdp(&a, &format!("a=rtcp:{rtcp}\r\na=rtcp-mux\r\n"));
    let answer = sdp(&b, "a=rtcp-mux\r\n");
    let negotiation = |from, sdp: &'static str| Negotiation {
        from,
        sdp: sdp.as_bytes(),
        signalling: None,
        options: Options::relay(),
    };
    let (offer, answer) = (offer.leak(), answer.leak());
    engine
        .offer(1, negotiation(Side::A, offer), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(1, negotiation(Side::B, answer))
        .expect("an answer");
    let answer = sdp::Description::parse(&answer).expect("a description");
    let medium = answer.medium(0).expect("a medium");
    let (towards_b, rtcp_towards_b) = (medium.rtp_address(), medium.rtcp_address());
    Call {
        engine,
        a,
        a_rtcp,
        b,
        towards_b: towards_b.expect("an address"),
        rtcp_towards_b: rtcp_towards_b.expect("an address"),
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let timeout = Some(Duration::from_secs(5));
    socket.set_read_timeout(timeout).expect("a timeout");
    socket
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let len = socket.recv(&mut buffer).expect("a packet in time");
    buffer[..len].to_vec()
}

fn rtp(sequence: u16, text: &str) -> Vec<u8> {
    let header = rtp::Header {
        payload_type: 8,
        sequence,
        ssrc: 1,
        ..rtp::Header::default()
    };
    [&header.encode()[..], text.as_bytes()].concat()
}

#[test]
fn a_stage_adds_packets_and_is_called_when_its_time_has_come() {
    let call = call();
    let stage = Box::<Doubler>::default();
    call.engine.set_stage(1, 0, Place::Transcode, Some(stage));
    call.a.send_to(&rtp(1, "a."), call.towards_b).expect("sent");
    let heard: Vec<_> = (0..3).map(|_| receive(&call.b)).collect();
    assert_eq!(heard, [rtp(1, "a."), rtp(1, "a."), rtp(1, "a!")]);
}

#[test]
fn stages_stand_in_the_order_of_their_places_and_go_again() {
    let call = call();
    let stage = Box::<Doubler>::default();
    call.engine.set_stage(1, 0, Place::Transcode, Some(stage));
    call.engine
        .set_stage(1, 0, Place::Block, Some(Box::new(Mute)));
    call.a.send_to(&rtp(1, "x"), call.towards_b).expect("sent");
    // RTCP passes both, and goes to the port that B takes it by.
    let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 9];
    call.a_rtcp
        .send_to(&rtcp, call.rtcp_towards_b)
        .expect("sent");
    assert_eq!(receive(&call.b), rtcp);
    call.engine.set_stage(1, 0, Place::Block, None);
    call.engine.set_stage(1, 0, Place::Transcode, None);
    call.a.send_to(&rtp(2, "y"), call.towards_b).expect("sent");
    assert_eq!(receive(&call.b), rtp(2, "y"));
}

#[test]
fn a_stage_that_is_never_content_keeps_nobody_waiting() {
    let call = call();
    call.engine
        .set_stage(1, 0, Place::Transcode, Some(Box::new(Restless)));
    for sequence in 1..4 {
        call.a
            .send_to(&rtp(sequence, "a"), call.towards_b)
            .expect("sent");
        assert_eq!(receive(&call.b), rtp(sequence, "a"));
    }
}

/// Makes more of each packet than a worker keeps.
#[derive(Debug)]
struct Flood;

impl Stage for Flood {
    fn handle_packet(&mut self, packet: Packet<'_>, _now_us: u64, out: &mut Outbox) {
        (0..super::stage::OUTBOX_MAX + 3).for_each(|_| out.push(packet));
    }
}

#[test]
fn what_is_more_than_a_worker_keeps_is_dropped_and_counted() {
    let call = call();
    call.engine
        .set_stage(1, 0, Place::Transcode, Some(Box::new(Flood)));
    call.a.send_to(&rtp(1, "x"), call.towards_b).expect("sent");
    assert_eq!(receive(&call.b), rtp(1, "x"));
    testkit::wait_for("the rest to be counted", || {
        let dropped = call.engine.counters().dropped(DropReason::Overflow);
        (dropped == 3).then_some(())
    });
    // It was that round alone.
    call.engine.set_stage(1, 0, Place::Transcode, None);
    let follows = (0..1_000).any(|_| {
        call.a.send_to(&rtp(2, "y"), call.towards_b).expect("sent");
        receive(&call.b) == rtp(2, "y")
    });
    assert!(follows);
}
