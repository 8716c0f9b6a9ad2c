//! Ports run out, and come back.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use media::{AddressFamily, Engine, EngineConfig, MediaError, Side, StartError};

use crate::peer::{Peer, config, from, rtp_address};

fn small(range: std::ops::RangeInclusive<u16>, quarantine: Duration) -> Engine {
    let config = EngineConfig {
        ports: range,
        quarantine,
        ..config()
    };
    Engine::new(config, || {}).expect("an engine")
}

#[test]
fn exhaustion_is_an_error_and_release_heals_it() {
    let mut engine = small(18_000..=18_003, Duration::ZERO);
    let a = Peer::new("127.0.0.1");
    let sdp = a.sdp();
    let mut offer = |session| engine.offer(session, from(Side::A, &sdp), AddressFamily::V4);
    offer(1).expect("the first pair");
    offer(2).expect("the second pair");
    assert!(matches!(
        offer(3),
        Err(MediaError::NoPorts(AddressFamily::V4))
    ));
    assert_eq!(engine.sessions(), 2);
    engine.delete(1).expect("a session");
    assert_eq!(engine.ports().used, 2);
    // The worker may not have closed the sockets yet: a port that is busy is passed over.
    let deadline = Instant::now() + Duration::from_secs(5);
    while engine
        .offer(3, from(Side::A, &sdp), AddressFamily::V4)
        .is_err()
    {
        assert!(Instant::now() < deadline, "no port came back");
        std::thread::yield_now();
    }
}

#[test]
fn several_media_are_all_or_nothing() {
    let mut engine = small(18_010..=18_013, Duration::ZERO);
    let a = Peer::new("127.0.0.1");
    let three = a.sdp() + "m=video 6000 RTP/AVP 99\r\nm=video 6002 RTP/AVP 99\r\n";
    let error = engine.offer(1, from(Side::A, &three), AddressFamily::V4);
    assert!(matches!(error, Err(MediaError::NoPorts(_))));
    assert_eq!((engine.ports().used, engine.sessions()), (0, 0));
}

#[test]
fn a_released_port_rests() {
    let mut engine = small(18_020..=18_021, Duration::from_secs(3_600));
    let a = Peer::new("127.0.0.1");
    engine
        .offer(1, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("the only pair");
    engine.delete(1).expect("a session");
    let error = engine.offer(2, from(Side::A, &a.sdp()), AddressFamily::V4);
    assert!(matches!(error, Err(MediaError::NoPorts(_))));
    let usage = engine.ports();
    // The pair of IPv6 was never touched.
    assert_eq!((usage.used, usage.free, usage.quarantined), (0, 2, 2));
}

#[test]
fn a_port_of_somebody_else_is_passed_over() {
    let _taken = UdpSocket::bind("127.0.0.1:18030").expect("a free port");
    let mut engine = small(18_030..=18_033, Duration::ZERO);
    let a = Peer::new("127.0.0.1");
    let offer = engine
        .offer(1, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("the other pair");
    assert_eq!(rtp_address(&offer).port(), 18_032);
}

#[test]
fn a_family_without_interface_is_refused() {
    let config = EngineConfig {
        v6: None,
        ..config()
    };
    let mut engine = Engine::new(config, || {}).expect("an engine");
    let a = Peer::new("127.0.0.1");
    let error = engine.offer(1, from(Side::A, &a.sdp()), AddressFamily::V6);
    assert!(matches!(
        error,
        Err(MediaError::NoInterface(AddressFamily::V6))
    ));
}

#[test]
fn unusable_configurations_do_not_start() {
    let start = |config| Engine::new(config, || {}).expect_err("a refusal");
    let nothing = EngineConfig::new(20_000..=20_100);
    assert!(matches!(start(nothing), StartError::Misuse(_)));
    let one_port = EngineConfig {
        ports: 20_000..=20_000,
        ..config()
    };
    assert!(matches!(start(one_port), StartError::Misuse(_)));
    let no_worker = EngineConfig {
        workers: 0,
        ..config()
    };
    assert!(matches!(start(no_worker), StartError::Misuse(_)));
    let foreign = media::Interface::same("192.0.2.1".parse().expect("an address"));
    let elsewhere = EngineConfig {
        v4: Some(foreign),
        ..config()
    };
    assert!(matches!(start(elsewhere), StartError::Bind { .. }));
}
