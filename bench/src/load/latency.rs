//! A histogram of times.

use std::time::Duration;

/// Counts times in steps of 50 us up to a second; longer ones count as a second.
#[derive(Clone)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; STEPS],
            total: 0,
        }
    }

    pub(crate) fn add(&mut self, time: Duration) {
        let step = (time.as_micros() / STEP_US) as usize;
        self.counts[step.min(STEPS - 1)] += 1;
        self.total += 1;
    }

    /// The time that `share` (0 to 1) of all stay within.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros((step as u64 + 1) * STEP_US as u64);
            }
        }
        Duration::ZERO
    }
}

const STEP_US: u128 = 50;
const STEPS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_nine_of_a_hundred() {
        let mut latencies = Latencies::new();
        for ms in 1..=100 {
            latencies.add(Duration::from_millis(ms) - Duration::from_micros(1));
        }
        assert_eq!(latencies.quantile(0.99), Duration::from_millis(99));
        assert_eq!(latencies.quantile(0.5), Duration::from_millis(50));
    }
}
