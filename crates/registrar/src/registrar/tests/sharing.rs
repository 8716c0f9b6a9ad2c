//! Bindings that several nodes know and one of them holds.

use super::*;
use crate::{BindingId, Change, End, Gone, Heir, PeerId, Reach, Standing};

/// What a node tells, kept.
#[derive(Clone, Debug)]
enum Told {
    Saved(Record),
    Ended(Gone),
}

/// A node of a cluster; its number is also that under which the others know it.
fn node(number: u8, policy: Policy) -> Rig {
    let mut rig = Rig::with(policy);
    rig.registrar = Registrar::new(policy, number, &[9; 32]);
    rig.registrar.share(number.into());
    // Nobody is registered yet, and that is told.
    assert_eq!(told(&mut rig).len(), 0);
    rig
}

/// Two nodes at which everything is routable at once.
fn two() -> [Rig; 2] {
    let policy = Policy {
        verify: false,
        ..Policy::default()
    };
    [1, 2].map(|number| node(number, policy))
}

fn peer(number: u8) -> PeerId {
    PeerId::from_index(number.into()).expect("few nodes")
}

fn told(rig: &mut Rig) -> Vec<Told> {
    let mut all = Vec::new();
    while rig.registrar.untold() > 0 {
        rig.registrar.tell_changes(10, |change| {
            all.push(match change {
                Change::Saved { state, .. } => Told::Saved(state.to_record()),
                Change::Ended(gone) => Told::Ended(gone),
            });
        });
    }
    all
}

fn hear(rig: &mut Rig, from: u8, all: &[Told]) {
    for change in all {
        match change {
            Told::Saved(record) => rig.registrar.hear(rig.now, peer(from), record).unwrap(),
            Told::Ended(gone) if gone.end == End::Yielded => {}
            Told::Ended(gone) if gone.end == End::GivenUp => {
                rig.registrar.hear_given_up(gone.binding, gone.version);
            }
            Told::Ended(gone) => rig.registrar.hear_end(gone.binding, gone.version),
        }
    }
}

/// Tells what there is to tell, until nobody has anything to say.
fn exchange([one, other]: &mut [Rig; 2]) {
    loop {
        let (by_one, by_other) = (told(one), told(other));
        if by_one.is_empty() && by_other.is_empty() {
            return;
        }
        hear(other, 1, &by_one);
        hear(one, 2, &by_other);
    }
}

fn holders(rig: &Rig) -> Vec<Option<PeerId>> {
    let all = rig.registrar.list(&crate::Filter::default(), None, 10);
    all.iter().map(|view| view.holder).collect()
}

#[test]
fn what_one_node_holds_the_other_finds_in_the_same_order() {
    let mut nodes = two();
    nodes[0]
        .register_from(tcp(1), "Contact: <sip:a@h>;q=0.5")
        .unwrap();
    nodes[1].cseq = 10;
    nodes[1].register("Contact: <sip:b@h>;q=0.8").unwrap();
    exchange(&mut nodes);
    for rig in &nodes {
        assert_eq!(rig.routes(), ["sip:b@h", "sip:a@h"]);
        assert_eq!((rig.registrar.len(), rig.registrar.held()), (2, 1));
    }
    let reached: Vec<Reach> = nodes[1].lookup().iter().map(|c| c.reach).collect();
    assert!(matches!(reached[0], Reach::Flow(_)), "{reached:?}");
    assert!(
        matches!(reached[1], Reach::Peer(p, _) if p == peer(1)),
        "{reached:?}"
    );
    // Of the other's bindings nothing is stored or pinged here.
    assert_eq!(nodes[1].saved().len(), 1);
}

#[test]
fn the_rules_of_registration_hold_over_both() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    let old = nodes[1].send(udp("192.0.2.1:5060"), 1, "Contact: <sip:a@h>");
    assert_eq!(old, Err(RegisterError::OutOfOrder));
    let policy = Policy {
        contacts_max: 1,
        verify: false,
        ..Policy::default()
    };
    nodes[1].registrar.set_policy(policy);
    let refused = nodes[1].send(udp("192.0.2.1:5060"), 2, "Contact: <sip:b@h>");
    assert_eq!(refused, Err(RegisterError::TooManyContacts));
}

