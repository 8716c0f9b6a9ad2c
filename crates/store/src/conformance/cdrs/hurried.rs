//! Searches that have no time: each comes a step further, and all of them find what there is.

use core::time::Duration;

use model::{CarrierId, Cdr, CdrOutcome};

use super::{page, persist, samples};
use crate::{CdrCursor, CdrFilter, CdrStore};

/// The parts of the suite that show more the smaller the steps are in which an adapter looks through
/// its records; each gets a store of its own.
pub fn run_in_small_steps<S: CdrStore>(fresh: impl Fn() -> S) {
    calls_of_one_moment_are_found_once_each(&fresh());
    a_cursor_is_a_place_for_any_filter(&fresh());
    what_comes_and_goes_meanwhile_hides_nothing_else(&fresh());
}

/// Steps and pages end between calls that ended at the same moment.
fn calls_of_one_moment_are_found_once_each(store: &dyn CdrStore) {
    let cdrs = mixture(store);
    for filter in [one_that_is_busy(), of_one(), CdrFilter::default()] {
        let expected = matching(&cdrs, &filter, None);
        for limit in [1, 3, 1_000] {
            let found = pages(store, &filter, None, limit);
            assert_eq!(found, expected, "{filter:?} by {limit}");
        }
    }
}

/// Who changes the filter and keeps the cursor gets what matches behind that place.
fn a_cursor_is_a_place_for_any_filter(store: &dyn CdrStore) {
    let cdrs = mixture(store);
    let search = persist(|| store.search(&one_that_is_busy(), None, 1_000, Duration::ZERO));
    let reached = search.unwrap().go_on;
    let middle = CdrCursor::of(&cdrs[cdrs.len() / 2]);
    let nobody = CdrCursor {
        end_us: u64::MAX,
        ..middle
    };
    for after in reached.into_iter().chain([middle, nobody]) {
        let (from_us, to_us) = (Some(12_000_000), Some(30_000_000));
        let span = CdrFilter {
            from_us,
            to_us,
            ..of_one()
        };
        for filter in [of_one(), CdrFilter::default(), span] {
            let expected = matching(&cdrs, &filter, Some(after));
            let found = pages(store, &filter, Some(after), 5);
            assert_eq!(found, expected, "{filter:?} after {after}");
        }
    }
}

/// New calls end and old records go while somebody looks on.
fn what_comes_and_goes_meanwhile_hides_nothing_else(store: &dyn CdrStore) {
    let cdrs = mixture(store);
    let filter = one_that_is_busy();
    let (mut found, mut after) = (Vec::new(), None);
    for n in 0..ENDLESS {
        let part = persist(|| store.search(&filter, after, 1, Duration::ZERO)).unwrap();
        let last = part.found.last().map(CdrCursor::of);
        found.extend(part.found);
        let Some(next) = part.go_on.or(last) else {
            break;
        };
        after = Some(next);
        let newest = samples::cdr(1_000 + n);
        persist(|| store.insert_batch(std::slice::from_ref(&newest))).unwrap();
        if n < 20 {
            persist(|| store.remove_before(OLD_US, 3)).unwrap();
        }
    }
    let mut expected = matching(&cdrs, &filter, None);
    expected.retain(|cdr| cdr.end_us >= OLD_US);
    found.retain(|cdr: &Cdr| cdr.end_us >= OLD_US);
    assert_eq!(found, expected);
}

/// Seven calls end at each moment; the newest first.
fn mixture(store: &dyn CdrStore) -> Vec<Cdr> {
    let cdr = |n: u64| Cdr {
        end_us: n / 7 * 1_000_000,
        carrier: Some(CarrierId::from_bits(u128::from(n % 3))),
        outcome: if n.is_multiple_of(4) {
            CdrOutcome::Busy
        } else {
            CdrOutcome::Answered
        },
        ..samples::cdr(n)
    };
    let mut cdrs: Vec<Cdr> = (7..307).map(cdr).collect();
    persist(|| store.insert_batch(&cdrs)).unwrap();
    cdrs.sort_by_key(|cdr| core::cmp::Reverse(CdrCursor::of(cdr)));
    cdrs
}

fn of_one() -> CdrFilter {
    CdrFilter {
        carrier: Some(CarrierId::from_bits(1)),
        ..CdrFilter::default()
    }
}

