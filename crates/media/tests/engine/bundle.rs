//! Media that one side bundles and the other does not, or bundles in its own way.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};

use media::{AddressFamily, Bundling, DropReason, Engine, Options, Participant, Side};
use rtp::srtp::Suite;
use sdp::{Description, Setup};

use crate::peer::{Peer, SESSION, config, receive};
use crate::secure::{negotiation, options, tag};
use crate::secure_peer::{SecurePeer, Way};

pub(crate) const VP8: u8 = 96;
pub(crate) const PCMA: u8 = 8;
const SUBSCRIPTION: u64 = 100;
const SDES: Way = Way::Sdes(Suite::AesCm128HmacSha1_80);
/// What a bundled peer says beside its media.
const MID: &str = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";

/// How the second medium of a bundle is described.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Second {
    /// At the port of the first.
    Same,
    /// Without a port.
    Only,
}

/// A bundle of sound and, if there is a second medium, picture, in a peer's way.
pub(crate) fn bundled(peer: &SecurePeer, setup: Setup, second: Option<Second>) -> String {
    let audio = peer.sdp_of(tag(peer.way), setup, "8", "a=rtpmap:8 PCMA/8000\r\n");
    let (session, audio) = audio.split_once("m=").expect("a medium");
    let audio = format!("m={audio}a=mid:a\r\n{MID}");
    let Some(second) = second else {
        return format!("{session}a=group:BUNDLE a\r\n{audio}");
    };
    let port = peer.address().port();
    let video = audio.replace("m=audio", "m=video");
    let video = video.replace(" 8\r\n", &format!(" {VP8}\r\n"));
    let video = video.replace("a=rtpmap:8 PCMA/8000", "a=rtpmap:96 VP8/90000");
    let mut video = video.replace("a=mid:a", "a=mid:v");
    if second == Second::Only {
        video = video.replace(&format!("m=video {port}"), "m=video 0");
        video.push_str("a=bundle-only\r\n");
    }
    format!("{session}a=group:BUNDLE a v\r\n{audio}{video}")
}

/// A phone that knows nothing of bundles: sound and picture, each with ports of its own.
pub(crate) struct Phone {
    media: [Peer; 2],
    towards: [SocketAddr; 2],
    reports_towards: [SocketAddr; 2],
    sequence: Cell<u16>,
}

impl Phone {
    pub(crate) fn new() -> Self {
        Self {
            media: [Peer::new("127.0.0.1"), Peer::new("127.0.0.1")],
            towards: [SocketAddr::from(([127, 0, 0, 1], 9)); 2],
            reports_towards: [SocketAddr::from(([127, 0, 0, 1], 9)); 2],
            sequence: Cell::new(0),
        }
    }

    /// So many of its media.
    pub(crate) fn sdp(&self, count: usize) -> String {
        let kinds = [("audio", PCMA, "PCMA/8000"), ("video", VP8, "VP8/90000")];
        let media = self.media.iter().zip(kinds).take(count);
        let lines: String = media
            .map(|(peer, (kind, payload_type, codec))| {
                let port = peer.address().port();
                let rtcp = peer.rtcp.local_addr().expect("bound").port();
                format!(
                    "m={kind} {port} RTP/AVP {payload_type}\r\n\
                     a=rtpmap:{payload_type} {codec}\r\na=rtcp:{rtcp}\r\n"
                )
            })
            .collect();
        format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{lines}")
    }

    pub(crate) fn take(&mut self, sdp: &[u8]) {
        let description = Description::parse(sdp).expect("a description");
        for medium in description.media().filter(|medium| medium.port() != 0) {
            let at = medium.index();
            self.towards[at] = medium.rtp_address().expect("an address");
            self.reports_towards[at] = medium.rtcp_address().expect("an address");
        }
    }

    pub(crate) fn say(&self, medium: usize, ssrc: u32, text: &str) {
        let header = rtp::Header {
            payload_type: [PCMA, VP8][medium],
            ssrc,
            sequence: self.sequence.replace(self.sequence.get() + 1),
            ..rtp::Header::default()
        };
        let packet = [&header.encode()[..], text.as_bytes()].concat();
        let socket = &self.media[medium].rtp;
        socket.send_to(&packet, self.towards[medium]).expect("sent");
    }

    pub(crate) fn hear(&self, medium: usize) -> String {
        let (text, from) = self.media[medium].hear();
        assert_eq!(from, self.towards[medium]);
        text
    }
}