#[test]
fn a_contact_that_registers_at_another_node_moves_there() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    let id = nodes[0].lookup()[0].binding;
    nodes[1].now += Duration::from_secs(1);
    nodes[1].send(tcp(7), 5, "Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    for rig in &nodes {
        assert_eq!(rig.lookup()[0].binding, id, "it is the same binding");
    }
    assert_eq!(holders(&nodes[0]), [Some(peer(2))]);
    assert_eq!(holders(&nodes[1]), [None]);
    let outputs = nodes[0].outputs();
    assert!(events(&outputs).contains(&EventKind::Unregistered(Removal::Moved)));
    nodes[0].saved();
    assert_eq!(pings(&nodes[0].pass(Duration::from_secs(300))), []);
    // And back, before the first has heard of anything.
    nodes[0]
        .send(udp("192.0.2.1:5060"), 6, "Contact: <sip:a@h>")
        .unwrap();
    exchange(&mut nodes);
    assert_eq!(holders(&nodes[0]), [None]);
    assert_eq!(holders(&nodes[1]), [Some(peer(1))]);
}

#[test]
fn from_the_same_address_it_stays_routable_while_it_moves() {
    let mut nodes = [1, 2].map(|number| node(number, Policy::default()));
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    let ping = nodes[0].verification();
    nodes[0].answer(&ping, 200);
    exchange(&mut nodes);
    nodes[1]
        .send(udp("192.0.2.1:5060"), 5, "Contact: <sip:a@h>")
        .unwrap();
    assert_eq!(nodes[1].routes(), ["sip:a@h"]);
    nodes[1]
        .send(udp("192.0.2.9:5060"), 6, "Contact: <sip:a@h>")
        .unwrap();
    assert!(nodes[1].routes().is_empty(), "another address is verified");
}

#[test]
fn what_is_removed_at_one_node_ends_at_the_other_that_holds_it() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    nodes[1]
        .send(udp("192.0.2.1:5060"), 9, "Contact: *\nExpires: 0")
        .unwrap();
    let ends = told(&mut nodes[1]);
    assert!(
        matches!(&ends[..], [Told::Ended(gone)] if gone.end == End::Removed),
        "{ends:?}"
    );
    hear(&mut nodes[0], 2, &ends);
    assert!(nodes[0].registrar.is_empty());
    let ends = told(&mut nodes[0]);
    assert!(
        matches!(&ends[..], [Told::Ended(gone)] if gone.end == End::Ended),
        "{ends:?}"
    );
    // A refresh that comes later than that is a new registration.
    nodes[0].now += Duration::from_secs(1);
    nodes[0]
        .send(udp("192.0.2.1:5060"), 10, "Contact: <sip:a@h>")
        .unwrap();
    hear(&mut nodes[0], 2, &ends);
    assert_eq!(nodes[0].registrar.len(), 1);
}

#[test]
fn nodes_that_were_apart_agree_on_the_newer_registration_of_a_contact() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    nodes[1].now += Duration::from_secs(1);
    nodes[1].send(tcp(3), 5, "Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    assert_eq!(holders(&nodes[0]), [Some(peer(2))]);
    assert_eq!(holders(&nodes[1]), [None]);
}

#[test]
fn it_does_not_matter_in_which_order_or_how_often_things_are_heard() {
    let mut nodes = two();
    let mut all = Vec::new();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    all.extend(told(&mut nodes[0]).into_iter().map(|told| (1, told)));
    nodes[0].now += Duration::from_secs(1);
    nodes[0].register("Contact: <sip:a@h>;q=0.1").unwrap();
    let second = told(&mut nodes[0]);
    hear(&mut nodes[1], 1, &second);
    all.extend(second.into_iter().map(|told| (1, told)));
    nodes[1].now += Duration::from_secs(2);
    nodes[1]
        .send(tcp(3), 5, "Contact: <sip:a@h>;q=0.2")
        .unwrap();
    all.extend(told(&mut nodes[1]).into_iter().map(|told| (2, told)));
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut third = node(3, Policy::default());
        for at in order.into_iter().chain(order) {
            let (from, told) = &all[at];
            hear(&mut third, *from, std::slice::from_ref(told));
        }
        assert_eq!(holders(&third), [Some(peer(2))], "{order:?}");
        assert_eq!(third.lookup()[0].q_milli, 200, "{order:?}");
    }
}

