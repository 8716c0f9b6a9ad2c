//! A replica takes over from the live store, with what it had heard.

use super::*;
use crate::LiveModel;

/// Has a replica take over that has heard what `heard` says, and all go on until it knows all again.
fn fail_over(world: &mut World, heard: &LiveModel, nodes: &[&'static str]) {
    world.model = heard.clone();
    world.model.restart(2);
    world.see_members("a");
    for _ in 0..50 {
        world.wait(ROUND);
        for node in nodes {
            world.orders(node, Vec::new());
        }
    }
}

/// It would be had by two.
#[test]
fn a_call_whose_hand_over_a_replica_has_not_heard_of_stays_where_it_went() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    let heard = world.model.clone();
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.orders("a", Vec::new());
    world.orders("b", Vec::new());
    assert_eq!(owners(&world), ["b"]);
    fail_over(&mut world, &heard, &["a", "b", "c"]);
    assert_eq!(owners(&world), ["b"]);
    assert_eq!(world.model.calls_of("a").count(), 0);
    assert_eq!(world.model.calls_of("b").count(), 1);
    assert_eq!(world.model.len().2, 1);
}

/// Nobody had taken it yet.
#[test]
fn a_call_whose_hand_over_was_lost_on_its_way_goes_on_where_it_was() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    let heard = world.model.clone();
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.orders("a", Vec::new());
    assert_eq!(owners(&world), [""; 0]);
    fail_over(&mut world, &heard, &["a", "c"]);
    assert_eq!(owners(&world), ["a"]);
    assert_eq!(world.model.len().2, 1);
}

/// What was given away stands there again, and after a while anybody may take it.
#[test]
fn a_call_that_a_replica_takes_for_nobodys_stays_with_who_has_it() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    world.wait(ROUND);
    world.orders("a", Vec::new());
    let heard = world.model.clone();
    world.orders("b", Vec::new());
    assert_eq!(owners(&world), ["b"]);
    fail_over(&mut world, &heard, &["a", "b", "c"]);
    assert_eq!(owners(&world), ["b"]);
    assert_eq!(world.model.len().2, 1);
}

/// A call of `a`, which is dead, goes on with `b`; what a replica has heard that knows of no takeover, and
/// of the death or not.
fn taken_over(world: &mut World, does_replica_know: bool) -> LiveModel {
    world.orders("a", vec![keep(1)]);
    let before = world.model.clone();
    world.model.bury("a", None);
    let buried = world.model.clone();
    world.rounds("b", 1);
    assert_eq!(owners(world), ["a", "b"]);
    world.nodes.get_mut("a").unwrap().calls.clear();
    match does_replica_know {
        true => buried,
        false => before,
    }
}

/// The first that spoke to it took it for an orphan's.
#[test]
fn a_call_whose_takeover_a_replica_has_not_heard_of_stays_with_who_has_it() {
    for does_replica_know in [false, true] {
        let mut world = World::new();
        let heard = taken_over(&mut world, does_replica_know);
        fail_over(&mut world, &heard, &["c", "b"]);
        world.model.remember(&["a".to_owned()]);
        for _ in 0..5 {
            world.rounds("c", 1);
            world.rounds("b", 1);
        }
        assert_eq!(owners(&world), ["b"], "{does_replica_know}");
        assert_eq!(world.model.len().2, 1, "{does_replica_know}");
    }
}

#[test]
fn who_asks_for_a_call_gets_none_that_a_replica_takes_for_an_orphans() {
    let mut world = World::new();
    let heard = taken_over(&mut world, true);
    world.model = heard;
    world.model.restart(2);
    world.orders("c", vec![Order::Seek(1)]);
    assert_eq!(owners(&world), ["b"]);
    assert_eq!(world.nodes["c"].sought, []);
}

/// A dead node's calls go on when the store knows all again.
#[test]
fn calls_of_a_dead_node_wait_for_a_store_that_may_have_lost_whose_they_are() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.model.bury("a", None);
    world.nodes.get_mut("a").unwrap().calls.clear();
    world.model.restart(2);
    world.see_members("b");
    world.nodes.get_mut("b").unwrap().open = vec![7];
    world.rounds("b", 10);
    assert_eq!(owners(&world), [""; 0]);
    world.rounds("b", 10);
    assert_eq!(owners(&world), ["b"]);
}

/// It stands under the name of whom it was taken from again, and the end was told under another.
#[test]
fn a_call_that_ended_after_it_was_taken_over_is_not_brought_back_by_a_replica() {
    let mut world = World::new();
    let heard = taken_over(&mut world, true);
    world.nodes.get_mut("b").unwrap().calls.clear();
    world.orders("b", vec![Order::Unkeep(1)]);
    assert_eq!(world.model.len().2, 0);
    fail_over(&mut world, &heard, &["b"]);
    assert_eq!(owners(&world), [""; 0]);
    assert_eq!(world.model.len().2, 0);
}
