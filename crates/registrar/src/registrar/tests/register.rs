//! RFC 3261 §10.3 and the bounds around it.

use proptest::prelude::*;

use super::*;

#[test]
fn a_contact_is_registered_and_listed_with_its_expiry() {
    let mut rig = Rig::new();
    let registered = rig
        .register("Contact: <sip:alice@10.0.0.1:5070>;expires=600")
        .unwrap();
    assert_eq!(
        written(&registered),
        "Contact: <sip:alice@10.0.0.1:5070>;expires=600\r\n"
    );
    assert_eq!(rig.routes(), ["sip:alice@10.0.0.1:5070"]);
    assert_eq!(rig.events(), [EventKind::Registered]);
}

#[test]
fn without_contact_the_bindings_are_listed_and_nothing_changes() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>;expires=600").unwrap();
    rig.outputs();
    rig.now += Duration::from_millis(100_500);
    let registered = rig.register("Expires: 60").unwrap();
    assert_eq!(written(&registered), "Contact: <sip:a@h>;expires=500\r\n");
    assert_eq!(rig.outputs(), []);
}

#[test]
fn the_parameter_wins_over_the_header_and_the_header_over_the_default() {
    for (headers, expires_s) in [
        ("Contact: <sip:a@h>;expires=100\nExpires: 200", 100),
        ("Contact: <sip:a@h>\nExpires: 200", 200),
        ("Contact: <sip:a@h>", 3_600),
        ("Contact: <sip:a@h>;expires=soon\nExpires: later", 3_600),
        ("Contact: <sip:a@h>;expires=99999999999", 3_600),
    ] {
        let registered = Rig::new().register(headers).unwrap();
        assert_eq!(registered.bindings[0].expires_s, expires_s, "{headers}");
    }
}

#[test]
fn too_brief_is_423_with_the_minimum_and_changes_nothing() {
    let mut rig = Rig::new();
    let error = rig
        .register("Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=59")
        .unwrap_err();
    assert_eq!(error, RegisterError::TooBrief { min_expires_s: 60 });
    assert_eq!((error.status(), error.min_expires_s()), (423, Some(60)));
    assert!(rig.registrar.is_empty());
}

#[test]
fn an_hour_is_never_too_brief() {
    let mut rig = Rig::with(Policy {
        expiry_min_s: 7_200,
        expiry_max_s: 86_400,
        ..Policy::default()
    });
    assert!(rig.register("Contact: <sip:a@h>;expires=3600").is_ok());
    assert!(rig.register("Contact: <sip:a@h>;expires=3599").is_err());
}

#[test]
fn longer_than_the_maximum_is_shortened() {
    let registered = Rig::new()
        .register("Contact: <sip:a@h>;expires=86400")
        .unwrap();
    assert_eq!(registered.bindings[0].expires_s, 3_600);
}

#[test]
fn zero_removes_one_contact_and_an_unknown_one_is_no_error() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>, <sip:b@h>").unwrap();
    rig.outputs();
    rig.register("Contact: <sip:a@h>;expires=0, <sip:c@h>;expires=0")
        .unwrap();
    assert_eq!(rig.routes(), ["sip:b@h"]);
    assert_eq!(rig.events(), [EventKind::Unregistered(Removal::Asked)]);
}

#[test]
fn a_binding_ends_when_its_time_is_over() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>;expires=60").unwrap();
    rig.outputs();
    assert_eq!(rig.pass(Duration::from_millis(59_999)), []);
    assert_eq!(rig.routes(), ["sip:a@h"]);
    let outputs = rig.pass(Duration::from_millis(2));
    assert_eq!(
        events(&outputs),
        [EventKind::Unregistered(Removal::Expired)]
    );
    assert!(rig.registrar.is_empty());
    assert_eq!(rig.registrar.poll_timeout(), None);
}

#[test]
fn nobody_is_routed_to_an_expired_binding_before_its_timer_fires() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>;expires=60").unwrap();
    rig.now += Duration::from_secs(60);
    assert_eq!(rig.routes(), Vec::<String>::new());
    assert!(rig.register("").unwrap().bindings.is_empty());
}

