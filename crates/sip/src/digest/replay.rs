//! Which nonce counts were used, so that a captured request cannot be sent again.
//!
//! A captured REGISTER with valid credentials could otherwise be replayed as long as its nonce
//! lives, and bring back a binding its owner had removed. The table is this node's own: another
//! node of the cluster would accept the replay once. It is bounded by forgetting the older half
//! of its nonces at a time; forgotten ones are then refused as stale, so that a full table costs
//! a second challenge and never lets a replay pass.

use core::time::Duration;

use clock::Time;
use hashbrown::HashTable;

use super::nonce::Opened;

/// The nonce counts seen.
#[derive(Debug)]
pub(super) struct Replays {
    /// Nonces first used in the current half, and in the one before.
    halves: [Half; 2],
    half_max: usize,
    lifetime: Duration,
    /// When the current half was begun.
    begun: Time,
    /// Nonces issued up to here are forgotten; milliseconds since the Unix epoch.
    floor_ms: u64,
}

/// What the table says of one use of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The first with this count.
    First,
    /// The count was used, or is too far behind the highest one to tell.
    Again,
    /// The nonce is older than the table's memory.
    Forgotten,
}

impl Replays {
    /// Remembers at least half as many nonces as `nonces_max`, and at most that many.
    pub(super) fn new(nonces_max: usize, lifetime: Duration) -> Self {
        Self {
            halves: [Half::default(), Half::default()],
            half_max: (nonces_max / 2).max(1),
            lifetime,
            begun: Time::ZERO,
            floor_ms: 0,
        }
    }

    /// Notes a use of a genuine nonce whose credentials are right. Counts may arrive out of
    /// order within [`WINDOW`] (RFC 7616 §5.12 asks for tolerance of concurrent requests).
    pub(super) fn note(&mut self, now: Time, nonce: Opened, count: u32) -> Use {
        if now.since(self.begun) > self.lifetime || self.halves[0].table.len() >= self.half_max {
            self.turn(now);
        }
        for half in &mut self.halves {
            if let Some(window) = half.table.find_mut(nonce.tag, |w| w.tag == nonce.tag) {
                return window.note(count);
            }
        }
        if nonce.issued_ms <= self.floor_ms {
            return Use::Forgotten;
        }
        let half = &mut self.halves[0];
        half.newest_ms = half.newest_ms.max(nonce.issued_ms);
        let window = Window {
            tag: nonce.tag,
            highest: count,
            seen: 1,
        };
        half.table.insert_unique(nonce.tag, window, |w| w.tag);
        Use::First
    }

    /// Begins a new half and forgets the older one.
    fn turn(&mut self, now: Time) {
        let begun = Half::default();
        let previous = core::mem::replace(&mut self.halves[0], begun);
        let dropped = core::mem::replace(&mut self.halves[1], previous);
        self.floor_ms = self.floor_ms.max(dropped.newest_ms);
        self.begun = now;
    }
}

#[derive(Debug, Default)]
struct Half {
    /// By tag, which is its own hash.
    table: HashTable<Window>,
    /// When the newest of its nonces was issued.
    newest_ms: u64,
}

/// The counts of one nonce.
#[derive(Clone, Copy, Debug)]
struct Window {
    tag: u64,
    highest: u32,
    /// Bit n: the count n below the highest was used.
    seen: u32,
}

impl Window {
    fn note(&mut self, count: u32) -> Use {
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Use::First;
        }
        let behind = self.highest - count;
        if behind >= WINDOW || self.seen & (1 << behind) != 0 {
            return Use::Again;
        }
        self.seen |= 1 << behind;
        Use::First
    }
}

/// How far behind the highest count a count is still told from a replay.
pub(super) const WINDOW: u32 = 32;

#[cfg(test)]
mod tests {
    use super::super::nonce::Age;
    use super::*;

    fn nonce(tag: u64, issued_ms: u64) -> Opened {
        Opened {
            issued_ms,
            tag,
            age: Age::Fresh,
        }
    }

    #[test]
    fn each_count_passes_once_in_any_order_within_the_window() {
        let mut replays = Replays::new(10, Duration::from_secs(60));
        let now = Time::from_secs(1);
        let mut note = |count| replays.note(now, nonce(1, 1_000), count);
        assert_eq!(note(1), Use::First);
        assert_eq!(note(1), Use::Again);
        assert_eq!(note(5), Use::First);
        assert_eq!(note(3), Use::First);
        assert_eq!(note(3), Use::Again);
        assert_eq!(note(5), Use::Again);
        assert_eq!(note(5 + WINDOW), Use::First);
        assert_eq!(note(5), Use::Again);
        assert_eq!(note(6), Use::First);
        assert_eq!(note(u32::MAX), Use::First);
        assert_eq!(note(u32::MAX), Use::Again);
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_lets_no_replay_pass() {
        let mut replays = Replays::new(4, Duration::from_secs(60));
        let now = Time::from_secs(1);
        for n in 1..=100 {
            assert_eq!(replays.note(now, nonce(n, 1_000 + n), 1), Use::First);
            assert!(replays.halves.iter().map(|h| h.table.len()).sum::<usize>() <= 4);
        }
        for n in 1..=100 {
            assert_ne!(replays.note(now, nonce(n, 1_000 + n), 1), Use::First);
        }
        assert_eq!(replays.note(now, nonce(101, 1_101), 1), Use::First);
    }

    #[test]
    fn nonces_that_have_expired_are_forgotten_in_time() {
        let mut replays = Replays::new(1_000, Duration::from_secs(60));
        for s in 0..1_000 {
            replays.note(Time::from_secs(1_000 + s), nonce(s, (1_000 + s) * 1_000), 1);
        }
        let kept = replays.halves.iter().map(|h| h.table.len()).sum::<usize>();
        assert!(kept <= 122, "{kept}");
    }
}
