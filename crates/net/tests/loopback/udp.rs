//! UDP: both ways, both families, empty and largest datagrams, failures.

use std::net::UdpSocket;

use net::{Config, DropReason, TransmitError};
use sip::Transport;

use crate::support::{Node, PATIENCE, Seen};

fn peer(bind: &str) -> UdpSocket {
    let socket = UdpSocket::bind(bind).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn datagrams_of_all_lengths_go_both_ways() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let node = Node::start(Config::default());
        let local = node.listen(1, Transport::Udp, bind);
        let peer = peer(bind);
        for length in [0, 1, 1_500, 65_507] {
            let sent = vec![b'x'; length];
            peer.send_to(&sent, local).unwrap();
            let (flow, bytes) = node.next_message();
            assert_eq!(bytes, sent);
            assert_eq!(flow.remote, peer.local_addr().unwrap());
            node.reply(flow, &sent, 0);
            let mut buffer = vec![0; 65_536];
            let (count, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((count, from), (length, local));
        }
        let counters = node.net.counters().clone();
        drop(node);
        assert_eq!(counters.received(Transport::Udp), 4);
        assert_eq!(counters.sent(Transport::Udp), 4);
    }
}

#[test]
fn what_is_longer_than_the_path_takes_goes_in_fragments() {
    let hosts = match testkit::cable([[10, 97, 0, 1], [10, 97, 0, 2]].map(Into::into)) {
        Ok(hosts) => hosts,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error:#}");
            return;
        }
        Err(error) => panic!("no hosts of its own: {error:#}"),
    };
    let [here, there] = &hosts;
    let peer = there.enter(|| peer("10.97.0.2:0"));
    let remote = peer.local_addr().unwrap();
    here.enter(|| {
        let node = Node::start(Config::default());
        node.listen(1, Transport::Udp, "10.97.0.1:0");
        let mut buffer = vec![0; 65_536];
        for length in [1_472, 1_473, 4_000, 10] {
            node.send(Transport::Udp, remote, "", &vec![b'x'; length], 7);
            let (count, _) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!(count, length);
        }
    });
}

#[test]
fn a_burst_is_received_whole_and_in_order() {
    let (node, local) = Node::listening(Config::default(), Transport::Udp);
    let peer = peer("127.0.0.1:0");
    for i in 0..1_000_u32 {
        peer.send_to(&i.to_be_bytes(), local).unwrap();
    }
    for i in 0..1_000_u32 {
        assert_eq!(node.next_message().1, i.to_be_bytes().as_slice());
    }
    assert_eq!(
        node.net.counters().dropped(DropReason::ReceiveBufferFull),
        0
    );
}

#[test]
fn failures_are_reported_to_those_who_ask() {
    let (node, _) = Node::listening(Config::default(), Transport::Udp);
    let peer = peer("127.0.0.1:0");
    let remote = peer.local_addr().unwrap();
    node.send(Transport::Udp, remote, "", &vec![0; 65_508], 7);
    assert_eq!(node.next(), Seen::Failed(7, TransmitError::TooLarge));
    // An IPv6 destination cannot be reached from an IPv4 socket.
    node.send(Transport::Udp, "[::1]:5060".parse().unwrap(), "", b"x", 8);
    assert_eq!(node.next(), Seen::Failed(8, TransmitError::Unreachable));
    // Without a key nobody is told; what follows a failure is sent all the same.
    node.send(Transport::Udp, remote, "", &vec![0; 65_508], 0);
    node.send(Transport::Udp, remote, "", b"after", 9);
    let mut buffer = [0; 16];
    let (count, _) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..count], b"after");
    assert_eq!(node.net.counters().dropped(DropReason::SendFailed), 3);
}

#[test]
fn a_port_without_a_listener_is_reported() {
    let (node, _) = Node::listening(Config::default(), Transport::Udp);
    let peer = peer("127.0.0.1:0");
    let remote = peer.local_addr().unwrap();
    drop(peer);
    node.send(Transport::Udp, remote, "", b"anybody there?", 11);
    assert_eq!(node.next(), Seen::Failed(11, TransmitError::Refused));
}

#[test]
fn stun_is_answered_with_the_address_it_came_from_and_sip_goes_on_beside_it() {
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let node = Node::start(Config::default());
        let local = node.listen(1, Transport::Udp, bind);
        let peer = peer(bind);
        let request = [&[0, 1, 0, 0][..], &cookie, &[7; 12]].concat();
        peer.send_to(&request, local).unwrap();
        let mut buffer = [0; 128];
        let (count, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(from, local);
        assert_eq!(buffer[..2], [1, 1]);
        assert_eq!(buffer[4..20], request[4..20]);
        let port = peer.local_addr().unwrap().port();
        let mapped = u16::from_be_bytes([buffer[26], buffer[27]]) ^ 0x2112;
        assert_eq!(mapped, port);
        assert_eq!(count, if local.is_ipv4() { 32 } else { 44 });
        // Answers and broken ones get nothing; what comes after them does.
        peer.send_to(&buffer[..count], local).unwrap();
        peer.send_to(&request[..12], local).unwrap();
        peer.send_to(b"SIP", local).unwrap();
        assert_eq!(node.next_message().1, b"SIP".as_slice());
        let counters = node.net.counters();
        assert_eq!(counters.dropped(DropReason::Stun), 2);
        assert_eq!(counters.stun_answered(), 1);
    }
}