/// A bundled peer and a phone, with the engine between.
struct Call {
    engine: Engine,
    a: SecurePeer,
    b: Phone,
    sequence: u16,
}

impl Call {
    fn new(way: Way) -> Self {
        Self {
            engine: Engine::new(config(), || {}).expect("an engine"),
            a: SecurePeer::new(way),
            b: Phone::new(),
            sequence: 0,
        }
    }

    /// A offers, B answers, and they have keys; what A is answered.
    fn answered(way: Way, second: Second) -> Self {
        let mut call = Self::new(way);
        let offer = bundled(&call.a, Setup::ActPass, Some(second));
        call.negotiate(&offer, &options(Way::Rtp), 2);
        if way.shakes_hands() {
            call.a.shake_hands(Setup::Active);
        }
        call
    }

    /// What A is answered, to so many media of B's.
    fn negotiate(&mut self, offer: &str, wanted: &Options, count: usize) -> String {
        let offer = negotiation(Side::A, offer, wanted);
        let offer = self.engine.offer(SESSION, offer, AddressFamily::V4);
        let offer = offer.expect("an offer");
        self.b.take(&offer);
        let offer = String::from_utf8(offer).expect("text");
        for gone in ["BUNDLE", "bundle-only", "mid"] {
            assert!(!offer.contains(gone), "{gone} in {offer}");
        }
        let answer = self.b.sdp(count);
        let answer = negotiation(Side::B, &answer, Options::relay());
        let answer = self.engine.answer(SESSION, answer).expect("an answer");
        self.a.take(&answer);
        String::from_utf8(answer).expect("text")
    }

    /// A says something as a source, and with a name if there is one.
    fn say(&mut self, payload_type: u8, ssrc: u32, name: Option<&str>, text: &str) {
        self.sequence += 1;
        let header = rtp::Header {
            payload_type,
            sequence: self.sequence,
            ssrc,
            ..rtp::Header::default()
        };
        let mut packet = [&header.encode()[..], text.as_bytes()].concat();
        if let Some(name) = name {
            let len = packet.len();
            packet.resize(len + 16, 0);
            let len = rtp::insert_element(&mut packet, len, 4, name.as_bytes());
            packet.truncate(len.expect("room"));
        }
        let packet = self.a.sealed(&packet);
        self.a.send(&packet);
    }

    /// What A hears next, and the name that it comes with.
    fn hear(&mut self) -> (String, Option<String>) {
        let packet = self.a.try_hear().expect("a packet in time");
        let packet = rtp::Packet::parse(&packet).expect("RTP");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        (text(packet.payload), rtp::element(&packet, 4).map(text))
    }

    fn talk(&mut self) {
        for (medium, payload_type, name) in [(0, PCMA, "a"), (1, VP8, "v")] {
            for text in ["one", "two", "three"] {
                self.say(payload_type, u32::from(payload_type), None, text);
                assert_eq!(self.b.hear(medium), text, "{name}");
                self.b.say(medium, 100 + medium as u32, text);
                assert_eq!(self.hear(), (text.into(), Some(name.into())));
            }
        }
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.engine.counters().dropped(reason)
    }
}

/// The ports of a description's media.
fn ports(sdp: &str) -> Vec<u16> {
    let description = Description::parse(sdp.as_bytes()).expect("a description");
    description.media().map(|medium| medium.port()).collect()
}

#[test]
fn media_of_one_transport_are_taken_apart_and_put_together() {
    for way in [Way::Rtp, SDES, Way::Dtls] {
        for second in [Second::Same, Second::Only] {
            let mut call = Call::new(way);
            let offer = bundled(&call.a, Setup::ActPass, Some(second));
            let answer = call.negotiate(&offer, &options(Way::Rtp), 2);
            assert!(answer.contains("\r\na=group:BUNDLE a v\r\n"), "{answer}");
            assert_eq!(answer.matches(MID).count(), 2, "{answer}");
            let [audio, video] = ports(&answer)[..] else {
                panic!("two media: {answer}");
            };
            assert_eq!(audio, video, "{answer}");
            assert_ne!(call.b.towards[0], call.b.towards[1], "ports of their own");
            if way.shakes_hands() {
                call.a.shake_hands(Setup::Active);
            }
            call.talk();
            // A refresh changes nothing.
            let again = call.negotiate(&offer, &options(Way::Rtp), 2);
            assert_eq!(again, answer);
            call.talk();
            call.engine.delete(SESSION);
            assert_eq!(call.engine.ports().used, 0);
        }
    }
}

