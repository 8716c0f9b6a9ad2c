//! One phone of several, and phones whose connections break: GRUU (RFC 5627) and outbound
//! (RFC 5626) with real ones.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Baresip, Browser, PhoneOptions, PhoneTransport, Platform, Tunnel, wait_for_within};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
const DESK_HZ: u32 = 700;
const PATIENCE: Duration = Duration::from_secs(90);

fn softphone(platform: &Platform, name: &str, tone_hz: u32) -> PhoneOptions {
    platform.phone(name, tone_hz)
}

/// Waits until so many contacts of alice can be called. A phone whose connection broke waits for up
/// to a minute (RFC 5626 §4.5).
fn wait_for_contacts(platform: &Platform, count: usize) {
    wait_for_within(PATIENCE, &format!("{count} contacts of alice"), || {
        let contacts = platform.rest().list("/v1/registrations?aor=alice").ok()?;
        let routable = contacts.iter().filter(|one| one["routable"] == true);
        (routable.count() == count).then_some(())
    });
}

#[test]
fn a_browser_alone_rings_at_its_gruus() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let ready = platform.ready();
    let password = &ready.user("alice").password;
    let mut alice = Browser::register("alice", &ready.domain, password, ready.sip.wss, ALICE_HZ)?;
    let desk = Baresip::register(softphone(&platform, "alice", DESK_HZ))?;
    let mut bob = Baresip::register(softphone(&platform, "bob", BOB_HZ))?;
    wait_for_contacts(&platform, 2);
    let [public, temporary] = alice.gruus()?;
    let domain = &ready.domain;
    ensure!(
        public.starts_with(&format!("sip:alice@{domain};gr=")),
        "{public}"
    );
    ensure!(!temporary.contains("alice"), "{temporary}");
    for gruu in [public, temporary] {
        bob.dial(&gruu)?;
        alice.wait_for_incoming();
        alice.answer()?;
        bob.wait_for_established();
        alice.wait_for_tone(BOB_HZ);
        bob.wait_for_tone(ALICE_HZ);
        bob.hang_up()?;
        alice.wait_for_closed();
        platform.wait_until_idle();
    }
    assert!(!desk.log().contains("INVITE sip:"), "her other phone rang");
    Ok(())
}

#[test]
fn a_phone_whose_connection_broke_is_reached_again_over_its_next_one() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let tunnel = Tunnel::plain(platform.ready().sip.tcp)?;
    let options = softphone(&platform, "alice", ALICE_HZ);
    let mut alice = Baresip::register(
        options
            .server(tunnel.address(), PhoneTransport::Tcp)
            .outbound(),
    )?;
    let log = alice.log();
    assert!(log.contains("Require: outbound"), "{log}");
    let mut bob = Baresip::register(softphone(&platform, "bob", BOB_HZ))?;
    wait_for_contacts(&platform, 1);
    let before = source_of(&platform)?;
    tunnel.cut();
    wait_for_contacts(&platform, 0);
    // She notices by herself.
    wait_for_contacts(&platform, 1);
    assert_ne!(source_of(&platform)?, before);
    bob.dial(&format!("sip:alice@{}", platform.ready().domain))?;
    alice.wait_for_incoming();
    alice.answer()?;
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

fn source_of(platform: &Platform) -> Result<String> {
    let contacts = platform.rest().list("/v1/registrations?aor=alice")?;
    Ok(contacts[0]["received"].to_string())
}
