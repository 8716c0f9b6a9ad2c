//! Softphones that protect their media, with softphones that do not.

use anyhow::Result;
use testkit::{Baresip, MediaEncryption, PhoneOptions, PhoneTransport, Platform, wait_for};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

fn phone(
    platform: &Platform,
    name: &str,
    encryption: Option<MediaEncryption>,
    tone_hz: u32,
) -> Result<Baresip> {
    let mut options = plain_phone(platform, name, tone_hz);
    if let Some(encryption) = encryption {
        options = options.encryption(encryption);
    }
    Baresip::register(options)
}

fn plain_phone(platform: &Platform, name: &str, tone_hz: u32) -> PhoneOptions {
    let ready = platform.ready();
    PhoneOptions::new(name, &ready.domain)
        .password(&ready.user(name).password)
        .server(ready.sip.udp, PhoneTransport::Udp)
        .tone_hz(tone_hz)
}

/// Alice calls bob; each hears the other.
fn a_call_between(caller: Option<MediaEncryption>, callee: Option<MediaEncryption>) -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let alice = phone(&platform, "alice", caller, ALICE_HZ)?;
    let bob = phone(&platform, "bob", callee, BOB_HZ)?;
    they_hear_each_other(&platform, alice, bob)
}

fn they_hear_each_other(platform: &Platform, mut alice: Baresip, mut bob: Baresip) -> Result<()> {
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == 2).then_some(())
    });
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn keys_in_the_description_on_one_side_only() -> Result<()> {
    a_call_between(Some(MediaEncryption::Sdes), None)
}

#[test]
fn keys_in_the_descriptions_of_both_sides() -> Result<()> {
    let encryption = MediaEncryption::SdesIfPossible;
    a_call_between(Some(MediaEncryption::Sdes), Some(encryption))
}

#[test]
fn dtls_with_a_phone_whose_certificate_is_rsa() -> Result<()> {
    a_call_between(Some(MediaEncryption::Dtls), None)
}
