use super::*;

fn samples(tone: &Tone, sample_rate_hz: u32, count: usize) -> Vec<i16> {
    let mut out = vec![0; count];
    ToneGenerator::new(tone, sample_rate_hz).fill(&mut out);
    out
}

fn crossings(samples: &[i16]) -> usize {
    let signs = samples.windows(2);
    signs.filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count()
}

fn level_dbm0(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let full = f64::from(i16::MAX).powi(2) / 2.0;
    FULL_SCALE_DBM0 + 10.0 * (energy / samples.len() as f64 / full).log10()
}

#[test]
fn a_sine_has_its_frequency_and_level_at_any_rate() {
    for rate_hz in [8_000, 16_000, 48_000] {
        let second = samples(&Tone::sine(440.0, -10.0), rate_hz, rate_hz as usize);
        assert!((879..=880).contains(&crossings(&second)), "{rate_hz}");
        assert!((level_dbm0(&second) + 10.0).abs() < 0.05, "{rate_hz}");
    }
}

#[test]
fn busy_comes_and_goes() {
    let second = samples(&Tone::busy(), 8_000, 20_000);
    let loud = |ms: usize| level_dbm0(&second[ms * 8..(ms + 100) * 8]) > -11.0;
    let silent = |ms: usize| second[ms * 8..(ms + 100) * 8].iter().all(|s| *s == 0);
    assert!(loud(0) && loud(380) && silent(480) && silent(860) && loud(960));
    assert!(silent(1_450) && loud(1_930), "and again");
}

#[test]
fn a_second_part_is_the_same_as_without_a_break() {
    let whole = samples(&Tone::sine(1_004.0, -3.0), 8_000, 800);
    let mut generator = ToneGenerator::new(&Tone::sine(1_004.0, -3.0), 8_000);
    let mut parts = vec![0; 800];
    for part in parts.chunks_mut(160) {
        generator.fill(part);
    }
    assert_eq!(whole, parts);
}

#[test]
fn what_a_rate_cannot_carry_is_silent_and_too_loud_is_clipped() {
    let high = Tone::sine(5_000.0, 0.0);
    assert!(samples(&high, 8_000, 100).iter().all(|s| *s == 0));
    let loud = Tone::sine(1_000.0, 40.0);
    assert_eq!(samples(&loud, 8_000, 100).iter().max(), Some(&i16::MAX));
    let mut full = [i16::MAX; 100];
    ToneGenerator::new(&loud, 8_000).mix(&mut full);
    assert_eq!(full.iter().max(), Some(&i16::MAX));
}

#[test]
fn a_cadence_of_nothing_is_no_cadence() {
    let mut tone = Tone::sine(440.0, 0.0);
    tone.cadence.push(Cadence {
        on_ms: 0,
        off_ms: 0,
    });
    assert!(samples(&tone, 8_000, 100).iter().any(|s| *s != 0));
}