#[test]
fn the_heir_of_a_dead_node_pings_its_phones_and_connections_are_gone() {
    let mut nodes = two();
    let near = udp("192.168.0.7:5060");
    nodes[0]
        .register_from(near, "Contact: <sip:a@192.168.0.7>")
        .unwrap();
    nodes[0]
        .register_from(tcp(1), "Contact: <sip:b@h>")
        .unwrap();
    exchange(&mut nodes);
    let rig = &mut nodes[1];
    let us = |_: PeerId, _: BindingId| Heir::Us;
    assert_eq!(
        rig.registrar.inherit(rig.now, 0, us, |_| ListenerId(4)),
        None
    );
    assert_eq!(rig.routes(), ["sip:a@192.168.0.7"]);
    assert_eq!(holders(rig), [None]);
    assert_eq!(rig.lookup()[0].reach.flow().listener, ListenerId(4));
    assert_eq!(told(rig).len(), 1, "the others are told");
    assert_eq!(rig.saved().len(), 1, "it is stored");
    let ping = rig.next_ping();
    assert_eq!(ping.reason, PingReason::KeepAlive);
    // Who was dead for the others hears of it.
    let told = {
        rig.registrar.share_all();
        told(rig)
    };
    hear(&mut nodes[0], 2, &told);
    assert_eq!(holders(&nodes[0])[0], Some(peer(2)));
}

#[test]
fn what_an_heir_never_reached_is_its_own_nodes_that_was_only_cut_off() {
    let mut nodes = two();
    let policy = Policy {
        verify: false,
        ..Policy::default()
    };
    let mut third = node(3, policy);
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    let first = told(&mut nodes[0]);
    hear(&mut nodes[1], 1, &first);
    hear(&mut third, 1, &first);
    let us = |_: PeerId, _: BindingId| Heir::Us;
    let rig = &mut nodes[1];
    rig.registrar.inherit(rig.now, 0, us, |_| ListenerId(4));
    let claimed = told(rig);
    // Nobody answers it.
    rig.pass(Duration::from_secs(300));
    assert!(rig.registrar.is_empty());
    let given_up = told(rig);
    hear(&mut third, 2, &claimed);
    hear(&mut third, 2, &given_up);
    assert!(third.registrar.is_empty(), "nobody calls the heir for it");
    // Whatever of it the first node hears when it is back, and in whatever order.
    for heard in [
        [&given_up, &claimed],
        [&claimed, &given_up],
        [&given_up, &given_up],
    ] {
        for part in heard {
            hear(&mut nodes[0], 2, part);
        }
        assert_eq!(holders(&nodes[0]), [None], "{heard:?}");
    }
    nodes[0].registrar.share_all();
    let back = told(&mut nodes[0]);
    for rig in [&mut nodes[1], &mut third] {
        hear(rig, 1, &back);
        assert_eq!(holders(rig), [Some(peer(1))]);
    }
}

#[test]
fn a_phone_that_has_spoken_to_the_heir_stays_there() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    let us = |_: PeerId, _: BindingId| Heir::Us;
    let rig = &mut nodes[1];
    rig.registrar.inherit(rig.now, 0, us, |_| ListenerId(4));
    rig.send(udp("192.0.2.1:5060"), 7, "Contact: <sip:a@h>")
        .unwrap();
    exchange(&mut nodes);
    assert_eq!(holders(&nodes[0]), [Some(peer(2))]);
    assert_eq!(holders(&nodes[1]), [None]);
}

#[test]
fn of_two_that_take_over_the_same_one_has_it() {
    let mut nodes = two();
    let mut dead = node(3, Policy::default());
    dead.register("Contact: <sip:a@h>").unwrap();
    let all = told(&mut dead);
    for rig in &mut nodes {
        hear(rig, 3, &all);
        let us = |_: PeerId, _: BindingId| Heir::Us;
        rig.registrar.inherit(rig.now, 0, us, |_| ListenerId(4));
    }
    exchange(&mut nodes);
    let held = nodes.each_ref().map(|rig| rig.registrar.held());
    assert_eq!(held.iter().sum::<usize>(), 1, "{held:?}");
}

