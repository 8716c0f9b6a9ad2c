//! A call that becomes a fax: T.38 by re-INVITE, through the relay in the node and through a media
//! server.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{Dialog, MediaServer, Message, PATIENCE, Peer, Platform};

const KIND: &str = "Content-Type: application/sdp";

/// A machine that speaks, and then sends pages from the same port.
struct Fax {
    peer: Peer,
    socket: UdpSocket,
}

impl Fax {
    fn register(platform: &Platform, name: &str) -> Result<Self> {
        let peer = Peer::new(platform.ready().sip.udp)?;
        peer.register_routable(platform, name)?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { peer, socket })
    }

    fn sdp(&self, version: u8, media: &str) -> Result<String> {
        let media = media.replace("PORT", &self.socket.local_addr()?.port().to_string());
        Ok(format!(
            "v=0\r\no=fax 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}"
        ))
    }

    /// Sends a datagram to where a description wants it, which the other hears as it was sent.
    fn send(&self, bytes: &[u8], description: &Message, heard_by: &Self) -> Result<()> {
        self.socket.send_to(bytes, media_of(description)?)?;
        let mut room = [0; 2_048];
        let (len, _) = heard_by.socket.recv_from(&mut room).context("a datagram")?;
        assert_eq!(&room[..len], bytes);
        Ok(())
    }
}

/// Where a description wants its only medium.
fn media_of(message: &Message) -> Result<SocketAddr> {
    let mut lines = message.body.lines();
    let medium = lines.find_map(|line| line.strip_prefix("m="));
    let port = medium.and_then(|medium| medium.split(' ').nth(1));
    let port = port.context("a medium")?.parse()?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn fax_by(platform: &Platform) -> Result<()> {
    let [alice, bob] = [
        Fax::register(platform, "alice")?,
        Fax::register(platform, "bob")?,
    ];
    let ready = platform.ready();
    let who = ready.credentials("alice");
    let uri = format!("sip:bob@{}", ready.domain);
    let invite =
        alice
            .peer
            .send_with_digest(&who, "INVITE", &uri, &[KIND], &alice.sdp(1, VOICE)?)?;
    let invited = bob.peer.expect_request("INVITE");
    let accept = bob.sdp(1, VOICE)?;
    bob.peer
        .send(bob.peer.response(&invited, "200 OK", "b", &[KIND], &accept))?;
    let answer = alice.peer.expect_status(200, "INVITE");
    alice.peer.send(alice.peer.ack(&invite, &answer))?;
    bob.peer.expect_request("ACK");
    alice.send(&voice(1), &answer, &bob)?;
    bob.send(&voice(1), &invited, &alice)?;

    // The called machine hears the calling tone and asks for T.38, as most do.
    let dialog = Dialog::of_callee(&invited, "b");
    let again = bob
        .peer
        .within(&dialog, "INVITE", 10, &[KIND], &bob.sdp(2, T38)?);
    bob.peer.send(&again)?;
    let asked = alice.peer.expect_request("INVITE");
    assert!(asked.body.contains(" udptl t38\r\n"), "{}", asked.body);
    assert!(
        asked.body.contains("a=T38FaxUdpEC:t38UDPRedundancy\r\n"),
        "{}",
        asked.body
    );
    let accept = alice.sdp(2, T38)?;
    alice
        .peer
        .send(alice.peer.response(&asked, "200 OK", "", &[KIND], &accept))?;
    let taken = bob.peer.expect_status(200, "INVITE");
    assert!(taken.body.contains("m=image "), "{}", taken.body);
    bob.peer.send(bob.peer.ack(&again, &taken))?;
    alice.peer.expect_request("ACK");
    for number in 0..5_u8 {
        // UDPTL: a number, and what is neither RTP nor anybody's business.
        let page = [&[0, number][..], &[0xc0; 40]].concat();
        alice.send(&page, &asked, &bob)?;
        bob.send(&page, &taken, &alice)?;
    }
    Ok(())
}

/// A packet of RTP.
fn voice(number: u8) -> Vec<u8> {
    [
        &[0x80, 8, 0, number, 0, 0, 0, 160, 0, 0, 0, 7][..],
        &[0xd5; 160],
    ]
    .concat()
}

#[test]
fn a_call_becomes_a_fax_through_the_node() -> Result<()> {
    fax_by(&Platform::start(env!("CARGO_BIN_EXE_tandem"))?)
}

#[test]
fn a_call_becomes_a_fax_through_a_media_server() -> Result<()> {
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])?;
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    rest.add_media_server("m1", &server.control(), &json!({}))?;
    fax_by(&platform)
}

const VOICE: &str = "m=audio PORT RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";
const T38: &str = "m=image PORT udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
    a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1000\r\na=T38FaxMaxDatagram:400\r\n\
    a=T38FaxUdpEC:t38UDPRedundancy\r\n";
