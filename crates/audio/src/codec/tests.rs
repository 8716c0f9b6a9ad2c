use super::*;
use crate::{Tone, ToneGenerator};
use proptest::prelude::*;

fn coded(codec: Codec, sample_rate_hz: u32, frequency_hz: f64) -> (Vec<i16>, usize) {
    let mut tone = ToneGenerator::new(&Tone::sine(frequency_hz, -10.0), sample_rate_hz);
    let mut encoder =
        Encoder::new(codec, sample_rate_hz, OpusOptions::default()).expect("an encoder");
    let mut decoder = Decoder::new(codec, sample_rate_hz).expect("a decoder");
    let (mut heard, mut bytes) = (Vec::new(), 0);
    for _ in 0..50 {
        let mut frame = vec![0; sample_rate_hz as usize / 50];
        tone.fill(&mut frame);
        let mut payload = Vec::new();
        encoder
            .encode(&frame, &mut payload)
            .expect("a frame of 20 ms");
        bytes += payload.len();
        decoder
            .decode(&payload, &mut heard)
            .expect("our own payload");
    }
    (heard, bytes)
}

fn frequency_hz(samples: &[i16], sample_rate_hz: u32) -> f64 {
    let signs = samples.windows(2);
    let crossings = signs.filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
    crossings as f64 / 2.0 / samples.len() as f64 * f64::from(sample_rate_hz)
}

#[test]
fn a_tone_passes_each_codec_at_each_rate() {
    for codec in Codec::ALL {
        for sample_rate_hz in [8_000, 16_000, 48_000] {
            let (heard, bytes) = coded(codec, sample_rate_hz, 700.0);
            let off = heard.len().abs_diff(sample_rate_hz as usize);
            assert!(off <= 12, "{codec:?}: {off} samples");
            let steady = &heard[heard.len() / 4..];
            let heard_hz = frequency_hz(steady, sample_rate_hz);
            assert!((heard_hz - 700.0).abs() < 15.0, "{codec:?}: {heard_hz} Hz");
            if codec != Codec::Opus {
                assert!(bytes.abs_diff(8_000) <= 2, "{codec:?}: {bytes}");
            } else {
                assert!(bytes < 5_000, "{bytes}");
            }
        }
    }
}

#[test]
fn names_and_clocks_are_those_of_sdp() {
    assert_eq!(Codec::from_rtpmap(b"G722", 8_000), Some(Codec::G722));
    assert_eq!(Codec::from_rtpmap(b"G722", 16_000), None);
    assert_eq!(Codec::from_rtpmap(b"OPUS", 48_000), Some(Codec::Opus));
    assert_eq!(Codec::from_rtpmap(b"pcmu", 8_000), Some(Codec::Pcmu));
    assert_eq!(Codec::from_rtpmap(b"PCMU", 16_000), None);
    assert_eq!(Codec::from_rtpmap(b"G729", 8_000), None);
}

#[test]
fn absurd_packet_times_become_possible_ones() {
    let times = [0, 1, 10, 20, 30, 35, 60, 1_000, u32::MAX];
    let pcma = times.map(|ms| Codec::Pcma.packet_ms(ms));
    assert_eq!(pcma, [10, 10, 10, 20, 30, 30, 60, 60, 60]);
    let opus = times.map(|ms| Codec::Opus.packet_ms(ms));
    assert_eq!(opus, [10, 10, 10, 20, 20, 20, 60, 60, 60]);
}

#[test]
fn a_rate_that_nobody_speaks_is_refused() {
    for codec in Codec::ALL {
        let encoder = Encoder::new(codec, 44_100, OpusOptions::default());
        assert!(encoder.is_err());
        assert!(Decoder::new(codec, 44_100).is_err());
    }
}

proptest! {
    #[test]
    fn any_payload_gives_at_most_its_time(
        codec in 0_usize..4, payload in proptest::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let mut decoder = Decoder::new(Codec::ALL[codec], 16_000).expect("a decoder");
        let mut out = Vec::new();
        match decoder.decode(&payload, &mut out) {
            Ok(()) => prop_assert!(out.len() <= 16 * PAYLOAD_MAX_MS + 24),
            Err(_) => prop_assert!(out.is_empty()),
        }
    }
}
