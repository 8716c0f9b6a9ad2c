//! WebSocket, RFC 7118: subprotocol, origin, frames of both kinds, pings, close codes.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use net::{CloseReason, Config, DropReason};
use sip::Transport::Ws;

use crate::support::{Node, Seen, connect, read, read_to_end, request, write};

/// Opens a connection with these extra header lines; it and the server's answer.
fn handshake(remote: SocketAddr, headers: &str) -> (TcpStream, String) {
    let peer = connect(remote);
    let text = format!(
        "GET / HTTP/1.1\r\nHost: {remote}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    write(&peer, text.as_bytes());
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.extend(read(&peer, 1));
    }
    (peer, String::from_utf8(answer).unwrap())
}

/// A masked frame, as a client sends it; the mask is zero.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..=125) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

const SIP: &str = "Sec-WebSocket-Protocol: foo, sip\r\n";
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[test]
fn text_and_binary_carry_one_message_each() {
    let (node, local) = Node::listening(Config::default(), Ws);
    let (peer, answer) = handshake(local, SIP);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer
            .to_lowercase()
            .contains("sec-websocket-protocol: sip\r\n")
    );
    let flow = node.next_opened();
    for opcode in [TEXT, BINARY] {
        write(&peer, &frame(opcode, &request(70)));
        assert_eq!(node.next(), Seen::Message(flow, request(70).into()));
    }
    node.reply(flow, b"text", 0);
    assert_eq!(read(&peer, 6), b"\x81\x04text");
    node.reply(flow, b"\xff\xfe", 0);
    assert_eq!(read(&peer, 4), b"\x82\x02\xff\xfe");
    write(&peer, &frame(PING, b"hi"));
    assert_eq!(read(&peer, 4), [0x80 | PONG, 2, b'h', b'i']);
    write(&peer, &frame(TEXT, b"\r\n\r\n"));
    assert_eq!(read(&peer, 4), b"\x81\x02\r\n");
    write(&peer, &frame(CLOSE, &1000_u16.to_be_bytes()));
    assert_eq!(node.next(), Seen::Closed(flow, CloseReason::Peer));
}

#[test]
fn a_handshake_without_the_subprotocol_is_refused() {
    let (node, local) = Node::listening(Config::default(), Ws);
    for headers in ["", "Sec-WebSocket-Protocol: sips, xmpp\r\n"] {
        let (_peer, answer) = handshake(local, headers);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(node.try_next(), None);
}

#[test]
fn a_browser_must_come_from_an_allowed_origin() {
    let config = Config {
        allowed_origins: vec!["https://phone.example.com".into()],
        ..Config::default()
    };
    let (node, local) = Node::listening(config, Ws);
    for (origin, status) in [
        ("Origin: https://evil.example\r\n", "403"),
        ("Origin: https://phone.example.com\r\n", "101"),
        ("", "101"),
    ] {
        let (_peer, answer) = handshake(local, &format!("{SIP}{origin}"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    node.next_opened();
}

#[test]
fn what_breaks_the_protocol_is_told_its_code() {
    let mut unmasked = frame(TEXT, b"x");
    unmasked[1] = 1;
    let large = frame(BINARY, &request(65_600));
    for (bytes, code) in [
        (large, 1009_u16),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (unmasked, 1002),
        (frame(3, b"x"), 1002),
    ] {
        let (node, local) = Node::listening(Config::default(), Ws);
        let (peer, _) = handshake(local, SIP);
        node.next_opened();
        write(&peer, &bytes);
        let [high, low] = code.to_be_bytes();
        assert_eq!(read(&peer, 4), [0x80 | CLOSE, 2, high, low]);
        read_to_end(&peer);
        assert_eq!(node.next_closed(), CloseReason::Framing);
        assert_eq!(node.net.counters().dropped(DropReason::Framing), 1);
    }
}

#[test]
fn a_request_to_close_says_goodbye() {
    let (node, local) = Node::listening(Config::default(), Ws);
    let (peer, _) = handshake(local, SIP);
    let flow = node.next_opened();
    node.reply(flow, b"bye", 0);
    node.output(net::Output::Close(flow));
    assert_eq!(read(&peer, 5), b"\x81\x03bye");
    assert_eq!(read(&peer, 4), [0x80 | CLOSE, 2, 0x03, 0xe9]);
    assert_eq!(node.next(), Seen::Closed(flow, CloseReason::Requested));
}

#[test]
fn a_message_that_does_not_end_closes_the_connection() {
    let mut config = Config::default();
    config.streams.message_timeout = Duration::from_millis(100);
    let (node, local) = Node::listening(config, Ws);
    let (peer, _) = handshake(local, SIP);
    node.next_opened();
    write(&peer, &frame(TEXT, &request(0)));
    node.next_message();
    write(&peer, &frame(TEXT, &request(0))[..20]);
    assert_eq!(node.next_closed(), CloseReason::SlowMessage);
}

#[test]
fn a_silent_connection_is_closed() {
    let mut config = Config::default();
    config.streams.handshake_timeout = Duration::from_millis(300);
    config.streams.message_timeout = Duration::from_millis(50);
    config.streams.idle_timeout = Duration::from_millis(300);
    let (node, local) = Node::listening(config, Ws);
    let (silent, _) = handshake(local, SIP);
    node.next_opened();
    assert_eq!(node.next_closed(), CloseReason::SlowMessage);
    drop(silent);
    let (peer, _) = handshake(local, SIP);
    node.next_opened();
    write(&peer, &frame(TEXT, &request(0)));
    node.next_message();
    assert_eq!(node.next_closed(), CloseReason::Idle);
}
