//! Where contacts are reached: NAT, connections, and the flows of RFC 5626.

use super::*;
use crate::Reach;

const INSTANCE: &str = "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";

fn reached(rig: &Rig) -> String {
    rig.lookup()[0].reach.flow().to_string()
}

#[test]
fn a_phone_behind_nat_is_reached_where_it_came_from() {
    let mut rig = Rig::new();
    rig.register_from(udp("203.0.113.5:41234"), "Contact: <sip:a@10.0.0.1:5060>")
        .unwrap();
    assert_eq!(reached(&rig), "udp:203.0.113.5:41234");
    assert_eq!(rig.routes(), ["sip:a@10.0.0.1:5060"]);
}

#[test]
fn a_contact_that_names_a_third_party_sends_it_nothing() {
    let mut rig = Rig::new();
    for via in [
        "Via: SIP/2.0/UDP 203.0.113.5;rport",
        "Via: SIP/2.0/UDP 203.0.113.5",
    ] {
        rig.via = via.into();
        rig.register_from(udp("203.0.113.5:41234"), "Contact: <sip:a@198.51.100.66>")
            .unwrap();
        assert_eq!(reached(&rig), "udp:203.0.113.5:41234");
    }
}

#[test]
fn without_rport_a_phone_is_reached_at_the_port_it_names_of_its_own_address() {
    let mut rig = Rig::new();
    rig.via = "Via: SIP/2.0/UDP 203.0.113.5".into();
    rig.register_from(
        udp("203.0.113.5:41234"),
        "Contact: <sip:a@203.0.113.5:5090>",
    )
    .unwrap();
    assert_eq!(reached(&rig), "udp:203.0.113.5:5090");
}

#[test]
fn the_address_may_change_with_the_next_refresh() {
    let mut rig = Rig::new();
    rig.register_from(udp("203.0.113.5:1000"), "Contact: <sip:a@10.0.0.1>")
        .unwrap();
    rig.register_from(udp("203.0.113.9:2000"), "Contact: <sip:a@10.0.0.1>")
        .unwrap();
    assert_eq!(rig.registrar.len(), 1);
    assert_eq!(reached(&rig), "udp:203.0.113.9:2000");
}

#[test]
fn the_end_of_a_connection_ends_its_bindings_only() {
    let mut rig = Rig::new();
    rig.register_from(tcp(1), "Contact: <sip:a@h>, <sip:b@h>")
        .unwrap();
    rig.register_from(tcp(2), "Contact: <sip:c@h>").unwrap();
    rig.register_from(tcp(2), "Contact: <sip:a@h>").unwrap();
    rig.outputs();
    rig.registrar.handle_connection_closed(ConnId(1));
    assert_eq!(
        rig.events(),
        [EventKind::Unregistered(Removal::ConnectionLost)]
    );
    assert_eq!(rig.routes(), ["sip:c@h", "sip:a@h"]);
    rig.registrar.handle_connection_closed(ConnId(2));
    rig.registrar.handle_connection_closed(ConnId(3));
    assert!(rig.registrar.is_empty());
}

#[test]
fn a_flow_replaces_the_one_of_its_instance_and_number() {
    let mut rig = Rig::new();
    let contact = |uri: &str, reg_id: u32| {
        format!("Supported: outbound\nContact: <{uri}>;reg-id={reg_id};{INSTANCE}")
    };
    rig.register_from(tcp(1), &contact("sip:a@h;old", 1))
        .unwrap();
    let registered = rig.register_from(tcp(2), &contact("sip:b@new", 1)).unwrap();
    assert_eq!(rig.routes(), ["sip:b@new"]);
    assert_eq!(
        written(&registered),
        format!(
            "Contact: <sip:b@new>;expires=3600;{INSTANCE};reg-id=1\r\n\
             Require: outbound\r\nFlow-Timer: 120\r\n"
        )
    );
}

#[test]
fn a_flow_over_udp_is_confirmed_with_a_time_that_nats_keep() {
    let mut rig = Rig::new();
    let headers = format!("Supported: outbound\nContact: <sip:a@h>;reg-id=1;{INSTANCE}");
    let registered = rig
        .register_from(udp("203.0.113.5:41234"), &headers)
        .unwrap();
    assert!(written(&registered).ends_with("Require: outbound\r\nFlow-Timer: 29\r\n"));
}

#[test]
fn of_two_flows_of_an_instance_the_newest_rings_and_the_other_waits() {
    let mut rig = Rig::new();
    for (conn, reg_id) in [(1, 1), (2, 2)] {
        let headers =
            format!("Supported: outbound\nContact: <sip:a@h{reg_id}>;reg-id={reg_id};{INSTANCE}");
        rig.register_from(tcp(conn), &headers).unwrap();
        rig.now += Duration::from_secs(1);
    }
    assert_eq!(rig.routes(), ["sip:a@h2"]);
    let first = rig.lookup()[0].binding;
    let second = rig.registrar.fallback(rig.now, first).unwrap();
    assert_eq!(&*second.uri, b"sip:a@h1");
    assert_eq!(rig.registrar.fallback(rig.now, second.binding), None);
    rig.registrar.handle_connection_closed(ConnId(2));
    assert_eq!(rig.routes(), ["sip:a@h1"]);
}

#[test]
fn without_outbound_or_instance_the_flow_number_is_ignored() {
    for headers in [
        format!("Contact: <sip:a@h>;reg-id=1;{INSTANCE}"),
        "Supported: outbound\nContact: <sip:a@h>;reg-id=1".into(),
    ] {
        let mut rig = Rig::new();
        let registered = rig.register_from(tcp(1), &headers).unwrap();
        assert_eq!(registered.outbound, None, "{headers}");
        assert_eq!(registered.bindings[0].reg_id, 0);
    }
}

#[test]
fn one_request_registers_one_flow() {
    let mut rig = Rig::new();
    let error = rig
        .register_from(
            tcp(1),
            &format!(
                "Supported: outbound\nContact: <sip:a@h>;reg-id=1;{INSTANCE}, \
                 <sip:b@h>;reg-id=2;{INSTANCE}"
            ),
        )
        .unwrap_err();
    assert_eq!((error, error.status()), (RegisterError::SeveralFlows, 400));
}

#[test]
fn a_proxy_without_outbound_is_439() {
    let mut rig = Rig::new();
    rig.via = "Via: SIP/2.0/TCP edge;branch=z9hG4bK2\r\nVia: SIP/2.0/TCP phone".into();
    let contact = format!("Supported: outbound\nContact: <sip:a@h>;reg-id=1;{INSTANCE}");
    for path in [
        "",
        "\nPath: <sip:edge;lr>",
        "\nPath: <sip:p;lr;ob>, <sip:edge;lr>",
    ] {
        let error = rig
            .register_from(tcp(1), &format!("{contact}{path}"))
            .unwrap_err();
        assert_eq!(error, RegisterError::FirstHopLacksOutbound);
        assert_eq!(error.status(), 439);
    }
    let registered = rig
        .register_from(tcp(1), &format!("{contact}\nPath: <sip:edge;lr;ob>"))
        .unwrap();
    assert!(written(&registered).ends_with("Require: outbound\r\n"));
    assert!(matches!(rig.lookup()[0].reach, Reach::Path(_)));
}
