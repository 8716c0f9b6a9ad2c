//! Path, RFC 3327.

use super::*;
use crate::Reach;

const HEADERS: &str = "Supported: path\nContact: <sip:a@10.0.0.1>\n\
                       Path: <sip:p1.example;lr>\nPath: <sip:edge.example;lr>";

#[test]
fn the_path_is_kept_in_order_and_copied_into_the_200() {
    let mut rig = Rig::new();
    let registered = rig.register(HEADERS).unwrap();
    let path = "<sip:p1.example;lr>, <sip:edge.example;lr>";
    assert!(written(&registered).ends_with(&format!("Path: {path}\r\n")));
    let found = rig.lookup();
    assert_eq!(text(&found[0].path), path);
    assert!(matches!(found[0].reach, Reach::Path(_)));
}

#[test]
fn a_client_that_does_not_know_path_gets_none_back() {
    let mut rig = Rig::new();
    let registered = rig
        .register("Contact: <sip:a@h>\nPath: <sip:edge;lr>")
        .unwrap();
    assert!(!written(&registered).contains("Path"));
    assert!(!rig.lookup()[0].path.is_empty());
}

#[test]
fn a_binding_behind_a_path_outlives_the_connection_it_came_by() {
    let mut rig = Rig::new();
    rig.register_from(tcp(1), HEADERS).unwrap();
    rig.registrar.handle_connection_closed(ConnId(1));
    assert_eq!(rig.registrar.len(), 1);
    rig.register_from(tcp(2), "Contact: <sip:a@10.0.0.1>")
        .unwrap();
    rig.registrar.handle_connection_closed(ConnId(2));
    assert!(rig.registrar.is_empty());
}

#[test]
fn an_invented_path_is_verified_even_on_a_connection() {
    let mut rig = Rig::with(Policy::default());
    rig.register_from(tcp(1), HEADERS).unwrap();
    let ping = rig.verification();
    assert!(!ping.contact.path.is_empty());
    rig.answer(&ping, 405);
    assert!(rig.lookup().is_empty());
}

#[test]
fn behind_a_path_the_edge_keeps_the_mapping_open() {
    let mut rig = Rig::with(Policy::default());
    rig.register(HEADERS).unwrap();
    let ping = rig.verification();
    rig.answer(&ping, 200);
    assert_eq!(rig.routes(), ["sip:a@10.0.0.1"]);
    assert_eq!(pings(&rig.pass(Duration::from_secs(300))), []);
}
