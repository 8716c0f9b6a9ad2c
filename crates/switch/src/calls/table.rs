//! The table of calls: by their keys, which tags and media sessions carry.

use std::collections::BTreeMap;

use call::{Call, RequestId};
use clock::{Time, TimerKey};
use sip::transaction::ClientId;
use smallvec::SmallVec;

use crate::facts::Facts;
use crate::output::CallKey;

/// A call and what belongs to it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) call: Call,
    pub(crate) facts: Box<Facts>,
    /// Tells calls of the same slot apart; that of a call from another node leads to another slot.
    key: CallKey,
    pub(crate) alarm: Option<(Time, TimerKey)>,
    /// A hash of what other nodes were last told of it; 0 for nothing.
    pub(crate) kept: u64,
    /// The INVITEs under way, for CANCEL.
    invites: SmallVec<[(RequestId, ClientId); 2]>,
}

/// Slots for calls; a key is slot and generation.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: slab::Slab<Entry>,
    generation: u32,
    /// Legs that were born in another call, by our tag in them.
    adopted: BTreeMap<Box<[u8]>, CallKey>,
    /// The slots of calls that were begun by other nodes.
    foreign: BTreeMap<CallKey, usize>,
}

/// Bits of a key that are the slot; with those of the generation they fit under the media
/// session's own eight.
const SLOT_BITS: u32 = 28;

impl Calls {
    /// Calls are numbered from here: other nodes, and other starts of this one, do elsewhere, so
    /// that a key names one call among all that there are.
    pub(crate) const fn begin_at(generation: u32) -> Self {
        Self {
            slots: slab::Slab::new(),
            generation,
            adopted: BTreeMap::new(),
            foreign: BTreeMap::new(),
        }
    }

    /// The key the next call will have.
    pub(crate) fn next_key(&self) -> CallKey {
        let generation = u64::from(self.generation & ((1 << SLOT_BITS) - 1));
        CallKey((generation << SLOT_BITS) | self.slots.vacant_key() as u64)
    }

    pub(crate) fn insert(&mut self, call: Call, facts: Box<Facts>) -> CallKey {
        let key = self.next_key();
        self.generation = self.generation.wrapping_add(1);
        self.slots.insert(Entry::new(key, call, facts));
        key
    }

    /// A call from another node keeps its key, which its tags carry.
    pub(crate) fn insert_foreign(&mut self, key: CallKey, call: Call, facts: Box<Facts>) {
        for tag in call.tags() {
            if Call::key_of_tag(tag) != Some(key.0) {
                self.adopted.insert(tag.into(), key);
            }
        }
        let mut entry = Entry::new(key, call, facts);
        // Others know of it, though not as it is now.
        entry.kept = 1;
        let slot = self.slots.insert(entry);
        self.foreign.insert(key, slot);
    }

    /// The call that a tag of ours belongs to.
    pub(crate) fn key_of_tag(&self, tag: &[u8]) -> Option<CallKey> {
        let adopter = self.adopted.get(tag).copied();
        adopter.or_else(|| Call::key_of_tag(tag).map(CallKey))
    }

    /// From now on a tag that another call has made belongs to this one.
    pub(crate) fn adopt(&mut self, tag: &[u8], key: CallKey) {
        self.adopted.insert(tag.into(), key);
    }

    fn slot(&self, key: CallKey) -> Option<usize> {
        let slot = (key.0 & ((1 << SLOT_BITS) - 1)) as usize;
        let is_here = self.slots.get(slot).is_some_and(|entry| entry.key == key);
        if is_here {
            return Some(slot);
        }
        self.foreign.get(&key).copied()
    }

    pub(crate) fn entry(&self, key: CallKey) -> Option<&Entry> {
        self.slot(key).map(|slot| &self.slots[slot])
    }

    pub(crate) fn entry_mut(&mut self, key: CallKey) -> Option<&mut Entry> {
        self.slot(key).map(|slot| &mut self.slots[slot])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CallKey, &Entry)> {
        self.slots.iter().map(|(_, entry)| (entry.key, entry))
    }

    pub(crate) fn remove(&mut self, key: CallKey) -> Option<Entry> {
        self.adopted.retain(|_, adopter| *adopter != key);
        let slot = self.slot(key)?;
        self.foreign.remove(&key);
        Some(self.slots.remove(slot))
    }
}

impl Entry {
    fn new(key: CallKey, call: Call, facts: Box<Facts>) -> Self {
        Self {
            call,
            facts,
            key,
            alarm: None,
            kept: 0,
            invites: SmallVec::new(),
        }
    }

    /// The transaction of an INVITE under way.
    pub(crate) fn client_of(&self, request: RequestId) -> Option<ClientId> {
        let found = self.invites.iter().find(|(id, _)| *id == request);
        found.map(|(_, client)| *client)
    }

    /// An INVITE is under way in this transaction.
    pub(crate) fn note_invite(&mut self, request: RequestId, client: ClientId) {
        self.invites.push((request, client));
    }

    /// It has a final response.
    pub(super) fn forget_invite(&mut self, request: RequestId) {
        self.invites.retain(|(id, _)| *id != request);
    }
}