#[test]
fn a_refresh_prolongs_and_its_timer_follows() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>;expires=60").unwrap();
    rig.pass(Duration::from_secs(50));
    rig.register("Contact: <sip:a@h>;expires=60").unwrap();
    assert_eq!(rig.events(), [EventKind::Refreshed]);
    assert_eq!(events(&rig.pass(Duration::from_secs(59))), []);
    assert_eq!(events(&rig.pass(Duration::from_secs(2))).len(), 1);
}

#[test]
fn a_shorter_refresh_ends_sooner() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>;expires=3600").unwrap();
    rig.register("Contact: <sip:a@h>;expires=60").unwrap();
    rig.pass(Duration::from_secs(61));
    assert!(rig.registrar.is_empty());
}

#[test]
fn the_wildcard_removes_all() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>, <sip:b@h>").unwrap();
    let registered = rig.register("Contact: *\nExpires: 0").unwrap();
    assert!(registered.bindings.is_empty());
    assert!(rig.registrar.is_empty());
}

#[test]
fn the_wildcard_stands_alone_and_with_expires_0() {
    for headers in [
        "Contact: *",
        "Contact: *\nExpires: 60",
        "Contact: *, <sip:a@h>\nExpires: 0",
        "Contact: *\nContact: *\nExpires: 0",
    ] {
        let error = Rig::new().register(headers).unwrap_err();
        assert_eq!(error, RegisterError::BadWildcard, "{headers}");
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn within_a_call_id_cseq_has_to_grow() {
    let mut rig = Rig::new();
    let from = udp("192.0.2.1:5060");
    rig.send(from, 7, "Contact: <sip:a@h>;expires=600").unwrap();
    for (cseq, headers) in [
        (7, "Contact: <sip:a@h>;expires=0"),
        (6, "Contact: <sip:b@h>, <sip:a@h>"),
        (6, "Contact: *\nExpires: 0"),
    ] {
        let error = rig.send(from, cseq, headers).unwrap_err();
        assert_eq!(error, RegisterError::OutOfOrder, "{headers}");
        assert_eq!(error.status(), 500);
        assert_eq!(rig.routes(), ["sip:a@h"]);
    }
    rig.send(from, 8, "Contact: <sip:a@h>;expires=0").unwrap();
    assert!(rig.registrar.is_empty());
}

#[test]
fn another_call_id_needs_no_higher_cseq() {
    let mut rig = Rig::new();
    let from = udp("192.0.2.1:5060");
    rig.send(from, 7, "Contact: <sip:a@h>").unwrap();
    rig.call_id = "after-reboot".into();
    rig.send(from, 1, "Contact: <sip:a@h>").unwrap();
    assert_eq!(rig.registrar.len(), 1);
}

#[test]
fn an_equivalent_uri_is_the_same_contact_and_kept_as_sent_last() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:%61lice@Host.example;x=1>")
        .unwrap();
    rig.register("Contact: <sip:alice@host.example>").unwrap();
    assert_eq!(rig.routes(), ["sip:alice@host.example"]);
    rig.register("Contact: <sip:alice@host.example:5060>")
        .unwrap();
    assert_eq!(rig.registrar.len(), 2);
}

#[test]
fn the_same_contact_twice_in_one_request_is_one_binding() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>;expires=100, <sip:a@H>;expires=200")
        .unwrap();
    assert_eq!(rig.registrar.len(), 1);
}

#[test]
fn contacts_are_ordered_by_q_then_the_newest_first() {
    let mut rig = Rig::new();
    for contact in [
        "<sip:old@h>",
        "<sip:new@h>;q=1.0",
        "<sip:last@h>;q=0.05",
        "<sip:low@h>;q=.5",
    ] {
        rig.register(&format!("Contact: {contact}")).unwrap();
        rig.now += Duration::from_secs(1);
    }
    assert_eq!(
        rig.routes(),
        ["sip:new@h", "sip:old@h", "sip:low@h", "sip:last@h"]
    );
    let listed = written(&rig.register("").unwrap());
    assert!(
        listed.contains("<sip:last@h>;expires=3598;q=0.050\r\n"),
        "{listed}"
    );
}

