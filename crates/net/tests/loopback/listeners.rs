//! Listeners come and go at run time; a taken port is named.

use std::net::UdpSocket;

use net::{Config, ListenError, UDP_BUFFER_BYTES};
use sip::{ListenerId, Transport};

use crate::support::{Node, connect, read_to_end, request, spec, write};

#[test]
fn listeners_come_and_go_without_disturbing_others() {
    let (node, first) = Node::listening(Config::default(), Transport::Tcp);
    let kept = connect(first);
    write(&kept, &request(0));
    node.next_opened();
    node.next_message();

    let second = node.listen(2, Transport::Tcp, "127.0.0.1:0");
    let third = node.listen(3, Transport::Udp, "127.0.0.1:0");
    assert_eq!(node.net.listeners().len(), 3);
    let closed = connect(second);
    write(&closed, &request(0));
    assert_eq!(node.next_opened().listener, ListenerId(2));
    node.next_message();
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .send_to(b"hello", third)
        .unwrap();
    assert_eq!(node.next_message().0.listener, ListenerId(3));

    node.net.remove_listener(ListenerId(2)).unwrap();
    node.net.remove_listener(ListenerId(3)).unwrap();
    assert_eq!(node.next_closed(), net::CloseReason::Shutdown);
    assert_eq!(read_to_end(&closed), b"");
    // The addresses are free at once.
    UdpSocket::bind(third).unwrap();
    node.listen(2, Transport::Tcp, &second.to_string());

    write(&kept, &request(5));
    assert_eq!(node.next_message().1, request(5));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let (node, udp) = Node::listening(Config::default(), Transport::Udp);
    for (id, transport, taken) in [
        (2, Transport::Udp, udp),
        (
            3,
            Transport::Tcp,
            node.listen(4, Transport::Tcp, "127.0.0.1:0"),
        ),
    ] {
        let error = node
            .net
            .add_listener(&spec(id, transport, &taken.to_string()))
            .unwrap_err();
        assert!(matches!(error, ListenError::Taken { bind, .. } if bind == taken));
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
    let twice = node
        .net
        .add_listener(&spec(1, Transport::Udp, "127.0.0.1:0"));
    assert!(matches!(twice, Err(ListenError::Duplicate(ListenerId(1)))));
    let stranger = node
        .net
        .add_listener(&spec(5, Transport::Udp, "192.0.2.1:0"));
    assert!(matches!(stranger, Err(ListenError::NoSuchAddress { .. })));
    let unknown = node.net.remove_listener(ListenerId(9));
    assert!(matches!(unknown, Err(ListenError::Unknown(ListenerId(9)))));
    let bare = node
        .net
        .add_listener(&spec(6, Transport::Tls, "127.0.0.1:0"));
    assert!(matches!(
        bare,
        Err(ListenError::NoCertificate(Transport::Tls))
    ));
}

#[test]
fn the_granted_buffers_are_reported() {
    let node = Node::start(Config::default());
    let status = node
        .net
        .add_listener(&spec(1, Transport::Udp, "127.0.0.1:0"))
        .unwrap();
    let granted = status.receive_buffer_bytes.unwrap();
    assert!(granted > 0);
    assert_eq!(status.is_receive_buffer_short(), granted < UDP_BUFFER_BYTES);
    assert_ne!(status.local.port(), 0);
}
