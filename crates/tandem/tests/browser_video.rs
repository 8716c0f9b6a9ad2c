//! A browser that bundles sound and picture, a phone that has a port for each, and another browser.

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{Browser, Interpreter, MediaServer, Message, Mirror, Peer, Platform, wait_for};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
/// Packets of a picture that are waited for: some seconds of it.
const PACKETS: usize = 100;
/// Frames of it that the browser decodes when they come back.
const FRAMES: u64 = 15;

/// Bob's phone: plain RTP, sound and picture at ports of their own, both sent back.
struct Phone {
    signalling: Peer,
    sound: Mirror,
    picture: Mirror,
}

impl Phone {
    fn register(platform: &Platform) -> Result<Self> {
        let signalling = Peer::new(platform.ready().sip.udp)?;
        signalling.register_routable(platform, "bob")?;
        Ok(Self {
            signalling,
            sound: Mirror::new()?,
            picture: Mirror::new()?,
        })
    }

    /// What it offers when it calls.
    fn offer(&self) -> String {
        let (sound, picture) = (self.sound.port(), self.picture.port());
        format!(
            "v=0\r\no=bob 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {sound} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n\
             m=video {picture} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        )
    }

    /// Sends back to where its call was answered.
    fn aim(&self, answer: &str) {
        for (kind, port) in media(answer) {
            let mirror = match kind.as_str() {
                "audio" => &self.sound,
                _ => &self.picture,
            };
            mirror.aim(([127, 0, 0, 1], port).into());
        }
    }

    /// Answers an INVITE; the description that it brought.
    fn answer(&self, invite: &Message) -> Result<String> {
        let media = media(&invite.body);
        let mut answer = "v=0\r\no=bob 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
             t=0 0\r\n"
            .to_owned();
        for (kind, port) in &media {
            let (mirror, codec) = match kind.as_str() {
                "audio" => (&self.sound, "PCMA/8000"),
                _ => (&self.picture, "VP8/90000"),
            };
            mirror.aim(([127, 0, 0, 1], *port).into());
            let number = number(&invite.body, kind, codec).context("a codec that we know")?;
            let own = mirror.port();
            answer.push_str(&format!(
                "m={kind} {own} RTP/AVP {number}\r\na=rtpmap:{number} {codec}\r\n"
            ));
        }
        let response = self.signalling.response(
            invite,
            "200 OK",
            "bob",
            &["Content-Type: application/sdp"],
            &answer,
        );
        self.signalling.send(response)?;
        self.signalling.expect_request("ACK");
        Ok(invite.body.clone())
    }
}

/// Kinds and ports of a description's media.
fn media(sdp: &str) -> Vec<(String, u16)> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("m="));
    let read = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    lines.filter_map(read).collect()
}

/// The payload type of a codec, by its name or by its fixed number.
fn number(sdp: &str, kind: &str, codec: &str) -> Option<u8> {
    let section = sdp.split("m=").find(|section| section.starts_with(kind))?;
    let mut lines = section.lines();
    let mapped = lines.find_map(|line| {
        let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        (name == codec).then(|| number.parse().ok())?
    });
    mapped.or((codec == "PCMA/8000").then_some(8))
}

/// Waits until sound and picture have gone there in order and come back.
fn see_each_other(alice: &mut Browser, bob: &Phone) {
    let picture = wait_for("the picture", || {
        let heard = bob.picture.heard();
        (heard.packets >= PACKETS).then_some(heard)
    });
    assert_eq!(picture.disordered, 0, "{picture:?}");
    assert_eq!(picture.sources.len(), 1, "{picture:?}");
    assert_eq!(picture.payload_types.len(), 1, "{picture:?}");
    let sound = bob.sound.heard();
    assert!(sound.packets > 10, "{sound:?}");
    assert_eq!((sound.disordered, sound.sources.len()), (0, 1), "{sound:?}");
    assert_eq!(sound.payload_types, [8], "{sound:?}");
    assert_ne!(sound.sources, picture.sources);
    alice.wait_for_frames(FRAMES);
}