#[test]
fn a_phone_behind_a_nat_waits_for_a_node_that_may_come_back() {
    let mut nodes = two();
    let mut dead = node(3, Policy::default());
    let flow = udp("192.168.0.7:5060");
    dead.register_from(flow, "Contact: <sip:a@192.168.0.7>")
        .unwrap();
    dead.register_from(flow, "Contact: <sip:a@10.9.8.7>")
        .unwrap();
    let public = udp("203.0.113.7:5060");
    dead.register_from(public, "Contact: <sip:a@203.0.113.7>")
        .unwrap();
    let all = told(&mut dead);
    let rig = &mut nodes[0];
    hear(rig, 3, &all);
    let near = |_: PeerId, _: BindingId| Heir::UsIfNear;
    rig.registrar.inherit(rig.now, 0, near, |_| ListenerId(4));
    assert_eq!(rig.registrar.held(), 1);
    assert_eq!(rig.registrar.len(), 3, "none is forgotten");
    let us = |_: PeerId, _: BindingId| Heir::Us;
    rig.registrar.inherit(rig.now, 0, us, |_| ListenerId(4));
    assert_eq!(rig.registrar.held(), 3);
}

#[test]
fn what_a_client_says_later_is_newer_than_a_take_over() {
    let mut nodes = two();
    let mut dead = node(3, Policy::default());
    dead.register("Contact: <sip:a@h>").unwrap();
    let all = told(&mut dead);
    nodes.iter_mut().for_each(|rig| hear(rig, 3, &all));
    nodes[0].now += Duration::from_secs(5);
    nodes[0].send(tcp(1), 9, "Contact: <sip:a@h>").unwrap();
    nodes[1].now += Duration::from_secs(6);
    let rig = &mut nodes[1];
    let us = |_: PeerId, _: BindingId| Heir::Us;
    rig.registrar.inherit(rig.now, 0, us, |_| ListenerId(4));
    exchange(&mut nodes);
    assert_eq!(holders(&nodes[0]), [None]);
    assert_eq!(holders(&nodes[1]), [Some(peer(1))]);
}

#[test]
fn a_removal_is_newer_than_a_refresh_of_which_the_remover_did_not_hear() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    nodes[0].now += Duration::from_secs(10);
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    nodes[1].now += Duration::from_secs(20);
    nodes[1]
        .send(udp("192.0.2.1:5060"), 9, "Contact: *\nExpires: 0")
        .unwrap();
    exchange(&mut nodes);
    assert!(nodes.iter().all(|rig| rig.registrar.is_empty()));
}

#[test]
fn the_end_of_what_another_node_held_once_is_kept_for_that_one() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    // The first is cut off from now on.
    let rig = &mut nodes[1];
    rig.now += Duration::from_secs(1);
    rig.send(udp("192.0.2.1:5060"), 5, "Contact: <sip:a@h>;expires=60")
        .unwrap();
    assert_eq!(told(rig).len(), 1);
    rig.pass(Duration::from_secs(61));
    let ends = told(rig);
    let [Told::Ended(gone)] = ends[..] else {
        panic!("{ends:?}");
    };
    assert_eq!(gone.end, End::Removed);
    let first_us = nodes[0].registrar.list(&crate::Filter::default(), None, 1)[0].expires;
    assert_eq!(
        gone.until_us,
        first_us.as_micros(),
        "as long as the first has it"
    );
    hear(&mut nodes[0], 2, &ends);
    assert!(nodes[0].registrar.is_empty());
}

#[test]
fn a_node_that_was_started_twice_is_known_as_the_holder() {
    let [mut first, mut other] = two();
    first.register("Contact: <sip:a@h>").unwrap();
    let saved = first.saved();
    hear(&mut other, 1, &told(&mut first));
    for number in [3, 4] {
        let mut again = node(number, Policy::default());
        again.registrar.restore(again.now, &saved[0]).unwrap();
        again.registrar.share_all();
        hear(&mut other, number, &told(&mut again));
        assert_eq!(holders(&other), [Some(peer(number))]);
    }
}

#[test]
fn what_a_living_node_holds_is_left_alone() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    nodes[0]
        .register_from(tcp(1), "Contact: <sip:b@h>")
        .unwrap();
    exchange(&mut nodes);
    let rig = &mut nodes[1];
    let nobody = |_: PeerId, _: BindingId| Heir::Nobody;
    rig.registrar.inherit(rig.now, 0, nobody, |_| ListenerId(4));
    assert_eq!(holders(rig), [Some(peer(1)); 2]);
    let other = |_: PeerId, _: BindingId| Heir::Other;
    rig.registrar.inherit(rig.now, 0, other, |_| ListenerId(4));
    assert_eq!(rig.routes(), ["sip:a@h"], "another survivor takes it");
    assert_eq!(holders(rig), [Some(peer(1))]);
}

