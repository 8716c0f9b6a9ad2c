//! How far one clock is ahead of another, and what an instant of one is by the other.

use core::time::Duration;

use crate::Time;

/// How far a clock is ahead of a clock that others read as well, in microseconds; below zero: behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ahead(i64);

impl Ahead {
    /// By so many microseconds.
    #[must_use]
    pub const fn from_micros(us: i64) -> Self {
        Self(us)
    }

    /// What a question for the time shows: our clock said `asked` and `answered`, the other `told` in
    /// between. `None` if the answer took longer than a tenth of a second: it may have been anywhere.
    #[must_use]
    pub fn of_answer(asked: Time, told: Time, answered: Time) -> Option<Self> {
        let took = answered.since(asked);
        if took > ASKING_MAX {
            return None;
        }
        let middle = (asked + took / 2).as_micros();
        Some(Self(difference(middle, told.as_micros())))
    }

    /// Microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How far the two are apart.
    #[must_use]
    pub const fn distance(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }

    /// An instant of this clock, by one that is `other` ahead of the same third one. What may be an
    /// error of measuring is left as it is.
    #[must_use]
    pub fn translate(self, at: Time, other: Self) -> Time {
        let by = other.0.saturating_sub(self.0);
        if by.unsigned_abs() <= ERROR_MAX.as_micros() as u64 {
            return at;
        }
        Time::from_micros(at.as_micros().saturating_add_signed(by))
    }
}

fn difference(one: u64, other: u64) -> i64 {
    let apart = i64::try_from(one.abs_diff(other)).unwrap_or(i64::MAX);
    if one >= other { apart } else { -apart }
}

/// How long the other clock may take to answer.
const ASKING_MAX: Duration = Duration::from_millis(100);
/// Half of that for each of the two who have asked.
const ERROR_MAX: Duration = ASKING_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_000_000);

    #[test]
    fn half_of_the_time_an_answer_takes_is_the_way_back() {
        let later = |ms| NOW + Duration::from_millis(ms);
        let ahead = Ahead::of_answer(later(5_000), NOW, later(5_040)).unwrap();
        assert_eq!(ahead.as_micros(), 5_020_000);
        let behind = Ahead::of_answer(NOW, later(3_000), NOW).unwrap();
        assert_eq!(behind.as_micros(), -3_000_000);
        assert_eq!(behind.distance(), Duration::from_secs(3));
        assert_eq!(Ahead::of_answer(NOW, NOW, later(101)), None, "too late");
    }

    #[test]
    fn an_instant_is_the_same_by_whichever_clock() {
        let (fast, slow) = (Ahead(60_000_000), Ahead(-30_000_000));
        let at = fast.translate(NOW, slow);
        assert_eq!(NOW.since(at), Duration::from_secs(90));
        assert_eq!(slow.translate(at, fast), NOW);
    }

    #[test]
    fn what_may_be_an_error_of_measuring_changes_nothing() {
        assert_eq!(Ahead(40_000).translate(NOW, Ahead(-40_000)), NOW);
        assert_ne!(Ahead(70_000).translate(NOW, Ahead(-40_000)), NOW);
    }
}
