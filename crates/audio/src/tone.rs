//! Tones: sums of sines that come and go, as in ITU-T E.180 (ringing, busy) and Q.23 (DTMF).

use core::f64::consts::TAU;

/// What sounds, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Tone {
    /// What sounds together.
    pub sines: Vec<Sine>,
    /// Sound and silence in turn, repeated for ever; empty: sound without end.
    pub cadence: Vec<Cadence>,
}

/// One frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sine {
    /// Its frequency.
    pub frequency_hz: f64,
    /// Its level; 3.14 dBm0 fills the scale.
    pub level_dbm0: f64,
}

/// Sound, then silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// How long it sounds.
    pub on_ms: u32,
    /// How long it is silent after that.
    pub off_ms: u32,
}

impl Tone {
    /// One frequency without end.
    #[must_use]
    pub fn sine(frequency_hz: f64, level_dbm0: f64) -> Self {
        Self {
            sines: vec![Sine {
                frequency_hz,
                level_dbm0,
            }],
            cadence: Vec::new(),
        }
    }

    /// The called phone rings: 425 Hz for 1 s of 5 (most of Europe, ITU-T E.180).
    #[must_use]
    pub fn ringing() -> Self {
        Self::interrupted(1_000, 4_000)
    }

    /// The called phone is busy: 425 Hz for 480 ms of 960.
    #[must_use]
    pub fn busy() -> Self {
        Self::interrupted(480, 480)
    }

    /// No way leads there: 425 Hz for 240 ms of 480.
    #[must_use]
    pub fn congestion() -> Self {
        Self::interrupted(240, 240)
    }

    fn interrupted(on_ms: u32, off_ms: u32) -> Self {
        Self {
            cadence: vec![Cadence { on_ms, off_ms }],
            ..Self::sine(425.0, USUAL_DBM0)
        }
    }
}

/// Makes the samples of a [`Tone`].
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    oscillators: Vec<Oscillator>,
    /// In samples: how long it sounds, and how long it is silent after that.
    cadence: Vec<[u64; 2]>,
    /// Which part of the cadence it is in, and how many samples of that part are over.
    part: usize,
    position: u64,
}

impl ToneGenerator {
    /// From the beginning of `tone`. Frequencies that `sample_rate_hz` cannot carry are left out.
    #[must_use]
    pub fn new(tone: &Tone, sample_rate_hz: u32) -> Self {
        let limit_hz = f64::from(sample_rate_hz) / 2.0;
        let sines = tone.sines.iter();
        let audible = sines.filter(|sine| sine.frequency_hz > 0.0 && sine.frequency_hz < limit_hz);
        let samples = |ms: u32| u64::from(ms) * u64::from(sample_rate_hz) / 1_000;
        let parts = tone.cadence.iter();
        Self {
            oscillators: audible
                .take(SINES_MAX)
                .map(|sine| Oscillator::new(*sine, sample_rate_hz))
                .collect(),
            cadence: parts
                .map(|part| [samples(part.on_ms), samples(part.off_ms)])
                .filter(|[on, off]| on + off > 0)
                .collect(),
            part: 0,
            position: 0,
        }
    }

    /// The next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let sounds = self.step();
            let mut sum = 0.0;
            for oscillator in &mut self.oscillators {
                sum += oscillator.next();
            }
            *sample = if sounds { sum.round() as i16 } else { 0 };
        }
    }

    /// Adds the next samples to what is there.
    pub fn mix(&mut self, out: &mut [i16]) {
        for sample in out {
            let mut one = [0];
            self.fill(&mut one);
            *sample = sample.saturating_add(one[0]);
        }
    }

    /// Whether the next sample sounds.
    fn step(&mut self) -> bool {
        let Some([on, off]) = self.cadence.get(self.part) else {
            return true;
        };
        let sounds = self.position < *on;
        self.position += 1;
        if self.position >= on + off {
            self.position = 0;
            self.part = (self.part + 1) % self.cadence.len();
        }
        sounds
    }
}

/// A sine, by a phase that never loses precision.
#[derive(Clone, Debug)]
struct Oscillator {
    phase: f64,
    step: f64,
    amplitude: f64,
}

impl Oscillator {
    fn new(sine: Sine, sample_rate_hz: u32) -> Self {
        Self {
            phase: 0.0,
            step: TAU * sine.frequency_hz / f64::from(sample_rate_hz),
            amplitude: amplitude(sine.level_dbm0),
        }
    }

    fn next(&mut self) -> f64 {
        let value = self.phase.sin() * self.amplitude;
        self.phase += self.step;
        if self.phase >= TAU {
            self.phase -= TAU;
        }
        value
    }
}

/// The peak of a sine of this level.
pub(crate) fn amplitude(level_dbm0: f64) -> f64 {
    f64::from(i16::MAX) * 10_f64.powf((level_dbm0 - FULL_SCALE_DBM0) / 20.0)
}

/// A sine that fills the scale (ITU-T G.711, A-law).
#[expect(clippy::approx_constant, reason = "it has nothing to do with circles")]
pub(crate) const FULL_SCALE_DBM0: f64 = 3.14;
/// The level of call progress tones (ITU-T E.180 §2).
const USUAL_DBM0: f64 = -10.0;
/// Sines of one tone; those beyond are left out.
const SINES_MAX: usize = 8;

#[cfg(test)]
mod tests;
