//! The two band coders: adaptive differential PCM with a predictor of two poles and six zeros.
//! Names of steps are those of the Recommendation (§3.6, §4.2, §6.2).

use super::saturate;
use super::tables::{
    HIGHER_LEVELS, HIGHER_NEGATIVE, HIGHER_POSITIVE, HIGHER_STEPS, HIGHER_THRESHOLD, INVERSE_LOG,
    LOWER_LEVELS_4, LOWER_LEVELS_6, LOWER_NEGATIVE, LOWER_POSITIVE, LOWER_STEPS, LOWER_THRESHOLDS,
    STEP_OF_CODE,
};

/// The lower band: 0 to 4 kHz, 6 bits, of which the predictor sees 4.
#[derive(Clone, Debug)]
pub(super) struct Lower {
    predictor: Predictor,
    scale: Scale,
}

/// The higher band: 4 to 8 kHz, 2 bits.
#[derive(Clone, Debug)]
pub(super) struct Higher {
    predictor: Predictor,
    scale: Scale,
}

impl Lower {
    pub(super) fn new() -> Self {
        Self {
            predictor: Predictor::default(),
            scale: Scale { log: 0, factor: 32 },
        }
    }

    pub(super) fn encode(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.predictor.estimate);
        let code = self.quantize(error);
        self.adapt(code);
        code
    }

    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let difference = (self.scale.factor * LOWER_LEVELS_6[usize::from(code & 0x3f)]) >> 15;
        let sample = (self.predictor.estimate + difference).clamp(-LIMIT - 1, LIMIT);
        self.adapt(code);
        sample
    }

    /// QUANTL.
    fn quantize(&self, error: i32) -> u8 {
        let magnitude = if error >= 0 { error } else { !error };
        let factor = self.scale.factor;
        let above = |threshold: &i32| magnitude >= (threshold * factor) >> 12;
        // The thresholds rise, so that the first above the magnitude can be found by halving.
        let at = LOWER_THRESHOLDS.partition_point(above);
        if error >= 0 {
            LOWER_POSITIVE[at]
        } else {
            LOWER_NEGATIVE[at]
        }
    }

    /// INVQAL, LOGSCL, SCALEL and the predictor.
    fn adapt(&mut self, code: u8) {
        let short = usize::from(code >> 2 & 0x0f);
        let difference = (self.scale.factor * LOWER_LEVELS_4[short]) >> 15;
        let step = LOWER_STEPS[STEP_OF_CODE[short]];
        self.scale.adapt(step, 18_432, 8);
        self.predictor.adapt(difference);
    }
}

impl Higher {
    pub(super) fn new() -> Self {
        Self {
            predictor: Predictor::default(),
            scale: Scale { log: 0, factor: 8 },
        }
    }

    pub(super) fn encode(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.predictor.estimate);
        let code = self.quantize(error);
        self.adapt(code);
        code
    }

    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let difference = (self.scale.factor * HIGHER_LEVELS[usize::from(code & 3)]) >> 15;
        let sample = (self.predictor.estimate + difference).clamp(-LIMIT - 1, LIMIT);
        self.adapt(code);
        sample
    }

    /// QUANTH.
    fn quantize(&self, error: i32) -> u8 {
        let magnitude = if error >= 0 { error } else { !error };
        let large = usize::from(magnitude >= (HIGHER_THRESHOLD * self.scale.factor) >> 12);
        if error >= 0 {
            HIGHER_POSITIVE[large]
        } else {
            HIGHER_NEGATIVE[large]
        }
    }

    /// INVQAH, LOGSCH, SCALEH and the predictor.
    fn adapt(&mut self, code: u8) {
        let code = usize::from(code & 3);
        let difference = (self.scale.factor * HIGHER_LEVELS[code]) >> 15;
        self.scale.adapt(HIGHER_STEPS[code], 22_528, 10);
        self.predictor.adapt(difference);
    }
}

/// The adaptive quantizer's scale.
#[derive(Clone, Debug)]
struct Scale {
    /// Its logarithm.
    log: i32,
    factor: i32,
}

impl Scale {
    /// LOGSCL and SCALEL, or LOGSCH and SCALEH, by their limit and their shift.
    fn adapt(&mut self, step: i32, log_max: i32, shift: i32) {
        self.log = (((self.log * 127) >> 7) + step).clamp(0, log_max);
        let mantissa = INVERSE_LOG[(self.log >> 6 & 31) as usize];
        let exponent = shift - (self.log >> 11);
        let factor = if exponent < 0 {
            mantissa << -exponent
        } else {
            mantissa >> exponent
        };
        self.factor = factor << 2;
    }
}

/// The adaptive predictor; index 0 of a history is the newest value.
#[derive(Clone, Debug, Default)]
struct Predictor {
    /// The next sample, as far as it can be told.
    estimate: i32,
    /// The part of it that the zeros give.
    zero_estimate: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    reconstructed: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
}

impl Predictor {
    fn adapt(&mut self, difference: i32) {
        let reconstructed = saturate(self.estimate + difference);
        let partial = saturate(self.zero_estimate + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);

        self.partial = [partial, self.partial[0]];
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;

        let pole_estimate =
            tap(self.poles[0], self.reconstructed[0]) + tap(self.poles[1], self.reconstructed[1]);
        let taps = self.zeros.iter().zip(&self.differences);
        self.zero_estimate = saturate(taps.map(|(zero, value)| tap(*zero, *value)).sum());
        self.estimate = saturate(saturate(pole_estimate) + self.zero_estimate);
    }

    /// UPPOL2 and UPPOL1.
    fn adapt_poles(&mut self, partial: i32) {
        let same = |other: i32| (partial < 0) == (other < 0);
        let [first, second] = self.poles;
        let quadruple = saturate(first << 2);
        let pull = saturate(if same(self.partial[0]) {
            -quadruple
        } else {
            quadruple
        });
        let push = if same(self.partial[1]) { 128 } else { -128 };
        let second = (push + (pull >> 7) + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);

        let push = if same(self.partial[0]) { 192 } else { -192 };
        let bound = saturate(15_360 - second);
        let first = saturate(push + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// UPZERO.
    fn adapt_zeros(&mut self, difference: i32) {
        let push = if difference == 0 { 0 } else { 128 };
        for (zero, value) in self.zeros.iter_mut().zip(&self.differences) {
            let same = (*value < 0) == (difference < 0);
            let push = if same { push } else { -push };
            *zero = saturate(push + ((*zero * 32_640) >> 15));
        }
    }
}

/// One term of FILTEP and FILTEZ.
fn tap(coefficient: i32, value: i32) -> i32 {
    (coefficient * saturate(value + value)) >> 15
}

/// What a band puts out.
const LIMIT: i32 = 16_383;
