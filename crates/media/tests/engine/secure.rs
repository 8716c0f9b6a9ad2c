//! Every way of carrying media to every other, with what is said decrypted at the far end; and
//! that nobody ends a session by sending rubbish into it.

use std::time::Duration;

use media::{
    AddressFamily, DropReason, Engine, Feedback, Ice, Negotiation, Options, RtcpMux, Side,
    Transport,
};
use rtp::srtp::Suite;
use sdp::{Description, Profile, Setup};

use crate::peer::{SESSION, config};
use crate::secure_peer::{SecurePeer, Way};

const WAYS: [Way; 7] = [
    Way::Rtp,
    Way::Sdes(Suite::AesCm128HmacSha1_80),
    Way::Sdes(Suite::AesCm128HmacSha1_32),
    Way::Sdes(Suite::AeadAes128Gcm),
    Way::Sdes(Suite::AeadAes256Gcm),
    Way::Dtls,
    Way::DtlsRsa,
];

/// What offers media in a way.
pub(crate) fn options(way: Way) -> Options {
    Options {
        transport: match way {
            Way::Rtp => Transport::Rtp(Feedback::Without),
            Way::Sdes(_) => Transport::Sdes(Feedback::Without),
            Way::Dtls | Way::DtlsRsa => Transport::Dtls(Feedback::Without),
        },
        ..Options::default()
    }
}

pub(crate) fn negotiation<'a>(from: Side, sdp: &'a str, options: &'a Options) -> Negotiation<'a> {
    Negotiation {
        from,
        sdp: sdp.as_bytes(),
        signalling: "127.0.0.1".parse().ok(),
        options,
    }
}

/// The tag of a suite in our offers.
pub(crate) fn tag(way: Way) -> u32 {
    let Way::Sdes(suite) = way else { return 1 };
    let place = Suite::ALL.iter().position(|known| *known == suite);
    1 + place.expect("a suite") as u32
}

pub(crate) struct Call {
    pub(crate) engine: Engine,
    pub(crate) a: SecurePeer,
    pub(crate) b: SecurePeer,
    answer: String,
}

impl Call {
    /// Answered, with keys on both sides.
    pub(crate) fn new(ways: [Way; 2]) -> Self {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let [mut a, mut b] = ways.map(SecurePeer::new);
        let answer = negotiate(&mut engine, &mut a, &mut b, Setup::ActPass);
        if a.way.shakes_hands() {
            a.shake_hands(Setup::Active);
        }
        if b.way.shakes_hands() {
            b.shake_hands(Setup::Active);
        }
        Self {
            engine,
            a,
            b,
            answer,
        }
    }

    fn talks(&mut self) {
        self.a.say("from a");
        assert_eq!(self.b.hear(), "from a");
        self.b.say("from b");
        assert_eq!(self.a.hear(), "from b");
    }

