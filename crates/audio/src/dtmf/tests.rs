use super::*;
use crate::{ToneGenerator, g711};

fn pressed(key: Key, sample_rate_hz: u32, on_ms: u32, off_ms: u32) -> Vec<i16> {
    let mut samples = vec![0; (sample_rate_hz * (on_ms + off_ms) / 1_000) as usize];
    let on = (sample_rate_hz * on_ms / 1_000) as usize;
    ToneGenerator::new(&key.tone(), sample_rate_hz).fill(&mut samples[..on]);
    samples
}

fn edges(samples: &[i16], sample_rate_hz: u32) -> Vec<KeyEdge> {
    let mut found = Vec::new();
    let mut detector = DtmfDetector::new(sample_rate_hz);
    for packet in samples.chunks(sample_rate_hz as usize / 50) {
        detector.push(packet, |edge| found.push(edge));
    }
    found
}

fn keys(samples: &[i16], sample_rate_hz: u32) -> String {
    let downs = edges(samples, sample_rate_hz).into_iter();
    let downs = downs.filter_map(|edge| match edge {
        KeyEdge::Down(key) => Some(key.to_char()),
        KeyEdge::Up { .. } => None,
    });
    downs.collect()
}

#[test]
fn each_key_is_found_at_each_rate() {
    for sample_rate_hz in [8_000, 16_000, 48_000] {
        let mut samples = Vec::new();
        for key in "1234567890*#ABCD".chars().filter_map(Key::from_char) {
            samples.extend(pressed(key, sample_rate_hz, 60, 50));
        }
        assert_eq!(keys(&samples, sample_rate_hz), "1234567890*#ABCD");
    }
}

#[test]
fn a_key_is_held_as_long_as_it_sounds() {
    let key = Key::from_char('7').expect("a key");
    let [down, up] = edges(&pressed(key, 8_000, 300, 100), 8_000)[..] else {
        panic!("down and up, once");
    };
    assert_eq!(down, KeyEdge::Down(key));
    let KeyEdge::Up { duration_ms, .. } = up else {
        panic!("it goes up");
    };
    assert!(duration_ms.abs_diff(300) <= 26, "{duration_ms}");
}

#[test]
fn short_breaks_do_not_make_two_of_one() {
    let key = Key::from_char('5').expect("a key");
    let mut samples = pressed(key, 8_000, 100, 8);
    samples.extend(pressed(key, 8_000, 100, 100));
    assert_eq!(keys(&samples, 8_000), "5");
}

#[test]
fn a_soft_key_through_a_law_with_noise_is_found() {
    let key = Key::from_char('#').expect("a key");
    let mut noise = crate::ComfortNoise::from_payload(&[60]);
    let mut background = Vec::new();
    noise.generate(1_600, &mut background);
    let samples: Vec<i16> = pressed(key, 8_000, 100, 100)
        .iter()
        .zip(&background)
        .map(|(tone, noise)| tone / 8 + noise)
        .map(|sample| g711::alaw_decode(g711::alaw_encode(sample)))
        .collect();
    assert_eq!(keys(&samples, 8_000), "#");
}

#[test]
fn single_tones_noise_and_chords_are_no_keys() {
    let mut second = vec![0; 8_000];
    for frequency_hz in [697.0, 770.0, 1_000.0, 1_209.0, 1_336.0, 425.0] {
        ToneGenerator::new(&Tone::sine(frequency_hz, -6.0), 8_000).fill(&mut second);
        assert_eq!(keys(&second, 8_000), "", "{frequency_hz}");
    }
    let mut noise = Vec::new();
    crate::ComfortNoise::from_payload(&[20]).generate(80_000, &mut noise);
    assert_eq!(keys(&noise, 8_000), "");
    // A key and a voice as loud as it.
    let key = Key::from_char('1').expect("a key");
    let mut both = pressed(key, 8_000, 1_000, 0);
    for (frequency_hz, level_dbm0) in [(300.0, -3.0), (2_200.0, -3.0)] {
        ToneGenerator::new(&Tone::sine(frequency_hz, level_dbm0), 8_000).mix(&mut both);
    }
    assert_eq!(keys(&both, 8_000), "");
}

#[test]
fn a_glitch_of_one_block_is_no_key() {
    let key = Key::from_char('9').expect("a key");
    assert_eq!(keys(&pressed(key, 8_000, 15, 100), 8_000), "");
}

#[test]
fn keys_have_names_and_numbers() {
    for event in 0..16 {
        let key = Key::from_event(event).expect("a key");
        assert_eq!(Key::from_char(key.to_char()), Some(key));
        assert_eq!(key.event(), event);
    }
    assert_eq!(Key::from_event(16), None);
    assert_eq!(Key::from_char('x'), None);
    assert_eq!(Key::from_char('d').map(Key::event), Some(15));
}
