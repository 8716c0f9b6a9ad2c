//! What flows in an ordinary call, and what is said of it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use media::{AddressFamily, DropReason, Engine, EngineConfig, MediaEvent, Side};
use testkit::wait_for;

use crate::peer::{
    Call, EVENT, Peer, RTCP, SESSION, config, from, receive, rtcp_address, rtp_address,
};

#[test]
fn rtp_flows_both_ways_and_is_counted() {
    let mut call = Call::new();
    for _ in 0..9 {
        call.a.say(call.towards_b, "hello");
        assert_eq!(call.b.hear().0, "hello");
    }
    let report = call.engine.delete(SESSION).expect("a session");
    assert_eq!(report.a.codec, "PCMA");
    assert_eq!((report.a.packets, report.a.lost), (10, 0));
    assert_eq!(report.a.bytes, 10 * 12 + 1 + 9 * 5);
    assert!((430..=450).contains(&report.a.mos_centi), "{report:?}");
    assert_eq!(report.b.packets, 1);
    assert_eq!(call.engine.counters().relayed_packets, 11);
    assert_eq!(call.engine.report(SESSION), None);
}

#[test]
fn lost_packets_cost_mos() {
    let mut call = Call::new();
    for i in 0..40 {
        let packet = call.a.packet(8, "x");
        if i % 2 == 0 {
            call.a
                .rtp
                .send_to(&packet, call.towards_b)
                .expect("sending");
            call.b.hear();
        }
    }
    let report = call.engine.report(SESSION).expect("a session");
    assert_eq!(report.a.lost, 19);
    assert!(report.a.mos_centi < 250, "{report:?}");
}

#[test]
fn telephone_events_pass_unchanged_and_are_counted() {
    let mut call = Call::new();
    let event = call.a.packet(EVENT, "\u{5}\u{a}\u{0}\u{50}");
    call.a.rtp.send_to(&event, call.towards_b).expect("sending");
    assert_eq!(receive(&call.b.rtp).0, event);
    let report = call.engine.report(SESSION).expect("a session");
    assert_eq!(
        (report.a.telephone_events, report.b.telephone_events),
        (1, 0)
    );
    assert_eq!(call.engine.counters().telephone_events, 1);
}

#[test]
fn rtcp_goes_from_port_to_port() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (a, b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let offer = engine
        .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, from(Side::B, &b.sdp()))
        .expect("an answer");
    a.rtcp
        .send_to(&RTCP, rtcp_address(&answer))
        .expect("sending");
    assert_eq!(receive(&b.rtcp), (RTCP.to_vec(), rtcp_address(&offer)));
}

#[test]
fn rtcp_multiplexed_with_rtp_stays_on_its_port() {
    let mut call = Call::new();
    call.a.rtp.send_to(&RTCP, call.towards_b).expect("sending");
    assert_eq!(receive(&call.b.rtp), (RTCP.to_vec(), call.towards_a));
    let stranger = Peer::new("127.0.0.1");
    stranger
        .rtp
        .send_to(&RTCP, call.towards_b)
        .expect("sending");
    call.a.say(call.towards_b, "after");
    assert_eq!(call.b.hear().0, "after");
}

#[test]
fn a_shared_port_leaves_that_of_rtcp_closed_until_it_is_wanted() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let shared = |peer: &Peer| {
        let rtcp = peer.rtcp.local_addr().expect("a bound socket").port();
        let apart = format!("a=rtcp:{rtcp}\r\n");
        peer.sdp().replace(&apart, "a=rtcp-mux\r\n")
    };
    let mut negotiate = |a: &str, b: &str| {
        let offer = engine.offer(SESSION, from(Side::A, a), AddressFamily::V4);
        let answer = engine.answer(SESSION, from(Side::B, b));
        (offer.expect("an offer"), answer.expect("an answer"))
    };
    let (offer, answer) = negotiate(&shared(&a), &shared(&b));
    let (towards_a, towards_b) = (rtp_address(&offer), rtp_address(&answer));
    let one_above = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() + 1);
    for address in [towards_a, towards_b] {
        wait_for("the port of RTCP to be free", || {
            UdpSocket::bind(one_above(address)).ok()
        });
    }
    a.say(towards_b, "a");
    assert_eq!(b.hear(), ("a".into(), towards_a));
    b.say(towards_a, "b");
    assert_eq!(a.hear(), ("b".into(), towards_b));
    a.rtp.send_to(&RTCP, towards_b).expect("sending");
    assert_eq!(receive(&b.rtp), (RTCP.to_vec(), towards_a));
    // From now on they want it apart.
    let (_, answer) = negotiate(&a.sdp(), &b.sdp());
    assert_eq!(rtp_address(&answer), towards_b);
    a.rtcp
        .send_to(&RTCP, one_above(towards_b))
        .expect("sending");
    assert_eq!(receive(&b.rtcp), (RTCP.to_vec(), one_above(towards_a)));
}

