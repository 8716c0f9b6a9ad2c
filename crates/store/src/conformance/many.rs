//! The part of the suite for changes of many records at once.

use model::Account;

use super::{persist, samples};
use crate::{Changed, Kind, Purpose, Record, RecordChange, Records, StoreError};

pub(super) fn run<S: Records>(fresh: impl Fn() -> S) {
    changes_are_made_in_order_and_can_be_taken_back(&fresh());
    one_that_cannot_be_made_leaves_nothing_of_all(&fresh());
    looking_shows_everything_and_changes_nothing(&fresh());
}

fn all(store: &dyn Records, changes: &[RecordChange], purpose: Purpose) -> Changed {
    persist(|| store.change_all(&samples::actor(), changes, purpose)).unwrap()
}

fn named(n: u64, name: &str) -> Record {
    Account {
        name: name.into(),
        ..samples::account(n)
    }
    .into()
}

fn replace(record: Record, expected: Option<u64>) -> RecordChange {
    RecordChange::Replace { record, expected }
}

fn remove(record: &Record) -> RecordChange {
    RecordChange::Remove {
        kind: record.kind(),
        id: record.id(),
        expected: None,
    }
}

fn changes_are_made_in_order_and_can_be_taken_back(store: &dyn Records) {
    let (old, carrier) = (named(1, "old"), Record::from(samples::carrier(1)));
    let first = persist(|| store.insert(&samples::actor(), &old)).unwrap();
    let route = Record::from(samples::route(1, samples::carrier(1).id));
    let changes = [
        RecordChange::Insert(carrier.clone()),
        // It names the carrier, which was not there before.
        RecordChange::Insert(route.clone()),
        replace(named(1, "new"), Some(first)),
        replace(named(1, "newest"), None),
    ];
    let made = all(store, &changes, Purpose::Make);
    assert!(made.refused.is_none(), "{made:?}");
    let before: Vec<Option<Record>> = made.made.iter().map(|made| made.before.clone()).collect();
    assert_eq!(
        before,
        [None, None, Some(old.clone()), Some(named(1, "new"))]
    );
    let revisions: Vec<u64> = made.made.iter().map(|made| made.revision).collect();
    assert!(revisions.is_sorted_by(|one, next| one < next));
    let stored = persist(|| store.find(Kind::Account, &old.id())).unwrap();
    assert_eq!(
        (stored.revision, stored.record),
        (revisions[3], named(1, "newest"))
    );
    let back = [
        replace(old.clone(), Some(revisions[3])),
        remove(&route),
        remove(&carrier),
    ];
    assert!(all(store, &back, Purpose::Make).refused.is_none());
    let stored = persist(|| store.find(Kind::Account, &old.id())).unwrap();
    assert_eq!(stored.record, old);
    let gone = persist(|| store.find(Kind::Carrier, &carrier.id()));
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
    let log = persist(|| store.audit(None, 100)).unwrap();
    assert_eq!(log.len(), 1 + changes.len() + back.len(), "each is audited");
}

fn one_that_cannot_be_made_leaves_nothing_of_all(store: &dyn Records) {
    let (old, carrier) = (named(1, "old"), Record::from(samples::carrier(1)));
    let first = persist(|| store.insert(&samples::actor(), &old)).unwrap();
    let before = persist(|| store.revision()).unwrap();
    let nobody = Record::from(samples::route(1, samples::carrier(2).id));
    for bad in [
        RecordChange::Insert(nobody),
        RecordChange::Insert(old.clone()),
        replace(named(1, "new"), Some(first + 1)),
        replace(named(2, "new"), None),
        replace(named(1, ""), None),
    ] {
        let changes = [RecordChange::Insert(carrier.clone()), bad, remove(&carrier)];
        for purpose in [Purpose::Make, Purpose::Check, Purpose::Look] {
            let changed = all(store, &changes, purpose);
            let place = changed.refused.as_ref().map(|(place, _)| *place);
            assert_eq!(place, Some(1), "{changed:?}");
            assert!(changed.snapshot.is_none());
        }
    }
    assert_eq!(persist(|| store.revision()).unwrap(), before);
    let gone = persist(|| store.find(Kind::Carrier, &carrier.id()));
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
}

fn looking_shows_everything_and_changes_nothing(store: &dyn Records) {
    let old = named(1, "old");
    persist(|| store.insert(&samples::actor(), &old)).unwrap();
    let before = persist(|| store.snapshot()).unwrap();
    let changes = [
        RecordChange::Insert(samples::carrier(1).into()),
        replace(named(1, "new"), None),
    ];
    let checked = all(store, &changes, Purpose::Check);
    assert!(checked.refused.is_none() && checked.snapshot.is_none());
    let looked = all(store, &changes, Purpose::Look);
    let seen = looked.snapshot.unwrap();
    assert_eq!(seen.accounts[0].name, "new");
    assert_eq!(seen.carriers.len(), 1);
    assert_eq!(persist(|| store.snapshot()).unwrap(), before);
    let log = persist(|| store.audit(None, 100)).unwrap();
    assert_eq!(log.len(), 1);
}