    /// Waits until so many packets were dropped for a reason.
    fn wait_dropped(&self, reason: DropReason, count: u64) {
        for _ in 0..500 {
            if self.engine.counters().dropped(reason) >= count {
                return;
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("not dropped as {reason:?}: {:?}", self.engine.counters());
    }
}

/// A offers, B answers; the answer that A gets.
fn negotiate(engine: &mut Engine, a: &mut SecurePeer, b: &mut SecurePeer, setup: Setup) -> String {
    let wanted = options(b.way);
    let offer = a.sdp(9, setup);
    let offer = engine.offer(
        SESSION,
        negotiation(Side::A, &offer, &wanted),
        AddressFamily::V4,
    );
    b.take(&offer.expect("an offer"));
    let answer = b.sdp(tag(b.way), Setup::Active);
    let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
    let answer = answer.expect("an answer");
    a.take(&answer);
    String::from_utf8(answer).expect("text")
}

#[test]
fn every_way_is_carried_to_every_other() {
    for from in WAYS {
        for to in WAYS {
            let mut call = Call::new([from, to]);
            // Across the end of the sequence numbers, too.
            for _ in 0..20 {
                call.talks();
            }
            let answer = Description::parse(call.answer.as_bytes()).expect("a description");
            let profile = answer.medium(0).expect("a medium").profile();
            let expected = match from {
                Way::Rtp => Profile::Rtp,
                Way::Sdes(_) => Profile::Srtp,
                Way::Dtls | Way::DtlsRsa => Profile::DtlsSrtp,
            };
            assert_eq!(profile, expected, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn the_echo_answers_in_kind() {
    for way in WAYS {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let mut a = SecurePeer::new(way);
        let offer = a.sdp(3, Setup::ActPass);
        let answer = engine.echo(SESSION, negotiation(Side::A, &offer, Options::relay()));
        a.take(&answer.expect("an answer"));
        if way.shakes_hands() {
            a.shake_hands(Setup::Active);
        }
        for text in ["one", "two"] {
            a.say(text);
            assert_eq!(a.hear(), text, "{way:?}");
        }
    }
}

#[test]
fn the_tag_of_the_chosen_key_is_that_of_the_offer() {
    let call = Call::new([Way::Sdes(Suite::AeadAes128Gcm), Way::Rtp]);
    let crypto = "a=crypto:9 AEAD_AES_128_GCM inline:";
    assert!(call.answer.contains(crypto), "{}", call.answer);
}

#[test]
fn an_unknown_suite_is_passed_over_and_none_at_all_refused() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let a = SecurePeer::new(Way::Sdes(Suite::AesCm128HmacSha1_80));
    let good = a.sdp(2, Setup::ActPass);
    let unknown = good.replace(
        "a=crypto:2 ",
        "a=crypto:1 AES_192 inline:AAAA\r\na=crypto:2 ",
    );
    let plain = options(Way::Rtp);
    let b = SecurePeer::new(Way::Rtp).sdp(1, Setup::ActPass);
    engine
        .offer(
            SESSION,
            negotiation(Side::A, &unknown, &plain),
            AddressFamily::V4,
        )
        .expect("an offer");
    let answer = engine.answer(SESSION, negotiation(Side::B, &b, Options::relay()));
    let answer = String::from_utf8(answer.expect("an answer")).expect("text");
    assert!(
        answer.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_80"),
        "{answer}"
    );
    let bad = good.replace("AES_CM_128_HMAC_SHA1_80", "AES_192");
    engine
        .offer(2, negotiation(Side::A, &bad, &plain), AddressFamily::V4)
        .expect("an offer");
    let answer = engine.answer(2, negotiation(Side::B, &b, Options::relay()));
    assert!(
        matches!(answer, Err(media::MediaError::NoKeys)),
        "{answer:?}"
    );
}

#[test]
fn of_phones_that_were_offered_different_ways_each_may_answer() {
    let offer_all = |engine: &mut Engine, a: &SecurePeer, phones: &mut [SecurePeer; 2]| {
        let offer = a.sdp(1, Setup::ActPass);
        for phone in phones {
            let wanted = match phone.way {
                Way::Rtp => Options::default(),
                way => options(way),
            };
            let negotiation = negotiation(Side::A, &offer, &wanted);
            let out = engine.offer(SESSION, negotiation, AddressFamily::V4);
            phone.take(&out.expect("an offer"));
        }
    };
    for winner in [0, 1] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let mut a = SecurePeer::new(Way::Rtp);
        let mut phones = [Way::Rtp, Way::Dtls].map(SecurePeer::new);
        offer_all(&mut engine, &a, &mut phones);
        // The other rings with early media first.
        for answerer in [1 - winner, winner] {
            let answer = phones[answerer].sdp(1, Setup::Active);
            let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
            a.take(&answer.expect("an answer"));
        }
        let [plain, web] = phones;
        let mut b = if winner == 0 { plain } else { web };
        if b.way.shakes_hands() {
            b.shake_hands(Setup::Active);
        }
        let mut call = Call {
            engine,
            a,
            b,
            answer: String::new(),
        };
        call.talks();
    }
}

#[test]
fn opportunistic_keys_are_used_if_both_know_them_and_not_missed_otherwise() {
    for (way, secured) in [
        (Way::Rtp, false),
        (Way::Sdes(Suite::AesCm128HmacSha1_80), true),
    ] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let (mut a, mut b) = (SecurePeer::new(Way::Rtp), SecurePeer::new(way));
        let wanted = Options {
            transport: Transport::Opportunistic,
            ..Options::default()
        };
        let offer = a.sdp(1, Setup::ActPass);
        let offer = engine.offer(
            SESSION,
            negotiation(Side::A, &offer, &wanted),
            AddressFamily::V4,
        );
        let offer = offer.expect("an offer");
        let text = String::from_utf8_lossy(&offer).into_owned();
        assert!(text.contains(" RTP/AVP 8"), "{text}");
        b.take(&offer);
        let answer = b.sdp(1, Setup::Active).replace("RTP/SAVP", "RTP/AVP");
        let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
        a.take(&answer.expect("an answer"));
        let mut call = Call {
            engine,
            a,
            b,
            answer: String::new(),
        };
        call.talks();
        assert_eq!(call.b.protector.is_some(), secured);
    }
}

#[test]
fn a_new_description_keeps_our_keys_and_takes_theirs() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut call = Call::new([Way::Sdes(suite), Way::Sdes(suite)]);
    call.talks();
    let key = |sdp: &str| {
        let line = sdp.lines().find(|line| line.starts_with("a=crypto:"));
        line.expect("a key").to_owned()
    };
    let Call {
        engine,
        a,
        b,
        answer,
    } = &mut call;
    a.rekey(77);
    let again = negotiate(engine, a, b, Setup::ActPass);
    assert_eq!(key(&again), key(answer));
    // B kept its key, and so its counters; ours towards it went on, too.
    call.a.say("new key");
    assert_eq!(call.b.hear(), "new key");
}

#[test]
fn a_source_that_begins_its_numbers_anew_is_heard_behind_encryption() {
    for way in [Way::Sdes(Suite::AesCm128HmacSha1_80), Way::Dtls] {
        let mut call = Call::new([Way::Rtp, way]);
        call.a.sequence = 20_000;
        call.talks();
        call.a.sequence = 7;
        call.a.say("lost, for it might be a late one");
        for text in ["two", "three", "four"] {
            call.a.say(text);
            assert_eq!(call.b.hear(), text, "{way:?}");
        }
    }
}

#[test]
fn an_agreed_handshake_is_not_repeated_and_may_be_begun_by_us() {
    for way in [Way::Dtls, Way::DtlsRsa] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let (mut a, mut b) = (SecurePeer::new(way), SecurePeer::new(Way::Rtp));
        let answer = negotiate(&mut engine, &mut a, &mut b, Setup::Passive);
        assert!(answer.contains("a=setup:active"), "{answer}");
        a.shake_hands(Setup::Passive);
        let mut call = Call {
            engine,
            a,
            b,
            answer,
        };
        call.talks();
        let Call { engine, a, b, .. } = &mut call;
        let again = negotiate(engine, a, b, Setup::ActPass);
        assert!(again.contains("a=setup:active"), "{again}");
        call.talks();
    }
}

#[test]
fn a_peer_that_waits_to_be_greeted_is_greeted_again_where_it_has_moved_to() {
    for way in [Way::Dtls, Way::DtlsRsa] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let (mut a, mut b) = (SecurePeer::new(way), SecurePeer::new(Way::Rtp));
        negotiate(&mut engine, &mut a, &mut b, Setup::Passive);
        a.shake_hands(Setup::Passive);
        // It goes on elsewhere under the same certificate, and names no association.
        let mut a = a.twin();
        let answer = negotiate(&mut engine, &mut a, &mut b, Setup::ActPass);
        assert!(answer.contains("a=setup:active"), "{answer}");
        a.shake_hands(Setup::Passive);
        let mut call = Call {
            engine,
            a,
            b,
            answer,
        };
        call.talks();
    }
}

