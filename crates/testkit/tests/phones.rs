//! The phone driver works: two baresips, first alone, then through Kamailio.

use anyhow::Result;
use testkit::{Baresip, Kamailio, PhoneOptions, PhoneTransport};

#[test]
fn a_direct_call_carries_audio_dtmf_hold_and_a_hang_up() -> Result<()> {
    let mut alice = Baresip::start(PhoneOptions::new("alice", "127.0.0.1").tone_hz(440))?;
    let mut bob = Baresip::start(PhoneOptions::new("bob", "127.0.0.1").tone_hz(1_000))?;

    alice.dial(&format!("sip:bob@{}", bob.address()))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(1_000);
    bob.wait_for_tone(440);

    alice.send_dtmf('5')?;
    assert_eq!(bob.wait_for_dtmf(), "5");

    alice.hold()?;
    bob.wait_for_event("CALL_REMOTE_SDP");
    alice.resume()?;
    bob.wait_for_event("CALL_REMOTE_SDP");
    bob.wait_for_tone(440);

    bob.hang_up()?;
    alice.wait_for_closed();
    Ok(())
}

#[test]
fn phones_register_and_call_over_each_transport() -> Result<()> {
    let kamailio = Kamailio::registrar("example.com", "secret")?;
    for transport in [PhoneTransport::Udp, PhoneTransport::Tcp] {
        let phone = |name: &str, tone_hz| {
            Baresip::register(
                PhoneOptions::new(name, "example.com")
                    .password("secret")
                    .server(kamailio.address(), transport)
                    .tone_hz(tone_hz),
            )
        };
        let mut alice = phone("alice", 440)?;
        let mut bob = phone("bob", 1_000)?;
        alice.dial("sip:bob@example.com")?;
        bob.wait_for_incoming();
        bob.answer()?;
        alice.wait_for_tone(1_000);
        bob.wait_for_tone(440);
        alice.hang_up()?;
        bob.wait_for_closed();
    }
    Ok(())
}

#[test]
fn a_wrong_password_is_not_registered() -> Result<()> {
    let kamailio = Kamailio::registrar("example.com", "secret")?;
    let options = PhoneOptions::new("alice", "example.com")
        .password("wrong")
        .server(kamailio.address(), PhoneTransport::Udp);
    assert!(Baresip::register(options).is_err());
    Ok(())
}

/// Three registered phones: alice, bob and carol.
fn three_phones(kamailio: &Kamailio) -> Result<[Baresip; 3]> {
    let phone = |name: &str, tone_hz| {
        Baresip::register(
            PhoneOptions::new(name, "example.com")
                .password("secret")
                .server(kamailio.address(), PhoneTransport::Udp)
                .tone_hz(tone_hz),
        )
    };
    Ok([
        phone("alice", 440)?,
        phone("bob", 1_000)?,
        phone("carol", 1_400)?,
    ])
}

#[test]
fn a_blind_transfer_connects_the_other_two() -> Result<()> {
    let kamailio = Kamailio::registrar("example.com", "secret")?;
    let [mut alice, mut bob, mut carol] = three_phones(&kamailio)?;
    alice.dial("sip:bob@example.com")?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();

    alice.transfer("sip:carol@example.com")?;
    carol.wait_for_incoming();
    carol.answer()?;
    bob.wait_for_tone(1_400);
    carol.wait_for_tone(1_000);
    Ok(())
}

#[test]
fn a_transfer_to_a_call_names_its_dialog() -> Result<()> {
    let kamailio = Kamailio::registrar("example.com", "secret")?;
    let [mut alice, mut bob, mut carol] = three_phones(&kamailio)?;
    let mut calls = Vec::new();
    for (name, other) in [("bob", &mut bob), ("carol", &mut carol)] {
        alice.dial(&format!("sip:{name}@example.com"))?;
        other.wait_for_incoming();
        other.answer()?;
        calls.push(alice.wait_for_established());
    }

    // The current call is that with carol: she is asked to replace alice in the one with bob.
    alice.transfer_to_call("sip:bob@example.com", &calls[0])?;
    let expected = format!(
        "Refer-To: <sip:bob@example.com?Replaces={}%3Bto-tag%3D",
        calls[0].call
    );
    testkit::wait_for("a REFER that names the dialog with bob", || {
        carol.log().contains(&expected).then_some(())
    });
    Ok(())
}
