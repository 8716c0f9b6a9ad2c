//! The last round trips of one way of asking. It reads no clock.

use std::collections::VecDeque;
use std::time::Instant;

use control::RoundTrips;

/// The last ones, and the one that is waited for.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// How the last were answered, oldest first; microseconds, and `None` for those that were not.
    last: VecDeque<Option<u32>>,
    /// What was asked and not answered so far.
    open: Option<(u64, Instant)>,
    /// When the newest answer came, and the median and the worst as of then; `None` before the first.
    known: Option<(Instant, u32, u32)>,
}

impl Trips {
    /// Something is asked. What was asked before it and has no answer is lost.
    pub(super) fn ask(&mut self, token: u64, now: Instant) {
        if self.open.replace((token, now)).is_some() {
            self.push(None);
        }
    }

    /// An answer has come; whether it is one to what was asked last.
    pub(super) fn answer(&mut self, token: u64, now: Instant) -> bool {
        let Some((_, asked)) = self.open.take_if(|(open, _)| *open == token) else {
            return false;
        };
        let rtt = now.saturating_duration_since(asked).as_micros();
        // No way takes no time at all: 0 would read as not known.
        self.push(Some(u32::try_from(rtt).unwrap_or(u32::MAX).max(1)));
        let mut answered: Vec<u32> = self.last.iter().copied().flatten().collect();
        answered.sort_unstable();
        if let (Some(median), Some(worst)) = (answered.get(answered.len() / 2), answered.last()) {
            self.known = Some((now, *median, *worst));
        }
        true
    }

    /// As control is told.
    pub(super) fn figures(&self, now: Instant) -> RoundTrips {
        let lost = self.last.iter().filter(|rtt| rtt.is_none()).count();
        let age = |at: Instant| now.saturating_duration_since(at).as_millis();
        RoundTrips {
            asked: self.last.len() as u32,
            lost: lost as u32,
            median_us: self.known.map(|(_, median, _)| median),
            worst_us: self.known.map(|(_, _, worst)| worst),
            age_ms: self.known.and_then(|(at, ..)| u64::try_from(age(at)).ok()),
        }
    }

    fn push(&mut self, rtt_us: Option<u32>) {
        self.last.push_back(rtt_us);
        while self.last.len() > LAST_MAX {
            self.last.pop_front();
        }
    }
}

/// Those that figures are of: a minute.
const LAST_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn round(trips: &mut Trips, token: u64, at: Instant, rtt_ms: u64) {
        trips.ask(token, at);
        assert!(trips.answer(token, at + Duration::from_millis(rtt_ms)));
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let (mut trips, start) = (Trips::default(), Instant::now());
        trips.ask(1, start);
        let figures = trips.figures(start);
        assert_eq!(figures, RoundTrips::default(), "what is open is not lost");
        trips.ask(2, start);
        let figures = trips.figures(start);
        assert_eq!((figures.asked, figures.lost), (1, 1));
        assert_eq!((figures.median_us, figures.age_ms), (None, None));
    }

    #[test]
    fn the_middle_the_worst_and_the_age_are_those_of_the_last_minute() {
        let (mut trips, start) = (Trips::default(), Instant::now());
        round(&mut trips, 1, start, 900);
        for token in 2..14 {
            round(&mut trips, token, start, 10 + token);
        }
        let figures = trips.figures(start + Duration::from_millis(123));
        assert_eq!(figures.worst_us, Some(23_000), "900 ms was too long ago");
        assert_eq!(figures.median_us, Some(18_000));
        assert_eq!(figures.age_ms, Some(100));
        assert_eq!((figures.asked, figures.lost), (12, 0));
    }

    #[test]
    fn who_answers_no_more_keeps_its_figures_and_their_age_grows() {
        let (mut trips, start) = (Trips::default(), Instant::now());
        round(&mut trips, 1, start, 40);
        for token in 2..20 {
            trips.ask(token, start + Duration::from_secs(token));
        }
        let figures = trips.figures(start + Duration::from_secs(100));
        assert_eq!((figures.asked, figures.lost), (12, 12));
        assert_eq!(figures.median_us, Some(40_000));
        assert_eq!(figures.age_ms, Some(99_960));
    }

    #[test]
    fn an_answer_to_something_else_is_none() {
        let (mut trips, start) = (Trips::default(), Instant::now());
        trips.ask(1, start);
        trips.ask(2, start);
        assert!(!trips.answer(1, start), "too late");
        assert!(trips.answer(2, start));
        assert!(!trips.answer(2, start), "twice");
        assert_eq!(trips.figures(start).median_us, Some(1));
    }
}
