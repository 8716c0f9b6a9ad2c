//! Whoever takes calls has the address, never both.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Host, Network, wait_for, wait_for_within};

use crate::node::{FIRST, MOVE_PATIENCE, Node, PHONE, SECOND, VIRTUAL, wait_for_move};

/// Whether OPTIONS to the virtual address gets an answer from there.
fn answers(phone: &Host) -> Result<()> {
    phone.enter(|| -> Result<()> {
        let socket = UdpSocket::bind((PHONE, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        let local = socket.local_addr()?;
        let to = SocketAddr::from((VIRTUAL, 5060));
        let request = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKv;rport\r\n\
             From: <sip:p@{local}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: v@{local}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let mut buffer = [0; 2_048];
        // The network may learn a moment later who has the address: SIP asks again.
        let (len, from) = wait_for("an answer from the virtual address", || {
            socket.send_to(request.as_bytes(), to).ok()?;
            socket.recv_from(&mut buffer).ok()
        });
        ensure!(from == to, "the answer comes from {from}");
        ensure!(buffer[..len].starts_with(b"SIP/2.0 200"));
        Ok(())
    })
}

#[test]
fn the_virtual_address_is_where_calls_are_taken() -> Result<()> {
    let mut network = Network::new()?;
    let (first, second) = (network.host(FIRST)?, network.host(SECOND)?);
    let phone = network.host(PHONE)?;
    let first = Node::start(first, (SECOND, 150), |options| options)?;
    wait_for_within(MOVE_PATIENCE, "somebody to have the address", || {
        first.has_address().then_some(())
    });
    let mut second = Node::start(second, (FIRST, 100), |options| options)?;
    answers(&phone)?;
    assert!(!second.has_address());

    // It hangs: its ports are open, and nobody is served.
    first.platform.program().hang()?;
    wait_for_move(&second, &first);
    answers(&phone)?;
    // It goes on, and leaves the address where it is.
    first.platform.program().go_on()?;
    wait_for("it to take calls again", || {
        first.takes_calls().then_some(())
    });
    assert!(second.has_address() && !first.has_address());

    // The other dies, and this one takes over.
    second.platform.kill_9();
    wait_for_move(&first, &second);
    answers(&phone)?;
    Ok(())
}
