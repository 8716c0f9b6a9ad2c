//! Candidates that a peer names after its description, seen by what a full agent then checks.

use media::{AddressFamily, Engine, Feedback, IceAgent, Options, Side, Transport};
use sdp::Setup;

use crate::peer::{SESSION, config};
use crate::secure::negotiation;
use crate::secure_peer::{SecurePeer, Way};

const ICE: &str = "a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n";

fn fragment(ufrag: &str, mid: &str, port: u16) -> String {
    format!(
        "m=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\na=ice-ufrag:{ufrag}\r\n\
         a=candidate:1 1 UDP 2122260223 127.0.0.1 {port} typ host\r\n"
    )
}

/// Whether a packet is a check: a Binding request.
fn is_check(packet: &[u8]) -> bool {
    matches!(packet, [0, 1, _, _, 0x21, 0x12, 0xa4, 0x42, ..])
}

#[test]
fn a_full_agent_checks_the_addresses_that_come_early_or_late_and_no_others() {
    for late in [false, true] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let (a, b) = (SecurePeer::new(Way::Rtp), SecurePeer::new(Way::Rtp));
        let others = [(); 2].map(|()| SecurePeer::new(Way::Rtp));
        let wanted = Options {
            transport: Transport::Rtp(Feedback::Without),
            own_ice: Some(IceAgent::Full),
            ..Options::default()
        };
        let offer = format!("{}{ICE}", a.sdp(1, Setup::ActPass));
        let offered = negotiation(Side::A, &offer, &wanted);
        engine
            .offer(SESSION, offered, AddressFamily::V4)
            .expect("an offer");
        let trickle = |engine: &mut Engine| {
            let [stale, unknown] = [0, 1].map(|n: usize| others[n].address().port());
            for fragment in [
                fragment("before", "0", stale),
                fragment("abcd", "7", unknown),
                fragment("abcd", "0", a.address().port())
                    // Of another medium, with an agent of its own.
                    + "m=video 9 RTP/AVP 96\r\na=mid:1\r\na=ice-ufrag:else\r\n\
                       a=candidate:1 1 UDP 1 127.0.0.1 9 typ host\r\n",
            ] {
                let taken = engine.trickle(SESSION, Side::A, fragment.as_bytes());
                taken.expect("a fragment");
            }
        };
        if !late {
            // However many are of no use, the last are kept.
            for _ in 0..40 {
                let stale = fragment("before", "0", others[0].address().port());
                let taken = engine.trickle(SESSION, Side::A, stale.as_bytes());
                taken.expect("a fragment");
            }
            trickle(&mut engine);
        }
        let answer = b.sdp(1, Setup::Active);
        let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
        let answer = String::from_utf8(answer.expect("an answer")).expect("text");
        assert!(answer.contains("a=ice-options:trickle"), "{answer}");
        assert!(!answer.contains("a=ice-lite"), "{answer}");
        if late {
            trickle(&mut engine);
        }
        let mut room = [0; 1_024];
        let (len, _) = a.socket.recv_from(&mut room).expect("a check in time");
        assert!(is_check(&room[..len]), "late: {late}");
        for other in &others {
            other.socket.set_nonblocking(true).expect("no blocking");
            assert!(other.socket.recv_from(&mut room).is_err(), "late: {late}");
        }
        assert!(engine.trickle(9, Side::A, b"").is_err(), "no such session");
    }
}

/// Whether anything comes to a phone, which is not waited for.
fn hears_nothing(peer: &SecurePeer) -> bool {
    let mut room = [0; 1_024];
    peer.socket.set_nonblocking(true).expect("no blocking");
    peer.socket.recv_from(&mut room).is_err()
}

#[test]
fn the_port_that_rtcp_does_not_use_is_not_checked() {
    for shares in [true, false] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let [a, b, described, named] = [(); 4].map(|()| SecurePeer::new(Way::Rtp));
        let wanted = Options {
            transport: Transport::Rtp(Feedback::Without),
            own_ice: Some(IceAgent::Full),
            ..Options::default()
        };
        let component = |part: u8, peer: &SecurePeer| {
            let port = peer.address().port();
            format!("a=candidate:{part} {part} UDP 2122260223 127.0.0.1 {port} typ host\r\n")
        };
        let mut offer = a.sdp(1, Setup::ActPass);
        if !shares {
            offer = offer.replace("a=rtcp-mux\r\n", "");
        }
        offer = format!("{offer}{ICE}{}", component(2, &described));
        let offered = negotiation(Side::A, &offer, &wanted);
        engine
            .offer(SESSION, offered, AddressFamily::V4)
            .expect("an offer");
        let answer = b.sdp(1, Setup::Active);
        let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
        answer.expect("an answer");
        let parts = component(2, &named) + &component(1, &a);
        let fragment = format!("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n{parts}");
        let taken = engine.trickle(SESSION, Side::A, fragment.as_bytes());
        taken.expect("a fragment");
        // By its second check all others were sent.
        let mut room = [0; 1_024];
        for _ in 0..2 {
            let (len, _) = a.socket.recv_from(&mut room).expect("a check in time");
            assert!(is_check(&room[..len]));
        }
        if shares {
            assert!(hears_nothing(&described) && hears_nothing(&named));
        } else {
            for other in [&described, &named] {
                let (len, _) = other.socket.recv_from(&mut room).expect("a check in time");
                assert!(is_check(&room[..len]));
            }
        }
    }
}
