//! Lines that came to nothing, counted by their cause; and how often the log speaks of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why a line came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedFor {
    /// There was no handshake, or a certificate that is not to be believed.
    Handshake,
    /// The handshake was not done in time.
    Slow,
    /// It has made room for another before anybody knew who it is.
    Crowded,
    /// There are as many lines of nodes as may be.
    Full,
    /// Without a certificate it said more, or stayed longer, than it takes to join.
    Lingering,
}

impl RefusedFor {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Handshake,
        Self::Slow,
        Self::Crowded,
        Self::Full,
        Self::Lingering,
    ];

    /// In a word, for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Slow => "slow",
            Self::Crowded => "crowded",
            Self::Full => "full",
            Self::Lingering => "lingering",
        }
    }
}

/// How many lines came to nothing, since the start.
#[derive(Debug, Default)]
pub struct RefusedLines {
    counts: [AtomicU64; RefusedFor::ALL.len()],
    said: Mutex<Option<(Instant, u32)>>,
}

impl RefusedLines {
    /// How many for this cause.
    #[must_use]
    pub fn count(&self, cause: RefusedFor) -> u64 {
        self.counts[cause as usize].load(Relaxed)
    }

    /// One more; whether the log is to speak of it: strangers shall not fill it.
    pub(crate) fn add(&self, cause: RefusedFor) -> bool {
        self.counts[cause as usize].fetch_add(1, Relaxed);
        self.is_worth_saying(Instant::now())
    }

    fn is_worth_saying(&self, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *said {
            Some((since, lines)) if now.duration_since(*since) < SAID_WITHIN => {
                *lines += 1;
                *lines <= SAID_MAX
            }
            said => {
                *said = Some((now, 1));
                true
            }
        }
    }
}

/// So many lines of the log within so much time are enough.
const SAID_MAX: u32 = 20;
const SAID_WITHIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_enough_after_some_lines_and_hears_again_later() {
        let lines = RefusedLines::default();
        let now = Instant::now();
        let said = (0..100).filter(|_| lines.is_worth_saying(now)).count();
        assert_eq!(said, SAID_MAX as usize);
        assert!(lines.is_worth_saying(now + SAID_WITHIN));
    }
}