#[test]
fn rubbish_ends_nothing_and_is_counted_by_reason() {
    for way in [
        Way::Sdes(Suite::AesCm128HmacSha1_80),
        Way::Sdes(Suite::AeadAes256Gcm),
        Way::Dtls,
    ] {
        let mut call = Call::new([way, Way::Rtp]);
        call.talks();
        let good = call.a.packet("once");
        call.a.send(&good);
        assert_eq!(call.b.hear(), "once");
        call.a.send(&good);
        call.wait_dropped(DropReason::Replayed, 1);
        let mut forged = call.a.packet("forged");
        let last = forged.len() - 1;
        forged[last] ^= 1;
        call.a.send(&forged);
        // In the clear: without a tag it can only be forged.
        let mut plain = good[..12].to_vec();
        plain[2..4].copy_from_slice(&call.a.sequence.wrapping_add(10).to_be_bytes());
        plain.extend([0; 40]);
        call.a.send(&plain);
        call.wait_dropped(DropReason::NotAuthentic, 2);
        call.a.send(&plain[..14]);
        call.wait_dropped(DropReason::Truncated, 1);
        if way == Way::Dtls {
            // A handshake record of noise, and a beginning of another.
            call.a
                .send(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4]);
            call.a.send(&[22, 254, 253]);
        }
        call.a.send(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        call.talks();
        // Somebody else is not even looked at.
        let stranger = SecurePeer::new(Way::Rtp);
        let engine = call.a.engine.expect("taken");
        for bytes in [&good[..], &[22, 254, 253, 0], &[0; 20]] {
            stranger.socket.send_to(bytes, engine).expect("sending");
        }
        call.wait_dropped(DropReason::UnknownSource, 2);
        call.talks();
    }
}

