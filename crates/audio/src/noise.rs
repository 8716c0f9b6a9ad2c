//! Comfort noise, RFC 3389.
//!
//! Deviation from RFC 3389 §3.3: the spectrum that a packet may describe is not reproduced, only
//! the level; the noise made falls off towards high frequencies, as that of rooms does.

/// The background of a pause.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    /// Root of the mean square.
    amplitude: f32,
    state: u32,
    /// The last sample, before it is scaled.
    smoothed: f32,
}

impl ComfortNoise {
    /// By the first byte of a payload, the level below overload; silence if it is empty.
    #[must_use]
    pub fn from_payload(payload: &[u8]) -> Self {
        let level_dbov = payload.first().map_or(127, |byte| byte & 0x7f);
        Self {
            amplitude: match level_dbov {
                127 => 0.0,
                level => 32_768.0 * 10_f32.powf(-f32::from(level.max(LOUDEST_DBOV)) / 20.0),
            },
            state: SEED,
            smoothed: 0.0,
        }
    }

    /// The payload that describes samples: their level alone.
    #[must_use]
    pub fn describe(samples: &[i16]) -> [u8; 1] {
        let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        let mean = energy / samples.len().max(1) as f64;
        let level_db = 10.0 * (mean / 32_768_f64.powi(2)).max(1e-13).log10();
        [(-level_db).clamp(0.0, 127.0) as u8]
    }

    /// Appends `count` samples.
    pub fn generate(&mut self, count: usize, out: &mut Vec<i16>) {
        out.extend((0..count).map(|_| self.next()));
    }

    fn next(&mut self) -> i16 {
        // Marsaglia's xorshift: noise need not be unpredictable.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let white = self.state as i32 as f32 / 2_147_483_648.0;
        self.smoothed += (white - self.smoothed) * SMOOTHING;
        (self.smoothed * LOUDNESS * self.amplitude) as i16
    }
}

const SEED: u32 = 0x9e37_79b9;
/// Nobody's background is louder.
const LOUDEST_DBOV: u8 = 20;
/// How much of a sample is new.
const SMOOTHING: f32 = 0.5;
/// Makes up for it, and for the level of white noise between -1 and 1: the root of 3 times 3.
const LOUDNESS: f32 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_level_asked_for_and_says_so() {
        for level_dbov in [30, 45, 60] {
            let mut samples = Vec::new();
            ComfortNoise::from_payload(&[level_dbov]).generate(8_000, &mut samples);
            let [described] = ComfortNoise::describe(&samples);
            assert!(described.abs_diff(level_dbov) <= 1, "{described}");
        }
    }

    #[test]
    fn silence_stays_silence_and_nothing_is_too_loud() {
        let mut samples = Vec::new();
        ComfortNoise::from_payload(&[127]).generate(100, &mut samples);
        ComfortNoise::from_payload(&[]).generate(100, &mut samples);
        assert!(samples.iter().all(|s| *s == 0));
        assert_eq!(ComfortNoise::describe(&samples), [127]);
        ComfortNoise::from_payload(&[0, 1, 2]).generate(8_000, &mut samples);
        assert!(samples.iter().all(|s| s.abs() < 10_000));
    }
}