fn one_that_is_busy() -> CdrFilter {
    CdrFilter {
        outcome: Some(CdrOutcome::Busy),
        ..of_one()
    }
}

/// What is to be found, by reading all there is.
fn matching(cdrs: &[Cdr], filter: &CdrFilter, after: Option<CdrCursor>) -> Vec<Cdr> {
    let matches = |cdr: &&Cdr| {
        filter.carrier.is_none_or(|id| cdr.carrier == Some(id))
            && filter.outcome.is_none_or(|one| cdr.outcome == one)
            && filter.from_us.is_none_or(|from| cdr.end_us >= from)
            && filter.to_us.is_none_or(|to| cdr.end_us < to)
            && after.is_none_or(|after| CdrCursor::of(cdr) < after)
    };
    cdrs.iter().filter(matches).cloned().collect()
}

/// All pages of at most so many records, by searches that have no time, as a client follows them.
fn pages(
    store: &dyn CdrStore,
    filter: &CdrFilter,
    after: Option<CdrCursor>,
    limit: usize,
) -> Vec<Cdr> {
    let (mut found, mut after) = (Vec::new(), after);
    for _ in 0..ENDLESS {
        let part = persist(|| store.search(filter, after, limit, Duration::ZERO)).unwrap();
        assert!(part.found.len() <= limit);
        let last = part.found.last().filter(|_| part.found.len() == limit);
        let next = part.go_on.or(last.map(CdrCursor::of));
        found.extend(part.found);
        let Some(next) = next else { return found };
        assert!(after.is_none_or(|after| next < after), "it stands still");
        after = Some(next);
    }
    panic!("it does not end");
}

/// Two values that are each in half of the records and never in the same one, and two that meet in
/// the oldest record only.
pub(super) fn a_search_without_time_comes_further_each_time(store: &dyn CdrStore) {
    let (one, other) = (CarrierId::from_bits(1), CarrierId::from_bits(2));
    // More than any adapter looks through in one step.
    let cdrs: Vec<Cdr> = (1..=10_000)
        .map(|n| {
            let (carrier, caller) = if n % 2 == 0 || n == 1 {
                (one, "alice")
            } else {
                (other, "bob")
            };
            Cdr {
                carrier: Some(carrier),
                caller: if n == 1 { "bob" } else { caller }.into(),
                ..samples::cdr(n)
            }
        })
        .collect();
    for batch in cdrs.chunks(1_000) {
        persist(|| store.insert_batch(batch)).unwrap();
    }
    let meet = |carrier, caller: &str| CdrFilter {
        carrier: Some(carrier),
        caller: Some(caller.into()),
        ..CdrFilter::default()
    };
    let (found, searches) = search_on(store, &meet(other, "alice"), 10);
    assert!(found.is_empty());
    assert!(searches > 1, "one search has looked at everything");
    let (found, _) = search_on(store, &meet(one, "bob"), 10);
    assert_eq!(found, cdrs[..1]);
    let (found, _) = search_on(store, &meet(one, "alice"), 10_000);
    let expected: Vec<Cdr> = cdrs
        .iter()
        .rev()
        .filter(|c| c.caller == "alice")
        .cloned()
        .collect();
    assert_eq!(found, expected, "none is missing, none is there twice");
    let all = page(store, &meet(one, "bob"), None, 10);
    assert_eq!(all, cdrs[..1], "a list takes its time");
}

/// What searches find that have no time, each going on where the one before was; and how many it took.
fn search_on(store: &dyn CdrStore, filter: &CdrFilter, limit: usize) -> (Vec<Cdr>, usize) {
    let (mut found, mut after) = (Vec::new(), None);
    for searches in 1.. {
        let left = limit - found.len();
        let part = persist(|| store.search(filter, after, left, Duration::ZERO)).unwrap();
        found.extend(part.found);
        let Some(go_on) = part.go_on else {
            return (found, searches);
        };
        assert!(after.is_none_or(|after| go_on < after), "it stands still");
        after = Some(go_on);
    }
    (found, 0)
}

/// More steps than there are records.
const ENDLESS: u64 = 2_000;
/// Records that ended before are removed while somebody looks for others.
const OLD_US: u64 = 5_000_000;
