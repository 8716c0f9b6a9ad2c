//! Changing the sample rate among 8, 16 and 48 kHz: polyphase filters of fixed ratio.

use core::f64::consts::PI;

/// Changes one rate into another, keeping what both can carry.
#[derive(Clone, Debug)]
pub struct Resampler {
    up: usize,
    down: usize,
    /// Coefficients by phase, each phase in the order of the history.
    phases: Vec<f32>,
    /// Samples of each phase.
    taps: usize,
    /// The last `taps - 1` samples of before, then those at hand.
    history: Vec<f32>,
    /// Of the next sample put out.
    phase: usize,
    /// Samples to go on before it.
    ahead: usize,
}

impl Resampler {
    /// From one rate to another, each of them 8,000, 16,000 or 48,000; `None` for others.
    #[must_use]
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        let (up, down) = match (from_hz, to_hz) {
            (8_000, 8_000) | (16_000, 16_000) | (48_000, 48_000) => (1, 1),
            (8_000, 16_000) => (2, 1),
            (8_000, 48_000) => (6, 1),
            (16_000, 48_000) => (3, 1),
            (16_000, 8_000) => (1, 2),
            (48_000, 8_000) => (1, 6),
            (48_000, 16_000) => (1, 3),
            _ => return None,
        };
        let taps = ZERO_CROSSINGS * down;
        Some(Self {
            up,
            down,
            phases: phases(up, down, taps),
            taps,
            history: vec![0.0; taps - 1],
            phase: 0,
            ahead: 0,
        })
    }

    /// Appends the resampled samples.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        if self.up == self.down {
            out.extend_from_slice(samples);
            return;
        }
        self.history.extend(samples.iter().map(|s| f32::from(*s)));
        out.reserve(samples.len() * self.up / self.down + 1);
        let mut at = self.ahead;
        while at + self.taps <= self.history.len() {
            let coefficients = &self.phases[self.phase * self.taps..][..self.taps];
            let sum = product(&self.history[at..at + self.taps], coefficients);
            out.push(sum.round() as i16);
            self.phase += self.down;
            at += self.phase / self.up;
            self.phase %= self.up;
        }
        let used = at.min(self.history.len());
        self.history.drain(..used);
        self.ahead = at - used;
    }
}

/// Sums in eight lanes, which the compiler makes vectors of.
fn product(samples: &[f32], coefficients: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let samples = samples.as_chunks::<LANES>().0;
    let coefficients = coefficients.as_chunks::<LANES>().0;
    for (samples, coefficients) in samples.iter().zip(coefficients) {
        for lane in 0..LANES {
            lanes[lane] += samples[lane] * coefficients[lane];
        }
    }
    lanes.iter().sum()
}

/// A sinc at the lower rate's limit under a Kaiser window, cut into phases.
fn phases(up: usize, down: usize, taps: usize) -> Vec<f32> {
    let length = taps * up;
    let ratio = up.max(down) as f64;
    let middle = (length - 1) as f64 / 2.0;
    let value = |at: usize| {
        let offset = at as f64 - middle;
        let x = PI * offset / ratio;
        let sinc = if offset == 0.0 { 1.0 } else { x.sin() / x };
        let edge = offset / (middle + 0.5);
        sinc * bessel(KAISER_BETA * (1.0 - edge * edge).max(0.0).sqrt())
    };
    let filter: Vec<f64> = (0..length).map(value).collect();
    let mut phases = vec![0.0; length];
    for phase in 0..up {
        // Each phase alone passes a constant as it is.
        let sum: f64 = filter.iter().skip(phase).step_by(up).sum();
        for tap in 0..taps {
            // The newest sample meets the first coefficient.
            phases[phase * taps + taps - 1 - tap] = (filter[tap * up + phase] / sum) as f32;
        }
    }
    phases
}

/// The modified Bessel function of order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..32 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

/// Length of the filter in samples of the lower rate. With the window below: all that disturbs is
/// 60 dB down, and the transition is 1.2 kHz wide at 8 kHz.
const ZERO_CROSSINGS: usize = 24;
const KAISER_BETA: f64 = 5.65;
const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, ToneGenerator};

    const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];

    fn resampled(frequency_hz: f64, from_hz: u32, to_hz: u32) -> Vec<i16> {
        let mut samples = vec![0; from_hz as usize];
        ToneGenerator::new(&Tone::sine(frequency_hz, -3.0), from_hz).fill(&mut samples);
        let mut resampler = Resampler::new(from_hz, to_hz).expect("a known ratio");
        let mut out = Vec::new();
        for part in samples.chunks(from_hz as usize / 50 + 1) {
            resampler.push(part, &mut out);
        }
        out
    }

    /// Signal over everything else, by removing the best fitting sine.
    fn purity_db(samples: &[i16], frequency_hz: f64, rate_hz: u32) -> f64 {
        let step = 2.0 * PI * frequency_hz / f64::from(rate_hz);
        let values: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
        let part = |f: fn(f64) -> f64| {
            let terms = values.iter().enumerate();
            terms.map(|(n, v)| v * f(n as f64 * step)).sum::<f64>() * 2.0 / values.len() as f64
        };
        let (sin, cos) = (part(f64::sin), part(f64::cos));
        let rest: f64 = values
            .iter()
            .enumerate()
            .map(|(n, v)| {
                let angle = n as f64 * step;
                (v - sin * angle.sin() - cos * angle.cos()).powi(2)
            })
            .sum();
        let signal = (sin * sin + cos * cos) / 2.0 * values.len() as f64;
        10.0 * (signal / rest).log10()
    }

    #[test]
    fn speech_keeps_its_pitch_and_level_in_every_ratio() {
        for from_hz in RATES_HZ {
            for to_hz in RATES_HZ {
                for frequency_hz in [200.0, 1_000.0, 3_200.0] {
                    let out = resampled(frequency_hz, from_hz, to_hz);
                    let off = out.len().abs_diff(to_hz as usize);
                    assert!(off <= 6, "{from_hz} to {to_hz}: {off} samples");
                    let steady = &out[out.len() / 10..out.len() / 10 * 9];
                    let purity_db = purity_db(steady, frequency_hz, to_hz);
                    assert!(purity_db > 50.0, "{from_hz} to {to_hz}: {purity_db} dB");
                    let peak = steady.iter().max().copied().unwrap_or(0);
                    assert!(
                        (15_200..17_000).contains(&peak),
                        "{from_hz} to {to_hz}: {peak}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_taken_out() {
        for (from_hz, to_hz, frequency_hz) in [(16_000, 8_000, 5_000.0), (48_000, 16_000, 11_000.0)]
        {
            let out = resampled(frequency_hz, from_hz, to_hz);
            let loudest = out[200..].iter().map(|s| s.abs()).max();
            assert!(loudest < Some(33), "{loudest:?} of 16,400: 54 dB down");
        }
    }

    #[test]
    fn only_the_rates_of_telephony_are_known() {
        assert!(Resampler::new(44_100, 8_000).is_none());
    }
}
