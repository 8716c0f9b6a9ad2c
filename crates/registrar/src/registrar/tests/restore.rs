//! Bindings survive a restart.

use proptest::prelude::*;

use super::*;
use crate::{RecordError, Restored};

const CONTACT: &str = "User-Agent: Phone/1\nContact: <sip:a@10.0.0.1>;q=0.7";

fn restarted(policy: Policy) -> Registrar {
    Registrar::new(policy, 3, &[9; 32])
}

#[test]
fn a_udp_binding_comes_back_as_it_was() {
    let mut rig = Rig::new();
    for from in ["203.0.113.5:41234", "[2001:db8::7]:5060"] {
        rig.register_from(udp(from), CONTACT).unwrap();
        let record = rig.saved().remove(0);
        let id = rig.lookup()[0].binding;
        let mut registrar = restarted(Policy::default());
        let restored = registrar.restore(rig.now, &record).unwrap();
        assert_eq!(restored, Restored::Kept(id));
        assert_eq!(registrar.view(id), rig.registrar.view(id));
        assert_eq!(registrar.lookup(rig.now, ALICE), rig.lookup());
        let again = registrar.restore(rig.now, &record);
        assert_eq!(again, Err(RecordError::Duplicate));
    }
}

#[test]
fn a_restored_binding_expires_refreshes_and_keeps_its_order() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    let record = rig.saved().remove(0);
    rig.registrar = restarted(Policy::default());
    rig.registrar.restore(rig.now, &record).unwrap();
    let old = rig.send(udp("192.0.2.1:5060"), 1, CONTACT);
    assert_eq!(old, Err(RegisterError::OutOfOrder));
    rig.register(CONTACT).unwrap();
    assert_eq!(rig.registrar.len(), 1);
    rig.pass(HOUR + Duration::from_secs(1));
    assert!(rig.registrar.is_empty());
}

#[test]
fn a_binding_on_a_connection_is_dropped_and_forgotten() {
    let mut rig = Rig::new();
    rig.register_from(tcp(1), CONTACT).unwrap();
    let record = rig.saved().remove(0);
    let mut registrar = restarted(Policy::default());
    assert_eq!(
        registrar.restore(rig.now, &record),
        Ok(Restored::Dropped(Removal::ConnectionLost))
    );
    let Some(Output::Remove { aor, key }) = registrar.poll_output() else {
        panic!("it is not forgotten");
    };
    assert_eq!((aor, key), (record.aor, record.key));
}

#[test]
fn a_binding_behind_a_path_comes_back_whatever_its_transport() {
    let mut rig = Rig::new();
    rig.register_from(tcp(1), &format!("{CONTACT}\nPath: <sip:edge;lr>"))
        .unwrap();
    let record = rig.saved().remove(0);
    let mut registrar = restarted(Policy::default());
    registrar.restore(rig.now, &record).unwrap();
    let found = registrar.lookup(rig.now, ALICE);
    assert_eq!(text(&found[0].path), "<sip:edge;lr>");
    assert_eq!(found[0].reach.flow().conn, None);
}

#[test]
fn an_expired_binding_is_dropped() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    let record = rig.saved().remove(0);
    let restored = restarted(Policy::default()).restore(rig.now + HOUR, &record);
    assert_eq!(restored, Ok(Restored::Dropped(Removal::Expired)));
}

#[test]
fn a_pending_binding_is_verified_after_the_restart_and_not_before() {
    let mut rig = Rig::with(Policy::default());
    rig.register(CONTACT).unwrap();
    let record = rig.saved().remove(0);
    rig.registrar = restarted(Policy::default());
    rig.registrar.restore(rig.now, &record).unwrap();
    assert!(rig.lookup().is_empty());
    let start = rig.now;
    let ping = rig.next_ping();
    assert!(rig.now <= start + Duration::from_secs(30));
    assert_eq!(ping.reason, PingReason::Verify);
    rig.answer(&ping, 200);
    assert_eq!(rig.routes().len(), 1);
}

#[test]
fn after_a_restart_pings_start_spread_over_time() {
    for verify in [true, false] {
        let policy = Policy {
            verify,
            contacts_max: 3_000,
            ..Policy::default()
        };
        let mut rig = Rig::with(policy);
        for n in 0..3_000 {
            rig.register(&format!("Contact: <sip:{n}@h>")).unwrap();
        }
        let records = rig.saved();
        rig.registrar = restarted(policy);
        for record in &records {
            rig.registrar.restore(rig.now, record).unwrap();
        }
        for second in 0..30 {
            let outputs = rig.pass(Duration::from_secs(1));
            let first_pings = pings(&outputs).iter().filter(|p| p.id.serial == 1).count();
            assert!(
                (50..150).contains(&first_pings),
                "{first_pings} in second {second}"
            );
        }
    }
}

#[test]
fn new_ids_never_repeat_restored_ones_though_the_clock_went_back() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    let record = rig.saved().remove(0);
    let id = rig.lookup()[0].binding;
    rig.registrar = restarted(Policy::default());
    rig.now = Time::from_secs(1);
    rig.registrar.restore(rig.now, &record).unwrap();
    rig.register_from(tcp(1), "Contact: <sip:b@h>").unwrap();
    assert!(rig.lookup().iter().any(|contact| contact.binding > id));
}

#[test]
fn a_record_cut_anywhere_is_damaged() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    let record = rig.saved().remove(0);
    for len in 0..record.body.len() {
        let mut cut = record.clone();
        cut.body.truncate(len);
        let restored = restarted(Policy::default()).restore(rig.now, &cut);
        assert_eq!(restored, Err(RecordError::Damaged), "{len} bytes");
    }
    let mut longer = record.clone();
    longer.body.push(0);
    let restored = restarted(Policy::default()).restore(rig.now, &longer);
    assert_eq!(restored, Err(RecordError::Damaged));
    let mut later = record;
    later.body[0] = 3;
    let restored = restarted(Policy::default()).restore(rig.now, &later);
    assert_eq!(restored, Err(RecordError::Version(3)));
}

#[test]
fn a_record_of_the_time_before_versions_is_read() {
    let mut rig = Rig::new();
    rig.register(CONTACT).unwrap();
    let mut record = rig.saved().remove(0);
    record.body[0] = 1;
    let version_at = 38;
    record.body.drain(version_at..version_at + 8);
    let mut registrar = restarted(Policy::default());
    registrar.restore(rig.now, &record).unwrap();
    assert_eq!(registrar.lookup(rig.now, ALICE), rig.lookup());
}

proptest! {
    #[test]
    fn no_record_makes_it_panic(
        aor in ".{0,300}",
        body in prop::collection::vec(any::<u8>(), 0..200),
        changed in prop::collection::vec((0_usize..200, any::<u8>()), 0..4),
    ) {
        let mut rig = Rig::new();
        rig.register(CONTACT).unwrap();
        let good = rig.saved().remove(0);
        let mut bent = good.clone();
        for (at, byte) in changed {
            let len = bent.body.len();
            bent.body[at % len] = byte;
        }
        let random = Record { aor: aor.into(), body, ..good };
        for record in [bent, random] {
            let mut registrar = restarted(Policy::default());
            let _ = registrar.restore(rig.now, &record);
            registrar.handle_timeout(rig.now + HOUR * 24);
            let found = registrar.list(&crate::Filter::default(), None, 10);
            prop_assert!(found.len() <= 1);
        }
    }
}