#[test]
fn what_was_not_seen_on_a_look_is_forgotten() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    nodes[0].register("Contact: <sip:b@h>").unwrap();
    exchange(&mut nodes);
    nodes[0].registrar.share_all();
    let all = told(&mut nodes[0]);
    let rig = &mut nodes[1];
    rig.registrar.begin_look();
    hear(rig, 1, &all[..1]);
    assert_eq!(rig.registrar.end_look(peer(2), 0), None);
    assert_eq!(
        rig.registrar.len(),
        2,
        "only of the node that was looked at"
    );
    assert_eq!(rig.registrar.end_look(peer(1), 0), None);
    assert_eq!(rig.registrar.len(), 1);
    assert_eq!(told(rig).len(), 0, "nobody else need know");
}

#[test]
fn all_is_told_again_when_that_is_wanted_and_changes_once() {
    let mut nodes = two();
    for n in 0..30 {
        nodes[0].register(&format!("Contact: <sip:{n}@h>")).ok();
    }
    let count = nodes[0].registrar.len();
    assert_eq!(told(&mut nodes[0]).len(), count);
    assert!(told(&mut nodes[0]).is_empty());
    nodes[0].registrar.share_all();
    assert_eq!(told(&mut nodes[0]).len(), count);
    nodes[0].register("Contact: <sip:0@h>").unwrap();
    nodes[0].register("Contact: <sip:0@h>").unwrap();
    assert_eq!(told(&mut nodes[0]).len(), 1, "the newest state");
}

#[test]
fn a_binding_of_another_node_expires_without_a_word() {
    let mut nodes = two();
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    let rig = &mut nodes[1];
    assert_eq!(events(&rig.pass(HOUR + Duration::from_secs(1))), []);
    assert!(rig.registrar.is_empty());
    assert!(told(rig).is_empty());
}

#[test]
fn pending_bindings_are_known_and_not_called() {
    let mut nodes = [1, 2].map(|number| node(number, Policy::default()));
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    exchange(&mut nodes);
    assert!(nodes[1].lookup().is_empty());
    let ping = nodes[0].verification();
    nodes[0].answer(&ping, 200);
    exchange(&mut nodes);
    assert_eq!(nodes[1].routes(), ["sip:a@h"]);
    let views = nodes[1].registrar.list(&crate::Filter::default(), None, 10);
    assert_eq!(views[0].standing, Standing::Routable);
}

#[test]
fn two_bindings_with_the_same_number_are_told_apart() {
    let mut nodes = two();
    // The same microsecond and, by bad luck, the same byte of chance.
    nodes[1] = node(1, nodes_policy());
    nodes[0].register("Contact: <sip:a@h>").unwrap();
    nodes[1].register("Contact: <sip:b@h>").unwrap();
    let record = match told(&mut nodes[1]).remove(0) {
        Told::Saved(record) => record,
        Told::Ended(gone) => panic!("{gone:?}"),
    };
    let before = told(&mut nodes[0]);
    let Told::Saved(first) = &before[0] else {
        panic!("{before:?}");
    };
    assert_eq!(first.key, record.key);
    let mut third = node(3, nodes_policy());
    hear(&mut third, 1, &before);
    // It is another user's.
    let theirs = [Told::Saved(Record {
        aor: "bob@example.com".into(),
        ..record
    })];
    hear(&mut nodes[0], 2, &theirs);
    assert_eq!(nodes[0].registrar.len(), 2);
    assert_eq!(nodes[0].routes(), ["sip:a@h"]);
    let after = told(&mut nodes[0]);
    hear(&mut third, 1, &after);
    hear(&mut third, 2, &theirs);
    assert_eq!(third.registrar.len(), 2, "a third finds both");
    assert_eq!(third.routes(), ["sip:a@h"]);
    assert_eq!(
        nodes[0].saved().len(),
        1,
        "it is stored under its new number"
    );
}

fn nodes_policy() -> Policy {
    Policy {
        verify: false,
        ..Policy::default()
    }
}
