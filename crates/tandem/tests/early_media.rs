//! A media server dies while a phone rings that is already heard.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{Dialog, GatewaySpec, MediaServer, Message, Peer, Platform, wait_for};

const KIND: &str = "Content-Type: application/sdp";

struct Voice(UdpSocket);

impl Voice {
    fn new() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        Ok(Self(socket))
    }

    fn sdp(&self) -> Result<String> {
        let port = self.0.local_addr()?.port();
        Ok(format!(
            "v=0\r\no=voice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"
        ))
    }

    fn say(&self, to: SocketAddr, sequence: u16) {
        let mut packet = vec![0x80, 8];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend(
            self.0
                .local_addr()
                .map_or(0, |a| u32::from(a.port()))
                .to_be_bytes(),
        );
        packet.extend([0xd5; 160]);
        // Whoever is dead refuses it.
        let _ = self.0.send_to(&packet, to);
    }

    fn hears(&self) -> bool {
        self.0
            .recv(&mut [0; 2_048])
            .is_ok_and(|length| length == 172)
    }
}

/// Where a description wants its audio.
fn audio(message: &Message) -> Result<SocketAddr> {
    let mut lines = message.body.lines();
    let audio = lines.find_map(|line| line.strip_prefix("m=audio "));
    let (port, _) = audio.and_then(|a| a.split_once(' ')).context("audio")?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port.parse()?)))
}

fn talk([alice, bob]: [(&Voice, SocketAddr); 2], what: &str) {
    let mut sequence = 0;
    let mut heard = [false; 2];
    wait_for(what, || {
        sequence += 1;
        alice.0.say(alice.1, sequence);
        bob.0.say(bob.1, sequence);
        heard = [heard[0] || alice.0.hears(), heard[1] || bob.0.hears()];
        (heard == [true; 2]).then_some(())
    });
}

fn state(platform: &Platform, name: &str, state: &str) {
    wait_for(&format!("{name} to be {state}"), || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        let is_so = |s: &serde_json::Value| s["name"] == name && s["state"] == state;
        health.iter().any(is_so).then_some(())
    });
}

fn add(platform: &Platform, name: &str, server: &MediaServer) -> Result<()> {
    let record = json!({ "name": name, "control": server.control() });
    platform.rest().create("/v1/media-servers", &record)?;
    state(platform, name, "up");
    Ok(())
}

#[test]
fn a_call_rings_on_when_its_early_media_is_lost_and_is_heard_when_it_is_answered() -> Result<()> {
    let own = || MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 20, &[]);
    let (mut dies, stays) = (own()?, own()?);
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let ready = platform.ready();
    let settings = json!({ "media_timeout_s": MEDIA_TIMEOUT_S });
    platform.rest().change("/v1/settings", &settings)?;
    add(&platform, "dies", &dies)?;
    let [alice, bob] = [Peer::new(ready.sip.udp)?, Peer::new(ready.sip.udp)?];
    alice.register_routable(&platform, "alice")?;
    bob.register_routable(&platform, "bob")?;
    let voices = [Voice::new()?, Voice::new()?];
    let uri = format!("sip:bob@{}", ready.domain);
    let who = ready.credentials("alice");
    let invite = alice.send_with_digest(&who, "INVITE", &uri, &[KIND], &voices[0].sdp()?)?;
    let invited = bob.expect_request("INVITE");
    let early = bob.response(
        &invited,
        "183 Session Progress",
        "b",
        &[KIND],
        &voices[1].sdp()?,
    );
    bob.send(early)?;
    let early = alice.expect_status(183, "INVITE");
    let ends = [(&voices[0], audio(&early)?), (&voices[1], audio(&invited)?)];
    talk(ends, "early media");

    add(&platform, "stays", &stays)?;
    dies.program().kill_9();
    state(&platform, "dies", "down");
    let since = SystemTime::now();
    wait_while_it_rings(&platform, since, MEDIA_TIMEOUT_S + 1);
    bob.send(bob.response(&invited, "200 OK", "b", &[KIND], &voices[1].sdp()?))?;
    let answer = alice.expect_status(200, "INVITE");
    alice.send(alice.ack(&invite, &answer))?;
    bob.expect_request("ACK");
    assert!(stays.media_ports().contains(&audio(&answer)?.port()));

    // Both are told, for a phone may go by the first answer that it got.
    let mut ends = Vec::new();
    for (peer, voice) in [&alice, &bob].into_iter().zip(&voices) {
        let told = peer.expect_request("INVITE");
        let to = audio(&told)?;
        assert!(stays.media_ports().contains(&to.port()), "{}", told.body);
        peer.send(peer.response(&told, "200 OK", "", &[KIND], &voice.sdp()?))?;
        peer.expect_request("ACK");
        ends.push((voice, to));
    }
    talk([ends[0], ends[1]], "media after the answer");
    let dialog = Dialog::of_caller(&invite, &answer);
    alice.send(alice.within(&dialog, "BYE", 20, &[], ""))?;
    alice.expect_status(200, "BYE");
    let bye = bob.expect_request("BYE");
    bob.send(bob.response(&bye, "200 OK", "", &[], ""))?;
    platform.wait_until_idle();
    Ok(())
}

