//! The highest values of the last five minutes.

use clock::Time;

/// How far peaks look back, in seconds: at least this, less than one step more.
pub const PEAK_WINDOW_S: u64 = 300;

/// The peak of one value, kept for each step of the window.
#[derive(Clone, Debug)]
pub(crate) struct Peaks {
    steps: [u32; STEPS],
    /// The step, counted since the Unix epoch, that was written last.
    newest: u64,
}

impl Peaks {
    pub(crate) const fn new() -> Self {
        Self {
            steps: [0; STEPS],
            newest: 0,
        }
    }

    /// Notes that the value was this high.
    pub(crate) fn note(&mut self, now: Time, value: u32) {
        let step = now.as_secs() / STEP_S;
        if step > self.newest {
            let passed = (step - self.newest).min(STEPS as u64);
            for back in 0..passed {
                self.steps[((step - back) % STEPS as u64) as usize] = 0;
            }
            self.newest = step;
        }
        let slot = &mut self.steps[(self.newest % STEPS as u64) as usize];
        *slot = (*slot).max(value);
    }

    /// The highest value noted in the window that ends now.
    pub(crate) fn highest(&self, now: Time) -> u32 {
        let step = now.as_secs() / STEP_S;
        let oldest = (step + 1).saturating_sub(STEPS as u64);
        (oldest..=self.newest.min(step))
            .map(|s| self.steps[(s % STEPS as u64) as usize])
            .max()
            .unwrap_or(0)
    }
}

/// Resolution of the window; a finer one would cost each busy entity its memory.
const STEP_S: u64 = 20;
const STEPS: usize = (PEAK_WINDOW_S / STEP_S) as usize + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn peaks_cover_the_window_and_at_most_a_step_more(
            notes in proptest::collection::vec((0_u64..120, 0_u32..100), 1..60),
            wait_s in 0_u64..500,
        ) {
            let mut peaks = Peaks::new();
            let mut at_s = 1_000;
            let mut history = Vec::new();
            for (gap_s, value) in notes {
                at_s += gap_s;
                peaks.note(Time::from_secs(at_s), value);
                history.push((at_s, value));
            }
            let now_s = at_s + wait_s;
            let seen = |back_s: u64| {
                let within = history.iter().filter(|(at, _)| at + back_s > now_s);
                within.map(|(_, value)| *value).max().unwrap_or(0)
            };
            let highest = peaks.highest(Time::from_secs(now_s));
            prop_assert!(highest >= seen(PEAK_WINDOW_S));
            prop_assert!(highest <= seen(PEAK_WINDOW_S + STEP_S));
        }
    }
}
