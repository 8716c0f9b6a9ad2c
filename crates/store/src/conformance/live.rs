//! The suite for [`LiveStore`].

use super::{persist, samples};
use crate::{BindingRecord, LiveStore};

/// Runs the suite. Each part asks for a store of its own, by a name, and asks again for the
/// same name to see what a restart brings back.
pub fn run<S: LiveStore>(open: impl Fn(&str) -> S) {
    the_newest_state_comes_back(&|| open("newest"));
    what_was_removed_stays_away(&|| open("removed"));
    what_expired_stays_away(&|| open("expired"));
    bindings_are_told_apart_by_both_names(&|| open("names"));
    refreshes_do_not_add_up(&|| open("refreshes"));
}

fn the_newest_state_comes_back<S: LiveStore>(open: &dyn Fn() -> S) {
    let mut store = open();
    assert_eq!(load(&mut store, 0), []);
    store.save((&samples::binding(1, 10, b"old")).into());
    persist(|| store.flush()).unwrap();
    store.save((&samples::binding(1, 10, b"newer")).into());
    store.save((&samples::binding(1, 10, b"newest")).into());
    store.save((&samples::binding(2, 10, b"")).into());
    persist(|| store.sync()).unwrap();
    drop(store);
    let expected = [
        samples::binding(1, 10, b"newest"),
        samples::binding(2, 10, b""),
    ];
    assert_eq!(load(&mut open(), 0), expected);
    assert_eq!(load(&mut open(), 0), expected, "loading changes nothing");
}

fn what_was_removed_stays_away<S: LiveStore>(open: &dyn Fn() -> S) {
    let mut store = open();
    for n in 1..=4 {
        store.save((&samples::binding(n, 10, b"")).into());
    }
    remove(&mut store, 1);
    persist(|| store.sync()).unwrap();
    remove(&mut store, 2);
    remove(&mut store, 3);
    store.save((&samples::binding(3, 10, b"again")).into());
    remove(&mut store, 99);
    persist(|| store.sync()).unwrap();
    drop(store);
    let expected = [
        samples::binding(3, 10, b"again"),
        samples::binding(4, 10, b""),
    ];
    assert_eq!(load(&mut open(), 0), expected);
}

fn what_expired_stays_away<S: LiveStore>(open: &dyn Fn() -> S) {
    let mut store = open();
    for n in 1..=3 {
        store.save((&samples::binding(n, n * 10, b"")).into());
    }
    persist(|| store.sync()).unwrap();
    drop(store);
    assert_eq!(load(&mut open(), 20), [samples::binding(3, 30, b"")]);
}

fn bindings_are_told_apart_by_both_names<S: LiveStore>(open: &dyn Fn() -> S) {
    let named = |aor: &str, key: &[u8]| BindingRecord {
        aor: aor.into(),
        key: key.into(),
        ..samples::binding(1, 10, b"")
    };
    let all = [
        named("a", b"bc"),
        named("a", b"c"),
        named("ab", b"c"),
        named("ab", b"\xff\0"),
    ];
    let mut store = open();
    all.iter().for_each(|record| store.save(record.into()));
    store.remove("a", b"c");
    persist(|| store.sync()).unwrap();
    drop(store);
    assert_eq!(
        load(&mut open(), 0),
        [all[0].clone(), all[2].clone(), all[3].clone()]
    );
}

fn refreshes_do_not_add_up<S: LiveStore>(open: &dyn Fn() -> S) {
    let mut store = open();
    let body = [7; 500];
    for round in 1..=100 {
        for n in 1..=100 {
            store.save((&samples::binding(n, round, &body)).into());
        }
        persist(|| store.sync()).unwrap();
    }
    drop(store);
    let loaded = load(&mut open(), 99);
    assert_eq!(loaded.len(), 100);
    assert!(
        loaded
            .iter()
            .all(|record| record.expires_us == 100 && record.body == body)
    );
}

fn load(store: &mut impl LiveStore, now_us: u64) -> Vec<BindingRecord> {
    let mut records = persist(|| store.load_all(now_us)).unwrap();
    records.sort_by(|a, b| (&a.aor, &a.key).cmp(&(&b.aor, &b.key)));
    records
}

fn remove(store: &mut impl LiveStore, n: u64) {
    let BindingRecord { aor, key, .. } = samples::binding(n, 0, b"");
    store.remove(&aor, &key);
}
