//! The counts of one entity.

use clock::Time;

use crate::limit::effective;
use crate::peaks::Peaks;
use crate::window::Window;
use crate::{Limit, Slice, Usage};

/// One entity: what it may use and what it uses.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) limit: Limit,
    pub(crate) slice: Option<Slice>,
    /// Whether it stays when nothing is in use.
    pub(crate) configured: bool,
    /// Channels.
    pub(crate) in_use: u32,
    /// Empty unless there is a limit of calls per second.
    window: Window,
    rate: Rate,
    /// Calls that came, admitted or not.
    asked: Rate,
    /// `None` until the first call: most users of a platform are silent.
    peaks: Option<Box<EntityPeaks>>,
}

/// Which of the two limits does not permit a call, and until when if that is known.
pub(crate) enum Shortage {
    Cps { limit: u32, free: Time },
    Channels { limit: u32 },
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self {
            limit: Limit::default(),
            slice: None,
            configured: false,
            in_use: 0,
            window: Window::default(),
            rate: Rate::default(),
            asked: Rate::default(),
            peaks: None,
        }
    }

    /// Why one more call does not fit.
    pub(crate) fn shortage(&self, now: Time) -> Option<Shortage> {
        let Limit { cps, channels } = effective(self.limit, self.slice, now);
        if let Some(limit) = channels.filter(|limit| self.in_use >= *limit) {
            return Some(Shortage::Channels { limit });
        }
        let limit = cps?;
        let free = self.window.full_until(now, limit)?;
        Some(Shortage::Cps { limit, free })
    }

    /// Takes one call that fits.
    pub(crate) fn take(&mut self, now: Time) {
        if let Some(limit) = effective(self.limit, self.slice, now).cps {
            self.window.take(now, limit);
        }
        self.in_use = self.in_use.saturating_add(1);
        let rate = self.rate.count(now);
        self.asked.count(now);
        let peaks = self.peaks.get_or_insert_with(Box::default);
        peaks.channels.note(now, self.in_use);
        peaks.cps.note(now, rate);
    }

    /// Takes one call that has begun elsewhere: it is no new one.
    pub(crate) fn adopt(&mut self, now: Time) {
        self.in_use = self.in_use.saturating_add(1);
        let peaks = self.peaks.get_or_insert_with(Box::default);
        peaks.channels.note(now, self.in_use);
    }

    /// Notes a call that does not fit.
    pub(crate) fn refuse(&mut self, now: Time) {
        self.asked.count(now);
    }

    /// Calls that came in the last full second of the clock, or in this one if they are more.
    pub(crate) fn asked_cps(&self, now: Time) -> u32 {
        self.asked.at(now)
    }

    /// Of them, those that did not fit.
    pub(crate) fn refused_cps(&self, now: Time) -> u32 {
        self.asked.at(now).saturating_sub(self.rate.at(now))
    }

    /// Gives one channel back; false if none is in use.
    pub(crate) fn release(&mut self, now: Time) -> bool {
        let Some(left) = self.in_use.checked_sub(1) else {
            return false;
        };
        if let Some(peaks) = &mut self.peaks {
            peaks.channels.note(now, self.in_use);
        }
        self.in_use = left;
        true
    }

    pub(crate) fn usage(&self, now: Time) -> Usage {
        let peaks = self.peaks.as_deref();
        let peak = |value: fn(&EntityPeaks) -> &Peaks| peaks.map_or(0, |p| value(p).highest(now));
        Usage {
            limit: effective(self.limit, self.slice, now),
            channels: self.in_use,
            channels_peak: peak(|p| &p.channels).max(self.in_use),
            cps: self.rate.at(now),
            cps_peak: peak(|p| &p.cps),
        }
    }
}

#[derive(Clone, Debug)]
struct EntityPeaks {
    channels: Peaks,
    cps: Peaks,
}

impl Default for EntityPeaks {
    fn default() -> Self {
        Self {
            channels: Peaks::new(),
            cps: Peaks::new(),
        }
    }
}

/// Admissions per second of the clock, for people to look at.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    second: u64,
    count: u32,
    /// The count of the second before.
    before: u32,
}

impl Rate {
    /// Counts one admission; gives the count of its second so far.
    fn count(&mut self, now: Time) -> u32 {
        self.before = self.in_second(now.as_secs().saturating_sub(1));
        self.count = self.in_second(now.as_secs()).saturating_add(1);
        self.second = self.second.max(now.as_secs());
        self.count
    }

    /// The rate at a moment: the last full second's, or this one's if it is higher already.
    fn at(&self, now: Time) -> u32 {
        let second = now.as_secs();
        self.in_second(second)
            .max(self.in_second(second.saturating_sub(1)))
    }

    fn in_second(&self, second: u64) -> u32 {
        if second == self.second {
            self.count
        } else if second + 1 == self.second {
            self.before
        } else {
            0
        }
    }
}
