//! Names of transactions that are never reused, and the slots they stand for.

use slab::Slab;

/// A client transaction. A name outlives its transaction harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

/// A server transaction. A name outlives its transaction harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(u64);

impl ClientId {
    /// As a number; differs from that of every server transaction.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From a number; `None` if it names no client transaction.
    #[must_use]
    pub const fn from_u64(key: u64) -> Option<Self> {
        if key >> KIND_SHIFT == Kind::Client as u64 {
            Some(Self(key))
        } else {
            None
        }
    }

    pub(super) const fn index(self) -> u32 {
        self.0 as u32
    }
}

impl ServerId {
    /// As a number; differs from that of every client transaction.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From a number; `None` if it names no server transaction.
    #[must_use]
    pub const fn from_u64(key: u64) -> Option<Self> {
        if key >> KIND_SHIFT == Kind::Server as u64 {
            Some(Self(key))
        } else {
            None
        }
    }

    pub(super) const fn index(self) -> u32 {
        self.0 as u32
    }
}

/// What a name names; stands in its two highest bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Client = 1,
    Server = 2,
}

/// Values by names made of kind, generation (30 bits) and index (32 bits).
#[derive(Debug)]
pub(super) struct Slots<T> {
    kind: Kind,
    entries: Slab<(u64, T)>,
    generation: u64,
}

impl<T> Slots<T> {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            entries: Slab::new(),
            generation: 0,
        }
    }

    /// Stores a value and names it.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        self.generation = (self.generation + 1) % (1 << GENERATION_BITS);
        let entry = self.entries.vacant_entry();
        let name = (self.kind as u64) << KIND_SHIFT | self.generation << 32 | entry.key() as u64;
        entry.insert((name, value));
        name
    }

    pub(super) fn by_name(&mut self, name: u64) -> Option<&mut T> {
        let (own, value) = self.entries.get_mut(name as u32 as usize)?;
        (*own == name).then_some(value)
    }

    pub(super) fn by_index(&mut self, index: u32) -> Option<(u64, &mut T)> {
        let (name, value) = self.entries.get_mut(index as usize)?;
        Some((*name, value))
    }

    /// For the hash tables, whose indices are those of occupied slots.
    pub(super) fn at(&self, index: u32) -> &T {
        &self.entries[index as usize].1
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        self.entries
            .try_remove(index as usize)
            .map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Slots<super::Client> {
    pub(super) fn id(&self, index: u32) -> ClientId {
        ClientId(self.entries[index as usize].0)
    }
}

impl Slots<super::Server> {
    pub(super) fn id(&self, index: u32) -> ServerId {
        ServerId(self.entries[index as usize].0)
    }
}

const KIND_SHIFT: u32 = 62;
const GENERATION_BITS: u32 = 30;
