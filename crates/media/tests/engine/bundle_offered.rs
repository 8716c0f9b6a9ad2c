//! Media that come apart, and are offered as a bundle because that is asked for.

use media::{AddressFamily, Engine, OfferedBundle, Options, Side};
use rtp::srtp::Suite;
use sdp::{Description, Setup};

use crate::bundle::{PCMA, Phone, Second, VP8, bundled};
use crate::peer::{SESSION, config};
use crate::secure::{negotiation, options};
use crate::secure_peer::{SecurePeer, Way};

const SDES: Way = Way::Sdes(Suite::AesCm128HmacSha1_80);
const WANTED: [OfferedBundle; 2] = [OfferedBundle::Offer, OfferedBundle::Require];

/// A phone that knows nothing of bundles calls a peer to whom its media are offered as one.
struct Call {
    engine: Engine,
    phone: Phone,
    peer: SecurePeer,
    /// What the peer was offered.
    offer: String,
}

impl Call {
    fn offered(way: Way, wanted: OfferedBundle) -> Self {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let phone = Phone::new();
        let mut peer = SecurePeer::new(way);
        let asked = Options {
            offered_bundle: wanted,
            ..options(way)
        };
        let offer = phone.sdp(2);
        let offer = negotiation(Side::A, &offer, &asked);
        let offer = engine.offer(SESSION, offer, AddressFamily::V4);
        let offer = offer.expect("an offer");
        peer.take(&offer);
        Self {
            engine,
            phone,
            peer,
            offer: String::from_utf8(offer).expect("text"),
        }
    }

    fn answered(&mut self, sdp: &str) {
        let answer = negotiation(Side::B, sdp, Options::relay());
        let answer = self.engine.answer(SESSION, answer).expect("an answer");
        self.phone.take(&answer);
        let answer = String::from_utf8(answer).expect("text");
        assert!(!answer.contains("BUNDLE"), "{answer}");
    }

    /// Both media, both ways.
    fn talk(&mut self) {
        for (medium, payload_type) in [(0, PCMA), (1, VP8)] {
            for n in 1..=3 {
                let header = rtp::Header {
                    payload_type,
                    sequence: n,
                    ssrc: u32::from(payload_type),
                    ..rtp::Header::default()
                };
                let packet = [&header.encode()[..], b"hello"].concat();
                let packet = self.peer.sealed(&packet);
                self.peer.send(&packet);
                assert_eq!(self.phone.hear(medium), "hello");
                self.phone.say(medium, 100 + medium as u32, "there");
                let heard = self.peer.try_hear().expect("a packet in time");
                let heard = rtp::Packet::parse(&heard).expect("RTP");
                assert_eq!(heard.payload, b"there");
                assert_eq!(heard.header.payload_type, payload_type);
                // It says of which medium it is.
                let name = [&b"m0"[..], b"m1"][medium];
                assert_eq!(rtp::element(&heard, 1), Some(name));
            }
        }
    }
}

/// What a peer that takes the bundle answers.
fn answer(peer: &SecurePeer) -> String {
    let answer = bundled(peer, Setup::Active, Some(Second::Same));
    let names = [
        ("BUNDLE a v", "BUNDLE m0 m1"),
        ("mid:a", "mid:m0"),
        ("mid:v", "mid:m1"),
    ];
    let named = names
        .iter()
        .fold(answer, |sdp, (own, ours)| sdp.replace(own, ours));
    named.replace("extmap:4", "extmap:1")
}

#[test]
fn media_that_come_apart_share_a_transport_if_that_is_asked_for_and_taken() {
    for way in [Way::Rtp, SDES, Way::Dtls] {
        for wanted in WANTED {
            let mut call = Call::offered(way, wanted);
            let offer = &call.offer;
            assert!(offer.contains("\r\na=group:BUNDLE m0 m1\r\n"), "{offer}");
            for said in ["a=mid:m0\r\n", "a=mid:m1\r\n"] {
                assert_eq!(offer.matches(said).count(), 1, "{offer}");
            }
            assert_eq!(offer.matches("a=rtcp-mux\r\n").count(), 2, "{offer}");
            let description = Description::parse(offer.as_bytes()).expect("a description");
            let ports: Vec<u16> = description.media().map(|medium| medium.port()).collect();
            let is_one = ports[0] == ports[1];
            assert_eq!(is_one, wanted == OfferedBundle::Require, "{offer}");
            let answer = answer(&call.peer);
            call.answered(&answer);
            if way.shakes_hands() {
                call.peer.shake_hands(Setup::Active);
            }
            call.talk();
        }
    }
}

#[test]
fn who_does_not_bundle_uses_the_ports_that_it_was_offered() {
    let call = Call::offered(Way::Rtp, OfferedBundle::Offer);
    let mut other = Phone::new();
    other.take(call.offer.as_bytes());
    let Call {
        mut engine,
        mut phone,
        ..
    } = call;
    let sdp = other.sdp(2);
    let answer = negotiation(Side::B, &sdp, Options::relay());
    let answer = engine.answer(SESSION, answer).expect("an answer");
    phone.take(&answer);
    for medium in [0, 1] {
        other.say(medium, 7, "apart");
        assert_eq!(phone.hear(medium), "apart");
        phone.say(medium, 8, "too");
        assert_eq!(other.hear(medium), "too");
    }
}
