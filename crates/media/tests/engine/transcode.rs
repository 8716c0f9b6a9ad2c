//! Every codec to every other, over every pair of transports, with the tone of each side found at
//! the other; keys in the form each side knows; and payloads that mean harm.

use std::time::{Duration, Instant};

use audio::{Codec, Decoder, DtmfDetector, Encoder, Key, KeyEdge, OpusOptions};
use audio::{Tone, ToneGenerator};
use media::{AddressFamily, CodecChanges, Engine, MediaEvent, Options, Side};
use rtp::srtp::Suite;
use rtp::{Header, TelephoneEvent};
use sdp::{Description, Setup};

use crate::peer::config;
use crate::secure::{negotiation, options, tag};
use crate::secure_peer::{SecurePeer, Way};

const WAYS: [Way; 3] = [Way::Rtp, Way::Sdes(Suite::AesCm128HmacSha1_80), Way::Dtls];

/// A phone with one codec that says a tone, and keeps what it hears.
pub(crate) struct Phone {
    pub(crate) peer: SecurePeer,
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    encoder: Encoder,
    tone: ToneGenerator,
    sent: u32,
    heard: Vec<(Header, Vec<u8>)>,
}

/// Two of them.
pub(crate) struct Call {
    pub(crate) phones: [Phone; 2],
    pub(crate) packet_ms: u32,
}

impl Phone {
    pub(crate) fn new(way: Way, codec: Codec, frequency_hz: f64) -> Self {
        let rate_hz = codec.sample_rate_hz();
        Self {
            peer: SecurePeer::new(way),
            codec,
            payload_type: codec.payload_type().unwrap_or(111),
            encoder: Encoder::new(codec, rate_hz, OpusOptions::default()).expect("a codec"),
            tone: ToneGenerator::new(&Tone::sine(frequency_hz, -10.0), rate_hz),
            sent: 0,
            heard: Vec::new(),
        }
    }

    pub(crate) fn sdp(&self, tag: u32, setup: Setup, more: &str) -> String {
        let pt = self.payload_type;
        let clock = self.codec.clock_rate_hz();
        let channels = if self.codec == Codec::Opus { "/2" } else { "" };
        let name = self.codec.name();
        let lines = format!("a=rtpmap:{pt} {name}/{clock}{channels}\r\n{more}");
        let event = if more.contains("telephone-event") {
            " 101"
        } else {
            ""
        };
        self.peer
            .sdp_of(tag, setup, &format!("{pt}{event}"), &lines)
    }

    pub(crate) fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        self.peer.sequence = self.peer.sequence.wrapping_add(1);
        let header = Header {
            marker: false,
            payload_type,
            sequence: self.peer.sequence,
            timestamp,
            ssrc: 0x1234_5678,
        };
        let packet = self.peer.protected(&header, payload);
        self.peer.send(&packet);
    }

    fn timestamp(&self) -> u32 {
        self.sent * (self.codec.clock_rate_hz() / 50)
    }

    /// Says another tone from now on.
    pub(crate) fn sound(&mut self, frequency_hz: f64) {
        let rate_hz = self.codec.sample_rate_hz();
        self.tone = ToneGenerator::new(&Tone::sine(frequency_hz, -10.0), rate_hz);
    }

    pub(crate) fn talk(&mut self) {
        let mut frame = vec![0; self.codec.sample_rate_hz() as usize / 50];
        self.tone.fill(&mut frame);
        let mut payload = Vec::new();
        self.encoder.encode(&frame, &mut payload).expect("20 ms");
        self.send(self.payload_type, self.timestamp(), &payload);
        self.sent += 1;
    }

    fn listen(&mut self) {
        while let Some(bytes) = self.peer.try_hear() {
            let packet = rtp::Packet::parse(&bytes).expect("RTP");
            self.heard.push((packet.header, packet.payload.to_vec()));
        }
    }

    fn samples(&self) -> Vec<i16> {
        self.latest_samples(self.heard.len())
    }

    /// What the last packets say.
    fn latest_samples(&self, packets: usize) -> Vec<i16> {
        let mut decoder = Decoder::new(self.codec, 8_000).expect("a codec");
        let mut samples = Vec::new();
        let begin = self.heard.len().saturating_sub(packets);
        for (header, payload) in &self.heard[begin..] {
            if header.payload_type == self.payload_type {
                decoder.decode(payload, &mut samples).expect("a payload");
            }
        }
        samples
    }

    /// Tenths of a second in which a tone was heard above all else, of the last seconds: whoever
    /// asks again and again is not to take longer and longer for it.
    pub(crate) fn tenths_of(&self, frequency_hz: f64) -> usize {
        let samples = self.latest_samples(RECENT_PACKETS);
        let tenths = samples.chunks_exact(800);
        tenths
            .filter(|tenth| share(tenth, frequency_hz) > 0.6)
            .count()
    }

    /// Checks that the stream is in order, of packets of this length.
    fn check(&self, name: &str, packet_ms: u32) {
        let step = self.codec.clock_rate_hz() * packet_ms / 1_000;
        let (first, _) = self.heard.first().expect("packets");
        assert_ne!(first.ssrc, 0x1234_5678, "{name}: a stream of our own");
        assert!(first.marker, "{name}");
        for pair in self.heard.windows(2) {
            let [(before, _), (after, _)] = pair else {
                continue;
            };
            assert_eq!(after.ssrc, before.ssrc, "{name}");
            assert_eq!(after.sequence, before.sequence.wrapping_add(1), "{name}");
            let passed = after.timestamp.wrapping_sub(before.timestamp);
            assert_eq!(passed % step, 0, "{name}: {passed}");
            assert!(passed == step || after.marker, "{name}: {passed}");
        }
    }
}

