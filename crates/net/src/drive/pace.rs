//! When waking up costs more than the work it brings.
//!
//! Waking a thread takes several microseconds, often more than a datagram does. While datagrams
//! come at a rate at which most wakes would bring one, the loop pauses for a moment before it
//! waits, so that one wake brings several. At low rates, where latency matters and CPU time does
//! not, and when rounds are full anyway, it does not pause.

use std::time::Duration;

use clock::Time;

/// Watches how much the rounds bring.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the current window began, and what has come since.
    window_started: Time,
    window_count: usize,
    /// Whether the last window's rate was worth pausing for.
    is_brisk: bool,
    /// What the last round brought.
    last_count: usize,
}

impl Pace {
    /// Takes note of what a round brought.
    pub(crate) fn note(&mut self, now: Time, count: usize) {
        self.last_count = count;
        self.window_count += count;
        let elapsed = now.since(self.window_started);
        if elapsed < WINDOW {
            return;
        }
        let per_s = self.window_count as u128 * 1_000_000 / elapsed.as_micros();
        // The gap keeps it from switching back and forth.
        let threshold = if self.is_brisk {
            LEAVE_PER_S
        } else {
            ENTER_PER_S
        };
        self.is_brisk = per_s >= threshold;
        self.window_started = now;
        self.window_count = 0;
    }

    /// How long to pause before waiting, if at all.
    pub(crate) fn pause(&self) -> Option<Duration> {
        (self.is_brisk && self.last_count < FULL_ROUND).then_some(PAUSE)
    }
}

/// How long a pause is. With the kernel's timer slack it lasts up to 0.05 ms longer. An INVITE and
/// its 200 wait for one each, so that a call takes at most 2.1 ms longer to set up.
const PAUSE: Duration = Duration::from_micros(1_000);
/// How long the rate is counted for.
const WINDOW: Duration = Duration::from_millis(10);
/// The rate from which on pauses pay: a pause brings more than one datagram.
const ENTER_PER_S: u128 = 2_500;
/// The rate below which they do not.
const LEAVE_PER_S: u128 = 2_000;
/// A round that brought so much is batched enough.
const FULL_ROUND: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds of `count` datagrams every 0.05 ms for 50 ms.
    fn pace(pace: &mut Pace, from: Time, count: usize) -> Time {
        (1..=1_000).fold(from, |_, i| {
            let now = from + Duration::from_micros(50 * i);
            pace.note(now, count);
            now
        })
    }

    #[test]
    fn it_pauses_at_brisk_rates_only() {
        let mut watched = Pace::default();
        let start = Time::from_secs(1);
        watched.note(start, 0);
        assert_eq!(watched.pause(), None);
        let now = pace(&mut watched, start, 1);
        assert_eq!(
            watched.pause(),
            Some(PAUSE),
            "20,000 per second, one at a time"
        );
        let now = pace(&mut watched, now, FULL_ROUND);
        assert_eq!(watched.pause(), None, "rounds are full");
        pace(&mut watched, now, 0);
        assert_eq!(watched.pause(), None, "nothing comes");
    }
}
