//! Encrypted and transcoded calls over media servers of their own, and what becomes of them when
//! their server dies.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testkit::{
    Baresip, Browser, GatewaySpec, MediaEncryption, MediaServer, Platform, PlatformOptions,
    RelayServer, Rtpengine, Speech, Talkers, wait_for,
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
    let mut options = platform.phone(name, tone_hz);
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
    platform.wait_for_routable(2);
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
    platform.wait_for_routable(2);
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
    platform.wait_for_routable(2);
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

/// A browser whose descriptions name no candidates calls, and is called; the server takes those
/// that follow.
#[test]
fn a_browser_that_names_its_candidates_later_meets_a_media_server() -> Result<()> {
    let server = MediaServer::start(TANDEM, &[])?;
    let platform = PlatformOptions::new(TANDEM)
        .argument("--ice")
        .argument("full")
        .start()?;
    let rest = platform.rest();
    rest.add_media_server("m1", &server.control(), &json!({}))?;
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let wss = ready.sip.wss;
    let mut alice = Browser::register_trickling("alice", &ready.domain, password, wss, ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", None, BOB_HZ)?;
    platform.wait_for_routable(2);
    let offers = || server.metric("tandem_ng_offercount_total");

    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    hear_each_other(&platform, &mut alice, &bob);
    assert_eq!(offers(), 2, "an offer and a fragment");
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();

    bob.dial(&format!("sip:alice@{}", ready.domain))?;
    alice.wait_for_incoming();
    alice.answer()?;
    hear_each_other(&platform, &mut alice, &bob);
    assert_eq!(offers(), 4);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[track_caller]
fn hear_each_other(platform: &Platform, alice: &mut Browser, bob: &Baresip) {
    assert!(alice.wait_for_trickled() > 0);
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_elsewhere(platform);
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

/// Alice calls bob, both in browsers; each hears the other.
fn browsers_talk(platform: &Platform) -> Result<[Browser; 2]> {
    let mut alice = browser(platform, "alice", ALICE_HZ)?;
    let mut bob = browser(platform, "bob", BOB_HZ)?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_elsewhere(platform);
    Ok([alice, bob])
}

/// The call of two browsers goes on when its server was killed.
fn the_call_of_two_browsers_moves(servers: [impl RelayServer; 2]) -> Result<()> {
    let [mut dies, stays] = servers;
    let platform = platform(&dies.control())?;
    let [mut alice, mut bob] = browsers_talk(&platform)?;
    let rest = platform.rest();
    rest.add_media_server("m2", &stays.control(), &json!({}))?;
    alice.forget_gaps()?;
    bob.forget_gaps()?;
    dies.kill_9();
    let (there, here) = (alice.wait_for_gap()?, bob.wait_for_gap()?);
    println!("silent for {there:?} at the caller, for {here:?} at the callee");
    assert!(there < GAP_MAX && here < GAP_MAX);
    assert_eq!(rest.media_server("m2")["sessions"], 1);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn the_call_of_two_browsers_moves_between_media_servers() -> Result<()> {
    the_call_of_two_browsers_moves(ours()?)
}

#[test]
fn the_call_of_two_browsers_moves_between_stock_rtpengines() -> Result<()> {
    the_call_of_two_browsers_moves([Rtpengine::start()?, Rtpengine::start()?])
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

fn ours() -> Result<[MediaServer; 2]> {
    Ok([
        MediaServer::start(TANDEM, &[])?,
        MediaServer::start(TANDEM, &[])?,
    ])
}

/// Calls of callers that speak so are heard at both ends again soon after their server was killed.
fn calls_move(speech: Speech, count: usize, servers: [impl RelayServer; 2]) -> Result<()> {
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
fn calls_with_keys_by_dtls_move_between_stock_rtpengines() -> Result<()> {
    let servers = [Rtpengine::with_ports(260)?, Rtpengine::with_ports(260)?];
    calls_move(Speech::Dtls, 10, servers)
}

/// A browser's call to a phone goes on when its server was killed.
fn the_call_of_a_browser_moves(servers: [impl RelayServer; 2]) -> Result<()> {
    let [mut dies, stays] = servers;
    let platform = platform(&dies.control())?;
    let talkers = talkers(&platform)?;
    let mut alice = browser(&platform, "alice", ALICE_HZ)?;
    platform.wait_for_routable(1);
    alice.dial(&format!("sip:493012345@{}", platform.ready().domain))?;
    alice.wait_for_established();
    alice.wait_for_media();
    talkers.wait_until_at(&dies.media_ports());
    let rest = platform.rest();
    rest.add_media_server("m2", &stays.control(), &json!({}))?;

    alice.forget_gaps()?;
    talkers.forget_gaps();
    dies.kill_9();
    talkers.wait_until_at(&stays.media_ports());
    let (there, here) = (talkers.gaps()[0], alice.wait_for_gap()?);
    println!("silent for {there:?} at the phone, for {here:?} at the browser");
    assert!(there < GAP_MAX && here < GAP_MAX);
    alice.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn the_call_of_a_browser_moves_between_media_servers() -> Result<()> {
    the_call_of_a_browser_moves(ours()?)
}

#[test]
fn the_call_of_a_browser_moves_between_stock_rtpengines() -> Result<()> {
    the_call_of_a_browser_moves([Rtpengine::start()?, Rtpengine::start()?])
}

/// A phone's call to a browser goes on when its server was killed.
fn the_call_to_a_browser_moves(servers: [impl RelayServer; 2]) -> Result<()> {
    let [mut dies, stays] = servers;
    let platform = platform(&dies.control())?;
    let mut alice = browser(&platform, "alice", ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", None, BOB_HZ)?;
    platform.wait_for_routable(2);
    bob.dial(&format!("sip:alice@{}", platform.ready().domain))?;
    alice.wait_for_incoming();
    alice.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    let rest = platform.rest();
    rest.add_media_server("m2", &stays.control(), &json!({}))?;
    alice.forget_gaps()?;
    dies.kill_9();
    let here = alice.wait_for_gap()?;
    println!("silent for {here:?} at the browser");
    assert!(here < GAP_MAX);
    // What was heard since the re-INVITE is in a file of its own.
    wait_for("media at the phone", || {
        let log = bob.log();
        (log.matches("INVITE sip:bob").count() >= 1).then_some(())
    });
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn the_call_to_a_browser_moves_between_media_servers() -> Result<()> {
    the_call_to_a_browser_moves(ours()?)
}

#[test]
fn the_call_to_a_browser_moves_between_stock_rtpengines() -> Result<()> {
    the_call_to_a_browser_moves([Rtpengine::start()?, Rtpengine::start()?])
}
