//! TCP: framing, keep-alive, reuse, failures, and peers that are slow, half-open or hostile.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use net::{CloseReason, Config, DropReason, Output, StreamLimits, TransmitError};
use sip::Transport::Tcp;

use crate::support::{Node, PATIENCE, Seen, connect, read, read_to_end, request, write};

fn limited(change: impl FnOnce(&mut StreamLimits)) -> Config {
    let mut config = Config::default();
    change(&mut config.streams);
    config
}

#[test]
fn messages_are_framed_across_any_split_and_answered_on_their_connection() {
    let (node, local) = Node::listening(Config::default(), Tcp);
    let peer = connect(local);
    let stream = [request(10), request(0), request(3_000)].concat();
    for chunk in stream.chunks(7) {
        write(&peer, chunk);
    }
    let flow = node.next_opened();
    assert_eq!(flow.remote, peer.local_addr().unwrap());
    for length in [10, 0, 3_000] {
        assert_eq!(node.next(), Seen::Message(flow, request(length).into()));
    }
    node.reply(flow, b"one", 0);
    node.reply(flow, b"two", 0);
    assert_eq!(read(&peer, 6), b"onetwo");
    drop(peer);
    assert_eq!(node.next(), Seen::Closed(flow, CloseReason::Peer));
    assert_eq!(node.net.counters().received(Tcp), 3);
    assert_eq!(node.net.counters().sent(Tcp), 2);
}

#[test]
fn a_ping_is_answered_by_a_pong() {
    let (node, local) = Node::listening(Config::default(), Tcp);
    let peer = connect(local);
    write(&peer, b"\r\n\r");
    write(&peer, b"\n");
    assert_eq!(read(&peer, 2), b"\r\n");
    node.next_opened();
    write(&peer, &request(1));
    assert_eq!(node.next_message().1, request(1));
}

#[test]
fn what_cannot_be_framed_is_answered_and_closed() {
    for (length, status) in [("-1", "400"), ("4294967297", "413"), ("1\r\nl: 2", "400")] {
        let (node, local) = Node::listening(Config::default(), Tcp);
        let peer = connect(local);
        let text = String::from_utf8(request(1)).unwrap();
        let text = text.replace("Length: 1", &format!("Length: {length}"));
        // More than the socket takes at once follows the broken message.
        write(&peer, text.as_bytes());
        write(&peer, &request(60_000));
        let answer = String::from_utf8(read_to_end(&peer)).unwrap();
        assert!(
            answer.starts_with(&format!("SIP/2.0 {status} ")),
            "{answer}"
        );
        assert_eq!(answer.matches("SIP/2.0 4").count(), 1);
        node.next_opened();
        drop(peer);
        assert_eq!(node.next_closed(), CloseReason::Framing);
        assert_eq!(node.net.counters().dropped(DropReason::Framing), 1);
    }
}

#[test]
fn one_connection_serves_all_messages_to_one_address() {
    let (client, _) = Node::listening(Config::default(), Tcp);
    let (server, remote) = Node::listening(Config::default(), Tcp);
    for length in 0..20 {
        client.send(Tcp, remote, "", &request(length), 0);
    }
    let out = client.next_opened();
    assert_eq!(out.remote, remote);
    let arrived = server.next_opened();
    for length in 0..20 {
        assert_eq!(
            server.next(),
            Seen::Message(arrived, request(length).into())
        );
    }
    // The server's messages to the client's address take the same connection.
    server.send(Tcp, arrived.remote, "", &request(5), 0);
    assert_eq!(client.next(), Seen::Message(out, request(5).into()));
    assert_eq!(client.net.counters().connections_opened(Tcp), 1);
    assert_eq!(server.net.counters().connections_opened(Tcp), 1);

    // Closed on request, once all is written; then a new one is opened.
    client.send(Tcp, remote, "", &request(40_000), 0);
    client.output(Output::Close(out));
    assert_eq!(
        server.next(),
        Seen::Message(arrived, request(40_000).into())
    );
    assert_eq!(server.next(), Seen::Closed(arrived, CloseReason::Peer));
    assert_eq!(client.next(), Seen::Closed(out, CloseReason::Requested));
    client.reply(out, b"late", 3);
    assert_eq!(client.next(), Seen::Failed(3, TransmitError::NoConnection));
    client.send(Tcp, remote, "", &request(1), 0);
    assert_ne!(client.next_opened().conn, out.conn);
}

#[test]
fn what_waits_for_a_connection_that_fails_is_reported() {
    let (node, _) = Node::listening(Config::default(), Tcp);
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    node.send(Tcp, gone, "", b"a", 1);
    node.send(Tcp, gone, "", b"b", 0);
    node.send(Tcp, gone, "", b"c", 2);
    assert_eq!(node.next(), Seen::Failed(1, TransmitError::Refused));
    assert_eq!(node.next(), Seen::Failed(2, TransmitError::Refused));
    // Another one is tried for the next message.
    node.send(Tcp, gone, "", b"d", 3);
    assert_eq!(node.next(), Seen::Failed(3, TransmitError::Refused));
    assert_eq!(node.net.counters().connections(Tcp), 0);
}

