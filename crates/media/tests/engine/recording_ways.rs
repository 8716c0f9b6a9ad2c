//! Recordings of media that is protected, transcoded or both: what is in the file is what each
//! side said, in the clear.

use std::fs;
use std::path::Path;

use audio::{Codec, Wav};
use media::{AddressFamily, Engine, Options, RecordingOptions, RecordingOutcome, Side};
use rtp::TelephoneEvent;
use rtp::srtp::Suite;
use sdp::Setup;

use crate::recording::{engine, recorded};
use crate::secure::negotiation;
use crate::secure_peer::Way;
use crate::transcode::{A_HZ, B_HZ, Call, EVENTS, Phone, call, only, only_codec, pace, share};

const SDES: Way = Way::Sdes(Suite::AesCm128HmacSha1_80);

/// Each side of a file, at 8 kHz.
fn sides(path: &Path) -> [Vec<i16>; 2] {
    let bytes = fs::read(path).expect("the file");
    let wav = Wav::parse(&bytes).expect("a WAV file");
    assert_eq!(wav.format().channels, 2);
    let samples: Vec<i16> = wav.samples().collect();
    let step = wav.format().sample_rate_hz as usize / 8_000;
    [0, 1].map(|channel| {
        let frames = samples.chunks_exact(2).step_by(step);
        frames.map(|frame| frame[channel]).collect()
    })
}

/// Tenths of a second in which a tone stands above all else, silence left out: a phone that is late
/// by more than a second, as on a busy machine, leaves a hole.
fn tenths(samples: &[i16], frequency_hz: f64) -> usize {
    let pieces = samples.chunks(20);
    let said = pieces.filter(|piece| piece.iter().any(|sample| *sample != 0));
    let said: Vec<i16> = said.flatten().copied().collect();
    let tenths = said.chunks_exact(800);
    tenths
        .filter(|tenth| share(tenth, frequency_hz) > 0.6)
        .count()
}

/// Checks that A is left and B right, and neither on the other's channel.
fn check(path: &Path, name: &str) {
    check_sides(&sides(path), name);
}

pub(crate) fn check_sides([left, right]: &[Vec<i16>; 2], name: &str) {
    let heard = [tenths(left, A_HZ), tenths(right, B_HZ)];
    assert!(
        heard[0] >= TENTHS && heard[1] >= TENTHS,
        "{name}: {heard:?}"
    );
    let swapped = [tenths(left, B_HZ), tenths(right, A_HZ)];
    assert_eq!(swapped, [0, 0], "{name}");
}

/// Whether each side has heard a tone of the other for a while.
pub(crate) fn talked(calls: &[Call], tones_hz: [f64; 2], until: usize) -> bool {
    let [of_a, of_b] = tones_hz;
    calls.iter().all(|call| {
        let [a, b] = &call.phones;
        a.tenths_of(of_b) >= until && b.tenths_of(of_a) >= until
    })
}

/// Has all talk in these tones until each has said so many tenths of a second, and heard as many of
/// them: what is heard was said since it began.
fn talk(calls: &mut [Call], tones_hz: [f64; 2], until: usize) {
    for call in &mut *calls {
        for (phone, tone_hz) in call.phones.iter_mut().zip(tones_hz) {
            phone.sound(tone_hz);
        }
    }
    pace(
        calls,
        |call, _| call.phones.iter_mut().for_each(Phone::talk),
        |calls, n| n as usize >= 5 * until && talked(calls, tones_hz, until),
    );
}

/// Calls of all kinds that matter to a recorder, by session.
fn kinds() -> Vec<([Way; 2], [Codec; 2])> {
    let ways = [
        [Way::Rtp, Way::Rtp],
        [SDES, Way::Rtp],
        [Way::Rtp, Way::Dtls],
        [Way::Dtls, SDES],
    ];
    let codecs = [
        [Codec::Pcma, Codec::Pcma],
        [Codec::Pcma, Codec::Opus],
        [Codec::Opus, Codec::G722],
    ];
    let of = |ways| codecs.map(|codecs| (ways, codecs));
    ways.into_iter().flat_map(of).collect()
}

