//! A hierarchical timer wheel (Varghese and Lauck, scheme 7).
//!
//! Seven levels of 64 slots count milliseconds since the Unix epoch, six bits of the count per
//! level. A timer stands in the level of the highest bits in which its tick differs from the
//! wheel's, and moves down a level each time the wheel reaches its slot: at most six moves in a
//! timer's life, whatever its length. Slots are doubly linked lists inside one slab, so that
//! inserting and cancelling touch a fixed number of entries.
//!
//! Timers of the same millisecond fire in the order they were inserted: all timers of one tick
//! always share a slot, and lists keep their order when they move.

use crate::Time;

/// Timers that carry a `T` each. Costs 32 bytes and a `Option<T>` per timer.
#[derive(Debug)]
pub struct Wheel<T> {
    entries: Vec<Entry<T>>,
    /// First of the vacant entries, chained by `next`.
    vacant: u32,
    len: usize,
    /// The tick the wheel has come to; every timer before it has fired.
    elapsed: u64,
    /// Which slots of a level hold timers, one bit each.
    occupied: [u64; LEVELS],
    slots: Box<[List]>,
}

/// Names a timer for [`Wheel::cancel`]. A key outlives its timer harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    index: u32,
    generation: u32,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Wheel<T> {
    /// An empty wheel.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            vacant: NIL,
            len: 0,
            elapsed: 0,
            occupied: [0; LEVELS],
            slots: vec![List::EMPTY; LEVELS * SLOTS].into_boxed_slice(),
        }
    }

    /// Sets a timer. It fires at the first full millisecond that is not before `deadline`; a
    /// deadline that has passed fires at the next [`Wheel::pop_expired`]. Deadlines beyond the
    /// year 2109 fire then.
    ///
    /// # Panics
    /// With more than 2^32 - 1 timers at a time; memory ends long before.
    pub fn insert(&mut self, deadline: Time, value: T) -> TimerKey {
        let tick = deadline.as_micros().div_ceil(TICK_US).min(TICK_MAX);
        let index = self.take_vacant();
        let entry = &mut self.entries[index as usize];
        entry.tick = tick;
        entry.value = Some(value);
        let generation = entry.generation;
        self.len += 1;
        self.link(index);
        TimerKey { index, generation }
    }

    /// Takes a timer away before it fires; `None` if it has fired or was cancelled.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation != key.generation || entry.value.is_none() {
            return None;
        }
        Some(self.remove(key.index))
    }

    /// The next timer due at `now`, in order of deadline (in milliseconds) and insertion. Call
    /// it until it gives `None`. Timers inserted in between take part.
    pub fn pop_expired(&mut self, now: Time) -> Option<T> {
        let now = (now.as_micros() / TICK_US).min(TICK_MAX);
        loop {
            let due = self.slots[(self.elapsed % SLOTS as u64) as usize].head;
            if due != NIL {
                return Some(self.remove(due));
            }
            let next = self.first_slot().filter(|slot| slot.start <= now);
            let Some(slot) = next else {
                self.elapsed = self.elapsed.max(now);
                return None;
            };
            self.elapsed = slot.start;
            if slot.level > 0 {
                self.cascade(slot);
            }
        }
    }

    /// When to call [`Wheel::pop_expired`] next: the exact millisecond of the next timer, or an
    /// earlier one if more than 16 timers crowd the slot it is in. Never later than that timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let slot = self.first_slot()?;
        let tick = if slot.level == 0 {
            slot.start
        } else {
            self.earliest(slot)
        };
        Some(Time::from_micros(tick * TICK_US))
    }

    /// Timers that are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The occupied slot reached first. Lower levels come before higher ones, and within a
    /// level no occupied slot lies behind the wheel, because a timer's tick agrees with the
    /// wheel's in all higher bits and is not smaller.
    fn first_slot(&self) -> Option<Slot> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        let index = u64::from(self.occupied[level].trailing_zeros());
        let shift = level * SLOT_BITS;
        let above = self.elapsed >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        Some(Slot {
            level,
            list: level * SLOTS + index as usize,
            start: above | index << shift,
        })
    }

    /// The first tick of a slot's timers if they are few, else the slot's own start.
    fn earliest(&self, slot: Slot) -> u64 {
        let mut tick = u64::MAX;
        let mut at = self.slots[slot.list].head;
        for _ in 0..SCANNED_MAX {
            if at == NIL {
                return tick;
            }
            let entry = &self.entries[at as usize];
            tick = tick.min(entry.tick);
            at = entry.next;
        }
        if at == NIL { tick } else { slot.start }
    }

    /// Moves the timers of the slot the wheel has just reached to lower levels.
    fn cascade(&mut self, slot: Slot) {
        let mut at = self.slots[slot.list].head;
        self.slots[slot.list] = List::EMPTY;
        self.clear_bit(slot.list);
        while at != NIL {
            let next = self.entries[at as usize].next;
            self.link(at);
            at = next;
        }
    }

    /// Appends an entry to the list its tick belongs to.
    fn link(&mut self, index: u32) {
        let tick = self.entries[index as usize].tick.max(self.elapsed);
        let differing = tick ^ self.elapsed;
        let highest = u64::BITS - (differing | 1).leading_zeros() - 1;
        let level = highest as usize / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        let list = level * SLOTS + slot;

        let tail = self.slots[list].tail;
        let entry = &mut self.entries[index as usize];
        entry.list = list as u32;
        entry.prev = tail;
        entry.next = NIL;
        if tail == NIL {
            self.slots[list].head = index;
            self.occupied[level] |= 1 << slot;
        } else {
            self.entries[tail as usize].next = index;
        }
        self.slots[list].tail = index;
    }

    /// Unlinks an occupied entry and makes it vacant.
    fn remove(&mut self, index: u32) -> T {
        let entry = &mut self.entries[index as usize];
        let value = entry.value.take().expect("a linked entry holds a timer");
        let (list, prev, next) = (entry.list as usize, entry.prev, entry.next);
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.vacant;
        self.vacant = index;
        self.len -= 1;
        match prev {
            NIL => self.slots[list].head = next,
            _ => self.entries[prev as usize].next = next,
        }
        match next {
            NIL => self.slots[list].tail = prev,
            _ => self.entries[next as usize].prev = prev,
        }
        if self.slots[list].head == NIL {
            self.clear_bit(list);
        }
        value
    }

    fn clear_bit(&mut self, list: usize) {
        self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
    }

    fn take_vacant(&mut self) -> u32 {
        if self.vacant != NIL {
            let index = self.vacant;
            self.vacant = self.entries[index as usize].next;
            return index;
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(NIL);
        assert!(index != NIL, "too many timers");
        self.entries.push(Entry {
            tick: 0,
            prev: NIL,
            next: NIL,
            list: 0,
            generation: 0,
            value: None,
        });
        index
    }
}

#[derive(Debug)]
struct Entry<T> {
    /// Milliseconds since the Unix epoch.
    tick: u64,
    prev: u32,
    next: u32,
    /// The slot it is linked in, counted over all levels.
    list: u32,
    /// Counts the timers that have used this entry.
    generation: u32,
    /// `None` while the entry is vacant.
    value: Option<T>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
    };
}

#[derive(Clone, Copy)]
struct Slot {
    level: usize,
    /// Counted over all levels.
    list: usize,
    /// Its first tick.
    start: u64,
}

const TICK_US: u64 = 1_000;
const SLOT_BITS: usize = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Seven times six bits of milliseconds reach to the year 2109.
const LEVELS: usize = 7;
const TICK_MAX: u64 = (1 << (SLOT_BITS * LEVELS)) - 1;
/// How many timers [`Wheel::next_timeout`] looks at before it settles for an earlier time.
const SCANNED_MAX: usize = 16;
/// No entry.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests;
