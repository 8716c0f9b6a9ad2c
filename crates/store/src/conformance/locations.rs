//! The suite for [`LocationStore`].

use super::persist;
use crate::{
    Exchanged, HeardChange, Location, LocationChange, LocationEnd, LocationEndKind, LocationNode,
    LocationStore, Rest,
};

/// Runs the suite; each part gets a cluster of its own, by a name, with two nodes.
pub fn run<S: LocationStore>(cluster: impl Fn(&str) -> (S, S)) {
    let parts: [(&str, Part<S>); 7] = [
        ("told", what_is_told_is_heard_by_the_others),
        ("shelf", a_shelf_has_the_newest_of_what_its_node_holds),
        ("ends", what_ends_leaves_the_shelf),
        (
            "late",
            who_comes_late_hears_nothing_old_and_finds_it_on_shelves,
        ),
        ("many", much_is_heard_in_portions_and_too_much_is_said_so),
        ("more", more_nodes_tell_more_before_anything_is_lost),
        ("gone", who_is_forgotten_has_no_shelf),
    ];
    for (name, part) in parts {
        let (mut one, mut other) = cluster(name);
        part(&mut one, &mut other);
    }
}

/// Asserts something of two nodes.
type Part<S> = fn(&mut S, &mut S);

fn what_is_told_is_heard_by_the_others<S: LocationStore>(one: &mut S, other: &mut S) {
    assert_eq!(hear(one, 1, &[]), []);
    assert_eq!(hear(other, 2, &[]), []);
    assert_eq!(hear(one, 1, &[saved(1, 5), saved(2, 5)]), []);
    assert_eq!(hear(one, 1, &[saved(1, 6)]), [], "not by itself");
    let all = [saved(1, 5), saved(2, 5), saved(1, 6)].map(|change| HeardChange {
        from: node(1).id,
        change,
    });
    assert_eq!(hear(other, 2, &[]), all);
    assert_eq!(hear(other, 2, &[]), [], "once");
    let nodes = known(other, 2);
    assert_eq!(nodes, [node(1), node(2)]);
}

fn a_shelf_has_the_newest_of_what_its_node_holds<S: LocationStore>(one: &mut S, other: &mut S) {
    hear(one, 1, &[saved(1, 5), saved(2, 5)]);
    hear(one, 1, &[saved(1, 6)]);
    hear(other, 2, &[saved(3, 5)]);
    assert_eq!(shelf(other, 1), [saved(1, 6), saved(2, 5)]);
    assert_eq!(shelf(one, 2), [saved(3, 5)]);
    persist(|| one.clear(&node(1))).unwrap();
    assert_eq!(shelf(other, 1), []);
    assert_eq!(shelf(other, 2), [saved(3, 5)], "another's is not touched");
}

fn what_ends_leaves_the_shelf<S: LocationStore>(one: &mut S, other: &mut S) {
    hear(other, 2, &[]);
    hear(one, 1, &[saved(1, 5), saved(2, 5), saved(3, 5)]);
    hear(other, 2, &[]);
    let kinds = [
        LocationEndKind::Ended,
        LocationEndKind::Removed,
        LocationEndKind::Yielded,
    ];
    let ends: Vec<_> = (1..).zip(kinds).map(|(n, kind)| ended(n, kind)).collect();
    hear(one, 1, &ends);
    let told = [(1, LocationEndKind::Ended), (2, LocationEndKind::Removed)];
    let told = told.map(|(n, kind)| HeardChange {
        from: node(1).id,
        change: ended(n, kind),
    });
    assert_eq!(hear(other, 2, &[]), told);
    assert_eq!(shelf(other, 1), [ended(2, LocationEndKind::Removed)]);
}

fn who_comes_late_hears_nothing_old_and_finds_it_on_shelves<S: LocationStore>(
    one: &mut S,
    other: &mut S,
) {
    hear(one, 1, &[saved(1, 5)]);
    assert_eq!(hear(other, 2, &[]), []);
    assert_eq!(shelf(other, 1), [saved(1, 5)]);
    hear(one, 1, &[saved(1, 6)]);
    assert_eq!(hear(other, 2, &[]).len(), 1);
}

