//! The echo application, called by a peer that does what phones seldom do.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{Dialog, Message, Peer, Platform, session, wait_for};

/// A customer, its call to the echo without an offer, and where the echo hears it.
struct EchoCall {
    peer: Peer,
    dialog: Dialog,
    media: UdpSocket,
    echo: SocketAddr,
}

fn echoed(platform: &Platform) -> Result<EchoCall> {
    platform.rest().add_customer("127.0.0.1/32", &json!({}))?;
    let peer = Peer::new(platform.ready().sip.udp)?;
    let invite = peer.request("INVITE", "sip:600@127.0.0.1", &[], "");
    peer.send(&invite)?;
    let answer = peer.expect_status(200, "INVITE");
    let media = UdpSocket::bind("127.0.0.1:0")?;
    media.set_read_timeout(Some(Duration::from_millis(150)))?;
    let dialog = Dialog::of_caller(&invite, &answer);
    let ours = session(media.local_addr()?);
    peer.send(peer.within(&dialog, "ACK", 1, &[], &ours))?;
    let echo = offered(&answer).context("the echo offers audio")?;
    Ok(EchoCall {
        peer,
        dialog,
        media,
        echo,
    })
}

/// Where a description wants its audio.
fn offered(message: &Message) -> Option<SocketAddr> {
    let audio = message
        .body
        .lines()
        .find_map(|l| l.strip_prefix("m=audio "))?;
    let port = audio.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend([0xd5; 160]);
    packet
}

#[test]
fn the_echo_offers_where_the_caller_does_not_and_takes_digits() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let call = echoed(&platform)?;
    let mut sequence = 0;
    wait_for("our own voice", || {
        sequence += 1;
        call.media.send_to(&packet(sequence), call.echo).ok()?;
        let mut heard = [0; 512];
        let size = call.media.recv(&mut heard).ok()?;
        (heard[12..size] == packet(1)[12..]).then_some(())
    });
    let kind = "Content-Type: application/dtmf-relay";
    let digit = "Signal=5\r\nDuration=160\r\n";
    let info = call.peer.within(&call.dialog, "INFO", 2, &[kind], digit);
    call.peer.send(info)?;
    call.peer.expect_status(200, "INFO");
    call.peer
        .send(call.peer.within(&call.dialog, "BYE", 3, &[], ""))?;
    call.peer.expect_status(200, "BYE");
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_shorter_media_timeout_holds_for_calls_under_way() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let call = echoed(&platform)?;
    let shorter = json!({ "media_timeout_s": 5 });
    platform.rest().change("/v1/settings", &shorter)?;
    let bye = call.peer.expect_request("BYE");
    let reason = bye.header("Reason").unwrap_or_default();
    assert!(reason.contains("no media received"), "{reason}");
    call.peer
        .send(call.peer.response(&bye, "200 OK", "", &[], ""))?;
    platform.wait_until_idle();
    Ok(())
}
