//! Calls that this node has given away, and that the store gives back: it was started again, or another
//! took over from it, with what it had heard before.
//!
//! Then the store has such a call where it was, and perhaps another node goes on with it, and tells the store
//! so soon. Whoever takes that for a gift has the call twice. So what stands there is removed, and it is
//! asked who has the call, as where the word of giving it away was lost; it goes on here only if nobody does
//! once the store knows all again.

use std::collections::BTreeMap;

use super::{Answer, Keeper};
use crate::Kept;

/// Calls that were given away lately and a little before that, by their last records here.
#[derive(Debug, Default)]
pub(super) struct Handed {
    lately: [BTreeMap<u64, Vec<u8>>; 2],
}

impl Handed {
    /// A call is given away.
    pub(super) fn note(&mut self, call: u64, record: &[u8]) {
        if self.lately[0].len() < HANDED_MAX {
            self.lately[0].insert(call, record.to_vec());
        }
    }

    pub(super) fn note_all(&mut self, calls: Vec<(u64, Vec<u8>)>) {
        for (call, record) in calls {
            self.note(call, &record);
        }
    }

    /// A while has passed: what was heard before it is not lost any more.
    pub(super) fn age(&mut self) {
        let [lately, before] = &mut self.lately;
        *before = std::mem::take(lately);
    }

    pub(super) fn contains(&self, call: u64) -> bool {
        self.lately.iter().any(|calls| calls.contains_key(&call))
    }

    /// A call has come back.
    pub(super) fn forget(&mut self, call: u64) {
        self.take_back(call);
    }

    fn take_back(&mut self, call: u64) -> Option<Vec<u8>> {
        let [lately, before] = &mut self.lately;
        let last = before.remove(&call);
        lately.remove(&call).or(last)
    }

    /// Takes those out of what the store has given to this node that had been given away.
    pub(super) fn come_back(&mut self, given: &mut Vec<u64>) -> Vec<(u64, Vec<u8>)> {
        let known = given.extract_if(.., |call| self.contains(*call));
        let known: Vec<u64> = known.collect();
        let back = known.into_iter();
        back.filter_map(|call| Some((call, self.take_back(call)?)))
            .collect()
    }
}

impl Keeper {
    /// The store has been told that calls which were given away are not here.
    pub(super) fn handle_handed_back(&mut self, handed: Vec<(u64, Vec<u8>)>, answer: &Answer) {
        match answer {
            Answer::Kept(Kept::Done { .. }) => {
                for (call, record) in handed {
                    self.doubt_given(call, record);
                }
            }
            // Others have all of it.
            Answer::Kept(Kept::Buried) => {}
            _ => {
                self.handed.note_all(handed);
                self.give_up_comparing();
            }
        }
    }
}

/// Calls that are remembered; beyond, one that is given back by a store that has lost something goes on
/// here at once.
const HANDED_MAX: usize = 1_000;
