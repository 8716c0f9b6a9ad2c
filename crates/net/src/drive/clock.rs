//! The real clock behind [`Time`].

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clock::Time;

/// The wall clock as it stood when this was made, carried on by the monotonic clock: steps of the
/// wall clock do not disturb timers. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: Time,
}

impl Clock {
    /// Reads the wall clock.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            started_at: Time::ZERO + since_epoch,
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.started_at + self.started.elapsed()
    }
}
