//! Keys of a telephone between parties that give them in different forms.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{
    Baresip, Dialog, Message, Peer, PhoneOptions, PhoneTransport, Platform, record_path,
};

/// A phone that sends silence, and knows no telephone events.
struct Voice {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Voice {
    fn new() -> Result<Self> {
        Ok(Self {
            socket: UdpSocket::bind("127.0.0.1:0")?,
            stop: Arc::default(),
            thread: None,
        })
    }

    fn sdp(&self) -> Result<String> {
        let port = self.socket.local_addr()?.port();
        Ok(format!(
            "v=0\r\no=voice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"
        ))
    }

    fn talk_to(&mut self, to: SocketAddr) -> Result<()> {
        let (socket, stop) = (self.socket.try_clone()?, Arc::clone(&self.stop));
        self.thread = Some(thread::spawn(move || {
            let mut sequence = 0_u16;
            while !stop.load(Relaxed) {
                sequence = sequence.wrapping_add(1);
                let mut packet = vec![0x80, 8];
                packet.extend(sequence.to_be_bytes());
                packet.extend((u32::from(sequence) * 160).to_be_bytes());
                packet.extend([0, 0, 0, 9]);
                packet.extend([0xd5; 160]);
                // One that is lost is one less.
                let _ = socket.send_to(&packet, to);
                thread::park_timeout(Duration::from_millis(20));
            }
        }));
        Ok(())
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has only to look at the flag.
            let _ = thread.join();
        }
    }
}

/// Where a description wants its audio, and its formats.
fn audio(message: &Message) -> Option<(SocketAddr, String)> {
    let mut lines = message.body.lines();
    let audio = lines.find_map(|line| line.strip_prefix("m=audio "))?;
    let (port, formats) = audio.split_once(' ')?;
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?));
    Some((address, formats.to_owned()))
}

#[test]
fn info_reaches_a_phone_as_a_telephone_event_and_comes_of_one() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let (rest, ready) = (platform.rest(), platform.ready());
    let users = rest.list("/v1/users")?;
    let alice = users.iter().find(|user| user["name"] == "alice");
    let alice = record_path("users", alice.context("alice")?);
    rest.change(&alice, &json!({ "dtmf": "info" }))?;
    let options = PhoneOptions::new("bob", &ready.domain)
        .password(&ready.user("bob").password)
        .server(ready.sip.udp, PhoneTransport::Udp);
    let mut bob = Baresip::register(options)?;
    let alice = Peer::new(ready.sip.udp)?;
    alice.register_routable(&platform, "alice")?;

    let mut voice = Voice::new()?;
    let uri = format!("sip:bob@{}", ready.domain);
    let who = ready.credentials("alice");
    let kind = "Content-Type: application/sdp";
    let invite = alice.send_with_digest(&who, "INVITE", &uri, &[kind], &voice.sdp()?)?;
    bob.wait_for_incoming();
    bob.answer()?;
    let answer = alice.expect_status(200, "INVITE");
    alice.send(alice.ack(&invite, &answer))?;
    bob.wait_for_established();
    let (to, formats) = audio(&answer).context("audio")?;
    assert_eq!(formats, "RTP/AVP 8", "nothing that alice has not offered");
    voice.talk_to(to)?;

    let dialog = Dialog::of_caller(&invite, &answer);
    for (sequence, (kind, body, key)) in (10..).zip([
        (
            "application/dtmf-relay",
            "Signal=5\r\nDuration=160\r\n",
            "5",
        ),
        ("application/dtmf", "#", "#"),
    ]) {
        let kind = format!("Content-Type: {kind}");
        let info = alice.within(&dialog, "INFO", sequence, &[&kind], body);
        alice.send(info)?;
        alice.expect_status(200, "INFO");
        assert_eq!(bob.wait_for_dtmf(), key);
    }

    bob.send_dtmf('7')?;
    let info = alice.expect_request("INFO");
    assert_eq!(info.header("Content-Type"), Some("application/dtmf-relay"));
    assert!(
        info.body.starts_with("Signal=7\r\nDuration="),
        "{}",
        info.body
    );
    alice.send(alice.response(&info, "200 OK", "", &[], ""))?;
    bob.hang_up()?;
    let bye = alice.expect_request("BYE");
    alice.send(alice.response(&bye, "200 OK", "", &[], ""))?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn between_two_that_give_keys_alike_info_passes_as_it_came() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let ready = platform.ready();
    let [alice, bob] = [Peer::new(ready.sip.udp)?, Peer::new(ready.sip.udp)?];
    alice.register_routable(&platform, "alice")?;
    bob.register_routable(&platform, "bob")?;
    let voices = [Voice::new()?, Voice::new()?];
    let uri = format!("sip:bob@{}", ready.domain);
    let who = ready.credentials("alice");
    let kind = "Content-Type: application/sdp";
    let invite = alice.send_with_digest(&who, "INVITE", &uri, &[kind], &voices[0].sdp()?)?;
    let invited = bob.expect_request("INVITE");
    bob.send(bob.response(&invited, "200 OK", "b", &[kind], &voices[1].sdp()?))?;
    let answer = alice.expect_status(200, "INVITE");
    alice.send(alice.ack(&invite, &answer))?;
    bob.expect_request("ACK");
    let dialog = Dialog::of_caller(&invite, &answer);
    let kind = "Content-Type: application/dtmf-relay";
    let body = "Signal=9\r\nDuration=100\r\n";
    alice.send(alice.within(&dialog, "INFO", 10, &[kind], body))?;
    let info = bob.expect_request("INFO");
    assert_eq!(info.body, body);
    bob.send(bob.response(&info, "200 OK", "", &[], ""))?;
    alice.expect_status(200, "INFO");
    Ok(())
}