#[test]
fn what_is_published_in_a_bundle_reaches_who_subscribes_apart() {
    for way in [Way::Rtp, SDES, Way::Dtls] {
        for second in [Second::Same, Second::Only] {
            let mut call = Call::new(way);
            let offer = bundled(&call.a, Setup::ActPass, Some(second));
            let published = negotiation(Side::A, &offer, Options::relay());
            let answer = call.engine.publish(SESSION, published).expect("an answer");
            call.a.take(&answer);
            let answer = String::from_utf8(answer).expect("text");
            assert!(answer.contains("\r\na=group:BUNDLE a v\r\n"), "{answer}");
            if way.shakes_hands() {
                call.a.shake_hands(Setup::Active);
            }
            let publisher = Participant {
                session: SESSION,
                side: Side::A,
            };
            let wanted = options(Way::Rtp);
            let offer =
                call.engine
                    .subscribe(SUBSCRIPTION, &[publisher], &wanted, AddressFamily::V4);
            call.b.take(&offer.expect("an offer"));
            let answer = call.b.sdp(2);
            let answer = negotiation(Side::B, &answer, Options::relay());
            call.engine.answer(SUBSCRIPTION, answer).expect("it fits");
            assert_ne!(call.b.towards[0], call.b.towards[1]);
            for text in ["one", "two"] {
                call.say(PCMA, 8, Some("a"), text);
                call.say(VP8, 96, Some("v"), text);
                assert_eq!([0, 1].map(|medium| call.b.hear(medium)), [text, text]);
            }
        }
    }
}

#[test]
fn plain_media_that_know_no_other_way_are_taken_apart_without_being_asked_to() {
    for second in [Second::Same, Second::Only] {
        let mut call = Call::new(Way::Rtp);
        let offer = bundled(&call.a, Setup::ActPass, Some(second));
        let answer = call.negotiate(&offer, Options::relay(), 2);
        assert!(answer.contains("\r\na=group:BUNDLE a v\r\n"), "{answer}");
        call.talk();
    }
}

#[test]
fn media_that_could_do_without_are_answered_apart_if_that_is_asked() {
    let mut call = Call::new(SDES);
    let offer = bundled(&call.a, Setup::ActPass, Some(Second::Same));
    let video = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = video.local_addr().expect("bound").port();
    let own = format!("m=video {}", call.a.address().port());
    let offer = offer.replace(&own, &format!("m=video {port}"));
    let wanted = Options {
        bundling: Bundling::IfNeeded,
        ..options(Way::Rtp)
    };
    let answer = call.negotiate(&offer, &wanted, 2);
    assert!(!answer.contains("BUNDLE"), "{answer}");
    let ports = ports(&answer);
    assert_ne!(ports[0], ports[1]);
}

#[test]
fn an_unknown_source_is_told_by_its_name_and_then_known() {
    let mut call = Call::new(SDES);
    // Two of the same codec: the payload type says nothing.
    let offer = bundled(&call.a, Setup::ActPass, Some(Second::Only));
    let offer = offer.replace(
        &format!("SAVP {VP8}\r\n"),
        &format!("SAVP {PCMA} {VP8}\r\n"),
    );
    call.negotiate(&offer, &options(Way::Rtp), 2);
    call.say(PCMA, 1, None, "nobody's");
    call.say(PCMA, 2, Some("v"), "named");
    assert_eq!(call.b.hear(1), "named");
    assert_eq!(call.dropped(DropReason::Unnamed), 1);
    call.say(PCMA, 2, None, "known");
    assert_eq!(call.b.hear(1), "known");
    call.say(PCMA, 1, Some("a"), "named, too");
    assert_eq!(call.b.hear(0), "named, too");
    call.say(VP8, 3, None, "only one has it");
    assert_eq!(call.b.hear(1), "only one has it");
}

#[test]
fn an_announced_source_is_known() {
    let mut call = Call::new(SDES);
    let offer = bundled(&call.a, Setup::ActPass, Some(Second::Only));
    let offer = offer.replace(
        &format!("SAVP {VP8}\r\n"),
        &format!("SAVP {PCMA} {VP8}\r\n"),
    );
    let offer = offer.replace("a=bundle-only", "a=ssrc:77 cname:x\r\na=bundle-only");
    call.negotiate(&offer, &options(Way::Rtp), 2);
    call.say(PCMA, 77, None, "announced");
    assert_eq!(call.b.hear(1), "announced");
}