/// A connection whose peer never reads.
fn deaf_peer(node: &Node, local: SocketAddr) -> (std::net::TcpStream, sip::Flow) {
    let peer = connect(local);
    write(&peer, &request(0));
    let flow = node.next_opened();
    node.next_message();
    (peer, flow)
}

#[test]
fn a_peer_that_does_not_read_fills_its_queue_and_is_closed() {
    let config = limited(|limits| limits.write_queue_max = 8);
    let (node, local) = Node::listening(config, Tcp);
    let (_peer, flow) = deaf_peer(&node, local);
    let mut failed = Vec::new();
    let why = 'closed: {
        for key in 1.. {
            node.reply(flow, &request(60_000), key);
            while let Some(seen) = node.try_next() {
                match seen {
                    Seen::Failed(key, error) => failed.push((key, error)),
                    Seen::Closed(_, why) => break 'closed why,
                    other => panic!("{other:?}"),
                }
            }
        }
        unreachable!("the queue has a bound")
    };
    assert_eq!(why, CloseReason::WriteQueueFull);
    assert_eq!(failed[0].1, TransmitError::BufferFull);
    assert_eq!(node.net.counters().dropped(DropReason::WriteQueueFull), 1);
}

#[test]
fn a_write_that_does_not_end_closes_the_connection() {
    let config = limited(|limits| limits.write_timeout = Duration::from_millis(200));
    let (node, local) = Node::listening(config, Tcp);
    let (_peer, flow) = deaf_peer(&node, local);
    for _ in 0..200 {
        node.reply(flow, &request(60_000), 0);
    }
    assert_eq!(node.next_closed(), CloseReason::WriteTimeout);
    assert_eq!(node.net.counters().dropped(DropReason::WriteTimeout), 1);
}

#[test]
fn a_message_that_does_not_end_closes_the_connection() {
    let config = limited(|limits| limits.message_timeout = Duration::from_millis(100));
    let (node, local) = Node::listening(config, Tcp);
    let peer = connect(local);
    write(&peer, &request(0));
    write(&peer, b"INVITE sip:a@b SIP/2.0\r\n");
    node.next_opened();
    node.next_message();
    assert_eq!(node.next_closed(), CloseReason::SlowMessage);
    assert_eq!(read_to_end(&peer), b"");
}

#[test]
fn a_silent_connection_is_closed() {
    let config = limited(|limits| {
        limits.handshake_timeout = Duration::from_millis(100);
        limits.idle_timeout = Duration::from_millis(200);
    });
    let (node, local) = Node::listening(config, Tcp);
    let _never_spoke = connect(local);
    node.next_opened();
    assert_eq!(node.next_closed(), CloseReason::SlowMessage);
    let spoke = connect(local);
    write(&spoke, &request(0));
    node.next_opened();
    node.next_message();
    assert_eq!(node.next_closed(), CloseReason::Idle);
    assert_eq!(node.net.counters().dropped(DropReason::SlowMessage), 1);
}

#[test]
fn connections_from_one_source_are_bounded() {
    let config = limited(|limits| limits.connections_per_source_max = 2);
    let (node, local) = Node::listening(config, Tcp);
    let first = connect(local);
    let _second = connect(local);
    node.next_opened();
    node.next_opened();
    assert_eq!(read_to_end(&connect(local)), b"");
    assert_eq!(
        node.net.counters().dropped(DropReason::TooManyFromSource),
        1
    );
    drop(first);
    assert_eq!(node.next_closed(), CloseReason::Peer);
    let fourth = connect(local);
    write(&fourth, &request(0));
    node.next_opened();
    node.next_message();
}

#[test]
fn a_sender_faster_than_the_shard_is_held_back_and_loses_nothing() {
    let (node, local) = Node::listening(Config::default(), Tcp);
    let peer = connect(local);
    let sender = std::thread::spawn(move || {
        let batch = request(100).repeat(100);
        for _ in 0..200 {
            write(&peer, &batch);
        }
        peer
    });
    let flow = node.next_opened();
    for _ in 0..20_000 {
        assert_eq!(node.next(), Seen::Message(flow, request(100).into()));
    }
    drop(sender.join().unwrap());
    assert_eq!(node.next(), Seen::Closed(flow, CloseReason::Peer));
}

#[test]
fn what_is_queued_when_the_shard_stops_is_still_written() {
    let (server, remote) = Node::listening(Config::default(), Tcp);
    let (client, _) = Node::listening(Config::default(), Tcp);
    client.send(Tcp, remote, "", &request(60_000), 0);
    client.next_opened();
    for _ in 0..50 {
        client.send(Tcp, remote, "", &request(60_000), 0);
    }
    let net = client.net.clone();
    drop(client);
    let flow = server.next_opened();
    for _ in 0..51 {
        assert_eq!(server.next(), Seen::Message(flow, request(60_000).into()));
    }
    assert!(net.wait_closed(PATIENCE));
    assert_eq!(server.next(), Seen::Closed(flow, CloseReason::Peer));
}
