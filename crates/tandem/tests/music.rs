//! Music on hold, at real phones.

use anyhow::Result;
use serde_json::json;
use testkit::{
    Baresip, MediaEncryption, PhoneOptions, PhoneTransport, Platform, tone, wait_for, write_wav,
};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
const MUSIC_HZ: u32 = 620;

fn held_party_hears_music(encryption: [Option<MediaEncryption>; 2]) -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let music = platform.data().join("music.wav");
    write_wav(&music, &tone(f64::from(MUSIC_HZ), 2.0))?;
    let settings = json!({ "music_on_hold": music });
    platform.rest().change("/v1/settings", &settings)?;
    let ready = platform.ready();
    let phone = |name: &str, tone_hz, encryption: Option<MediaEncryption>| {
        let options = PhoneOptions::new(name, &ready.domain)
            .password(&ready.user(name).password)
            .server(ready.sip.udp, PhoneTransport::Udp)
            .tone_hz(tone_hz);
        Baresip::register(match encryption {
            Some(encryption) => options.encryption(encryption),
            None => options,
        })
    };
    let [callers, callees] = encryption;
    let mut alice = phone("alice", ALICE_HZ, callers)?;
    let mut bob = phone("bob", BOB_HZ, callees)?;
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == 2).then_some(())
    });
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);

    bob.wait_for_a_new_second();
    alice.hold()?;
    bob.wait_for_tone(MUSIC_HZ);
    bob.wait_for_a_new_second();
    alice.resume()?;
    bob.wait_for_tone(ALICE_HZ);
    alice.wait_for_tone(BOB_HZ);

    // The called one may hold, too.
    alice.wait_for_a_new_second();
    bob.hold()?;
    alice.wait_for_tone(MUSIC_HZ);
    alice.wait_for_a_new_second();
    bob.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    Ok(())
}

#[test]
fn who_is_put_on_hold_hears_music_until_it_is_taken_back() -> Result<()> {
    held_party_hears_music([None, None])
}

#[test]
fn music_is_encrypted_where_the_call_is() -> Result<()> {
    held_party_hears_music([
        Some(MediaEncryption::Sdes),
        Some(MediaEncryption::SdesIfPossible),
    ])
}