#[test]
fn a_forged_client_hello_of_the_peers_own_address_does_not_stop_its_handshake() {
    // The header of a ClientHello, and nothing that could follow it.
    let mut nonsense = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 1, 0, 0, 40];
    nonsense.extend([0, 0, 0, 0, 0, 0, 0, 40]);
    nonsense.extend([0xff; 40]);
    // One of DTLS 1.2 as it should be: X25519, ECDSA with SHA-256, a profile for SRTP.
    let mut good = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 92, 1, 0, 0, 80];
    good.extend([0, 0, 0, 0, 0, 0, 0, 80, 254, 253]);
    good.extend([9; 32]);
    good.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 36]);
    good.extend([0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 6, 0, 4, 4, 3, 4, 1]);
    good.extend([0, 14, 0, 5, 0, 2, 0, 1, 0, 0, 23, 0, 0, 255, 1, 0, 1, 0]);
    // A phone that knows DTLS 1.3 takes any cookie for an answer to its own ClientHello, and so
    // the good one for the sign of a server that does not.
    let all = [
        (Way::Dtls, &nonsense),
        (Way::DtlsRsa, &nonsense),
        (Way::DtlsRsa, &good),
    ];
    for (way, forged) in all {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let (mut a, mut b) = (SecurePeer::new(way), SecurePeer::new(Way::Rtp));
        let answer = negotiate(&mut engine, &mut a, &mut b, Setup::ActPass);
        for _ in 0..5 {
            a.send(forged);
        }
        a.shake_hands(Setup::Active);
        let mut call = Call {
            engine,
            a,
            b,
            answer,
        };
        call.talks();
    }
}

#[test]
fn a_certificate_that_was_not_announced_gets_no_keys() {
    [Way::Dtls, Way::DtlsRsa]
        .into_iter()
        .for_each(a_liar_gets_no_keys);
}

