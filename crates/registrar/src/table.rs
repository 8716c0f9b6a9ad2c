//! The table of bindings and the ways to find one: by address of record, id and connection.

use core::hash::{BuildHasher, BuildHasherDefault};
use core::ops::{Index, IndexMut};

use ahash::AHasher;
use hashbrown::{HashMap, HashTable};
use sip::{ConnId, Transport};
use slab::Slab;

use crate::binding::{Binding, BindingId, NIL, Stored};
use crate::peer::PeerId;
use crate::reach::PackedFlow;

/// All bindings. The bindings of an address of record are chained, and so are those of a
/// connection, so that an index entry is four bytes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Slab<Binding>,
    /// The first of each chain.
    by_aor: HashTable<u32>,
    by_id: HashTable<u32>,
    /// The first of each chain.
    by_conn: HashMap<ConnId, u32, BuildHasherDefault<AHasher>>,
    /// Those that this node holds.
    by_transport: [usize; TRANSPORTS],
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bindings that this node holds.
    pub(crate) fn held(&self) -> usize {
        self.by_transport.iter().sum()
    }

    /// Bindings of a transport that this node holds.
    pub(crate) fn count(&self, transport: Transport) -> usize {
        self.by_transport[transport as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Binding> {
        self.slots.get_mut(slot as usize)
    }

    /// All bindings, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.slots.iter().map(|(_, binding)| binding)
    }

    /// The bindings whose newest state is not stored.
    pub(crate) fn slots_not_stored(&self) -> impl Iterator<Item = u32> {
        let not_stored = |(_, binding): &(usize, &Binding)| {
            binding.holder.is_none() && binding.stored != Stored::Newest
        };
        self.slots
            .iter()
            .filter(not_stored)
            .map(|(slot, _)| slot as u32)
    }

    pub(crate) fn find(&self, id: BindingId) -> Option<u32> {
        self.by_id
            .find(hash_id(id), |slot| self[*slot].id == id)
            .copied()
    }

    /// The bindings of an address of record.
    pub(crate) fn slots_of(&self, aor: &str) -> impl Iterator<Item = u32> {
        let first = self.by_aor.find(hash_aor(aor.as_bytes()), |slot| {
            self[*slot].texts().aor_bytes() == aor.as_bytes()
        });
        chain(first.copied(), |slot| self[slot].next)
    }

    /// The bindings that live by a connection.
    pub(crate) fn slots_on(&self, conn: ConnId) -> impl Iterator<Item = u32> {
        chain(self.by_conn.get(&conn).copied(), |slot| {
            self[slot].conn_next
        })
    }

    pub(crate) fn insert(&mut self, binding: Binding) -> u32 {
        self.count_in(&binding);
        let slot =
            u32::try_from(self.slots.insert(binding)).expect("BINDINGS_MAX keeps slots below 2^32");
        let slots = &self.slots;
        self.by_id
            .insert_unique(hash_id(slots[slot as usize].id), slot, |slot| {
                hash_id(slots[*slot as usize].id)
            });
        self.link_aor(slot);
        self.link_conn(slot);
        slot
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Binding {
        self.unlink_conn(slot);
        self.unlink_aor(slot);
        let hash = hash_id(self[slot].id);
        if let Ok(entry) = self.by_id.find_entry(hash, |s| *s == slot) {
            entry.remove();
        }
        let binding = self.slots.remove(slot as usize);
        self.count_out(&binding);
        binding
    }

    /// Gives a binding to another holder.
    pub(crate) fn hand_to(&mut self, slot: u32, holder: Option<PeerId>) {
        let Self {
            slots,
            by_transport,
            ..
        } = self;
        let binding = &mut slots[slot as usize];
        let count = &mut by_transport[binding.flow.transport as usize];
        *count -= usize::from(binding.holder.is_none());
        *count += usize::from(holder.is_none());
        binding.holder = holder;
    }

    /// Beyond all slots.
    pub(crate) fn slots_end(&self) -> u32 {
        self.slots.capacity() as u32
    }

    fn count_in(&mut self, binding: &Binding) {
        self.by_transport[binding.flow.transport as usize] += usize::from(binding.holder.is_none());
    }

    fn count_out(&mut self, binding: &Binding) {
        self.by_transport[binding.flow.transport as usize] -= usize::from(binding.holder.is_none());
    }

    /// Gives a binding another path; `change` may change its texts, the address of record apart.
    pub(crate) fn move_to(
        &mut self,
        slot: u32,
        flow: PackedFlow,
        change: impl FnOnce(&mut Binding),
    ) {
        self.unlink_conn(slot);
        let held = usize::from(self[slot].holder.is_none());
        self.by_transport[self[slot].flow.transport as usize] -= held;
        self.by_transport[flow.transport as usize] += held;
        self[slot].flow = flow;
        change(&mut self[slot]);
        self.link_conn(slot);
    }

    fn link_aor(&mut self, slot: u32) {
        let slots = &mut self.slots;
        let aor = slots[slot as usize].texts().aor_bytes();
        let hash = hash_aor(aor);
        let first = self
            .by_aor
            .find_mut(hash, |s| slots[*s as usize].texts().aor_bytes() == aor);
        if let Some(first) = first {
            slots[slot as usize].next = core::mem::replace(first, slot);
        } else {
            self.by_aor.insert_unique(hash, slot, |s| {
                hash_aor(slots[*s as usize].texts().aor_bytes())
            });
        }
    }

    fn unlink_aor(&mut self, slot: u32) {
        let next = self[slot].next;
        let hash = hash_aor(self[slot].texts().aor_bytes());
        let slots = &mut self.slots;
        if let Ok(mut first) = self.by_aor.find_entry(hash, |s| *s == slot) {
            if next == NIL {
                first.remove();
            } else {
                *first.get_mut() = next;
            }
            return;
        }
        let aor = slots[slot as usize].texts().aor_bytes();
        let mut at = self
            .by_aor
            .find(hash, |s| slots[*s as usize].texts().aor_bytes() == aor)
            .copied();
        while let Some(before) = at.filter(|before| *before != NIL) {
            let after = slots[before as usize].next;
            if after == slot {
                slots[before as usize].next = next;
                return;
            }
            at = Some(after);
        }
    }

    fn link_conn(&mut self, slot: u32) {
        let binding = &self[slot];
        let Some(conn) = binding
            .flow
            .conn()
            .filter(|_| binding.lives_by_connection())
        else {
            return;
        };
        let next = self.by_conn.insert(conn, slot).unwrap_or(NIL);
        if next != NIL {
            self[next].conn_prev = slot;
        }
        self[slot].conn_prev = NIL;
        self[slot].conn_next = next;
    }

    fn unlink_conn(&mut self, slot: u32) {
        let binding = &self[slot];
        let Some(conn) = binding
            .flow
            .conn()
            .filter(|_| binding.lives_by_connection())
        else {
            return;
        };
        let (prev, next) = (binding.conn_prev, binding.conn_next);
        if next != NIL {
            self[next].conn_prev = prev;
        }
        if prev != NIL {
            self[prev].conn_next = next;
        } else if next != NIL {
            self.by_conn.insert(conn, next);
        } else {
            self.by_conn.remove(&conn);
        }
    }
}

impl Index<u32> for Table {
    type Output = Binding;
    fn index(&self, slot: u32) -> &Binding {
        &self.slots[slot as usize]
    }
}

impl IndexMut<u32> for Table {
    fn index_mut(&mut self, slot: u32) -> &mut Binding {
        &mut self.slots[slot as usize]
    }
}

fn chain(first: Option<u32>, next: impl Fn(u32) -> u32) -> impl Iterator<Item = u32> {
    let valid = |slot: u32| (slot != NIL).then_some(slot);
    core::iter::successors(first.and_then(valid), move |slot| valid(next(*slot)))
}

fn hash_aor(aor: &[u8]) -> u64 {
    BuildHasherDefault::<AHasher>::default().hash_one(aor)
}

fn hash_id(id: BindingId) -> u64 {
    BuildHasherDefault::<AHasher>::default().hash_one(id.bits())
}

const TRANSPORTS: usize = Transport::Wss as usize + 1;
