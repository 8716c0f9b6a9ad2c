//! Transfers between three softphones.

use anyhow::Result;
use serde_json::json;
use testkit::{Baresip, PhoneOptions, PhoneTransport, Platform, wait_for};

const CAROL_HZ: u32 = 1_400;

/// A platform with alice (440 Hz), bob (1,000 Hz) and carol (1,400 Hz) registered.
fn three_phones() -> Result<(Platform, [Baresip; 3])> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let carol = json!({ "account": rest.account()?, "name": "carol", "password": "carols-secret" });
    rest.create("/v1/users", &carol)?;
    let ready = platform.ready();
    let phone = |name: &str, password: &str, tone_hz| {
        let options = PhoneOptions::new(name, &ready.domain)
            .password(password)
            .server(ready.sip.udp, PhoneTransport::Udp)
            .tone_hz(tone_hz);
        Baresip::register(options)
    };
    let phones = [
        phone("alice", &ready.user("alice").password, 440)?,
        phone("bob", &ready.user("bob").password, 1_000)?,
        phone("carol", "carols-secret", CAROL_HZ)?,
    ];
    wait_for("three routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations
            .iter()
            .filter(|r| r["routable"] == true)
            .count();
        (routable == 3).then_some(())
    });
    Ok((platform, phones))
}

#[test]
fn a_blind_transfer_connects_the_other_two() -> Result<()> {
    let (platform, [mut alice, mut bob, mut carol]) = three_phones()?;
    let domain = &platform.ready().domain;
    alice.dial(&format!("sip:bob@{domain}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();

    alice.transfer(&format!("sip:carol@{domain}"))?;
    carol.wait_for_incoming();
    carol.answer()?;
    bob.wait_for_tone(CAROL_HZ);
    carol.wait_for_tone(1_000);
    alice.wait_for_closed();
    bob.hang_up()?;
    carol.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn an_attended_transfer_joins_two_calls() -> Result<()> {
    let (platform, [mut alice, mut bob, mut carol]) = three_phones()?;
    let domain = platform.ready().domain.clone();
    let mut calls = Vec::new();
    for (name, other) in [("bob", &mut bob), ("carol", &mut carol)] {
        alice.dial(&format!("sip:{name}@{domain}"))?;
        other.wait_for_incoming();
        other.answer()?;
        calls.push(alice.wait_for_established());
    }
    // The current call is that with carol: its far end is connected with bob's.
    alice.transfer_to_call(&format!("sip:bob@{domain}"), &calls[0])?;
    bob.wait_for_tone(CAROL_HZ);
    carol.wait_for_tone(1_000);
    bob.hang_up()?;
    carol.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}