fn a_liar_gets_no_keys(way: Way) {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (SecurePeer::new(way), SecurePeer::new(Way::Rtp));
    let mut liar = SecurePeer::new(way);
    std::mem::swap(&mut a.socket, &mut liar.socket);
    // A is at the address of the description, with another certificate than it says.
    let offer = liar.sdp(1, Setup::ActPass);
    let own = liar.address().port().to_string();
    let offer = offer.replace(&own, &a.address().port().to_string());
    let wanted = options(Way::Rtp);
    let out = engine.offer(
        SESSION,
        negotiation(Side::A, &offer, &wanted),
        AddressFamily::V4,
    );
    b.take(&out.expect("an offer"));
    let answer = b.sdp(1, Setup::Active);
    let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
    a.take(&answer.expect("an answer"));
    let handshake = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        a.shake_hands(Setup::Active);
    }));
    // Whether or not the handshake itself gets as far as keys, no media passes.
    drop(handshake);
    assert!(engine.counters().dropped(DropReason::Fingerprint) >= 1);
    a.say("let me in");
    b.say("after");
    assert_eq!(engine.counters().relayed_packets, 0);
}

#[test]
fn a_browser_is_offered_what_it_needs_and_answered_in_kind() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let a = SecurePeer::new(Way::Rtp);
    let wanted = Options {
        transport: Transport::Dtls(Feedback::With),
        ice: Ice::Lite,
        rtcp_mux: RtcpMux::Require,
        ..Options::default()
    };
    let offer = a.sdp(1, Setup::ActPass);
    let offer = engine.offer(
        SESSION,
        negotiation(Side::A, &offer, &wanted),
        AddressFamily::V4,
    );
    let offer = String::from_utf8(offer.expect("an offer")).expect("text");
    for line in [
        " UDP/TLS/RTP/SAVPF 8\r\n",
        "\r\na=ice-lite\r\n",
        "\r\na=rtcp-mux\r\n",
        "\r\na=setup:actpass\r\n",
        "\r\na=fingerprint:sha-256 ",
        "\r\na=ice-ufrag:",
        "\r\na=ice-pwd:",
        "\r\na=candidate:1 1 UDP ",
        "\r\na=end-of-candidates\r\n",
    ] {
        assert!(offer.contains(line), "no {line:?} in {offer}");
    }
    assert!(!offer.contains("a=candidate:1 2 "), "{offer}");
    let browser = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        a=msid-semantic: WMS x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 8\r\nc=IN IP4 0.0.0.0\r\n\
        a=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
        a=fingerprint:sha-256 AB:CD\r\na=setup:actpass\r\na=mid:0\r\n\
        a=extmap:1 urn:x\r\na=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:8 PCMA/8000\r\n\
        a=ssrc:1 cname:x\r\n";
    let plain = options(Way::Rtp);
    let offer = engine.offer(2, negotiation(Side::A, browser, &plain), AddressFamily::V4);
    let offer = String::from_utf8(offer.expect("an offer")).expect("text");
    assert!(offer.contains(" RTP/AVP 8\r\n"), "{offer}");
    for gone in [
        "ice-",
        "fingerprint",
        "setup",
        "mid",
        "group",
        "ssrc",
        "extmap",
        "0.0.0.0",
    ] {
        assert!(!offer.contains(gone), "{gone} in {offer}");
    }
    let phone = SecurePeer::new(Way::Rtp).sdp(1, Setup::ActPass);
    let answer = engine.answer(2, negotiation(Side::B, &phone, Options::relay()));
    let answer = String::from_utf8(answer.expect("an answer")).expect("text");
    for line in [
        " UDP/TLS/RTP/SAVPF 8\r\n",
        "\r\na=group:BUNDLE 0\r\n",
        "\r\na=mid:0\r\n",
        "\r\na=setup:passive\r\n",
        "\r\na=rtcp-mux\r\n",
        "\r\na=ice-lite\r\n",
    ] {
        assert!(answer.contains(line), "no {line:?} in {answer}");
    }
    assert_eq!(answer.matches("a=rtcp-mux\r\n").count(), 1, "{answer}");
}