#[test]
fn ipv4_and_ipv6_are_bridged() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (Peer::new("127.0.0.1"), Peer::new("::1"));
    let offer = engine
        .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V6)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, crate::peer::signalled(Side::B, &b.sdp(), "::1"))
        .expect("an answer");
    assert!(rtp_address(&offer).is_ipv6());
    assert!(rtp_address(&answer).is_ipv4());
    a.say(rtp_address(&answer), "from four");
    assert_eq!(b.hear(), ("from four".into(), rtp_address(&offer)));
    b.say(rtp_address(&offer), "from six");
    assert_eq!(a.hear(), ("from six".into(), rtp_address(&answer)));
}

#[test]
fn t38_passes_as_it_is() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (a, b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let fax = |peer: &Peer| {
        peer.sdp()
            .replace("m=audio", "m=image")
            .replace("RTP/AVP 8 101", "udptl t38")
    };
    let offer = engine
        .offer(SESSION, from(Side::A, &fax(&a)), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, from(Side::B, &fax(&b)))
        .expect("an answer");
    let udptl = [0, 0, 1, 6, 0];
    a.rtp
        .send_to(&udptl, rtp_address(&answer))
        .expect("sending");
    assert_eq!(receive(&b.rtp), (udptl.to_vec(), rtp_address(&offer)));
}

#[test]
fn garbage_is_counted_by_reason() {
    let mut call = Call::new();
    let oversized = call.a.packet(8, &"x".repeat(2_100));
    let not_rtp = [0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0];
    for bytes in [&oversized[..], &not_rtp, &[0x80, 8, 0], &[]] {
        call.a.rtp.send_to(bytes, call.towards_b).expect("sending");
    }
    call.a.say(call.towards_b, "after");
    assert_eq!(call.b.hear().0, "after");
    let counters = call.engine.counters();
    assert_eq!(counters.dropped(DropReason::Oversized), 1);
    assert_eq!(counters.dropped(DropReason::NotRtp), 1);
    assert_eq!(counters.dropped(DropReason::Truncated), 2);
}

#[test]
fn sessions_are_spread_over_workers() {
    let config = EngineConfig {
        workers: 3,
        ..config()
    };
    let mut engine = Engine::new(config, || {}).expect("an engine");
    let mut phones: Vec<Peer> = (0..6).map(|_| Peer::new("127.0.0.1")).collect();
    for (session, phone) in (0..).zip(&mut phones) {
        let answer = engine
            .echo(session, from(Side::A, &phone.sdp()))
            .expect("an answer");
        phone.say(rtp_address(&answer), "hello");
        assert_eq!(phone.hear().0, "hello");
    }
    assert_eq!(engine.counters().relayed_packets, 6);
    // The second half keeps working when the first is gone.
    for session in 0..3 {
        engine.delete(session).expect("a session");
    }
    let answer = engine
        .echo(5, from(Side::A, &phones[5].sdp()))
        .expect("an answer");
    phones[5].say(rtp_address(&answer), "still here");
    assert_eq!(phones[5].hear().0, "still here");
}

#[test]
fn a_burst_arrives_whole_and_in_order() {
    let mut call = Call::new();
    for i in 0..200 {
        call.a.say(call.towards_b, &i.to_string());
    }
    for i in 0..200 {
        assert_eq!(call.b.hear().0, i.to_string());
    }
}

#[test]
fn a_silent_side_is_reported_once_and_wakes_the_switch() {
    let (woken, wakes) = mpsc::channel();
    let config = EngineConfig {
        inactivity: Some(Duration::from_millis(300)),
        ..config()
    };
    let mut engine = Engine::new(config, move || {
        // The receiver is gone only when the test is over.
        let _ = woken.send(());
    })
    .expect("an engine");
    let (a, b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    engine
        .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("an offer");
    assert_eq!(engine.poll_event(), None);
    let held = b.sdp_at(b.address(), "recvonly");
    engine
        .answer(SESSION, from(Side::B, &held))
        .expect("an answer");
    wakes
        .recv_timeout(Duration::from_secs(5))
        .expect("a wake-up");
    // B said that it would not send.
    let silent = MediaEvent::Silent {
        session: SESSION,
        side: Side::A,
    };
    assert_eq!(engine.poll_event(), Some(silent));
    assert_eq!(engine.poll_event(), None);
}

#[test]
fn a_publisher_that_falls_silent_is_reported() {
    let (woken, wakes) = mpsc::channel();
    let config = EngineConfig {
        inactivity: Some(Duration::from_millis(300)),
        ..config()
    };
    let mut engine = Engine::new(config, move || {
        // The receiver is gone only when the test is over.
        let _ = woken.send(());
    })
    .expect("an engine");
    let a = Peer::new("127.0.0.1");
    let offer = a.sdp_at(a.address(), "sendonly");
    engine
        .publish(SESSION, from(Side::A, &offer))
        .expect("an answer");
    wakes
        .recv_timeout(Duration::from_secs(5))
        .expect("a wake-up");
    let silent = MediaEvent::Silent {
        session: SESSION,
        side: Side::A,
    };
    assert_eq!(engine.poll_event(), Some(silent));
}
