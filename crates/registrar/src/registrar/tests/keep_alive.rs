//! Keep-alives: their rhythm, their spread, and what silence means.

use super::*;
use ::model::KeepAlive;

const CONTACT: &str = "Contact: <sip:a@10.0.0.1>";

fn rig(keep_alive: KeepAlive) -> Rig {
    Rig::with(Policy {
        verify: false,
        keep_alive,
        ..Policy::default()
    })
}

#[test]
fn options_goes_out_once_per_interval_and_measures() {
    let mut rig = rig(KeepAlive::Options);
    rig.register(CONTACT).unwrap();
    let id = rig.lookup()[0].binding;
    let start = rig.now;
    let first = rig.next_ping();
    assert!(rig.now <= start + Duration::from_secs(30));
    assert_eq!(first.reason, PingReason::KeepAlive);
    rig.registrar.handle_pong(rig.now, first.id, 200, 80_000);
    assert_eq!(rig.registrar.view(id).unwrap().rtt_us, Some(80_000));
    let sent = rig.now;
    let second = rig.next_ping();
    assert_eq!(rig.now.since(sent).as_secs_f64().round(), 30.0);
    rig.registrar.handle_pong(rig.now, second.id, 200, 160_000);
    assert_eq!(rig.registrar.view(id).unwrap().rtt_us, Some(90_000));
}

#[test]
fn a_contact_that_fell_silent_is_told_of_and_then_removed() {
    let mut rig = rig(KeepAlive::Options);
    rig.register(CONTACT).unwrap();
    let outputs = rig.pass(Duration::from_secs(150));
    assert_eq!(pings(&outputs).len(), 3);
    assert_eq!(
        events(&outputs),
        [
            EventKind::Registered,
            EventKind::Unreachable(crate::PingFailure::NoAnswer),
            EventKind::Unregistered(Removal::Unreachable)
        ]
    );
}

#[test]
fn one_answer_makes_up_for_missed_ones() {
    let mut rig = rig(KeepAlive::Options);
    rig.register(CONTACT).unwrap();
    for _ in 0..3 {
        rig.next_ping();
        rig.next_ping();
        assert_eq!(rig.routes().len(), 1);
        let third = rig.next_ping();
        rig.answer(&third, 200);
        assert_eq!(rig.events(), [EventKind::Reachable]);
    }
}

#[test]
fn an_empty_datagram_holds_the_mapping_and_finds_nobody_dead() {
    let mut rig = rig(KeepAlive::Empty);
    rig.register(CONTACT).unwrap();
    let outputs = rig.pass(Duration::from_secs(300));
    let sent = outputs
        .iter()
        .filter(|output| **output == Output::Datagram(udp("192.0.2.1:5060")));
    assert_eq!(sent.count(), 10);
    assert_eq!(rig.registrar.len(), 1);
}

#[test]
fn a_new_contact_is_verified_by_options_where_keep_alives_are_empty() {
    let mut rig = Rig::with(Policy {
        keep_alive: KeepAlive::Empty,
        ..Policy::default()
    });
    rig.register(CONTACT).unwrap();
    let ping = rig.verification();
    rig.answer(&ping, 200);
    let outputs = rig.pass(Duration::from_secs(60));
    assert_eq!(pings(&outputs), []);
    let is_datagram = |output: &&Output| matches!(output, Output::Datagram(_));
    assert_eq!(outputs.iter().filter(is_datagram).count(), 2);
}

#[test]
fn interval_zero_switches_them_off_and_another_interval_on_with_the_refresh() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    assert_eq!(pings(&rig.pass(HOUR / 2)), []);
    rig.registrar.set_policy(Policy {
        verify: false,
        ..Policy::default()
    });
    rig.register(CONTACT).unwrap();
    assert_eq!(pings(&rig.pass(Duration::from_secs(30))).len(), 1);
    rig.registrar.set_policy(Policy {
        verify: false,
        keep_alive_interval: Duration::ZERO,
        ..Policy::default()
    });
    let outputs = rig.pass(Duration::from_secs(600));
    assert_eq!(pings(&outputs), []);
}

#[test]
fn connections_are_not_pinged() {
    let mut rig = rig(KeepAlive::Options);
    rig.register_from(tcp(1), CONTACT).unwrap();
    assert_eq!(pings(&rig.pass(HOUR / 2)), []);
}

#[test]
fn pings_of_many_contacts_are_spread_over_the_interval() {
    let mut rig = Rig::with(Policy {
        verify: false,
        contacts_max: 3_000,
        ..Policy::default()
    });
    for n in 0..3_000 {
        rig.register(&format!("Contact: <sip:{n}@h>")).unwrap();
    }
    let per_second: Vec<usize> = (0..30)
        .map(|_| pings(&rig.pass(Duration::from_secs(1))).len())
        .collect();
    assert_eq!(per_second.iter().sum::<usize>(), 3_000);
    for count in &per_second {
        assert!((50..150).contains(count), "{per_second:?}");
    }
}

#[test]
fn after_a_halt_the_missed_keep_alives_are_not_made_up_for() {
    let mut rig = Rig::with(Policy {
        verify: false,
        contacts_max: 1_000,
        ..Policy::default()
    });
    for n in 0..1_000 {
        rig.register(&format!("Contact: <sip:{n}@h>")).unwrap();
    }
    rig.outputs();
    rig.now += Duration::from_secs(300);
    rig.registrar.handle_timeout(rig.now);
    assert!(pings(&rig.outputs()).len() < 100);
    let sent = pings(&rig.pass(Duration::from_secs(30))).len();
    assert_eq!(sent, 1_000);
}
