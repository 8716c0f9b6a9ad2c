//! When each target came up or went down last, for whoever asks how it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clock::Time;

/// The turns of all targets. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<BTreeMap<Box<str>, Turn>>>);

/// The last turn of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// It is up or down since then; microseconds since the Unix epoch.
    pub(super) since_us: u64,
    /// It went down last, and why.
    pub(super) failure: Option<(u64, &'static str)>,
}

impl Turns {
    /// Something happened to a target.
    pub(super) fn note(&self, now: Time, target: &str, event: &balancer::Event) {
        let at_us = now.as_micros();
        let cause = match event {
            balancer::Event::Up { .. } => None,
            balancer::Event::Down { cause, .. } => Some(cause.name()),
            // It takes no calls all the same.
            balancer::Event::Drained { .. } => return,
        };
        let mut turns = self.turns();
        if turns.len() >= TURNS_MAX && !turns.contains_key(target) {
            // Sets that change all the time: those that are there have theirs.
            return;
        }
        let turn = turns.entry(target.into()).or_default();
        turn.since_us = at_us;
        if let Some(cause) = cause {
            turn.failure = Some((at_us, cause));
        }
    }

    /// The last turn of a target, if it had one.
    pub(super) fn of(&self, target: &str) -> Option<Turn> {
        self.turns().get(target).copied()
    }

    /// Forgets targets that there are no more.
    pub(super) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.turns().retain(|target, _| exists(target));
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Targets whose turns are remembered.
const TURNS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use balancer::{Cause, Event, TargetId};

    use super::*;

    #[test]
    fn a_target_that_came_back_still_says_when_and_why_it_was_down() {
        let (turns, target) = (Turns::default(), TargetId(1));
        let cause = Cause::Silence;
        turns.note(Time::from_micros(5), "a", &Event::Down { target, cause });
        turns.note(Time::from_micros(9), "a", &Event::Up { target });
        let wanted = Turn {
            since_us: 9,
            failure: Some((5, "silence")),
        };
        assert_eq!(turns.of("a"), Some(wanted));
        turns.note(Time::from_micros(11), "a", &Event::Drained { target });
        assert_eq!(turns.of("a"), Some(wanted), "it is up all the while");
        turns.retain(|target| target != "a");
        assert_eq!(turns.of("a"), None);
    }
}