#[test]
fn a_malformed_q_counts_as_missing() {
    for q in ["2", "1.1", "0.1234", "x", ".", "-1", "0.x"] {
        let mut rig = Rig::new();
        let contact = format!("Contact: <sip:a@h>;q={q}");
        let registered = rig.register(&contact).unwrap();
        assert_eq!(registered.bindings[0].q_milli, 1_000, "{q}");
    }
}

#[test]
fn nobody_has_more_contacts_than_allowed() {
    let mut rig = Rig::with(Policy {
        contacts_max: 2,
        ..Policy::default()
    });
    rig.register("Contact: <sip:a@h>, <sip:b@h>").unwrap();
    let error = rig.register("Contact: <sip:c@h>").unwrap_err();
    assert_eq!(
        (error, error.status()),
        (RegisterError::TooManyContacts, 403)
    );
    rig.register("Contact: <sip:a@h>").unwrap();
    rig.register("Contact: <sip:c@h>, <sip:b@h>;expires=0")
        .unwrap();
    assert_eq!(rig.registrar.len(), 2);
}

#[test]
fn repeating_contacts_does_not_make_room() {
    let two = Policy {
        contacts_max: 2,
        ..Policy::default()
    };
    for contacts in [
        "<sip:a@h>;expires=0, <sip:a@h>;expires=0, <sip:c@h>, <sip:d@h>",
        "<sip:a@h>;expires=0, <sip:a@h>, <sip:c@h>",
        "<sip:a@h>, <sip:a@h>;expires=0, <sip:c@h>, <sip:d@h>",
        "<sip:new@h>;reg-id=1;+sip.instance=\"<i>\", <sip:b@h>",
    ] {
        let mut rig = Rig::with(two);
        let flow = "<sip:b@h>;reg-id=1;+sip.instance=\"<i>\"";
        rig.register(&format!("Supported: outbound\nContact: <sip:a@h>, {flow}"))
            .unwrap();
        let refused = rig.register(&format!("Supported: outbound\nContact: {contacts}"));
        assert_eq!(refused, Err(RegisterError::TooManyContacts), "{contacts}");
        assert_eq!(rig.registrar.len(), 2);
    }
}

#[test]
fn a_users_own_number_of_contacts_wins() {
    let mut rig = Rig::new();
    let message = register_text(&rig.via, "x", 1, "Contact: <sip:a@h>, <sip:b@h>");
    let request = from_message(&message, udp("192.0.2.1:5060"), ALICE, 1).unwrap();
    let error = rig.registrar.register(rig.now, &request).unwrap_err();
    assert_eq!(error, RegisterError::TooManyContacts);
}

#[test]
fn a_request_with_a_thousand_contacts_is_refused() {
    let contacts: Vec<String> = (0..1_000).map(|n| format!("<sip:{n}@h>")).collect();
    let mut rig = Rig::with(Policy {
        contacts_max: u16::MAX,
        ..Policy::default()
    });
    let error = rig
        .register(&format!("Contact: {}", contacts.join(",")))
        .unwrap_err();
    assert_eq!(error, RegisterError::TooManyContacts);
    let again = contacts[0].clone() + ";expires=0";
    let removals = vec![again; 1_000].join(",");
    let error = rig.register(&format!("Contact: {removals}")).unwrap_err();
    assert_eq!(error, RegisterError::TooManyContacts);
}

#[test]
fn what_is_too_long_or_malformed_is_refused() {
    let long = "x".repeat(3_000);
    for (headers, error) in [
        (format!("Contact: <sip:{long}@h>"), RegisterError::Contact),
        ("Contact: <sip:a@h".into(), RegisterError::Contact),
        ("Contact: <sip:a b@h>".into(), RegisterError::Contact),
        ("Contact: <tel:+123>".into(), RegisterError::Scheme),
        ("Contact: <mailto:a@h>".into(), RegisterError::Scheme),
        (
            "Contact: <sip:a@h>;+sip.instance=\"<a\\\"b>\"".into(),
            RegisterError::Contact,
        ),
        (
            format!("Contact: <sip:a@h>\nPath: <sip:{long}>"),
            RegisterError::Path,
        ),
        ("Contact: <sip:a@h>\nPath: edge".into(), RegisterError::Path),
    ] {
        assert_eq!(Rig::new().register(&headers), Err(error), "{headers}");
    }
    let mut rig = Rig::new();
    rig.call_id = long;
    let error = rig.register("Contact: <sip:a@h>").unwrap_err();
    assert_eq!((error, error.status()), (RegisterError::Sequence, 400));
}

