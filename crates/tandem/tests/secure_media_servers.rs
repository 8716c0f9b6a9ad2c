//! Encrypted and transcoded calls over media servers of their own, and what becomes of them when
//! their server dies.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testkit::{
    Baresip, Browser, GatewaySpec, MediaEncryption, MediaServer, PhoneOptions, PhoneTransport,
    Platform, Rtpengine, Speech, Talkers, wait_for,
};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
/// What the far end of a call may hear nothing when its media server dies.
const GAP_MAX: Duration = Duration::from_secs(2);

/// A platform whose media is elsewhere.
fn platform(control: &str) -> Result<Platform> {
    let platform = Platform::start(TANDEM)?;
    let rest = platform.rest();
    rest.add_media_server("m1", control, &json!({}))?;
    Ok(platform)
}

fn phone(
    platform: &Platform,
    name: &str,
    encryption: Option<MediaEncryption>,
    tone_hz: u32,
) -> Result<Baresip> {
    let ready = platform.ready();
    let mut options = PhoneOptions::new(name, &ready.domain)
        .password(&ready.user(name).password)
        .server(ready.sip.udp, PhoneTransport::Udp)
        .tone_hz(tone_hz);
    if let Some(encryption) = encryption {
        options = options.encryption(encryption);
    }
    Baresip::register(options)
}

fn browser(platform: &Platform, name: &str, tone_hz: u32) -> Result<Browser> {
    let ready = platform.ready();
    let password = &ready.user(name).password;
    Browser::register(name, &ready.domain, password, ready.sip.wss, tone_hz)
}

#[track_caller]
fn wait_for_routable(platform: &Platform, count: usize) {
    wait_for("routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == count).then_some(())
    });
}

/// Nothing is relayed by the switch itself, and the server is left without sessions.
#[track_caller]
fn assert_elsewhere(platform: &Platform) {
    let metrics = platform.rest().send("GET", "/metrics", None);
    let metrics = metrics.map(|(_, body)| body).unwrap_or_default();
    let metrics = metrics.as_str().unwrap_or_default();
    assert!(metrics.contains("\ntandem_rtp_sessions 0\n"), "no RTP here");
    assert_eq!(platform.rest().media_server("m1")["sessions"], 1);
}

