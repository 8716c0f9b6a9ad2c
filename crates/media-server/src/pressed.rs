//! Keys that were pressed, kept until the switch that wants them has asked.
//!
//! `ng` has no events, so a switch asks ten times a second, by the number of the last key that it
//! knows. An answer that is lost costs nothing: the next question brings the same keys again. After
//! [`KEEP`] nobody asks any more.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ng::KeyPress;

/// The keys of the last seconds, for whom they are.
#[derive(Debug, Default)]
pub(crate) struct Pressed {
    kept: VecDeque<Entry>,
    last_number: u64,
}

#[derive(Debug)]
struct Entry {
    owner: SocketAddr,
    at: Instant,
    key: KeyPress,
}

impl Pressed {
    /// A key for whoever asked for the call. It gets the next number.
    pub(crate) fn push(&mut self, owner: SocketAddr, mut key: KeyPress, now: Instant) {
        self.expire(now);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.last_number += 1;
        key.number = self.last_number;
        let at = now;
        self.kept.push_back(Entry { owner, at, key });
    }

    /// The keys after a number, the oldest first.
    pub(crate) fn after(&self, owner: SocketAddr, number: u64) -> Vec<KeyPress> {
        let theirs = self.kept.iter().filter(|entry| entry.owner == owner);
        let new = theirs.filter(|entry| entry.key.number > number);
        new.take(AT_ONCE_MAX)
            .map(|entry| entry.key.clone())
            .collect()
    }

    /// Forgets what is old; to be called from time to time.
    pub(crate) fn expire(&mut self, now: Instant) {
        let is_old = |entry: &Entry| now.saturating_duration_since(entry.at) >= KEEP;
        while self.kept.pop_front_if(|entry| is_old(entry)).is_some() {}
    }
}

/// How long a key is kept.
const KEEP: Duration = Duration::from_secs(5);
/// Keys that are kept; of more, the oldest are forgotten.
const KEPT_MAX: usize = 4_096;
/// Keys in one reply; the next question gets the others.
const AT_ONCE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn key(key: char) -> KeyPress {
        KeyPress {
            number: 0,
            call_id: "c".into(),
            tag: "a".into(),
            key,
            duration_ms: 100,
        }
    }

    fn text(keys: &[KeyPress]) -> String {
        keys.iter().map(|key| key.key).collect()
    }

    #[test]
    fn whoever_asks_gets_its_own_keys_until_it_knows_them() {
        let now = Instant::now();
        let mut pressed = Pressed::default();
        pressed.push(owner(1), key('1'), now);
        pressed.push(owner(2), key('2'), now);
        pressed.push(owner(1), key('3'), now);
        let keys = pressed.after(owner(1), 0);
        assert_eq!(text(&keys), "13");
        assert_eq!(
            text(&pressed.after(owner(1), 0)),
            "13",
            "its answer was lost"
        );
        assert_eq!(text(&pressed.after(owner(1), keys[0].number)), "3");
        assert_eq!(text(&pressed.after(owner(1), keys[1].number)), "");
        pressed.expire(now + KEEP);
        assert_eq!(text(&pressed.after(owner(2), 0)), "");
    }

    #[test]
    fn their_number_is_bounded() {
        let now = Instant::now();
        let mut pressed = Pressed::default();
        for _ in 0..2 * KEPT_MAX {
            pressed.push(owner(1), key('1'), now);
        }
        assert_eq!(pressed.kept.len(), KEPT_MAX);
        assert_eq!(pressed.after(owner(1), 0).len(), AT_ONCE_MAX);
    }
}
