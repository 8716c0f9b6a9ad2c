//! The last second's admissions, remembered one by one.

use core::time::Duration;
use std::collections::VecDeque;

use clock::Time;

/// The times of the last admissions, oldest first; never more than the limit. Exact where a
/// token bucket is not: a bucket that allows a burst lets up to twice its limit into one second.
/// Costs 8 bytes per admission of the last second, 80 kB at 10,000 calls per second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    admissions: VecDeque<Time>,
}

impl Window {
    /// When one more admission fits under `limit`: `None` if now, else the earliest moment.
    /// With a limit of 0 that is one second from now, again and again.
    pub(crate) fn full_until(&self, now: Time, limit: u32) -> Option<Time> {
        let before = self.admissions.len().checked_sub(limit as usize)?;
        // The limit-th last admission must have left the window.
        let free = self.admissions.get(before).map_or(now, |at| *at) + SECOND;
        (free > now).then_some(free)
    }

    /// Remembers an admission that fitted under `limit`.
    pub(crate) fn take(&mut self, now: Time, limit: u32) {
        // One admission makes at most one entry superfluous, and an idle time many; two at a
        // time catch up with both at a fixed cost.
        for _ in 0..2 {
            let superfluous = self.admissions.len() >= limit as usize;
            let expired = self
                .admissions
                .front()
                .is_some_and(|at| *at + SECOND <= now);
            if superfluous || expired {
                self.admissions.pop_front();
            }
        }
        self.admissions.push_back(now);
    }
}

const SECOND: Duration = Duration::from_secs(1);