fn much_is_heard_in_portions_and_too_much_is_said_so<S: LocationStore>(one: &mut S, other: &mut S) {
    hear(other, 2, &[]);
    for n in 0..250 {
        hear(one, 1, &[saved(n, 5), saved(n, 6)]);
    }
    let mut changes = Vec::new();
    loop {
        let (heard, rest) = exchange(other, 2, &[]);
        changes.extend(heard.into_iter().map(|heard| heard.change.key()));
        match rest {
            Rest::More => {}
            Rest::Nothing => break,
            Rest::Lost => panic!("it is not that much"),
        }
    }
    let told: Vec<_> = (0..250).flat_map(|n| [n, n]).map(key).collect();
    assert_eq!(changes, told);
    for n in 0..1_100 {
        hear(one, 1, &[saved(n, 7)]);
    }
    let (heard, rest) = exchange(other, 2, &[]);
    assert_eq!((heard.len(), rest), (0, Rest::Lost));
    assert_eq!(shelf(other, 1).len(), 1_100);
    hear(one, 1, &[saved(1, 8)]);
    assert_eq!(hear(other, 2, &[]).len(), 1, "from there on it hears again");
}

fn more_nodes_tell_more_before_anything_is_lost<S: LocationStore>(one: &mut S, other: &mut S) {
    // In the name of each of six.
    (3..=6).for_each(|number| drop(hear(one, number, &[])));
    hear(other, 2, &[]);
    for n in 0..1_400 {
        hear(one, 1, &[saved(n, 5)]);
    }
    let mut count = 0;
    loop {
        let (heard, rest) = exchange(other, 2, &[]);
        count += heard.len();
        match rest {
            Rest::More => {}
            Rest::Nothing => break,
            Rest::Lost => panic!("with six nodes it is not that much"),
        }
    }
    assert_eq!(count, 1_400);
}

fn who_is_forgotten_has_no_shelf<S: LocationStore>(one: &mut S, other: &mut S) {
    hear(one, 1, &[saved(1, 5)]);
    assert_eq!(known(other, 2), [node(1), node(2)]);
    persist(|| other.forget(&node(1).id)).unwrap();
    assert_eq!(known(other, 2), [node(2)]);
    assert_eq!(shelf(other, 1), []);
}

/// A node of the suite, by its number.
#[must_use]
pub fn node(number: u16) -> LocationNode {
    LocationNode {
        id: format!("node-{number}"),
        place: ([127, 0, 0, 1], 10_000 + number).into(),
        udp: Some(([127, 0, 0, 1], 20_000 + number).into()),
        tcp: None,
        filled: String::new(),
        key_print: String::new(),
    }
}

/// A state of a binding.
#[must_use]
pub fn saved(n: u64, version: u64) -> LocationChange {
    LocationChange::Saved(Location {
        key: key(n),
        version,
        expires_us: 77,
        aor: format!("user-{n}@example.com"),
        body: vec![n as u8; 100],
    })
}

fn ended(n: u64, kind: LocationEndKind) -> LocationChange {
    LocationChange::Ended(LocationEnd {
        key: key(n),
        version: 9,
        until_us: 77,
        kind,
    })
}

fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// What a node hears while it tells something; that must be all.
pub fn hear<S: LocationStore>(
    store: &mut S,
    number: u16,
    told: &[LocationChange],
) -> Vec<HeardChange> {
    exchange(store, number, told).0
}

fn exchange<S: LocationStore>(
    store: &mut S,
    number: u16,
    told: &[LocationChange],
) -> (Vec<HeardChange>, Rest) {
    match persist(|| store.exchange(&node(number), told)).unwrap() {
        Exchanged::Heard { changes, rest, .. } => (changes, rest),
        Exchanged::Buried => panic!("it is alive"),
    }
}

fn known<S: LocationStore>(store: &mut S, number: u16) -> Vec<LocationNode> {
    match persist(|| store.exchange(&node(number), &[])).unwrap() {
        Exchanged::Heard { nodes, .. } => {
            assert!(nodes.iter().all(|known| !known.is_buried));
            let mut nodes: Vec<_> = nodes.into_iter().map(|known| known.node).collect();
            nodes.sort_by(|a, b| a.id.cmp(&b.id));
            nodes
        }
        Exchanged::Buried => panic!("it is alive"),
    }
}

fn shelf<S: LocationStore>(store: &mut S, number: u16) -> Vec<LocationChange> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let (mut part, next) = persist(|| store.look(&node(number).id, from)).unwrap();
        all.append(&mut part);
        if next == 0 {
            break;
        }
        from = next;
    }
    all.sort_by_key(LocationChange::key);
    all
}
