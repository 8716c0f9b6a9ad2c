//! The calls that are known to be up, and whose they are.

use core::time::Duration;

use clock::Time;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::TargetId;

/// Calls by a key that nobody outside can choose, such as a keyed hash of the Call-ID.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    table: HashTable<Call>,
    next_sweep: Time,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    key: u64,
    target: TargetId,
    /// When it was last seen, in seconds of the Unix epoch.
    seen_s: u32,
}

/// What became of a call that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    New,
    Known,
    /// It was another target's until now.
    Moved(TargetId),
    /// There is no room.
    Lost,
}

impl Calls {
    pub(crate) fn note(&mut self, now: Time, key: u64, target: TargetId) -> Noted {
        let has_room = self.table.len() < CALLS_MAX;
        let seen_s = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        match self.table.entry(key, |c| c.key == key, |c| c.key) {
            Entry::Occupied(mut entry) => {
                let call = entry.get_mut();
                call.seen_s = seen_s;
                let before = core::mem::replace(&mut call.target, target);
                if before == target {
                    Noted::Known
                } else {
                    Noted::Moved(before)
                }
            }
            Entry::Vacant(entry) if has_room => {
                entry.insert(Call {
                    key,
                    target,
                    seen_s,
                });
                Noted::New
            }
            Entry::Vacant(_) => Noted::Lost,
        }
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<TargetId> {
        let entry = self.table.find_entry(key, |c| c.key == key).ok()?;
        Some(entry.remove().0.target)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Forgets, once in a while, calls whose end was never seen; `gone` is told whose they were.
    pub(crate) fn sweep(&mut self, now: Time, mut gone: impl FnMut(TargetId)) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        let oldest_s = (now - CALL_AGE_MAX).as_secs();
        self.table.retain(|call| {
            let stays = u64::from(call.seen_s) >= oldest_s;
            if !stays {
                gone(call.target);
            }
            stays
        });
    }
}

/// The most calls that are counted. Beyond, new ones go uncounted: the balance is less exact,
/// and no call is refused for it.
pub const CALLS_MAX: usize = 1_000_000;
/// A call of which nothing was seen for so long has ended without our knowing.
pub const CALL_AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// A sweep looks at all calls, which takes milliseconds.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