/// What has the other side offered this codec alone.
pub(crate) fn only(codec: Codec, way: Way, packet_ms: u32) -> Options {
    let mut options = options(way);
    options.codecs.mask = vec!["all".to_owned()];
    options.codecs.transcode = vec![codec.name().to_owned()];
    options.ptime_ms = (packet_ms != 20).then_some(packet_ms as u8);
    options
}

/// Answered, with keys on both sides; `events` are the lines of each that speak of telephone
/// events.
pub(crate) fn call(
    engine: &mut Engine,
    session: u64,
    (ways, codecs): ([Way; 2], [Codec; 2]),
    packet_ms: u32,
    events: [&str; 2],
) -> Call {
    let mut a = Phone::new(ways[0], codecs[0], A_HZ);
    let mut b = Phone::new(ways[1], codecs[1], B_HZ);
    let wanted = only(b.codec, ways[1], packet_ms);
    let offer = a.sdp(9, Setup::ActPass, events[0]);
    let offer = negotiation(Side::A, &offer, &wanted);
    let offer = engine
        .offer(session, offer, AddressFamily::V4)
        .expect("an offer");
    b.peer.take(&offer);
    b.payload_type = only_codec(&offer, b.codec);
    let answer = b.sdp(tag(ways[1]), Setup::Active, events[1]);
    let answer = negotiation(Side::B, &answer, Options::relay());
    let answer = engine.answer(session, answer).expect("an answer");
    assert_eq!(only_codec(&answer, a.codec), a.payload_type);
    a.peer.take(&answer);
    for phone in [&mut a, &mut b] {
        if phone.peer.way.shakes_hands() {
            phone.peer.shake_hands(Setup::Active);
        }
        phone
            .peer
            .socket
            .set_nonblocking(true)
            .expect("no blocking");
    }
    Call {
        phones: [a, b],
        packet_ms,
    }
}

/// The payload type of the one codec, events apart, of a description.
pub(crate) fn only_codec(sdp: &[u8], codec: Codec) -> u8 {
    let description = Description::parse(sdp).expect("a description");
    let medium = description.medium(0).expect("a medium");
    let mut speech = medium.codecs().filter(|codec| !codec.is("telephone-event"));
    let only = speech.next().expect("a codec");
    assert!(only.is(codec.name()) && speech.next().is_none());
    only.payload_type
}

/// The share of a frequency in the energy, by Goertzel's algorithm.
pub(crate) fn share(samples: &[i16], frequency_hz: f64) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * frequency_hz / 8_000.0).cos();
    let (mut last, mut before, mut energy) = (0.0, 0.0, 1.0);
    for sample in samples.iter().map(|s| f64::from(*s)) {
        (last, before) = (sample + coefficient * last - before, last);
        energy += sample * sample;
    }
    let power = last * last + before * before - coefficient * last * before;
    power / (energy * samples.len() as f64 / 2.0)
}