#[test]
fn what_is_protected_or_transcoded_is_recorded_in_the_clear() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut engine, wakes) = engine(dir.path());
    let kinds = kinds();
    let mut calls: Vec<Call> = (0..)
        .zip(&kinds)
        .map(|(n, kind)| call(&mut engine, n, *kind, 20, [""; 2]))
        .collect();
    // In the middle of the calls, which go on as before when it is over.
    talk(&mut calls, OTHERS_HZ, 2);
    for session in 0..kinds.len() as u64 {
        let options = RecordingOptions::first(format!("call_{session}"));
        engine.start_recording(session, &options).expect("a file");
    }
    talk(&mut calls, [A_HZ, B_HZ], TENTHS + 4);
    for session in 0..kinds.len() as u64 {
        engine.stop_recording(session).expect("a recording");
    }
    talk(&mut calls, OTHERS_HZ, 2);
    for _ in &kinds {
        let recorded = recorded(&mut engine, &wakes);
        assert_eq!(recorded.outcome, RecordingOutcome::Finished);
        let session = recorded.session.expect("of this process");
        let name = format!("{:?}", kinds[session as usize]);
        check(&dir.path().join(&recorded.file), &name);
    }
}

/// A call in which B wants its codec by the number that A has for its events, as an answer may
/// (RFC 3264 §6.1).
fn call_with_a_number_twice(engine: &mut Engine) -> Call {
    let mut a = Phone::new(Way::Rtp, Codec::Pcma, A_HZ);
    let mut b = Phone::new(Way::Rtp, Codec::Opus, B_HZ);
    let wanted = only(Codec::Opus, Way::Rtp, 20);
    let offer = a.sdp(1, Setup::ActPass, EVENTS);
    let offer = negotiation(Side::A, &offer, &wanted);
    let offer = engine.offer(0, offer, AddressFamily::V4);
    let offer = offer.expect("an offer");
    b.peer.take(&offer);
    b.payload_type = 101;
    let answer = b.sdp(1, Setup::Active, "");
    b.payload_type = only_codec(&offer, Codec::Opus);
    let answer = engine.answer(0, negotiation(Side::B, &answer, Options::relay()));
    a.peer.take(&answer.expect("an answer"));
    for phone in [&a, &b] {
        let socket = &phone.peer.socket;
        socket.set_nonblocking(true).expect("no blocking");
    }
    Call {
        phones: [a, b],
        packet_ms: 20,
    }
}

#[test]
fn a_number_that_means_events_on_one_side_and_a_codec_on_the_other_is_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut engine, wakes) = engine(dir.path());
    let mut calls = [call_with_a_number_twice(&mut engine)];
    let options = RecordingOptions::first("keys");
    engine.start_recording(0, &options).expect("a file");
    // A holds a key and says nothing else, while B talks.
    let press = |call: &mut Call, n: u32| {
        let [a, b] = &mut call.phones;
        let event = TelephoneEvent {
            event: 5,
            end: false,
            volume_dbm0: 10,
            duration: (n * 160) as u16,
        };
        a.send(101, 4_800, &event.encode());
        b.talk();
    };
    pace(&mut calls, press, |_, n| n >= 30);
    engine.delete(0).expect("a session");
    let recorded = recorded(&mut engine, &wakes);
    let [left, right] = sides(&dir.path().join(recorded.file));
    assert!(
        left.iter().all(|sample| *sample == 0),
        "events are no voice"
    );
    assert!(tenths(&right, B_HZ) >= TENTHS);
}

/// How much of a tone is enough.
pub(crate) const TENTHS: usize = 4;
/// What is said while nobody records.
const OTHERS_HZ: [f64; 2] = [440.0, 1_480.0];