#[test]
fn sound_and_picture_of_a_browser_go_to_ports_of_their_own_and_back() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let wss = ready.sip.wss;
    let mut alice = Browser::register_seeing("alice", &ready.domain, password, wss, ALICE_HZ)?;
    let bob = Phone::register(&platform)?;
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    let invite = bob.signalling.expect_request("INVITE");
    let offer = bob.answer(&invite)?;
    let ports: Vec<u16> = media(&offer).into_iter().map(|(_, port)| port).collect();
    assert_eq!(ports.len(), 2, "{offer}");
    assert!(ports[0] != ports[1] && !ports.contains(&0), "{offer}");
    assert!(
        !offer.contains("BUNDLE") && !offer.contains("bundle-only"),
        "{offer}"
    );
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    see_each_other(&mut alice, &bob);
    alice.hang_up()?;
    let bye = bob.signalling.expect_request("BYE");
    bob.signalling
        .send(bob.signalling.response(&bye, "200 OK", "", &[], ""))?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_picture_that_is_added_to_a_call_joins_the_bundle() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let mut alice = Browser::register("alice", &ready.domain, password, ready.sip.wss, ALICE_HZ)?;
    let bob = Phone::register(&platform)?;
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    let invite = bob.signalling.expect_request("INVITE");
    bob.answer(&invite)?;
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    alice.show()?;
    let invite = bob.signalling.expect_request("INVITE");
    let offer = bob.answer(&invite)?;
    assert_eq!(media(&offer).len(), 2, "{offer}");
    see_each_other(&mut alice, &bob);
    Ok(())
}

/// Alice calls bob, who has a browser as well.
fn two_browsers_see_each_other(platform: &Platform) -> Result<()> {
    let ready = platform.ready();
    let browser = |name: &str, tone_hz: u32| {
        let password = &ready.user(name).password;
        Browser::register_seeing(name, &ready.domain, password, ready.sip.wss, tone_hz)
    };
    let mut alice = browser("alice", ALICE_HZ)?;
    let mut bob = browser("bob", BOB_HZ)?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.wait_for_frames(FRAMES);
    bob.wait_for_frames(FRAMES);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn two_browsers_that_bundle_hear_and_see_each_other() -> Result<()> {
    two_browsers_see_each_other(&Platform::start(env!("CARGO_BIN_EXE_tandem"))?)
}

#[test]
fn two_browsers_hear_and_see_each_other_by_a_media_server_of_our_own() -> Result<()> {
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])?;
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    rest.add_media_server("m1", &server.control(), &json!({}))?;
    two_browsers_see_each_other(&platform)
}

/// Has what the caller offers be offered as a bundle, as a proxy may ask.
fn as_bundle(request: &[u8], word: &str) -> Vec<u8> {
    let holds = |words: &[u8]| request.windows(words.len()).any(|window| window == words);
    let mut out = request.to_vec();
    if holds(b"7:command5:offer") && holds(b"8:from-tag1:a") {
        let begin = request.windows(2).position(|two| two == b" d");
        let asked = format!("6:bundlel{}:{word}e", word.len());
        if let Some(begin) = begin {
            out.splice(begin + 2..begin + 2, asked.bytes());
        }
    }
    out
}

#[test]
fn a_browser_takes_sound_and_picture_of_a_phone_as_the_bundle_that_was_asked_for() -> Result<()> {
    for (word, ports_are_one) in [("offer", false), ("require", true)] {
        let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])?;
        let interpret = move |request: &[u8]| as_bundle(request, word);
        let interpreter = Interpreter::before(server.udp(), interpret)?;
        let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
        let rest = platform.rest();
        rest.add_media_server("m1", &interpreter.control(), &json!({}))?;
        let ready = platform.ready();
        let password = &ready.user("alice").password;
        let wss = ready.sip.wss;
        let mut alice = Browser::register_seeing("alice", &ready.domain, password, wss, ALICE_HZ)?;
        let bob = Phone::register(&platform)?;
        platform.wait_for_routable(2);
        let (who, uri) = (
            ready.credentials("bob"),
            format!("sip:alice@{}", ready.domain),
        );
        let kind = "Content-Type: application/sdp";
        let phone = &bob.signalling;
        let invite = phone.send_with_digest(&who, "INVITE", &uri, &[kind], &bob.offer())?;
        alice.wait_for_incoming();
        alice.answer()?;
        let answer = phone.expect_status(200, "INVITE");
        phone.send(phone.ack(&invite, &answer))?;
        bob.aim(&answer.body);
        let answers = interpreter.answers();
        let offer = answers.first().context("an offer for the browser")?;
        assert!(offer.contains("a=group:BUNDLE "), "{offer}");
        let ports: Vec<u16> = media(offer).into_iter().map(|(_, port)| port).collect();
        assert_eq!(ports[0] == ports[1], ports_are_one, "{offer}");
        alice.wait_for_established();
        alice.wait_for_tone(ALICE_HZ);
        see_each_other(&mut alice, &bob);
        assert_eq!(server.metric("tandem_ng_undone_flags_total"), 0);
        assert_eq!(server.metric("tandem_ng_unknown_flags_total"), 0);
    }
    Ok(())
}
