//! A process that was stopped, or whose machine slept, does nothing when it goes on before it knows
//! that others have not taken it for dead meanwhile, and its calls over.
//!
//! What comes until then is held back, and handed on in order once that is known. If nobody can say,
//! because the live store is away, it goes on after a while: a store that is away ends no calls.

use std::collections::VecDeque;
use std::time::Duration;

use clock::Time;

/// Looks for pauses; `T` is what is held back.
#[derive(Debug)]
pub struct PauseWatch<T> {
    /// When time was last seen to pass.
    seen: Time,
    /// Until when to wait at most for word that all is well; `None` while it is.
    until: Option<Time>,
    /// What has come since.
    held: VecDeque<T>,
}

impl<T> PauseWatch<T> {
    /// From now on.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self {
            seen: now,
            until: None,
            held: VecDeque::new(),
        }
    }

    /// Time passes. True if so much has at once that others may have acted on it.
    pub fn pass(&mut self, now: Time) -> bool {
        let gap = now.since(self.seen);
        self.seen = now;
        let paused = gap >= PAUSE;
        if paused {
            // The patience with an earlier pause says nothing of this one.
            self.until = Some(now + PATIENCE);
        }
        paused
    }

    /// Until when what comes is held back.
    #[must_use]
    pub const fn until(&self) -> Option<Time> {
        self.until
    }

    /// Keeps an input; beyond the bound it is as if it had been lost on its way.
    pub fn hold(&mut self, input: T) {
        if self.held.len() < HELD_MAX {
            self.held.push_back(input);
        }
    }

    /// All is well, or cleared up: what has come is to be handed on.
    #[must_use]
    pub fn release(&mut self) -> VecDeque<T> {
        self.until = None;
        std::mem::take(&mut self.held)
    }
}

/// The longest that the loop of a process sleeps is its beat of half a second. Others take nothing over
/// before more than twice as much.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the live store may take to say what has happened meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is held back at most.
const HELD_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pause_holds_anything_back() {
        let start = Time::from_secs(100);
        let mut watch = PauseWatch::new(start);
        for beat in 1..10 {
            assert!(!watch.pass(start + Duration::from_millis(500) * beat));
        }
        assert_eq!(watch.until(), None);
        let later = start + Duration::from_secs(60);
        assert!(watch.pass(later), "it was stopped");
        assert!(!watch.pass(later), "which is said once");
        assert_eq!(watch.until(), Some(later + PATIENCE));
        let again = later + Duration::from_secs(60);
        assert!(watch.pass(again), "it was stopped before all was clear");
        assert_eq!(watch.until(), Some(again + PATIENCE));
        watch.hold("an input");
        assert_eq!(watch.release(), ["an input"]);
        assert_eq!(watch.until(), None);
    }
}
