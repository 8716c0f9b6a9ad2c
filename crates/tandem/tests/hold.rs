//! Music on hold, at real phones: softphones heard where they play, and browsers.

use anyhow::Result;
use serde_json::json;
use testkit::{
    Baresip, Browser, Dialog, MediaEncryption, MediaServer, Message, Peer, PhoneOptions,
    PhoneTransport, Platform, Rtpengine, Singer, session, tone, wait_for, write_wav,
};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
const MUSIC_HZ: u32 = 620;
/// What alice's switchboard plays to whom it holds.
const OWN_MUSIC_HZ: u32 = 800;

/// With music for all.
fn platform() -> Result<Platform> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let music = platform.data().join("music.wav");
    write_wav(&music, &tone(f64::from(MUSIC_HZ), 2.0))?;
    let settings = json!({ "music_on_hold": music });
    platform.rest().change("/v1/settings", &settings)?;
    Ok(platform)
}

fn softphone(
    platform: &Platform,
    name: &str,
    tone_hz: u32,
    encryption: Option<MediaEncryption>,
) -> Result<Baresip> {
    let ready = platform.ready();
    let options = PhoneOptions::new(name, &ready.domain)
        .password(&ready.user(name).password)
        .server(ready.sip.udp, PhoneTransport::Udp)
        .tone_hz(tone_hz)
        .speaker();
    Baresip::register(match encryption {
        Some(encryption) => options.encryption(encryption),
        None => options,
    })
}

fn wait_for_two(platform: &Platform) {
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == 2).then_some(())
    });
}

fn use_server(platform: &Platform, control: &str) -> Result<()> {
    let record = json!({ "name": "apart", "control": control });
    platform.rest().create("/v1/media-servers", &record)?;
    wait_for("the media server", || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        health.iter().any(|s| s["state"] == "up").then_some(())
    });
    Ok(())
}

/// Each holds the other once.
fn softphones_hold_each_other(
    platform: &Platform,
    encryption: [Option<MediaEncryption>; 2],
) -> Result<()> {
    let [callers, callees] = encryption;
    let mut alice = softphone(platform, "alice", ALICE_HZ, callers)?;
    let mut bob = softphone(platform, "bob", BOB_HZ, callees)?;
    wait_for_two(platform);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);

    alice.hold()?;
    bob.wait_for_tone(MUSIC_HZ);
    alice.resume()?;
    bob.wait_for_tone(ALICE_HZ);
    alice.wait_for_tone(BOB_HZ);

    bob.hold()?;
    alice.wait_for_tone(MUSIC_HZ);
    bob.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

/// A softphone holds a browser, twice.
fn a_softphone_holds_a_browser(platform: &Platform) -> Result<()> {
    let mut alice = softphone(platform, "alice", ALICE_HZ, None)?;
    let ready = platform.ready();
    let password = &ready.user("bob").password;
    let mut bob = Browser::register("bob", &ready.domain, password, ready.sip.wss, BOB_HZ)?;
    wait_for_two(platform);
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    for _ in 0..2 {
        alice.hold()?;
        bob.wait_for_tone(MUSIC_HZ);
        alice.resume()?;
        bob.wait_for_tone(ALICE_HZ);
        alice.wait_for_tone(BOB_HZ);
    }
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_browser_that_is_held_hears_the_music_and_then_the_other_again() -> Result<()> {
    a_softphone_holds_a_browser(&platform()?)
}

#[test]
fn a_browser_hears_the_music_of_a_media_server_of_our_own() -> Result<()> {
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])?;
    let platform = platform()?;
    use_server(&platform, &server.control())?;
    a_softphone_holds_a_browser(&platform)
}

#[test]
fn who_is_put_on_hold_hears_music_until_it_is_taken_back() -> Result<()> {
    softphones_hold_each_other(&platform()?, [None, None])
}

#[test]
fn music_is_encrypted_where_the_call_is() -> Result<()> {
    let encryption = [MediaEncryption::Sdes, MediaEncryption::SdesIfPossible];
    softphones_hold_each_other(&platform()?, encryption.map(Some))
}

#[test]
fn a_media_server_of_our_own_plays_the_music_of_its_calls() -> Result<()> {
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])?;
    let platform = platform()?;
    use_server(&platform, &server.control())?;
    softphones_hold_each_other(&platform, [None, None])
}