/// Has `step` called each 20 ms until `done`. A busy machine calls it late, and then sooner again: a
/// phone that fell ever further behind would leave holes in what it says.
pub(crate) fn pace(
    calls: &mut [Call],
    mut step: impl FnMut(&mut Call, u32),
    done: impl Fn(&[Call], u32) -> bool,
) {
    let begin = Instant::now();
    for n in 0..STEPS_MAX {
        for call in &mut *calls {
            step(call, n);
        }
        let due = Duration::from_millis(20) * (n + 1);
        loop {
            for phone in calls.iter_mut().flat_map(|call| &mut call.phones) {
                phone.listen();
            }
            if begin.elapsed() >= due {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        if n % 10 == 9 && done(calls, n) {
            return;
        }
    }
    panic!("not in {STEPS_MAX} steps");
}

fn talk_and_check(engine: &mut Engine, ways: [Way; 2], packet_ms: u32) {
    let pairs = Codec::ALL.map(|a| Codec::ALL.map(|b| [a, b]));
    let mut calls: Vec<Call> = (0..)
        .zip(pairs.into_iter().flatten())
        .map(|(n, codecs)| call(engine, n, (ways, codecs), packet_ms, [""; 2]))
        .collect();
    let heard = |call: &Call| {
        let [a, b] = &call.phones;
        a.tenths_of(B_HZ) >= TENTHS && b.tenths_of(A_HZ) >= TENTHS
    };
    pace(
        &mut calls,
        |call, _| call.phones.iter_mut().for_each(Phone::talk),
        |calls, _| calls.iter().all(heard),
    );
    for (n, call) in (0..).zip(&calls) {
        let [a, b] = &call.phones;
        let name = format!("{ways:?} {:?} and {:?}", a.codec, b.codec);
        b.check(&name, b.codec.packet_ms(call.packet_ms));
        a.check(&name, 20);
        engine.delete(n);
    }
}

#[test]
fn each_codec_reaches_each_other_over_each_transport() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    for from in WAYS {
        for to in WAYS {
            talk_and_check(&mut engine, [from, to], 20);
        }
    }
}

#[test]
fn each_codec_is_packed_anew() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    for packet_ms in [30, 40] {
        talk_and_check(&mut engine, [Way::Rtp, Way::Rtp], packet_ms);
    }
}

pub(crate) const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\n";

#[test]
fn keys_reach_a_phone_that_knows_no_events_as_tones_and_the_other_way_round() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let codecs = [Codec::Opus, Codec::Pcma];
    let pair = ([Way::Rtp, Way::Rtp], codecs);
    let mut calls = [call(&mut engine, 1, pair, 20, [EVENTS, ""])];
    let key = Key::from_char('7').expect("a key");
    let press = |call: &mut Call, n: u32| {
        let [a, b] = &mut call.phones;
        // A presses 5 for 120 ms, B sounds a 7 for 160 ms.
        let held = n.saturating_sub(10);
        if (10..19).contains(&n) {
            let event = TelephoneEvent {
                event: 5,
                end: held >= 6,
                volume_dbm0: 10,
                duration: (held.min(6) * 160) as u16,
            };
            a.send(101, 4_800, &event.encode());
        }
        match n {
            10 => b.tone = ToneGenerator::new(&key.tone(), 8_000),
            18 => b.tone = ToneGenerator::new(&Tone::sine(B_HZ, -60.0), 8_000),
            _ => {}
        }
        b.talk();
    };
    pace(&mut calls, press, |_, n| n >= 60);
    let [call] = calls;
    let [a, b] = &call.phones;
    let mut keys = String::new();
    DtmfDetector::new(8_000).push(&b.samples(), |edge| {
        if let KeyEdge::Down(key) = edge {
            keys.push(key.to_char());
        }
    });
    assert_eq!(keys, "5", "as a tone");
    let events = a
        .heard
        .iter()
        .filter(|(header, _)| header.payload_type == 101);
    let events = events.filter_map(|(_, payload)| TelephoneEvent::parse(payload));
    let ended: Vec<_> = events
        .filter(|event| event.end)
        .map(|event| event.digit())
        .collect();
    // On a busy machine packets are late, and what is put in their place may be heard as another
    // key; on virtual time it is this one alone.
    assert!(ended.contains(&Some('7')), "as an event: {ended:?}");
    let mut said = Vec::new();
    while let Some(event) = engine.poll_event() {
        if let MediaEvent::Key { side, key, .. } = event {
            said.push((side, key));
        }
    }
    assert!(
        said.contains(&(Side::A, '5')) && said.contains(&(Side::B, '7')),
        "{said:?}"
    );
}

#[test]
fn a_key_pressed_from_above_is_heard() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let pair = ([Way::Rtp, Way::Rtp], [Codec::Opus, Codec::Pcmu]);
    let mut calls = [call(&mut engine, 1, pair, 20, ["", EVENTS])];
    assert!(engine.press_key(1, Side::B, '#', 100));
    assert!(!engine.press_key(1, Side::B, 'x', 100), "no key");
    assert!(!engine.press_key(2, Side::B, '1', 100), "no session");
    pace(&mut calls, |_, _| {}, |_, n| n >= 20);
    let heard = calls[0].phones[1].heard.iter();
    let events: Vec<_> = heard
        .filter_map(|(_, payload)| TelephoneEvent::parse(payload))
        .collect();
    assert!(events.iter().all(|event| event.digit() == Some('#')));
    assert_eq!(events.iter().filter(|event| event.end).count(), 3);
}