/// B answers, too: it is talked to from now on.
fn answers(engine: &mut Engine, b: &SecurePeer, more: &str) {
    let answer = format!("{}{more}", b.sdp(tag(b.way), Setup::Active));
    let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
    answer.expect("an answer");
}

#[test]
fn phones_behind_one_certificate_make_keys_of_their_own() {
    for way in [Way::Dtls, Way::DtlsRsa] {
        for ids in [["", ""], ["a=tls-id:one\r\n", "a=tls-id:two\r\n"]] {
            let mut call = Call::new([Way::Rtp, way]);
            answers(&mut call.engine, &call.b, ids[0]);
            call.talks();
            let mut other = call.b.twin();
            answers(&mut call.engine, &other, ids[1]);
            other.shake_hands(Setup::Active);
            std::mem::swap(&mut call.b, &mut other);
            call.talks();
        }
    }
}

#[test]
fn a_phone_that_is_come_back_to_has_its_keys_still() {
    for way in [Way::Dtls, Way::DtlsRsa] {
        let mut call = Call::new([Way::Rtp, way]);
        call.talks();
        let mut other = SecurePeer::new(way);
        other.engine = call.b.engine;
        answers(&mut call.engine, &other, "");
        other.shake_hands(Setup::Active);
        std::mem::swap(&mut call.b, &mut other);
        call.talks();
        std::mem::swap(&mut call.b, &mut other);
        answers(&mut call.engine, &call.b, "");
        call.talks();
    }
}

#[test]
fn a_phone_that_is_come_back_to_gets_no_index_of_its_key_twice() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let secure = Way::Sdes(Suite::AeadAes128Gcm);
    let [mut a, mut b, mut plain] = [Way::Rtp, secure, Way::Rtp].map(SecurePeer::new);
    let offer = a.sdp(9, Setup::ActPass);
    for (peer, wanted) in [(&mut b, &options(secure)), (&mut plain, Options::relay())] {
        let offered = negotiation(Side::A, &offer, wanted);
        let offered = engine.offer(SESSION, offered, AddressFamily::V4);
        peer.take(&offered.expect("an offer"));
    }
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    let mut phones = [b, plain];
    for place in [0, 1, 0] {
        let peer = &mut phones[place];
        let answer = peer.sdp(tag(peer.way), Setup::Active);
        let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
        a.take(&answer.expect("an answer"));
        a.say("voice");
        assert_eq!(peer.hear(), "voice", "{place}");
        a.report(&report);
        assert_eq!(peer.try_hear_report(), Some(report.to_vec()), "{place}");
    }
}

#[test]
fn whoever_is_offered_keys_of_both_kinds_chooses() {
    let wanted = Options {
        transport: Transport::Keyed(Feedback::Without),
        ..Options::default()
    };
    for way in [Way::Sdes(Suite::AesCm128HmacSha1_80), Way::Dtls] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let [mut a, mut b] = [Way::Rtp, way].map(SecurePeer::new);
        let offer = a.sdp(9, Setup::ActPass);
        let offered = negotiation(Side::A, &offer, &wanted);
        let offered = engine.offer(SESSION, offered, AddressFamily::V4);
        let offered = offered.expect("an offer");
        b.take(&offered);
        let offered = String::from_utf8(offered).expect("text");
        for said in [
            " RTP/SAVP ",
            "a=crypto:1 ",
            "a=fingerprint:",
            "a=setup:actpass",
        ] {
            assert!(offered.contains(said), "{offered}");
        }
        let answer = b.sdp(tag(way), Setup::Active);
        let answer = answer.replace("UDP/TLS/RTP/SAVP", "RTP/SAVP");
        let answer = engine.answer(SESSION, negotiation(Side::B, &answer, Options::relay()));
        a.take(&answer.expect("an answer"));
        if way.shakes_hands() {
            b.shake_hands(Setup::Active);
        }
        a.say("from a");
        assert_eq!(b.hear(), "from a");
        b.say("from b");
        assert_eq!(a.hear(), "from b");
    }
}
