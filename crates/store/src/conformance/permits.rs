//! The suite for [`PermitStore`].

use std::net::SocketAddr;

use limits::{Claim, EntityId, EntityKind, Grant, LimitKind, NodeShare, Pool};

use super::persist;
use crate::{PermitStore, Renewed};

/// Runs the suite; each part gets a cluster of its own, by a name, and asks for nodes of it by
/// number.
pub fn run<S: PermitStore>(node: impl Fn(&str, u16) -> S) {
    what_others_hold_is_not_granted(&mut node("held", 1), &mut node("held", 2));
    what_is_given_back_is_granted(&mut node("back", 1), &mut node("back", 2));
    what_is_held_is_believed(&mut node("believed", 1), &mut node("believed", 2));
    who_lacks_is_told_of(&mut node("lacks", 1), &mut node("lacks", 2));
    the_dead_hold_nothing_and_stay_away(&mut node("dead", 1), &mut node("dead", 2));
    who_leaves_holds_nothing(&mut node("leaves", 1), &mut node("leaves", 2));
    who_listens_there_now_replaces_who_did(&mut node("place", 1), &mut node("place", 101));
    who_says_the_same_address_under_another_name_is_another(
        &mut node("namesakes", 1),
        &mut node("namesakes", 201),
    );
    many_claims_are_answered_in_their_order(&mut node("many", 1));
}

fn what_others_hold_is_not_granted(one: &mut dyn PermitStore, other: &mut dyn PermitStore) {
    assert_eq!(share(one, claim(1, 10, 0, 7)), 7);
    assert_eq!(share(other, claim(1, 10, 0, 7)), 3);
    assert_eq!(share(other, claim(1, 10, 3, 10)), 3);
    assert_eq!(share(one, claim(1, 10, 7, 10)), 7);
    // Another pool is another matter.
    assert_eq!(share(other, claim(2, 10, 0, 10)), 10);
}

fn what_is_given_back_is_granted(one: &mut dyn PermitStore, other: &mut dyn PermitStore) {
    assert_eq!(share(one, claim(1, 10, 0, 10)), 10);
    assert_eq!(share(other, claim(1, 10, 0, 4)), 0);
    assert_eq!(share(one, claim(1, 10, 6, 6)), 6);
    assert_eq!(share(other, claim(1, 10, 0, 4)), 4);
}

fn what_is_held_is_believed(one: &mut dyn PermitStore, other: &mut dyn PermitStore) {
    // The limit was lowered while both held more, or the store has forgotten all.
    assert_eq!(share(one, claim(1, 10, 8, 8)), 8);
    assert_eq!(share(other, claim(1, 10, 8, 10)), 8);
    assert_eq!(share(one, claim(1, 10, 1, 1)), 1);
    assert_eq!(share(one, claim(1, 10, 1, 5)), 2);
}

fn who_lacks_is_told_of(one: &mut dyn PermitStore, other: &mut dyn PermitStore) {
    renew(one, &[claim(1, 10, 0, 10)]);
    let (_, lacked, _) = renew(one, &[]);
    assert_eq!(lacked, []);
    renew(other, &[claim(1, 10, 0, 5)]);
    let (_, lacked, _) = renew(one, &[]);
    assert_eq!(lacked, [pool(1)]);
    let (grants, ..) = renew(
        one,
        &[Claim {
            want: 6,
            ..claim(1, 10, 10, 10)
        }],
    );
    let nodes = [(10, 6), (0, 5)].map(|(share, want)| NodeShare { share, want });
    assert_eq!((&grants[0].nodes[..], grants[0].own), (&nodes[..], 0));
}

fn the_dead_hold_nothing_and_stay_away(one: &mut dyn PermitStore, other: &mut dyn PermitStore) {
    let (_, _, members) = renew(one, &[claim(1, 10, 0, 10)]);
    let heard_before = members[0].clone();
    let (_, _, members) = renew(one, &[]);
    let dead = members[0].clone();
    assert_eq!(share(other, claim(1, 10, 0, 10)), 0);
    assert!(!persist(|| other.bury(&heard_before)).unwrap(), "it lives");
    assert!(persist(|| other.bury(&dead)).unwrap());
    assert!(!persist(|| other.bury(&dead)).unwrap());
    assert_eq!(share(other, claim(1, 10, 0, 10)), 10);
    let come_back = persist(|| one.renew(&[claim(1, 10, 10, 10)])).unwrap();
    assert_eq!(come_back, Renewed::Buried);
    let (_, _, members) = renew(other, &[]);
    assert!(members.iter().all(|member| member.id != dead.id));
    assert_eq!(share(other, claim(1, 10, 10, 10)), 10);
}

fn who_leaves_holds_nothing(one: &mut dyn PermitStore, other: &mut dyn PermitStore) {
    assert_eq!(share(one, claim(1, 10, 0, 10)), 10);
    persist(|| one.leave()).unwrap();
    assert_eq!(share(other, claim(1, 10, 0, 10)), 10);
}

fn who_listens_there_now_replaces_who_did(
    before: &mut dyn PermitStore,
    after: &mut dyn PermitStore,
) {
    assert_eq!(share(before, claim(1, 10, 0, 10)), 10);
    assert_eq!(share(after, claim(1, 10, 0, 10)), 10);
    assert_eq!(persist(|| before.renew(&[])).unwrap(), Renewed::Buried);
}

fn who_says_the_same_address_under_another_name_is_another(
    one: &mut dyn PermitStore,
    other: &mut dyn PermitStore,
) {
    assert_eq!(share(one, claim(1, 10, 0, 6)), 6);
    assert_eq!(share(other, claim(1, 10, 0, 6)), 4);
    assert_eq!(share(one, claim(1, 10, 6, 6)), 6);
    let (_, _, members) = renew(other, &[]);
    assert_eq!(members.len(), 2);
}

fn many_claims_are_answered_in_their_order(one: &mut dyn PermitStore) {
    let claims: Vec<_> = (1..=2_500).map(|n| claim(n, n as u32, 0, 9_999)).collect();
    let (grants, ..) = renew(one, &claims);
    assert_eq!(grants.len(), claims.len());
    for (grant, claim) in grants.iter().zip(&claims) {
        assert_eq!((grant.pool, grant.share), (claim.pool, claim.limit));
    }
}

/// What a node is called, by its number: those below 200 are starts of one and the same.
#[must_use]
pub fn id(number: u16) -> String {
    let name = if number < 200 { "node" } else { "other" };
    format!("{name}-{number:03}")
}

/// Where a node is, by its number: the nodes 1 and 101 are at one place.
#[must_use]
pub fn place(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000 + number % 100))
}

fn pool(id: u128) -> Pool {
    Pool {
        entity: EntityId::new(EntityKind::Carrier, id),
        kind: LimitKind::Channels,
    }
}

fn claim(id: u128, limit: u32, held: u32, ask: u32) -> Claim {
    Claim {
        pool: pool(id),
        limit,
        held,
        ask,
        want: ask,
    }
}

fn share(store: &mut dyn PermitStore, claim: Claim) -> u32 {
    renew(store, &[claim]).0[0].share
}

fn renew(
    store: &mut dyn PermitStore,
    claims: &[Claim],
) -> (Vec<Grant>, Vec<Pool>, Vec<crate::Member>) {
    match persist(|| store.renew(claims)).unwrap() {
        Renewed::Granted {
            grants,
            lacked,
            members,
        } => (grants, lacked, members),
        Renewed::Buried => panic!("it is alive"),
    }
}
