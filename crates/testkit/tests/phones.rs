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
