//! What must be read out of the messages of RFC 5118.

use sip::{HeaderName, Message, Uri, Via};

fn taken(name: &str) -> Message {
    super::taken("rfc5118", name)
}

#[test]
fn ipv6_good_4_1_a_reference_in_the_request_uri() {
    let m = taken("ipv6-good");
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.host_ip(), Some("2001:db8::10".parse().unwrap()));
    assert_eq!(uri.port, None);
    assert_eq!(m.via().unwrap().host, b"[2001:db8::9:1]");
    let contact = m.address(HeaderName::Contact).unwrap();
    let contact = contact.parsed_uri().unwrap();
    assert_eq!(contact.host_ip(), Some("2001:db8::1".parse().unwrap()));
}

#[test]
fn port_ambiguous_4_3_and_unambiguous_4_4() {
    let m = taken("port-ambiguous");
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.host_ip(), Some("2001:db8::10:5070".parse().unwrap()));
    assert_eq!(uri.port, None);
    let m = taken("port-unambiguous");
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.host_ip(), Some("2001:db8::10".parse().unwrap()));
    assert_eq!(uri.port, Some(5070));
}

#[test]
fn via_received_4_5_with_and_without_brackets() {
    for name in [
        "via-received-param-with-delim",
        "via-received-param-no-delim",
    ] {
        let m = taken(name);
        let received = m.via().unwrap().received();
        assert_eq!(received, Some("2001:db8::9:255".parse().unwrap()), "{name}");
    }
}

#[test]
fn addresses_in_descriptions_4_6_and_4_8_arrive_whole() {
    let m = taken("ipv6-in-sdp");
    assert_eq!(m.sdp().map(<[u8]>::len), Some(m.body().len()));
    assert!(m.body().windows(8).any(|w| w == b"IN IP6 2"));
    let m = taken("mult-ip-in-sdp");
    assert!(m.body().windows(8).any(|w| w == b"IN IP4 1"));
    assert!(m.body().windows(8).any(|w| w == b"IN IP6 2"));
}

#[test]
fn mult_ip_in_header_4_7_families_may_be_mixed() {
    let m = taken("mult-ip-in-header");
    let vias: Vec<_> = m
        .values(HeaderName::Via)
        .map(|v| Via::parse(v).unwrap())
        .collect();
    assert_eq!(
        (vias[0].host, vias[0].port),
        (&b"[2001:db8::9:1]"[..], Some(6050))
    );
    assert_eq!(vias[1].host, b"192.0.2.1");
    assert_eq!(vias[2].received(), Some("192.0.2.200".parse().unwrap()));
}

#[test]
fn ipv4_mapped_4_9_is_an_address_like_any_other() {
    let m = taken("ipv4-mapped-ipv6");
    let via = m.via().unwrap();
    assert_eq!(
        (via.host, via.port),
        (&b"[::ffff:192.0.2.10]"[..], Some(19823))
    );
    let contact = m.address(HeaderName::Contact).unwrap();
    let uri = contact.parsed_uri().unwrap();
    assert!(uri.host_ip().is_some());
}

#[test]
fn the_grammar_bug_4_10_two_colons_are_right() {
    let m = taken("ipv6-correct-abnf-2-colons");
    let uri = Uri::parse(m.uri()).unwrap();
    assert_eq!(uri.host_ip(), Some("2001:db8::c000:201".parse().unwrap()));
}
