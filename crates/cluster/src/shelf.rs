//! What the live store has of a node's calls: what it was told, and what came to be there otherwise.
//!
//! The store gives a node calls of dead ones, and the answer that says so may be lost on its way. Then
//! the node has calls that it knows nothing of. They are not to be taken for calls that have ended here,
//! of which only the end did not arrive: nobody else would go on with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::Change;

/// A node's calls in the live store, as far as the node knows.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Calls that are there, or may be.
    written: BTreeSet<u64>,
    /// Those of them of which it is not known whether the last word was taken, by what their records
    /// say they are.
    unsure: BTreeMap<u64, u128>,
    /// Calls that have ended here, and may still be there.
    ended: BTreeSet<u64>,
    /// Whether there were too many of those to remember.
    has_forgotten: bool,
    /// Calls that have ended here, as the store has heard lately and a little before that: one that is
    /// started again, or takes over from another, may have lost it.
    lately: [BTreeSet<u64>; 2],
}

/// What came of telling the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is written.
    Written,
    /// Nothing is.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What a node had that was taken for dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Calls that others have.
    pub calls: Vec<u64>,
    /// Calls of which the store may never have heard, each with its identity.
    pub unsure: Vec<(u64, u128)>,
    /// Calls that have ended here, and of which the store may not have heard that.
    pub ended: Vec<u64>,
}

/// What is on a node's shelf that its switch does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strange {
    /// Calls that have ended here.
    pub ended: Vec<u64>,
    /// Calls that were given to this node: it is to go on with them.
    pub given: Vec<u64>,
}

impl Shelf {
    /// Takes over what the store was told.
    pub fn tell(&mut self, changes: &[Change], told: Told) {
        for (call, record) in changes {
            match (told, record) {
                (Told::Unknown, Some(record)) => {
                    let identity = identity_of(record).unwrap_or_default();
                    self.unsure.insert(*call, identity);
                }
                // It may have been there under the name that is buried, and be somebody else's.
                (Told::Refused, Some(record)) if !self.written.contains(call) => {
                    let identity = identity_of(record).unwrap_or_default();
                    self.unsure.insert(*call, identity);
                }
                (Told::Refused, Some(_)) => {}
                _ => {
                    self.unsure.remove(call);
                }
            }
            if record.is_some() {
                if told != Told::Refused {
                    self.written.insert(*call);
                    self.ended.remove(call);
                    self.forget_end(*call);
                }
                continue;
            }
            self.written.remove(call);
            match told {
                Told::Unknown if self.ended.len() < ENDED_MAX => self.ended.insert(*call),
                Told::Unknown => !std::mem::replace(&mut self.has_forgotten, true),
                Told::Written | Told::Refused => self.ended.remove(call),
            };
            if told == Told::Written && self.lately[0].len() < ENDED_MAX {
                self.lately[0].insert(*call);
            }
        }
    }

    /// A while has passed: what was heard before it is not lost any more.
    pub fn age(&mut self) {
        let [lately, before] = &mut self.lately;
        *before = std::mem::take(lately);
    }

    fn forget_end(&mut self, call: u64) {
        for ended in &mut self.lately {
            ended.remove(&call);
        }
    }

    /// Calls of others stand there now.
    pub fn take(&mut self, calls: impl IntoIterator<Item = u64>) {
        for call in calls {
            self.written.insert(call);
            self.forget_end(call);
        }
    }

    /// A call is another's.
    pub fn give_up(&mut self, call: u64) {
        self.written.remove(&call);
        self.unsure.remove(&call);
    }

    /// All of it is others'.
    pub fn lose(&mut self) -> Lost {
        let mut calls = std::mem::take(&mut self.written);
        let unsure = std::mem::take(&mut self.unsure);
        calls.retain(|call| !unsure.contains_key(call));
        self.has_forgotten = false;
        let ended = std::mem::take(&mut self.ended);
        Lost {
            ended: ended.into_iter().collect(),
            calls: calls.into_iter().collect(),
            unsure: unsure.into_iter().collect(),
        }
    }

    /// Takes over what the store has (`own`) beside what the switch has (`known`); what is strange of
    /// it. The calls that are given stand there until they are taken up.
    pub fn compare(&mut self, own: &[u64], known: &BTreeSet<u64>) -> Strange {
        let mut strange = Strange::default();
        for call in own.iter().filter(|call| !known.contains(call)) {
            let has_ended =
                self.has_forgotten || self.written.contains(call) || self.has_ended(*call);
            match has_ended {
                true => strange.ended.push(*call),
                false => strange.given.push(*call),
            }
        }
        let is_known = |call: &&u64| known.contains(call);
        self.written = own.iter().filter(is_known).copied().collect();
        self.unsure.clear();
        self.ended = strange.ended.iter().copied().collect();
        self.has_forgotten = false;
        strange
    }

