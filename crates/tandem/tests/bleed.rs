//! Media of a call stays between its parties.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::Result;
use testkit::{Message, Peer, Platform, session, wait_for};

/// Receives on a media socket for a moment: the first bytes of what came.
fn heard(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 2_048];
    while let Ok(size) = socket.recv(&mut buffer) {
        all.push(buffer[..size].to_vec());
    }
    all
}

fn media_socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(150)))?;
    Ok(socket)
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

/// Where a description wants its audio.
fn media_of(message: &Message) -> String {
    let port = message
        .body
        .lines()
        .find_map(|l| l.strip_prefix("m=audio "))
        .and_then(|l| l.split(' ').next())
        .unwrap_or_default();
    format!("127.0.0.1:{port}")
}

#[test]
fn a_third_party_neither_hears_nor_speaks_in_a_call() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let sip = platform.ready().sip.udp;
    let (alice, bob) = (Peer::new(sip)?, Peer::new(sip)?);
    alice.register_routable(&platform, "alice")?;
    let (alice_media, bob_media, thief) = (media_socket()?, media_socket()?, media_socket()?);
    let uri = format!("sip:alice@{}", platform.ready().domain);
    let offer = session(bob_media.local_addr()?);
    let bob_is = platform.ready().credentials("bob");
    let invite = bob.send_with_digest(&bob_is, "INVITE", &uri, &[], &offer)?;
    let invited = alice.expect_request("INVITE");
    let answer = session(alice_media.local_addr()?);
    alice.send(alice.response(&invited, "200 OK", "a", &[], &answer))?;
    let answered = bob.expect_status(200, "INVITE");
    bob.send(bob.ack(&invite, &answered))?;
    alice.expect_request("ACK");
    let (toward_alice, toward_bob) = (media_of(&answered), media_of(&invited));

    // Both speak, so that the sources are known.
    wait_for("audio both ways", || {
        bob_media.send_to(&rtp(1, 11), &toward_alice).ok()?;
        alice_media.send_to(&rtp(1, 22), &toward_bob).ok()?;
        let (at_alice, at_bob) = (heard(&alice_media), heard(&bob_media));
        (!at_alice.is_empty() && !at_bob.is_empty()).then_some(())
    });
    for sequence in 2..30 {
        thief.send_to(&rtp(sequence, 66), &toward_alice)?;
        thief.send_to(&rtp(sequence, 66), &toward_bob)?;
        bob_media.send_to(&rtp(sequence, 11), &toward_alice)?;
        alice_media.send_to(&rtp(sequence, 22), &toward_bob)?;
    }
    for (socket, ssrc) in [(&alice_media, 11_u32), (&bob_media, 22)] {
        let packets = heard(socket);
        assert!(packets.len() >= 28, "{} packets", packets.len());
        let foreign = packets.iter().filter(|p| p[8..12] != ssrc.to_be_bytes());
        assert_eq!(foreign.count(), 0, "nothing is injected");
    }
    assert!(heard(&thief).is_empty(), "nothing leaks");
    Ok(())
}