#[test]
fn a_stock_rtpengine_plays_the_music_of_its_calls() -> Result<()> {
    let server = Rtpengine::start()?;
    let platform = platform()?;
    use_server(&platform, &server.control())?;
    softphones_hold_each_other(&platform, [None, None])
}

/// A switchboard in alice's place, which may have music of its own.
struct Switchboard {
    signalling: Peer,
    voice: Singer,
    dialog: Dialog,
    requests: u32,
    /// Where what it says goes.
    towards: std::net::SocketAddr,
}

impl Switchboard {
    /// Takes a call of bob's.
    fn answer(platform: &Platform, bob: &mut Baresip) -> Result<Self> {
        let signalling = Peer::new(platform.ready().sip.udp)?;
        signalling.register_routable(platform, "alice")?;
        wait_for_two(platform);
        bob.dial(&format!("sip:alice@{}", platform.ready().domain))?;
        let invite = signalling.expect_request("INVITE");
        let voice = Singer::new()?;
        let content = ["Content-Type: application/sdp"];
        let answer = session(voice.address());
        signalling.send(signalling.response(&invite, "200 OK", "a", &content, &answer))?;
        signalling.expect_request("ACK");
        bob.wait_for_established();
        let towards = address(&invite);
        voice.sing(ALICE_HZ, towards);
        bob.wait_for_tone(ALICE_HZ);
        Ok(Self {
            dialog: Dialog::of_callee(&invite, "a"),
            signalling,
            voice,
            requests: 0,
            towards,
        })
    }

    /// Offers to send or to receive, or both.
    fn turn(&mut self, direction: &str) -> Result<()> {
        self.requests += 1;
        let offer = session(self.voice.address());
        let offer = offer.replace("sendrecv", direction);
        let content = ["Content-Type: application/sdp"];
        let peer = &self.signalling;
        let invite = peer.within(&self.dialog, "INVITE", self.requests, &content, &offer);
        peer.send(&invite)?;
        let answer = peer.expect_status(200, "INVITE");
        self.towards = address(&answer);
        let ack = peer.within(&self.dialog, "ACK", self.requests, &[], "");
        peer.send(ack)
    }

    fn sing(&self, frequency_hz: u32) {
        self.voice.sing(frequency_hz, self.towards);
    }
}

/// Where a description wants audio.
fn address(message: &Message) -> std::net::SocketAddr {
    let port = message.body.lines().find_map(|line| {
        let line = line.strip_prefix("m=audio ")?;
        line.split(' ').next()?.parse().ok()
    });
    ([127, 0, 0, 1], port.expect("a port")).into()
}

fn a_switchboard_holds_a_softphone(platform: &Platform) -> Result<()> {
    let mut bob = softphone(platform, "bob", BOB_HZ, None)?;
    let mut alice = Switchboard::answer(platform, &mut bob)?;
    alice.turn("sendonly")?;
    alice.sing(OWN_MUSIC_HZ);
    bob.wait_for_tone(OWN_MUSIC_HZ);
    // Its record has a pause, or it has none at all.
    alice.voice.hush();
    bob.wait_for_tone(MUSIC_HZ);
    alice.sing(OWN_MUSIC_HZ);
    bob.wait_for_tone(OWN_MUSIC_HZ);
    alice.turn("sendrecv")?;
    alice.sing(ALICE_HZ);
    bob.wait_for_tone(ALICE_HZ);

    let settings = json!({ "music_on_hold_over": "everything" });
    platform.rest().change("/v1/settings", &settings)?;
    alice.turn("sendonly")?;
    alice.sing(OWN_MUSIC_HZ);
    bob.wait_for_tone(MUSIC_HZ);
    Ok(())
}

#[test]
fn a_holder_that_plays_music_of_its_own_is_heard_unless_the_platform_insists() -> Result<()> {
    a_switchboard_holds_a_softphone(&platform()?)
}

#[test]
fn a_media_server_of_our_own_gives_way_to_the_holders_music() -> Result<()> {
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])?;
    let platform = platform()?;
    use_server(&platform, &server.control())?;
    a_switchboard_holds_a_softphone(&platform)
}
