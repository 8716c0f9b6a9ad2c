//! What values a block of CDRs may hold, in two bytes for each: a Bloom filter. Where it says no,
//! nobody has to look.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The columns that lists are filtered by. The numbers are in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Account = 1,
    /// Who called or was called.
    User = 2,
    Customer = 3,
    Carrier = 4,
    Caller = 5,
    Called = 6,
    Outcome = 7,
}

/// A value of a column, as summaries know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

impl Mark {
    pub(super) fn of(column: Column, value: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(column as u64, FORMAT);
        hasher.write(value.as_bytes());
        Self(hasher.finish())
    }

    /// Where it stands among so many bits.
    fn places(self, bits: u64) -> impl Iterator<Item = usize> {
        let (start, step) = (self.0 & 0xffff_ffff, self.0 >> 32 | 1);
        (0..PLACES).map(move |n| ((start + n * step) % bits) as usize)
    }
}

/// A summary of values, as it is kept.
pub(super) fn summary(mut marks: Vec<Mark>) -> Vec<u8> {
    marks.sort_unstable();
    marks.dedup();
    let mut bytes = vec![0_u8; (marks.len() * BYTES_PER_MARK).max(1)];
    let bits = bytes.len() as u64 * 8;
    for place in marks.iter().flat_map(|mark| mark.places(bits)) {
        bytes[place / 8] |= 1 << (place % 8);
    }
    bytes
}

/// Whether all these values may be among those of which the summary was made: never no where they are.
pub(super) fn may_hold(summary: &[u8], marks: &[Mark]) -> bool {
    let bits = summary.len() as u64 * 8;
    let is_set = |place: usize| summary[place / 8] & (1 << (place % 8)) != 0;
    bits == 0 || marks.iter().all(|mark| mark.places(bits).all(is_set))
}

/// With eight places of sixteen bits each, one block in 1,700 is looked into in vain.
const BYTES_PER_MARK: usize = 2;
const PLACES: u64 = 8;
/// Changes when a summary is made otherwise: those that are kept would say no in error.
const FORMAT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(n: usize) -> Mark {
        Mark::of(Column::Caller, &format!("+49301{n}"))
    }

    #[test]
    fn what_is_in_it_is_found() {
        let marks: Vec<Mark> = (0..5_000).map(caller).collect();
        let summary = summary(marks.clone());
        assert!(marks.iter().all(|mark| may_hold(&summary, &[*mark])));
        assert!(may_hold(&summary, &marks));
    }

    #[test]
    fn what_is_not_in_it_is_rarely_looked_for() {
        let summary = summary((0..5_000).map(caller).collect());
        let in_vain = (5_000..25_000).filter(|n| may_hold(&summary, &[caller(*n)]));
        assert!(in_vain.count() < 60);
        let called = |n| Mark::of(Column::Called, &format!("+49301{n}"));
        let in_vain = (0..5_000).filter(|n| may_hold(&summary, &[called(*n)]));
        assert!(in_vain.count() < 20, "columns are told apart");
    }

    #[test]
    fn nothing_is_in_an_empty_one_and_everything_in_one_of_no_length() {
        assert!(!may_hold(&summary(Vec::new()), &[caller(1)]));
        assert!(may_hold(&[], &[caller(1)]));
    }

    /// Files hold what this makes: another result needs another `FORMAT`, and a migration.
    #[test]
    fn a_value_has_the_same_mark_for_ever() {
        assert_eq!(
            Mark::of(Column::Caller, "+4930123"),
            Mark(4_921_893_948_332_610_486)
        );
    }
}
