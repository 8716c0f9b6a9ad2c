//! GRUU, RFC 5627.

use sip::Uri;

use super::*;
use crate::is_gruu;

const HEADERS: &str = "Supported: gruu\nContact: <sip:a@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\"";

fn gruus(registered: &Registered) -> (String, String) {
    let gruus = registered.bindings[0].gruus.as_ref().expect("GRUUs");
    (gruus.public.clone(), gruus.temporary.clone())
}

fn reached(rig: &Rig, gruu: &str) -> usize {
    let uri = Uri::parse(gruu.as_bytes()).unwrap();
    assert!(is_gruu(&uri));
    rig.registrar.lookup_gruu(rig.now, ALICE, &uri).len()
}

#[test]
fn both_gruus_reach_the_instance() {
    let mut rig = Rig::new();
    rig.register("Contact: <sip:other@h>").unwrap();
    let registered = rig.register(HEADERS).unwrap();
    let found = registered.bindings.iter().find(|b| b.gruus.is_some());
    let gruus = found.unwrap().gruus.as_ref().unwrap();
    assert_eq!(gruus.public, "sip:alice@example.com;gr=urn:uuid:1");
    assert!(gruus.temporary.starts_with("sip:tgruu."));
    assert!(gruus.temporary.ends_with("@example.com;gr"));
    assert_eq!(reached(&rig, &gruus.public), 1);
    assert_eq!(reached(&rig, &gruus.temporary), 1);
    assert_eq!(reached(&rig, "sip:alice@example.com;gr=urn:uuid:2"), 0);
    assert_eq!(reached(&rig, "sip:alice@example.com;gr"), 0);
    assert_eq!(reached(&rig, "sip:alice@example.com;gr="), 0);
}

#[test]
fn they_are_given_to_those_who_understand_them() {
    let mut rig = Rig::new();
    let registered = rig
        .register(&HEADERS.replace("Supported: gruu\n", ""))
        .unwrap();
    assert_eq!(registered.bindings[0].gruus, None);
    let registered = rig.register("Supported: gruu\nContact: <sip:b@h>").unwrap();
    let plain = registered.bindings.iter().find(|b| &*b.uri == b"sip:b@h");
    assert_eq!(plain.unwrap().gruus, None);
}

#[test]
fn the_200_quotes_them() {
    let mut rig = Rig::new();
    let registered = rig.register(HEADERS).unwrap();
    let (public, temporary) = gruus(&registered);
    let line = format!(";pub-gruu=\"{public}\";temp-gruu=\"{temporary}\"\r\n");
    assert!(written(&registered).ends_with(&line));
}

#[test]
fn each_refresh_gives_another_temporary_one_and_the_old_ones_stay_valid() {
    let mut rig = Rig::new();
    let (public, first) = gruus(&rig.register(HEADERS).unwrap());
    let (same, second) = gruus(&rig.register(HEADERS).unwrap());
    assert_eq!(public, same);
    assert_ne!(first, second);
    assert_eq!((reached(&rig, &first), reached(&rig, &second)), (1, 1));
}

#[test]
fn temporary_ones_end_with_their_call_id_and_with_their_binding() {
    let mut rig = Rig::new();
    let (_, first) = gruus(&rig.register(HEADERS).unwrap());
    rig.call_id = "after-reboot".into();
    let (public, second) = gruus(&rig.register(HEADERS).unwrap());
    assert_eq!((reached(&rig, &first), reached(&rig, &second)), (0, 1));
    rig.register("Contact: *\nExpires: 0").unwrap();
    assert_eq!((reached(&rig, &public), reached(&rig, &second)), (0, 0));
}
