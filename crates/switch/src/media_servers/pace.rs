//! How fast the calls of a dead server are told: all of them within a second, and never so many
//! at once that the switch and the servers that are left have no time for anything else.

use std::collections::VecDeque;
use std::time::Duration;

use clock::Time;

/// How long the last one waits at most.
const SPREAD: Duration = Duration::from_millis(800);
/// Between two batches.
const STEP: Duration = Duration::from_millis(10);
/// Few are told at once.
const BATCH_MIN: usize = 20;

/// Sessions that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waiting: VecDeque<u64>,
    batch: usize,
    next: Option<Time>,
}

impl Pace {
    pub(super) fn push(&mut self, session: u64) {
        self.waiting.push_back(session);
        let steps = (SPREAD.as_millis() / STEP.as_millis()) as usize;
        self.batch = self
            .batch
            .max(self.waiting.len().div_ceil(steps))
            .max(BATCH_MIN);
    }

    /// Those whose turn it is.
    pub(super) fn due(&mut self, now: Time) -> Vec<u64> {
        if self.next.is_some_and(|next| next > now) {
            return Vec::new();
        }
        let batch = self.batch.min(self.waiting.len());
        let due = self.waiting.drain(..batch).collect();
        self.next = (!self.waiting.is_empty()).then(|| now + STEP);
        if self.next.is_none() {
            self.batch = 0;
        }
        due
    }

    /// When the next ones are due.
    pub(super) const fn next(&self) -> Option<Time> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_go_at_once_and_many_within_a_second() {
        for (count, batches) in [(1, 1), (20, 1), (50, 3), (10_000, 80)] {
            let mut pace = Pace::default();
            (0..count).for_each(|session| pace.push(session));
            let (mut now, mut told, mut rounds) = (Time::from_secs(1), 0, 0);
            loop {
                told += pace.due(now).len() as u64;
                rounds += 1;
                assert!(pace.due(now).is_empty(), "not all at once");
                match pace.next() {
                    Some(next) => now = next,
                    None => break,
                }
            }
            assert_eq!((told, rounds), (count, batches));
            assert!(now.since(Time::from_secs(1)) <= SPREAD);
        }
    }
}