/// A call through two gateways: the first is heard, and then refuses; the second rings for longer
/// than silence may last.
fn the_second_gateway_may_ring(server: Option<&MediaServer>) -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let (ready, rest) = (platform.ready(), platform.rest());
    rest.change(
        "/v1/settings",
        &json!({ "media_timeout_s": MEDIA_TIMEOUT_S }),
    )?;
    if let Some(server) = server {
        rest.add_media_server("apart", &server.control(), &json!({}))?;
    }
    let peer = || Peer::new(ready.sip.udp);
    let (caller, gateways) = (peer()?, [peer()?, peer()?]);
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let specs = [0, 1].map(|n| GatewaySpec {
        address: gateways[n].address(),
        priority: n as u16,
    });
    rest.add_carrier("", &specs, &json!({}))?;
    let voices = [Voice::new()?, Voice::new()?, Voice::new()?];
    let uri = format!("sip:493012345@{}", ready.sip.udp);
    let invite = caller.request("INVITE", &uri, &[KIND], &voices[0].sdp()?);
    caller.send(&invite)?;
    let [first, second] = &gateways;
    let invited = first.expect_request("INVITE");
    let early = "183 Session Progress";
    first.send(first.response(&invited, early, "one", &[KIND], &voices[1].sdp()?))?;
    let early = caller.expect_status(183, "INVITE");
    let ends = [(&voices[0], audio(&early)?), (&voices[1], audio(&invited)?)];
    talk(ends, "early media");

    first.send(first.response(&invited, "503 Service Unavailable", "one", &[], ""))?;
    let invited = second.expect_request("INVITE");
    second.send(second.response(&invited, "180 Ringing", "two", &[], ""))?;
    let since = SystemTime::now();
    wait_while_it_rings(&platform, since, 2 * MEDIA_TIMEOUT_S + 1);
    second.send(second.response(&invited, "200 OK", "two", &[KIND], &voices[2].sdp()?))?;
    let answer = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(&invite, &answer))?;
    second.expect_request("ACK");
    let ends = [
        (&voices[0], audio(&answer)?),
        (&voices[2], audio(&invited)?),
    ];
    talk(ends, "media after the answer");
    // Now silence is silence.
    let cdr = wait_for("the end of a silent call", || {
        platform.rest().list("/v1/cdrs").ok()?.into_iter().next()
    });
    assert_eq!(cdr["reason"], "no media received", "{cdr}");
    Ok(())
}

#[test]
fn a_second_gateway_may_ring_in_silence_although_the_first_was_heard() -> Result<()> {
    the_second_gateway_may_ring(None)
}

#[test]
fn it_may_so_on_a_media_server() -> Result<()> {
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 20, &[])?;
    the_second_gateway_may_ring(Some(&server))
}

/// Waits for so many seconds from a time on, in which the call is there.
fn wait_while_it_rings(platform: &Platform, since: SystemTime, seconds: u64) {
    wait_for("the call to ring longer than silence may last", || {
        let calls = platform.rest().list("/v1/calls").ok()?;
        assert_eq!(calls.len(), 1, "it still rings");
        let age = SystemTime::now().duration_since(since).ok()?;
        (age > Duration::from_secs(seconds)).then_some(())
    });
}

const MEDIA_TIMEOUT_S: u64 = 5;