#[test]
fn reports_reach_the_medium_that_they_speak_of() {
    let mut call = Call::answered(Way::Dtls, Second::Same);
    call.talk();
    let goodbye = |ssrc: u8| [0x81, 203, 0, 1, 0, 0, 0, ssrc];
    let of = |ssrc: u8| {
        let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, ssrc];
        report.resize(28, 0);
        report
    };
    let both = [of(PCMA), goodbye(PCMA).to_vec(), of(VP8)].concat();
    call.a.report(&both);
    let (audio, from) = receive(&call.b.media[0].rtcp);
    assert_eq!(audio, both[..36]);
    assert_eq!(from, call.b.reports_towards[0]);
    assert_eq!(receive(&call.b.media[1].rtcp).0, both[36..]);
    // Loss of a picture that the phone sent.
    let loss = [0x81, 206, 0, 2, 0, 0, 0, 99, 0, 0, 0, 101];
    call.a.report(&loss);
    assert_eq!(receive(&call.b.media[1].rtcp).0, loss);
    // What the phone reports comes by the one port.
    let socket = &call.b.media[1].rtcp;
    let to = call.b.reports_towards[1];
    socket.send_to(&of(101), to).expect("sent");
    assert_eq!(call.a.try_hear_report(), Some(of(101)));
}

#[test]
fn a_strangers_packets_say_nothing_of_sources() {
    let mut call = Call::answered(Way::Rtp, Second::Only);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    // The sound's source, as if it were the picture's.
    let header = rtp::Header {
        payload_type: VP8,
        ssrc: 1,
        ..rtp::Header::default()
    };
    let engine = call.a.engine.expect("taken");
    stranger.send_to(&header.encode(), engine).expect("sent");
    call.say(PCMA, 1, None, "sound");
    assert_eq!(call.b.hear(0), "sound");
    assert_eq!(call.dropped(DropReason::UnknownSource), 1);
}

#[test]
fn a_source_of_two_media_leaves_by_one_alone() {
    // Under one key a packet of the same number would betray both.
    let mut call = Call::answered(SDES, Second::Only);
    call.b.say(0, 5, "sound");
    assert_eq!(call.hear().0, "sound");
    call.b.say(1, 5, "picture");
    call.b.say(1, 6, "picture of its own");
    assert_eq!(call.hear().0, "picture of its own");
    assert_eq!(call.dropped(DropReason::Collision), 1);
}

#[test]
fn a_refresh_may_add_a_picture_to_the_bundle_and_take_the_sound_off() {
    for way in [SDES, Way::Dtls] {
        let mut call = Call::new(way);
        let offer = bundled(&call.a, Setup::ActPass, None);
        let answer = call.negotiate(&offer, &options(Way::Rtp), 1);
        assert!(answer.contains("\r\na=group:BUNDLE a\r\n"), "{answer}");
        if way.shakes_hands() {
            call.a.shake_hands(Setup::Active);
        }
        call.say(PCMA, PCMA.into(), None, "alone");
        assert_eq!(call.b.hear(0), "alone");
        let offer = bundled(&call.a, Setup::ActPass, Some(Second::Same));
        let answer = call.negotiate(&offer, &options(Way::Rtp), 2);
        assert!(answer.contains("\r\na=group:BUNDLE a v\r\n"), "{answer}");
        let port = ports(&answer)[0];
        assert_eq!(ports(&answer), [port, port]);
        call.talk();
        // The transport lives on without the medium it was of.
        let own = format!("m=audio {}", call.a.address().port());
        let offer = offer.replace(&own, "m=audio 0");
        let offer = offer.replace("BUNDLE a v", "BUNDLE v");
        let sdp = call.b.sdp(2);
        let wanted = options(Way::Rtp);
        let offered = negotiation(Side::A, &offer, &wanted);
        let offered = call.engine.offer(SESSION, offered, AddressFamily::V4);
        call.b.take(&offered.expect("an offer"));
        let audio = format!("m=audio {}", call.b.media[0].address().port());
        let sdp = sdp.replace(&audio, "m=audio 0");
        let answer = negotiation(Side::B, &sdp, Options::relay());
        let answer = call.engine.answer(SESSION, answer).expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        assert_eq!(ports(&answer), [0, port], "{answer}");
        assert!(answer.contains("\r\na=group:BUNDLE v\r\n"), "{answer}");
        call.say(VP8, VP8.into(), None, "picture alone");
        assert_eq!(call.b.hear(1), "picture alone");
        call.b.say(1, 101, "back");
        assert_eq!(call.hear().0, "back");
    }
}

