//! The suite for [`Leases`].

use core::time::Duration;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::persist;
use crate::{Leases, StoreError};

/// Runs the suite; each part gets a store of its own.
pub fn run<S: Leases>(fresh: impl Fn() -> S) {
    a_duty_is_one_owners_until_it_gives_it_back(&fresh());
    a_lease_that_is_not_renewed_ends_and_its_fence_is_worth_nothing(&fresh());
    who_returns_after_the_end_has_another_fence(&fresh());
    duties_are_apart(&fresh());
    of_many_at_once_one_has_it(&fresh());
}

fn hold(store: &dyn Leases, owner: &str) -> Option<u64> {
    persist(|| store.hold_lease(DUTY, owner, LONG)).unwrap()
}

fn leave(store: &dyn Leases, fence: u64, note: &str) -> bool {
    persist(|| store.leave_note(DUTY, fence, note)).unwrap()
}

fn note(store: &dyn Leases) -> Option<String> {
    persist(|| store.note(DUTY)).unwrap()
}

fn a_duty_is_one_owners_until_it_gives_it_back(store: &dyn Leases) {
    assert_eq!((note(store), leave(store, 0, "nobody's")), (None, false));
    assert_eq!(hold(store, "one"), Some(1));
    assert_eq!(hold(store, "one"), Some(1), "renewed");
    assert_eq!(hold(store, "other"), None);
    let all = persist(|| store.leases()).unwrap();
    let of: Vec<_> = all
        .iter()
        .map(|one| (&*one.duty, &*one.owner, one.fence))
        .collect();
    assert_eq!(of, [(DUTY, "one", 1)]);
    assert!(
        !all[0].left.is_zero() && all[0].left <= LONG,
        "{:?}",
        all[0]
    );
    assert!(leave(store, 1, "first") && leave(store, 1, "second"));
    persist(|| store.release_lease(DUTY, "other")).unwrap();
    assert_eq!(
        hold(store, "other"),
        None,
        "it was not the other's to give back"
    );
    persist(|| store.release_lease(DUTY, "one")).unwrap();
    assert!(persist(|| store.leases()).unwrap().is_empty());
    assert_eq!(hold(store, "other"), Some(2));
    assert_eq!(note(store).as_deref(), Some("second"));
    assert!(!leave(store, 1, "late"), "by who had it before");
    assert!(leave(store, 2, "third"));
    assert_eq!(note(store).as_deref(), Some("third"));
}

fn a_lease_that_is_not_renewed_ends_and_its_fence_is_worth_nothing(store: &dyn Leases) {
    let first = persist(|| store.hold_lease(DUTY, "one", SHORT)).unwrap();
    let first = first.unwrap();
    let taken = until(|| persist(|| store.hold_lease(DUTY, "other", LONG)));
    assert!(taken > first, "{taken} after {first}");
    assert!(!leave(store, first, "late"));
    assert_eq!((hold(store, "one"), note(store)), (None, None));
}

fn who_returns_after_the_end_has_another_fence(store: &dyn Leases) {
    let first = persist(|| store.hold_lease(DUTY, "one", SHORT)).unwrap();
    until(|| Ok(persist(|| store.leases())?.is_empty().then_some(0)));
    assert!(!leave(store, first.unwrap(), "after the end"));
    assert!(hold(store, "one") > first);
}

fn duties_are_apart(store: &dyn Leases) {
    let of = |duty, owner| persist(|| store.hold_lease(duty, owner, LONG)).unwrap();
    assert_eq!((of("b", "one"), of("a", "other")), (Some(1), Some(1)));
    let all = persist(|| store.leases()).unwrap();
    let of: Vec<_> = all.iter().map(|one| (&*one.duty, &*one.owner)).collect();
    assert_eq!(of, [("a", "other"), ("b", "one")]);
}

fn of_many_at_once_one_has_it(store: &dyn Leases) {
    let had = AtomicUsize::new(0);
    thread::scope(|scope| {
        for owner in 0..8 {
            let had = &had;
            scope.spawn(move || {
                if hold(store, &format!("owner {owner}")).is_some() {
                    had.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(had.load(Ordering::Relaxed), 1);
}

/// Asks until there is something: the store's clock has to go on.
fn until(mut ask: impl FnMut() -> Result<Option<u64>, StoreError>) -> u64 {
    loop {
        if let Some(found) = ask().unwrap() {
            return found;
        }
        thread::yield_now();
    }
}

const DUTY: &str = "alerts";
/// Longer than the suite runs.
const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(200);