#[test]
fn opus_meets_g711_although_nobody_asked_for_it_and_still_does_when_asked_again() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let bridge = Options {
        codecs: CodecChanges {
            transcode: ["PCMA", "PCMU"].map(str::to_owned).to_vec(),
            ..CodecChanges::default()
        },
        ..Options::default()
    };
    let a = Phone::new(Way::Rtp, Codec::Opus, A_HZ);
    let b = Phone::new(Way::Rtp, Codec::Pcma, B_HZ);
    let [opus, pcma] = [&a, &b].map(|phone| phone.sdp(1, Setup::ActPass, ""));
    let codecs = |sdp: Vec<u8>| {
        let description = Description::parse(&sdp).expect("a description");
        let medium = description.medium(0).expect("a medium");
        let names = medium
            .codecs()
            .map(|codec| String::from_utf8_lossy(codec.name).into_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let mut offer = |from, sdp: &str, options| {
        let offer = engine.offer(1, negotiation(from, sdp, options), AddressFamily::V4);
        let answer = if from == Side::A { &pcma } else { &opus };
        let answer = negotiation(from.other(), answer, Options::relay());
        let answer = engine.answer(1, answer).expect("an answer");
        (codecs(offer.expect("an offer")), codecs(answer))
    };
    let (offered, answered) = offer(Side::A, &opus, &bridge);
    assert_eq!((&*offered, &*answered), ("opus PCMA PCMU", "opus"));
    let (offered, answered) = offer(Side::B, &pcma, Options::relay());
    assert_eq!((&*offered, &*answered), ("PCMA opus", "PCMA"));
}

#[test]
fn payloads_that_mean_harm_do_none() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let pairs = Codec::ALL.map(|codec| ([Way::Rtp, Way::Rtp], [codec, Codec::Pcma]));
    let mut calls: Vec<Call> = (0..)
        .zip(pairs)
        .map(|(n, pair)| call(&mut engine, n, pair, 20, [EVENTS, EVENTS]))
        .collect();
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    let harm = |call: &mut Call, _| {
        let [a, _] = &mut call.phones;
        for _ in 0..20 {
            let len = random() % 1_500;
            let payload: Vec<u8> = (0..len).map(|_| random() as u8).collect();
            let payload_type = if random() % 4 == 0 {
                101
            } else {
                a.payload_type
            };
            a.peer.sequence = random() as u16;
            a.send(payload_type, random() as u32, &payload);
        }
    };
    pace(&mut calls, harm, |_, n| n >= 25);
    for call in &mut calls {
        call.phones[1].heard.clear();
    }
    pace(
        &mut calls,
        |call, _| call.phones[0].talk(),
        |calls, _| {
            let mut heard = calls.iter().map(|call| call.phones[1].tenths_of(A_HZ));
            heard.all(|tenths| tenths >= TENTHS)
        },
    );
}

pub(crate) const A_HZ: f64 = 620.0;
pub(crate) const B_HZ: f64 = 1_020.0;
/// How much of a tone is enough.
const TENTHS: usize = 4;
/// Packets that are listened to: four seconds.
const RECENT_PACKETS: usize = 200;
/// A busy machine takes some.
const STEPS_MAX: u32 = 1_500;

#[test]
fn of_phones_that_were_offered_different_codecs_each_may_answer() {
    for last in [Options::default(), only(Codec::Pcmu, Way::Rtp, 20)] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let a = Phone::new(Way::Rtp, Codec::Pcma, A_HZ);
        let mut b = Phone::new(Way::Rtp, Codec::G722, B_HZ);
        let offer = a.sdp(1, Setup::ActPass, "");
        let first = only(Codec::G722, Way::Rtp, 20);
        let offers = [&first, &last].map(|wanted| {
            let offered = negotiation(Side::A, &offer, wanted);
            let offered = engine.offer(1, offered, AddressFamily::V4);
            offered.expect("an offer")
        });
        b.peer.take(&offers[0]);
        b.payload_type = only_codec(&offers[0], Codec::G722);
        let answer = b.sdp(1, Setup::Active, "");
        let answer = engine.answer(1, negotiation(Side::B, &answer, Options::relay()));
        let answer = answer.expect("an answer");
        assert_eq!(only_codec(&answer, Codec::Pcma), a.payload_type);
        let mut calls = [Call {
            phones: [a, b],
            packet_ms: 20,
        }];
        calls[0].phones[0].peer.take(&answer);
        for phone in &calls[0].phones {
            phone
                .peer
                .socket
                .set_nonblocking(true)
                .expect("no blocking");
        }
        pace(
            &mut calls,
            |call, _| call.phones.iter_mut().for_each(Phone::talk),
            |calls, _| {
                let [a, b] = &calls[0].phones;
                a.tenths_of(B_HZ) >= TENTHS && b.tenths_of(A_HZ) >= TENTHS
            },
        );
    }
}