#[test]
fn a_phone_may_offer_anew_what_is_bundled_and_be_refused_the_bundle() {
    let mut call = Call::answered(SDES, Second::Only);
    call.talk();
    let wanted = options(SDES);
    let sdp = call.b.sdp(2);
    let offer = negotiation(Side::B, &sdp, &wanted);
    let offer = call.engine.offer(SESSION, offer, AddressFamily::V4);
    let offer = String::from_utf8(offer.expect("an offer")).expect("text");
    assert!(offer.contains("\r\na=group:BUNDLE a v\r\n"), "{offer}");
    assert_eq!(ports(&offer)[0], ports(&offer)[1], "{offer}");
    assert_eq!(offer.matches("a=rtcp-mux\r\n").count(), 2, "{offer}");
    let answer = bundled(&call.a, Setup::Active, Some(Second::Same));
    let settled = negotiation(Side::A, &answer, Options::relay());
    let settled = call.engine.answer(SESSION, settled).expect("an answer");
    call.b.take(&settled);
    call.talk();
    // Now it wants the picture elsewhere.
    let offer = negotiation(Side::B, &sdp, &wanted);
    let offer = call.engine.offer(SESSION, offer, AddressFamily::V4);
    offer.expect("an offer");
    let apart = SecurePeer::new(SDES);
    let own = format!("m=video {}", call.a.address().port());
    let answer = answer.replace(&own, &format!("m=video {}", apart.address().port()));
    let answer = answer.replace("a=group:BUNDLE a v\r\n", "");
    let settled = negotiation(Side::A, &answer, Options::relay());
    let settled = call.engine.answer(SESSION, settled).expect("an answer");
    call.b.take(&settled);
    call.b.say(0, 100, "sound");
    assert_eq!(call.hear().0, "sound");
    call.b.say(1, 101, "picture");
    let mut room = [0; 2_048];
    let (_, from) = apart.socket.recv_from(&mut room).expect("a packet in time");
    assert_ne!(Some(from), call.a.engine, "by a port of its own");
}

#[test]
fn another_phone_in_the_place_of_one_that_bundled_is_offered_media_apart() {
    let mut call = Call::answered(SDES, Second::Only);
    call.talk();
    let (sdp, wanted) = (call.b.sdp(2), options(Way::Rtp));
    let offer = negotiation(Side::B, &sdp, &wanted);
    let offer = call.engine.offer(SESSION, offer, AddressFamily::V4);
    let offer = String::from_utf8(offer.expect("an offer")).expect("text");
    assert!(!offer.contains("BUNDLE"), "{offer}");
    assert_ne!(ports(&offer)[0], ports(&offer)[1], "{offer}");
}

#[test]
fn what_both_sides_bundle_passes_by_one_transport() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (SecurePeer::new(Way::Rtp), SecurePeer::new(Way::Rtp));
    let offer = bundled(&a, Setup::ActPass, Some(Second::Same));
    // A first offer has ports for all.
    let own = format!("m=video {}", a.address().port());
    let offer = offer.replace(&own, "m=video 4000");
    let offer = negotiation(Side::A, &offer, Options::relay());
    let offer = engine.offer(SESSION, offer, AddressFamily::V4);
    let offer = offer.expect("an offer");
    b.take(&offer);
    let offer = String::from_utf8(offer).expect("text");
    assert!(offer.contains("\r\na=group:BUNDLE a v\r\n"), "{offer}");
    assert_ne!(ports(&offer)[0], ports(&offer)[1], "{offer}");
    let answer = bundled(&b, Setup::Active, Some(Second::Same));
    let answer = negotiation(Side::B, &answer, Options::relay());
    let answer = engine.answer(SESSION, answer).expect("an answer");
    a.take(&answer);
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.contains("\r\na=group:BUNDLE a v\r\n"), "{answer}");
    assert_eq!(ports(&answer)[0], ports(&answer)[1], "{answer}");
    for payload_type in [VP8, PCMA] {
        let header = rtp::Header {
            payload_type,
            ssrc: payload_type.into(),
            ..rtp::Header::default()
        };
        let packet = a.protected(&header, b"text");
        a.send(&packet);
        assert_eq!(b.hear(), "text");
        b.send(&packet);
        assert_eq!(a.hear(), "text");
    }
}
