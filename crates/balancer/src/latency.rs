//! How long targets take to say the first word.

use core::time::Duration;

/// An average that forgets: each new value counts a sixteenth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    /// In sixteenths of a microsecond; 0 before the first value.
    sum_us: u64,
}

impl Latency {
    pub(crate) fn note(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX >> 8);
        self.sum_us = match self.sum_us {
            0 => us * 16,
            sum => sum - sum / 16 + us,
        };
    }

    pub(crate) fn average(&self) -> Duration {
        Duration::from_micros(self.sum_us / 16)
    }

    /// What is left of a share of 1,000 where `max` is wanted.
    pub(crate) fn share_permille(&self, max: Duration) -> u64 {
        let average = self.average().as_micros() as u64;
        let max = max.as_micros() as u64;
        if max == 0 || average <= max {
            return 1_000;
        }
        (1_000 * max / average).max(SHARE_MIN_PERMILLE)
    }
}

/// What a slow or fresh target gets at least, so that its recovery is seen.
pub(crate) const SHARE_MIN_PERMILLE: u64 = 100;
