//! Putting something in the place of lost samples: the last pitch period again and again, fading
//! (after the idea of ITU-T G.711 appendix I), for codecs that have no means of their own.

/// Follows what is heard, and goes on when nothing comes.
#[derive(Clone, Debug)]
pub struct Concealer {
    sample_rate_hz: u32,
    /// The last samples heard, oldest first.
    history: Vec<i16>,
    /// The period that is repeated while samples are missing, and how many were put out.
    period: Vec<i16>,
    concealed: usize,
}

impl Concealer {
    /// Nothing was heard yet: silence goes on.
    #[must_use]
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            history: vec![0; ms(sample_rate_hz, HISTORY_MS)],
            period: Vec::new(),
            concealed: 0,
        }
    }

    /// Takes samples that came. After a loss their beginning is blended with what was put in its
    /// place.
    pub fn record(&mut self, samples: &mut [i16]) {
        if self.concealed > 0 {
            let overlap = samples.len().min(ms(self.sample_rate_hz, OVERLAP_MS));
            for (at, sample) in samples[..overlap].iter_mut().enumerate() {
                let old = f32::from(self.next());
                let share = (at + 1) as f32 / (overlap + 1) as f32;
                *sample = (old + (f32::from(*sample) - old) * share) as i16;
            }
            self.concealed = 0;
        }
        self.remember(samples);
    }

    /// Appends `count` samples in the place of lost ones.
    pub fn conceal(&mut self, count: usize, out: &mut Vec<i16>) {
        if self.concealed == 0 {
            let lag = pitch(&self.history, self.sample_rate_hz);
            self.period.clear();
            self.period
                .extend_from_slice(&self.history[self.history.len() - lag..]);
            self.smooth_period(lag);
        }
        let start = out.len();
        for _ in 0..count {
            let sample = self.next();
            out.push(sample);
        }
        self.remember(&out[start..]);
    }

    /// The last 40 ms, concealed ones included.
    pub(crate) fn history(&self) -> &[i16] {
        &self.history
    }

    /// Milliseconds put out since samples came last.
    #[must_use]
    pub fn concealed_ms(&self) -> u32 {
        (self.concealed * 1_000 / self.sample_rate_hz as usize) as u32
    }

    /// The next sample of the repeated period, fading.
    fn next(&mut self) -> i16 {
        let sample = self.period[self.concealed % self.period.len()];
        let hold = ms(self.sample_rate_hz, HOLD_MS);
        let fade = ms(self.sample_rate_hz, FADE_MS);
        let faded = self.concealed.saturating_sub(hold).min(fade);
        self.concealed += 1;
        (i64::from(sample) * (fade - faded) as i64 / fade as i64) as i16
    }

    /// The end of the period runs into what came before its beginning, so that it has no seam.
    fn smooth_period(&mut self, lag: usize) {
        let overlap = lag / 4;
        let before = self.history.len() - lag - overlap;
        for at in 0..overlap {
            let share = (at + 1) as f32 / (overlap + 1) as f32;
            let end = lag - overlap + at;
            let old = f32::from(self.period[end]);
            let new = f32::from(self.history[before + at]);
            self.period[end] = (old + (new - old) * share) as i16;
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let room = self.history.len();
        let kept = &samples[samples.len().saturating_sub(room)..];
        self.history.copy_within(kept.len().., 0);
        self.history[room - kept.len()..].copy_from_slice(kept);
    }
}

/// The period, in samples, at which the end of `samples` repeats best: 2.5 to 15 ms, which is 66
/// to 400 Hz.
pub(crate) fn pitch(samples: &[i16], sample_rate_hz: u32) -> usize {
    let (shortest, longest) = (ms(sample_rate_hz, 5) / 2, ms(sample_rate_hz, 15));
    let window = ms(sample_rate_hz, 20);
    // Speech below 2 kHz decides: at higher rates not every sample is looked at.
    let stride = (sample_rate_hz / 4_000).max(1) as usize;
    let end = samples.len();
    let likeness = |lag: usize| {
        let (mut both, mut old) = (0_i64, 1_i64);
        for at in (end - window..end).step_by(stride) {
            let (now, before) = (i64::from(samples[at]), i64::from(samples[at - lag]));
            both += now * before;
            old += before * before;
        }
        both.max(0) as f64 / (old as f64).sqrt()
    };
    let best = (shortest..=longest)
        .step_by(stride.div_ceil(2))
        .map(|lag| (lag, likeness(lag)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(longest, |(lag, _)| lag)
}

pub(crate) const fn ms(sample_rate_hz: u32, ms: usize) -> usize {
    sample_rate_hz as usize * ms / 1_000
}

/// What the search for the pitch looks at: 20 ms, and 15 ms before them, and some to blend.
const HISTORY_MS: usize = 40;
/// As loud as before for this long, then fading to silence.
const HOLD_MS: usize = 10;
const FADE_MS: usize = 60;
/// How long both are heard when samples come again.
const OVERLAP_MS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, ToneGenerator};

    fn tone(frequency_hz: f64, sample_rate_hz: u32, count: usize) -> Vec<i16> {
        let mut samples = vec![0; count];
        ToneGenerator::new(&Tone::sine(frequency_hz, -6.0), sample_rate_hz).fill(&mut samples);
        samples
    }

    #[test]
    fn a_lost_packet_of_a_tone_is_hardly_missed() {
        for sample_rate_hz in [8_000, 16_000, 48_000] {
            let packet = ms(sample_rate_hz, 20);
            let sent = tone(200.0, sample_rate_hz, packet * 10);
            let mut concealer = Concealer::new(sample_rate_hz);
            let mut heard = Vec::new();
            for (at, samples) in sent.chunks(packet).enumerate() {
                if at == 5 {
                    concealer.conceal(packet, &mut heard);
                } else {
                    let mut samples = samples.to_vec();
                    concealer.record(&mut samples);
                    heard.extend(samples);
                }
            }
            let lost = 5 * packet..5 * packet + ms(sample_rate_hz, 10);
            let error = lost.clone().map(|at| (sent[at] - heard[at]).unsigned_abs());
            let worst = error.max().unwrap_or(0);
            let peak = 11_400;
            assert!(worst < peak / 4, "{sample_rate_hz}: {worst}");
            let step = heard.windows(2).map(|pair| (pair[0] - pair[1]).abs()).max();
            let natural = sent.windows(2).map(|pair| (pair[0] - pair[1]).abs()).max();
            assert!(
                step < natural.map(|n| n * 3),
                "no clicks: {step:?} of {natural:?}"
            );
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence() {
        let mut concealer = Concealer::new(8_000);
        concealer.record(&mut tone(300.0, 8_000, 800));
        let mut heard = Vec::new();
        concealer.conceal(800, &mut heard);
        let peak = |part: &[i16]| part.iter().map(|s| s.abs()).max();
        assert!(peak(&heard[..80]) > Some(9_000));
        assert!(peak(&heard[300..400]) < Some(7_000));
        assert_eq!(peak(&heard[600..]), Some(0));
        assert_eq!(concealer.concealed_ms(), 100);
    }

    #[test]
    fn nothing_heard_is_nothing_put_out() {
        let mut heard = Vec::new();
        Concealer::new(16_000).conceal(320, &mut heard);
        assert_eq!(heard, [0; 320]);
    }
}