#[test]
fn each_change_is_saved_and_each_end_forgotten() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>").unwrap();
    let [record] = <[Record; 1]>::try_from(rig.saved()).expect("one binding");
    assert_eq!(&*record.aor, ALICE);
    assert_eq!(record.expires_us, (rig.now + HOUR).as_micros());
    assert_eq!(rig.saved(), [], "nothing has changed since");
    let key = record.key;
    rig.pass(Duration::from_secs(60));
    for _ in 0..3 {
        rig.register("Contact: <sip:a@h>").unwrap();
    }
    let [record] = <[Record; 1]>::try_from(rig.saved()).expect("its newest state alone");
    assert_eq!(record.key, key);
    assert_eq!(record.expires_us, (rig.now + HOUR).as_micros());
    rig.register("Contact: <sip:a@h>;expires=0").unwrap();
    assert!(rig.outputs().contains(&Output::Remove {
        aor: ALICE.into(),
        key,
    }));
    assert_eq!(rig.saved(), []);
}

#[test]
fn a_binding_that_ends_before_it_is_saved_leaves_nothing_behind() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>").unwrap();
    rig.register("Contact: <sip:a@h>;expires=0").unwrap();
    let removed = |output: &Output| matches!(output, Output::Remove { .. });
    assert!(!rig.outputs().iter().any(removed));
    // Its place is taken by another.
    rig.register("Contact: <sip:b@h>").unwrap();
    let [record] = <[Record; 1]>::try_from(rig.saved()).expect("one binding");
    let mut registrar = Registrar::new(Policy::default(), 3, &[9; 32]);
    registrar.restore(rig.now, &record).unwrap();
    assert_eq!(
        text(registrar.view(rig.lookup()[0].binding).unwrap().uri),
        "sip:b@h"
    );
}

#[test]
fn changes_are_saved_a_few_at_a_time_if_asked_so() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>")
        .unwrap();
    let mut saved = Vec::new();
    rig.registrar.save_changed(2, |state| saved.push(state.key));
    assert_eq!((saved.len(), rig.registrar.changed()), (2, 1));
    rig.registrar.save_changed(2, |state| saved.push(state.key));
    saved.sort_unstable();
    saved.dedup();
    assert_eq!((saved.len(), rig.registrar.changed()), (3, 0));
}

#[test]
fn where_nobody_saves_the_list_of_changes_does_not_grow() {
    let mut rig = Rig::new();
    for _ in 0..1_000 {
        rig.register("Contact: <sip:a@h>").unwrap();
        rig.register("Contact: <sip:a@h>;expires=0").unwrap();
    }
    assert!(rig.registrar.changed() < 100, "{}", rig.registrar.changed());
    rig.register("Contact: <sip:a@h>").unwrap();
    assert_eq!(rig.saved().len(), 1);
}

#[test]
fn ids_grow_though_the_clock_stands_still_and_name_the_shard() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:a@h>, <sip:b@h>").unwrap();
    let found = rig.lookup();
    assert_ne!(found[0].binding, found[1].binding);
    for contact in found {
        assert_eq!(contact.binding.bits() & ((1 << SHARD_BITS) - 1), 3);
    }
}

proptest! {
    #[test]
    fn no_headers_make_it_panic(
        contact in "[a-z0-9<>\"*;=,.:@ +-]{0,80}",
        params in "(;(expires|q|reg-id|\\+sip.instance)=[0-9.a\"<>-]{0,12}){0,4}",
        expires in "[0-9-]{0,12}",
        path in "(<sip:[a-z]{1,5};lr(;ob)?>)?|[a-z<>:;,@\"]{0,40}",
    ) {
        for contact in [contact, format!("<sip:a@h>{params}")] {
            let headers = format!(
                "Supported: outbound, path, gruu\nContact: {contact}\nExpires: {expires}\nPath: {path}"
            );
            let mut rig = Rig::with(Policy::default());
            let _ = rig.register(&headers);
            let held = rig.registrar.len();
            rig.pass(HOUR * 2);
            prop_assert!(held <= 10 && rig.registrar.is_empty());
        }
    }
}
