//! A phone in a headless browser with a softphone, over WSS and DTLS-SRTP.

use anyhow::Result;
use testkit::{Baresip, Browser, Platform, PlatformOptions};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// Alice in a browser, bob with a softphone.
fn phones(platform: &Platform) -> Result<(Browser, Baresip)> {
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let alice = Browser::register("alice", &ready.domain, password, ready.sip.wss, ALICE_HZ)?;
    Ok((alice, softphone(platform)?))
}

/// Bob, both phones being registered after.
fn softphone(platform: &Platform) -> Result<Baresip> {
    let options = platform.phone("bob", BOB_HZ);
    let bob = Baresip::register(options)?;
    platform.wait_for_routable(2);
    Ok(bob)
}

#[test]
fn a_browser_calls_a_softphone() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let (mut alice, mut bob) = phones(&platform)?;
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_softphone_calls_a_browser() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let (mut alice, mut bob) = phones(&platform)?;
    bob.dial(&format!("sip:alice@{}", platform.ready().domain))?;
    alice.wait_for_incoming();
    alice.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_browser_hears_itself_at_the_echo() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let mut alice = Browser::register("alice", &ready.domain, password, ready.sip.wss, ALICE_HZ)?;
    alice.dial(&format!("sip:600@{}", ready.domain))?;
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_browser_that_names_its_candidates_later_meets_a_full_agent() -> Result<()> {
    let platform = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
        .argument("--ice")
        .argument("full")
        .start()?;
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let wss = ready.sip.wss;
    let mut alice = Browser::register_trickling("alice", &ready.domain, password, wss, ALICE_HZ)?;
    let mut bob = softphone(&platform)?;
    // Controlled by the browser's offer, then controlling by ours.
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    hear_each_other(&mut alice, &bob);
    alice.hang_up()?;
    bob.wait_for_closed();
    bob.dial(&format!("sip:alice@{}", ready.domain))?;
    alice.wait_for_incoming();
    alice.answer()?;
    hear_each_other(&mut alice, &bob);
    bob.hang_up()?;
    alice.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

fn hear_each_other(alice: &mut Browser, bob: &Baresip) {
    assert!(alice.wait_for_trickled() > 0);
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
}
