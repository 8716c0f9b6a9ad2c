//! Softphones on the platform: what a user does on the first day.

use anyhow::Result;
use serde_json::Value;
use testkit::{Baresip, PhoneOptions, PhoneTransport, Platform, wait_for};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn phone(
    platform: &Platform,
    name: &str,
    transport: PhoneTransport,
    tone_hz: u32,
) -> Result<Baresip> {
    let ready = platform.ready();
    let server = match transport {
        PhoneTransport::Udp => ready.sip.udp,
        PhoneTransport::Tcp => ready.sip.tcp,
        PhoneTransport::Tls => ready.sip.tls,
    };
    let options = PhoneOptions::new(name, &ready.domain)
        .password(&ready.user(name).password)
        .server(server, transport)
        .tone_hz(tone_hz);
    Baresip::register(options)
}

fn uri(platform: &Platform, user: &str) -> String {
    format!("sip:{user}@{}", platform.ready().domain)
}

/// Two registered phones in a call that alice began.
fn talking(platform: &Platform, transport: PhoneTransport) -> Result<(Baresip, Baresip)> {
    let mut alice = phone(platform, "alice", transport, ALICE_HZ)?;
    let mut bob = phone(platform, "bob", transport, BOB_HZ)?;
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations
            .iter()
            .filter(|r| r["routable"] == true)
            .count();
        (routable == 2).then_some(())
    });
    alice.dial(&uri(platform, "bob"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    Ok((alice, bob))
}

/// The only CDR, once the call has ended.
fn only_cdr(platform: &Platform) -> Value {
    platform.wait_until_idle();
    let mut cdrs = wait_for("a CDR", || {
        platform
            .rest()
            .list("/v1/cdrs")
            .ok()
            .filter(|cdrs| !cdrs.is_empty())
    });
    assert_eq!(cdrs.len(), 1, "{cdrs:?}");
    cdrs.remove(0)
}

/// One CDR of one answered call, ended by this party.
fn assert_one_cdr(platform: &Platform, ended_by: &str) {
    let cdr = only_cdr(platform);
    assert_eq!(cdr["outcome"], "answered", "{cdr}");
    assert_eq!(cdr["ended_by"], ended_by, "{cdr}");
}

fn a_call_over(transport: PhoneTransport) -> Result<()> {
    let platform = platform()?;
    let (mut alice, mut bob) = talking(&platform, transport)?;
    alice.send_dtmf('5')?;
    assert_eq!(bob.wait_for_dtmf(), "5");
    bob.send_dtmf('#')?;
    assert_eq!(alice.wait_for_dtmf(), "#");
    alice.hang_up()?;
    bob.wait_for_closed();
    assert_one_cdr(&platform, "caller");
    Ok(())
}

#[test]
fn a_call_over_udp() -> Result<()> {
    a_call_over(PhoneTransport::Udp)
}

#[test]
fn a_call_over_tcp() -> Result<()> {
    a_call_over(PhoneTransport::Tcp)
}

#[test]
fn a_call_over_tls() -> Result<()> {
    a_call_over(PhoneTransport::Tls)
}

#[test]
fn the_callee_hangs_up() -> Result<()> {
    let platform = platform()?;
    let (mut alice, mut bob) = talking(&platform, PhoneTransport::Udp)?;
    bob.hang_up()?;
    alice.wait_for_closed();
    assert_one_cdr(&platform, "callee");
    Ok(())
}

#[test]
fn the_callee_declines() -> Result<()> {
    let platform = platform()?;
    let mut alice = phone(&platform, "alice", PhoneTransport::Udp, ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", PhoneTransport::Udp, BOB_HZ)?;
    alice.dial(&uri(&platform, "bob"))?;
    bob.wait_for_incoming();
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdr = only_cdr(&platform);
    assert_eq!(cdr["outcome"], "busy", "{cdr}");
    Ok(())
}

#[test]
fn hold_and_resume() -> Result<()> {
    let platform = platform()?;
    let (mut alice, mut bob) = talking(&platform, PhoneTransport::Udp)?;
    alice.hold()?;
    bob.wait_for_event("CALL_REMOTE_SDP");
    wait_for("a leg on hold", || {
        let calls = platform.rest().list("/v1/calls").ok()?;
        calls[0]["legs"]
            .as_array()?
            .iter()
            .any(|leg| leg["held"] == true)
            .then_some(())
    });
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    assert_one_cdr(&platform, "callee");
    Ok(())
}

#[test]
fn echo_plays_back_what_it_hears() -> Result<()> {
    let platform = platform()?;
    let mut alice = phone(&platform, "alice", PhoneTransport::Udp, ALICE_HZ)?;
    alice.dial(&uri(&platform, "600"))?;
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    assert_one_cdr(&platform, "caller");
    Ok(())
}

#[test]
fn an_unknown_user_is_not_found() -> Result<()> {
    let platform = platform()?;
    let mut alice = phone(&platform, "alice", PhoneTransport::Udp, ALICE_HZ)?;
    alice.dial(&uri(&platform, "nobody"))?;
    let end = alice.wait_for_closed();
    assert!(end.parameter.contains("404"), "{end:?}");
    Ok(())
}
