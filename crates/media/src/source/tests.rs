use super::*;

const PUBLIC: &str = "198.51.100.7:4000";
const PRIVATE: &str = "10.0.0.5:4000";
const NAT: &str = "203.0.113.9";
const WINDOW_US: u64 = 15_000_000;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn negotiated(described: &str, signalling: Option<&str>) -> Source {
    let mut source = Source::default();
    source.negotiate(
        Some(address(described)),
        signalling.map(ip),
        SourcePolicy::Learn,
        WINDOW_US,
    );
    source
}

/// Sends a packet each 20 ms; whether and at which packet the source was admitted.
fn admitted_at(source: &mut Source, from: &str, start_us: u64) -> Option<u64> {
    (0..200).find(|i| source.admit(address(from), 1, start_us + i * 20_000))
}

#[test]
fn the_described_address_is_pinned_by_its_first_packet() {
    let mut source = negotiated(PUBLIC, Some("198.51.100.7"));
    assert!(source.admit(address(PUBLIC), 1, 0));
    assert!(source.knows(address(PUBLIC)));
    assert!(!source.admit(address("198.51.100.7:4002"), 1, 5_000_000));
    assert_eq!(source.destination(), Some(address(PUBLIC)));
}

#[test]
fn packets_go_to_the_described_address_before_anything_came() {
    let source = negotiated(PUBLIC, None);
    assert_eq!(source.destination(), Some(address(PUBLIC)));
}

#[test]
fn a_stranger_is_never_admitted_however_long_it_sends() {
    for signalling in [Some("198.51.100.7"), None] {
        let mut source = negotiated(PUBLIC, signalling);
        assert_eq!(admitted_at(&mut source, "192.0.2.66:4000", 0), None);
        assert_eq!(source.destination(), Some(address(PUBLIC)));
    }
    let mut behind_nat = negotiated(PRIVATE, Some(NAT));
    assert_eq!(admitted_at(&mut behind_nat, "192.0.2.66:4000", 0), None);
}

#[test]
fn behind_a_nat_the_signalling_address_is_believed_at_once() {
    let mut source = negotiated(PRIVATE, Some(NAT));
    assert!(source.admit(address("203.0.113.9:61000"), 1, 0));
    assert_eq!(source.destination(), Some(address("203.0.113.9:61000")));
    assert!(!source.admit(address("203.0.113.9:61002"), 1, 1_000_000));
}

#[test]
fn a_neighbour_in_the_same_private_network_is_no_nat() {
    let mut source = negotiated(PRIVATE, Some("10.0.0.5"));
    assert_eq!(admitted_at(&mut source, "10.0.0.5:5000", 0), None);
    assert_eq!(admitted_at(&mut source, "10.0.0.6:4000", 0), None);
    assert!(source.admit(address(PRIVATE), 1, 0));
}

#[test]
fn on_one_machine_another_port_is_a_stranger() {
    let mut source = negotiated("127.0.0.1:4000", Some("127.0.0.1"));
    assert_eq!(admitted_at(&mut source, "127.0.0.1:4002", 0), None);
}

#[test]
fn another_port_of_a_public_address_must_prove_itself() {
    let mut source = negotiated(PUBLIC, None);
    assert_eq!(admitted_at(&mut source, "198.51.100.7:61000", 0), Some(50));
    assert_eq!(source.destination(), Some(address("198.51.100.7:61000")));
}

#[test]
fn the_described_address_replaces_a_learned_one_even_after_the_window() {
    let mut source = negotiated(PUBLIC, None);
    assert!(admitted_at(&mut source, "198.51.100.7:61000", 0).is_some());
    assert!(source.admit(address(PUBLIC), 1, WINDOW_US + 1));
    assert!(!source.admit(address("198.51.100.7:61000"), 1, WINDOW_US + 2));
}

#[test]
fn a_broken_stream_proves_nothing() {
    let mut source = negotiated(PUBLIC, None);
    for i in 0..30 {
        assert!(!source.admit(address("198.51.100.7:61000"), 1, i * 300_000));
    }
}

#[test]
fn a_sprayer_does_not_hinder_the_proof_of_another() {
    let mut source = negotiated(PUBLIC, None);
    let mut admitted = false;
    for i in 0..100_u64 {
        admitted |= source.admit(address("198.51.100.7:61000"), 1, i * 20_000);
        let sprayed = SocketAddr::new(ip("198.51.100.7"), 10_000 + i as u16);
        assert!(!source.admit(sprayed, 2, i * 20_000 + 1));
    }
    assert!(admitted);
}

#[test]
fn the_window_closes() {
    let mut source = negotiated(PRIVATE, Some(NAT));
    assert!(!source.admit(address("203.0.113.9:61000"), 1, WINDOW_US + 1));
    assert!(source.admit(address(PRIVATE), 1, WINDOW_US + 2));
}

#[test]
fn a_refresh_keeps_the_pin() {
    let mut source = negotiated(PRIVATE, Some(NAT));
    assert!(source.admit(address("203.0.113.9:61000"), 1, 0));
    source.negotiate(
        Some(address(PRIVATE)),
        Some(ip(NAT)),
        SourcePolicy::Learn,
        2 * WINDOW_US,
    );
    assert!(!source.admit(address("203.0.113.9:61002"), 1, 1_000_000));
    assert!(source.knows(address("203.0.113.9:61000")));
}

#[test]
fn a_refresh_lets_a_changed_nat_port_be_learned_once_the_old_one_is_silent() {
    let mut source = negotiated(PRIVATE, Some(NAT));
    assert!(source.admit(address("203.0.113.9:61000"), 1, 0));
    source.negotiate(
        Some(address(PRIVATE)),
        Some(ip(NAT)),
        SourcePolicy::Learn,
        2 * WINDOW_US,
    );
    assert!(source.admit(address("203.0.113.9:61002"), 1, SILENT_US));
}

#[test]
fn a_new_address_takes_the_pin_away() {
    let mut source = negotiated(PUBLIC, None);
    assert!(source.admit(address(PUBLIC), 1, 0));
    source.negotiate(
        Some(address("198.51.100.8:4000")),
        None,
        SourcePolicy::Learn,
        WINDOW_US,
    );
    assert!(!source.admit(address(PUBLIC), 1, 1));
    assert!(source.admit(address("198.51.100.8:4000"), 1, 2));
}

#[test]
fn a_strict_peer_is_heard_at_its_described_address_alone() {
    let mut source = Source::default();
    let policy = SourcePolicy::Described;
    source.negotiate(Some(address(PRIVATE)), Some(ip(NAT)), policy, WINDOW_US);
    assert_eq!(admitted_at(&mut source, "203.0.113.9:4000", 0), None);
    assert!(source.admit(address(PRIVATE), 1, 0));
}

#[test]
fn packets_for_an_asymmetric_peer_go_where_it_said() {
    let mut source = Source::default();
    let policy = SourcePolicy::Asymmetric;
    source.negotiate(Some(address(PUBLIC)), None, policy, WINDOW_US);
    assert!(
        source.admit(address("198.51.100.7:9"), 1, 0),
        "another port"
    );
    assert_eq!(source.destination(), Some(address(PUBLIC)));
    assert!(!source.admit(address("203.0.113.66:9"), 1, 0), "a stranger");
}
