use std::path::PathBuf;

use super::*;
use crate::{Tone, ToneGenerator};

/// A sequence of the Recommendation's appendix II, 16-bit words with the high byte first.
///
/// The files are the ITU-T's and not part of this repository. They are in the folder `bin` of
/// `G.722_MB-testvectors/g722-ts-be` in the archive of test vectors that comes with the
/// Recommendation.
fn sequence(name: &str) -> Vec<u16> {
    let folder = std::env::var_os("ITU_G722_VECTORS").expect("the folder of the test sequences");
    let bytes = std::fs::read(PathBuf::from(folder).join(name)).expect("a sequence");
    let words = bytes.as_chunks::<2>().0.iter();
    words.map(|word| u16::from_be_bytes(*word)).collect()
}

/// Both bands coded from the same input, the filters left out, as the appendix has it: the code
/// is in the upper byte, and a word with bit 0 resets.
fn encode_bands(input: &[u16]) -> Vec<u16> {
    let (mut lower, mut higher) = (Lower::new(), Higher::new());
    let code = |word: &u16| {
        if word & 1 == 1 {
            (lower, higher) = (Lower::new(), Higher::new());
            return 1;
        }
        let sample = i32::from(*word as i16 >> 1);
        let code = higher.encode(sample) << 6 | lower.encode(sample);
        u16::from(code) << 8
    };
    input.iter().map(code).collect()
}

/// The lower and the higher band of codes.
fn decode_bands(codes: &[u16]) -> (Vec<u16>, Vec<u16>) {
    let (mut lower, mut higher) = (Lower::new(), Higher::new());
    let decode = |word: &u16| {
        if word & 1 == 1 {
            (lower, higher) = (Lower::new(), Higher::new());
            return (1, 1);
        }
        let code = (word >> 8) as u8;
        let word = |sample: i32| (sample as i16 as u16) << 1;
        (
            word(lower.decode(code & 0x3f)),
            word(higher.decode(code >> 6)),
        )
    };
    codes.iter().map(decode).unzip()
}

#[test]
#[ignore = "needs the ITU-T's files, whose licence does not let us carry them: ITU_G722_VECTORS"]
fn agrees_with_the_digital_test_sequences_of_the_recommendation() {
    for (input, codes) in [("bt1c1.xmt", "bt2r1.cod"), ("bt1c2.xmt", "bt2r2.cod")] {
        assert!(encode_bands(&sequence(input)) == sequence(codes), "{input}");
    }
    for (codes, lower, higher) in [
        ("bt2r1.cod", "bt3l1.rc1", "bt3h1.rc0"),
        ("bt2r2.cod", "bt3l2.rc1", "bt3h2.rc0"),
        ("bt1d3.cod", "bt3l3.rc1", "bt3h3.rc0"),
    ] {
        let decoded = decode_bands(&sequence(codes));
        assert!(decoded.0 == sequence(lower), "{lower}");
        assert!(decoded.1 == sequence(higher), "{higher}");
    }
}

/// The checksums were taken when the test above passed.
#[test]
fn is_still_what_agreed_with_the_test_sequences() {
    let input = words(32_768);
    let codes = encode_bands(&input);
    let (lower, higher) = decode_bands(&input);
    let found = [codes, lower, higher].map(|words| checksum(&words));
    assert_eq!(found, AGREED);
}

#[test]
fn a_tone_comes_back_at_its_level_in_either_band() {
    for frequency_hz in [400.0, 1_000.0, 3_000.0, 5_000.0, 6_500.0] {
        let tone = Tone::sine(frequency_hz, -10.0);
        let mut samples = vec![0; 16_000];
        ToneGenerator::new(&tone, 16_000).fill(&mut samples);
        let (mut codes, mut decoded) = (Vec::new(), Vec::new());
        G722Encoder::new().encode(&samples, &mut codes);
        assert_eq!(codes.len(), 8_000);
        G722Decoder::new().decode(&codes, &mut decoded);
        // The filters delay by 22 samples.
        let error: f64 = samples
            .iter()
            .zip(&decoded[22..])
            .skip(800)
            .map(|(sent, heard)| (f64::from(*sent) - f64::from(*heard)).powi(2))
            .sum();
        let energy: f64 = samples[800..].iter().map(|s| f64::from(*s).powi(2)).sum();
        let ratio_db = 10.0 * (energy / error).log10();
        let wanted_db = if frequency_hz < 4_000.0 { 25.0 } else { 8.0 };
        assert!(ratio_db > wanted_db, "{frequency_hz} Hz: {ratio_db} dB");
    }
}

#[test]
fn odd_numbers_of_samples_are_joined() {
    let samples: Vec<i16> = (0..321).map(|n| n * 50).collect();
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    G722Encoder::new().encode(&samples, &mut whole);
    let mut encoder = G722Encoder::new();
    for part in samples.chunks(7) {
        encoder.encode(part, &mut parts);
    }
    assert_eq!(whole.len(), 160);
    assert_eq!(whole, parts);
}

/// Words without resets, loud and soft in turn.
fn words(count: u32) -> Vec<u16> {
    let mut state = 722_u32;
    let word = |at: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 16) as u16 as i16;
        (noise >> (at / 1_000 % 12)) as u16 & !1
    };
    (0..count).map(word).collect()
}

fn checksum(words: &[u16]) -> u32 {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    crc32fast::hash(&bytes)
}

const AGREED: [u32; 3] = [0xaa4b_0f13, 0x65b0_0a9a, 0xd074_9a02];