    /// Whether a call is there, or may be.
    #[must_use]
    pub fn contains(&self, call: u64) -> bool {
        self.written.contains(&call)
    }

    /// Whether a call has ended here a moment ago.
    #[must_use]
    pub fn has_ended(&self, call: u64) -> bool {
        self.ended.contains(&call) || self.lately.iter().any(|ended| ended.contains(&call))
    }

    /// How many calls should be there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether there should be none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }
}

/// Which call a record is of, whatever its key.
pub(crate) fn identity_of(record: &[u8]) -> Option<u128> {
    let bytes = record.get(1..17)?;
    Some(u128::from_be_bytes(bytes.try_into().ok()?))
}

/// Calls that are remembered of which the end may not have arrived; beyond, what is strange counts as
/// ended.
pub(crate) const ENDED_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that was stopped hears first that nothing is left of its shelf, and only then why.
    #[test]
    fn a_call_that_was_taken_before_its_node_knew_to_be_dead_is_not_its_own() {
        let mut shelf = Shelf::default();
        shelf.tell(&[kept(1)], Told::Written);
        shelf.compare(&[], &BTreeSet::from([1]));
        shelf.tell(&[kept(1)], Told::Refused);
        let lost = shelf.lose();
        let unsure: Vec<u64> = lost.unsure.iter().map(|(call, _)| *call).collect();
        assert_eq!((lost.calls, unsure), (vec![], vec![1]));
    }

    #[test]
    fn what_the_store_gave_without_a_word_is_not_taken_for_ended() {
        let mut shelf = Shelf::default();
        shelf.tell(&[kept(1), kept(2)], Told::Written);
        shelf.tell(&[(2, None)], Told::Unknown);
        // The third was a dead node's, and the answer that said so was lost.
        let strange = shelf.compare(&[1, 2, 3], &BTreeSet::from([1]));
        assert_eq!((strange.ended, strange.given), (vec![2], vec![3]));
        shelf.tell(&[(2, None)], Told::Written);
        shelf.take([3]);
        assert_eq!(shelf.len(), 2);
        // Now it is known, and has ended.
        let strange = shelf.compare(&[1, 3], &BTreeSet::from([1]));
        assert_eq!((strange.ended, strange.given), (vec![3], vec![]));
    }

    #[test]
    fn an_end_that_did_not_arrive_is_remembered_until_it_has() {
        let mut shelf = Shelf::default();
        shelf.tell(&[kept(1)], Told::Unknown);
        assert!(shelf.contains(1), "it may be there");
        shelf.tell(&[(1, None)], Told::Unknown);
        for _ in 0..2 {
            let strange = shelf.compare(&[1], &BTreeSet::new());
            assert_eq!((strange.ended, strange.given), (vec![1], vec![]));
        }
        shelf.tell(&[(1, None)], Told::Written);
        // A store that was started again may have lost it.
        shelf.age();
        let strange = shelf.compare(&[1], &BTreeSet::new());
        assert_eq!((strange.ended, strange.given), (vec![1], vec![]));
        shelf.tell(&[(1, None)], Told::Written);
        shelf.age();
        shelf.age();
        // Somebody else's now, by the same key.
        let strange = shelf.compare(&[1], &BTreeSet::new());
        assert_eq!(strange.given, [1]);
    }

    #[test]
    fn who_was_taken_out_has_written_nothing() {
        let mut shelf = Shelf::default();
        shelf.tell(&[kept(1)], Told::Refused);
        assert!(shelf.is_empty());
        shelf.take([2]);
        assert_eq!(shelf.lose().calls, [2]);
        assert!(shelf.is_empty());
    }

    #[test]
    fn a_call_that_the_store_may_not_know_is_not_given_up_unasked() {
        let mut shelf = Shelf::default();
        shelf.tell(&[kept(1), kept(2), kept(3)], Told::Written);
        shelf.tell(&[kept(3), kept(4)], Told::Unknown);
        shelf.tell(&[kept(2)], Told::Unknown);
        shelf.tell(&[kept(2)], Told::Written);
        let lost = shelf.lose();
        assert_eq!(
            (lost.calls, lost.unsure),
            (vec![1, 2], vec![(3, 3), (4, 4)])
        );
        assert_eq!(shelf.lose(), Lost::default());
    }

    #[test]
    fn a_refusal_does_not_say_that_an_earlier_word_was_taken() {
        let mut shelf = Shelf::default();
        shelf.tell(&[kept(1)], Told::Unknown);
        shelf.tell(&[kept(1)], Told::Refused);
        let lost = shelf.lose();
        assert_eq!((lost.calls, lost.unsure), (vec![], vec![(1, 1)]));
    }

    fn kept(call: u64) -> Change {
        let identity = u128::from(call).to_be_bytes();
        (call, Some([&[1], identity.as_slice()].concat()))
    }
}
