//! INVITEs that we have refused at once. Nothing else is kept of them, but the caller may have repeated
//! one before it heard so, and a target that is up by then would ring somebody for it.

use std::collections::{BTreeSet, VecDeque};

use clock::Time;

use crate::request::PATIENCE;

/// Their keys, for as long as a caller repeats (RFC 3261 §17.1.1.2, timer B).
#[derive(Debug, Default)]
pub(crate) struct Refused {
    keys: BTreeSet<u64>,
    /// The same in order, and until when.
    order: VecDeque<(Time, u64)>,
}

impl Refused {
    /// Keeps one; of too many the oldest is forgotten.
    pub(crate) fn note(&mut self, now: Time, key: u64) {
        if self.order.len() >= REFUSED_MAX {
            self.forget_oldest();
        }
        if self.keys.insert(key) {
            self.order.push_back((now + PATIENCE, key));
        }
    }

    /// Whether this one was refused.
    pub(crate) fn has(&mut self, now: Time, key: u64) -> bool {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
        self.keys.contains(&key)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.keys.remove(&key);
        }
    }
}

/// So many are refused in half a minute by a dispatcher that refuses 2,000 calls a second.
const REFUSED_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn they_are_known_for_as_long_as_they_are_repeated_and_never_too_many() {
        let mut refused = Refused::default();
        let start = Time::from_secs(1);
        refused.note(start, 1);
        refused.note(start, 1);
        let late = start + PATIENCE - Duration::from_micros(1);
        assert!(refused.has(late, 1) && !refused.has(late, 2));
        assert!(!refused.has(start + PATIENCE, 1));
        for key in 0..=REFUSED_MAX as u64 {
            refused.note(start, key);
        }
        assert!(!refused.has(start, 0) && refused.has(start, 1));
        assert_eq!(refused.keys.len(), REFUSED_MAX);
    }
}