/// Alice calls bob; each hears the other.
fn phones_talk(
    control: &str,
    caller: Option<MediaEncryption>,
    callee: Option<MediaEncryption>,
) -> Result<()> {
    let platform = platform(control)?;
    let mut alice = phone(&platform, "alice", caller, ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", callee, BOB_HZ)?;
    wait_for_routable(&platform, 2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_elsewhere(&platform);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

fn a_browser_calls_a_softphone(control: &str) -> Result<()> {
    let platform = platform(control)?;
    let mut alice = browser(&platform, "alice", ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", None, BOB_HZ)?;
    wait_for_routable(&platform, 2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_elsewhere(&platform);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

fn a_softphone_calls_a_browser(control: &str) -> Result<()> {
    let platform = platform(control)?;
    let mut alice = browser(&platform, "alice", ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", None, BOB_HZ)?;
    wait_for_routable(&platform, 2);
    bob.dial(&format!("sip:alice@{}", platform.ready().domain))?;
    alice.wait_for_incoming();
    alice.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_elsewhere(&platform);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_browser_calls_a_softphone_by_a_media_server() -> Result<()> {
    let server = MediaServer::start(TANDEM, &[])?;
    a_browser_calls_a_softphone(&server.control())
}

#[test]
fn a_softphone_calls_a_browser_by_a_media_server() -> Result<()> {
    let server = MediaServer::start(TANDEM, &[])?;
    a_softphone_calls_a_browser(&server.control())
}

#[test]
fn a_browser_calls_a_softphone_by_a_stock_rtpengine() -> Result<()> {
    let rtpengine = Rtpengine::start()?;
    a_browser_calls_a_softphone(&rtpengine.control())
}

#[test]
fn a_softphone_calls_a_browser_by_a_stock_rtpengine() -> Result<()> {
    let rtpengine = Rtpengine::start()?;
    a_softphone_calls_a_browser(&rtpengine.control())
}

#[test]
fn keys_in_the_description_on_one_side_only() -> Result<()> {
    let server = MediaServer::start(TANDEM, &[])?;
    phones_talk(&server.control(), Some(MediaEncryption::Sdes), None)
}

#[test]
fn keys_in_the_descriptions_of_both_sides() -> Result<()> {
    let server = MediaServer::start(TANDEM, &[])?;
    let [caller, callee] = [MediaEncryption::Sdes, MediaEncryption::SdesIfPossible];
    phones_talk(&server.control(), Some(caller), Some(callee))
}

#[test]
fn keys_in_the_description_by_a_stock_rtpengine() -> Result<()> {
    let rtpengine = Rtpengine::start()?;
    phones_talk(&rtpengine.control(), Some(MediaEncryption::Sdes), None)
}

/// Callers and a carrier around the platform.
fn talkers(platform: &Platform) -> Result<Talkers> {
    let talkers = Talkers::new(platform.ready().sip.udp)?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(talkers.gateway())], &json!({}))?;
    Ok(talkers)
}

/// A media server of either make.
trait Server {
    fn control(&self) -> String;
    fn media_ports(&self) -> RangeInclusive<u16>;
    fn kill_9(&mut self);
}

impl Server for MediaServer {
    fn control(&self) -> String {
        self.control()
    }

    fn media_ports(&self) -> RangeInclusive<u16> {
        self.media_ports()
    }

    fn kill_9(&mut self) {
        self.kill_9();
    }
}

impl Server for Rtpengine {
    fn control(&self) -> String {
        self.control()
    }

    fn media_ports(&self) -> RangeInclusive<u16> {
        self.media_ports()
    }

    fn kill_9(&mut self) {
        self.kill_9();
    }
}

fn ours() -> Result<[MediaServer; 2]> {
    Ok([
        MediaServer::start(TANDEM, &[])?,
        MediaServer::start(TANDEM, &[])?,
    ])
}

/// Calls of callers that speak so are heard at both ends again soon after their server was killed.
fn calls_move(speech: Speech, count: usize, servers: [impl Server; 2]) -> Result<()> {
    let [mut dies, stays] = servers;
    let platform = platform(&dies.control())?;
    let talkers = talkers(&platform)?;
    talkers.call_in(speech, count, "493012345")?;
    assert_eq!(talkers.ends_at(&dies.media_ports()), 2 * count);
    let rest = platform.rest();
    rest.add_media_server("m2", &stays.control(), &json!({}))?;

    talkers.forget_gaps();
    dies.kill_9();
    talkers.wait_until_at(&stays.media_ports());
    let gaps = talkers.gaps();
    let (p95, longest) = (gaps[gaps.len() * 95 / 100], gaps[gaps.len() - 1]);
    println!("{count} calls, {speech:?}: 95 % silent for at most {p95:?}, the longest {longest:?}");
    assert!(longest < GAP_MAX, "{gaps:?}");
    assert_eq!(talkers.reinvites(), 2 * count, "each side is told once");
    talkers.hang_up()?;
    platform.wait_until_idle();
    let cdrs = wait_for("the CDRs", || {
        let cdrs = rest.list("/v1/cdrs").ok()?;
        (cdrs.len() >= count).then_some(cdrs)
    });
    for cdr in &cdrs {
        assert_eq!(cdr["ended_by"], "caller");
        for leg in ["media_a", "media_b"] {
            assert!(cdr[leg]["packets"].as_u64() > Some(0), "{leg} of {cdr}");
        }
    }
    Ok(())
}

#[test]
fn calls_with_keys_in_the_description_move() -> Result<()> {
    calls_move(Speech::Sdes, 50, ours()?)
}

#[test]
fn calls_with_keys_in_the_description_move_between_stock_rtpengines() -> Result<()> {
    let servers = [Rtpengine::with_ports(260)?, Rtpengine::with_ports(260)?];
    calls_move(Speech::Sdes, 10, servers)
}

#[test]
fn transcoded_calls_move() -> Result<()> {
    calls_move(Speech::Wide, 50, ours()?)
}

#[test]
fn transcoded_calls_move_between_stock_rtpengines() -> Result<()> {
    let servers = [Rtpengine::with_ports(260)?, Rtpengine::with_ports(260)?];
    calls_move(Speech::Wide, 10, servers)
}

#[test]
fn calls_with_keys_by_dtls_move() -> Result<()> {
    calls_move(Speech::Dtls, 50, ours()?)
}

#[test]
fn the_call_of_a_browser_moves() -> Result<()> {
    let mut dies = MediaServer::start(TANDEM, &[])?;
    let stays = MediaServer::start(TANDEM, &[])?;
    let platform = platform(&dies.control())?;
    let talkers = talkers(&platform)?;
    let mut alice = browser(&platform, "alice", ALICE_HZ)?;
    wait_for_routable(&platform, 1);
    alice.dial(&format!("sip:493012345@{}", platform.ready().domain))?;
    alice.wait_for_established();
    alice.wait_for_media();
    talkers.wait_until_at(&dies.media_ports());
    let rest = platform.rest();
    rest.add_media_server("m2", &stays.control(), &json!({}))?;

    talkers.forget_gaps();
    dies.kill_9();
    talkers.wait_until_at(&stays.media_ports());
    let (there, here) = (talkers.gaps()[0], alice.wait_for_gap());
    println!("silent for {there:?} at the phone, for {here:?} at the browser");
    assert!(there < GAP_MAX && here < GAP_MAX);
    alice.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}
