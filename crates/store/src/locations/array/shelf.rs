//! What this server holds, and what it has told of late.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::frame::Packed;
use crate::locations::{KEPT_MAX, LocationChange, LocationEndKind, codec};

/// This server's shelf.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// States and ends, by their bindings.
    own: BTreeMap<u64, Box<[u8]>>,
    /// The last portions, in the order of their numbers, without gaps.
    told: VecDeque<Portion>,
    told_bytes: usize,
    /// The number of the last portion; the first has 1.
    last: u64,
}

/// Changes that were told together.
#[derive(Clone, Debug)]
pub(super) struct Portion {
    pub(super) number: u64,
    /// When they were told.
    pub(super) at: Instant,
    pub(super) changes: Packed,
    pub(super) count: usize,
}

/// What is next for who has heard up to a portion.
#[derive(Debug)]
pub(super) enum Following {
    /// Nothing yet.
    Nothing,
    /// This.
    Portion(Portion),
    /// It is not there any more: the portions go on after this one.
    Lost(u64),
}

impl Shelf {
    pub(super) fn put(&mut self, told: &[LocationChange]) {
        let mut published = Vec::new();
        for change in told {
            let (stays, is_told) = match change {
                LocationChange::Saved(_) => (true, true),
                LocationChange::Ended(end) => (
                    end.kind == LocationEndKind::Removed,
                    end.kind != LocationEndKind::Yielded,
                ),
            };
            let encoded: Box<[u8]> = codec::encode(change).into();
            let key = u64::from_be_bytes(change.key());
            if is_told {
                published.push(encoded.clone());
            }
            match stays {
                true => self.own.insert(key, encoded),
                false => self.own.remove(&key),
            };
        }
        if published.is_empty() {
            return;
        }
        self.last += 1;
        let changes = Packed::of(published.iter());
        self.told_bytes += changes.len_bytes();
        self.told.push_back(Portion {
            number: self.last,
            at: Instant::now(),
            changes,
            count: published.len(),
        });
        while self.told.len() > KEPT_MAX || self.told_bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.told.pop_front() else {
                return;
            };
            self.told_bytes -= oldest.changes.len_bytes();
        }
    }

    /// Nothing is on it any more; who is to know is told otherwise.
    pub(super) fn clear(&mut self) {
        self.own.clear();
    }

    /// What follows a portion.
    pub(super) fn after(&self, number: u64) -> Following {
        if number >= self.last {
            return Following::Nothing;
        }
        let oldest = self.told.front().map(|portion| portion.number);
        let at = oldest.and_then(|oldest| (number + 1).checked_sub(oldest));
        match at.and_then(|at| self.told.get(at as usize)) {
            Some(portion) => Following::Portion(portion.clone()),
            None => Following::Lost(self.last),
        }
    }

    /// The number of the last portion.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.own.len()
    }

    /// A part of it, and the name of the next; begins and ends with 0.
    pub(super) fn part(&self, from: u64) -> (Packed, u64) {
        let mut part = self.own.range(from..);
        let packed = Packed::of(part.by_ref().take(PART).map(|(_, encoded)| encoded));
        (packed, part.next().map_or(0, |(key, _)| *key))
    }
}

/// Bytes of portions that are kept for who is slow or cut off; whoever needs more looks at the shelf.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Bindings in a part.
const PART: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::locations::saved;

    #[test]
    fn who_is_too_late_for_a_portion_is_told_so() {
        let mut shelf = Shelf::default();
        assert!(matches!(shelf.after(0), Following::Nothing));
        for n in 0..KEPT_MAX as u64 + 10 {
            shelf.put(&[saved(n, 1)]);
        }
        let last = shelf.last();
        assert!(matches!(shelf.after(last), Following::Nothing));
        assert!(matches!(shelf.after(9), Following::Lost(lost) if lost == last));
        let Following::Portion(portion) = shelf.after(10) else {
            panic!("it is there");
        };
        assert_eq!((portion.number, portion.count), (11, 1));
    }

    #[test]
    fn a_shelf_is_looked_through_in_parts() {
        let mut shelf = Shelf::default();
        for n in 1..=1_200 {
            shelf.put(&[saved(n, 1)]);
        }
        let (mut from, mut sizes) = (0, Vec::new());
        loop {
            let (part, next) = shelf.part(from);
            sizes.push(part.unpack().unwrap().len());
            if next == 0 {
                break;
            }
            from = next;
        }
        assert_eq!(sizes, [500, 500, 200]);
    }
}
