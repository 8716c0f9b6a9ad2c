//! A new UDP binding is routable when it has answered.

use super::*;
use crate::answers_ping;
use crate::output::PingFailure;

const CONTACT: &str = "Contact: <sip:a@10.0.0.1>";

fn rig() -> Rig {
    Rig::with(Policy {
        keep_alive_interval: Duration::ZERO,
        ..Policy::default()
    })
}

#[test]
fn a_new_contact_is_routable_after_it_has_answered() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    assert!(rig.lookup().is_empty());
    let ping = rig.verification();
    assert_eq!(&*ping.contact.uri, b"sip:a@10.0.0.1");
    assert_eq!(ping.contact.reach.flow(), &udp("192.0.2.1:5060"));
    rig.answer(&ping, 200);
    assert_eq!(rig.events(), [EventKind::Verified]);
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn who_never_answers_is_never_routable_and_removed() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    let mut seen = Vec::new();
    for _ in 0..30 {
        seen.append(&mut rig.pass(Duration::from_secs(1)));
        assert!(rig.lookup().is_empty());
    }
    assert_eq!(pings(&seen).len(), 3);
    let removed = EventKind::Unregistered(Removal::Unverified);
    assert_eq!(events(&seen), [EventKind::Registered, removed]);
    assert!(rig.registrar.is_empty());
}

#[test]
fn reports_of_failure_count_as_silence_does() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    for _ in 0..3 {
        assert_eq!(rig.registrar.len(), 1);
        let outputs = rig.pass(Duration::from_secs(3));
        let ping = pings(&outputs).remove(0);
        rig.registrar
            .handle_ping_failed(rig.now, ping.id, PingFailure::Unsendable);
    }
    assert!(rig.registrar.is_empty());
}

#[test]
fn a_refresh_from_the_same_place_stays_verified_and_one_from_another_does_not() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    let ping = rig.verification();
    rig.answer(&ping, 200);
    rig.register(CONTACT).unwrap();
    assert_eq!(pings(&rig.pass(HOUR / 2)), []);
    assert_eq!(rig.routes().len(), 1);
    rig.register_from(udp("192.0.2.1:5061"), CONTACT).unwrap();
    assert!(rig.lookup().is_empty());
    let ping = rig.verification();
    assert_eq!(ping.contact.reach.flow(), &udp("192.0.2.1:5061"));
    rig.answer(&ping, 486);
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn a_refresh_while_pending_neither_helps_nor_repeats_the_ping() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    let ping = rig.verification();
    rig.register(CONTACT).unwrap();
    assert_eq!(pings(&rig.pass(Duration::from_secs(1))), []);
    assert!(rig.lookup().is_empty());
    rig.answer(&ping, 200);
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn an_answer_meant_for_the_old_place_does_not_verify_the_new_one() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    let old = rig.verification();
    rig.register_from(udp("198.51.100.66:5060"), CONTACT)
        .unwrap();
    rig.answer(&old, 200);
    assert!(rig.lookup().is_empty());
    let new = rig.verification();
    rig.answer(&old, 200);
    assert!(rig.lookup().is_empty());
    rig.answer(&new, 200);
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn a_connection_proves_itself() {
    let mut rig = rig();
    rig.register_from(tcp(1), CONTACT).unwrap();
    assert_eq!(rig.routes().len(), 1);
    assert_eq!(pings(&rig.pass(Duration::from_secs(60))), []);
}

#[test]
fn without_verification_a_binding_is_routable_at_once() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn switching_verification_off_frees_a_pending_binding_at_its_refresh() {
    let mut rig = rig();
    rig.register(CONTACT).unwrap();
    rig.registrar.set_policy(Policy {
        verify: false,
        ..Policy::default()
    });
    rig.register(CONTACT).unwrap();
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn a_refusal_is_an_answer_unless_somebody_else_gives_it() {
    for status in [200, 401, 403, 405, 480, 481, 486, 488, 500, 501, 603] {
        assert!(answers_ping(status), "{status}");
    }
    for status in [100, 180, 404, 408, 410, 430, 502, 503, 504, 604] {
        assert!(!answers_ping(status), "{status}");
    }
}
