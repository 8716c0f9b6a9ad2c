//! Recorded calls of real phones.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::dominant_frequency_hz;
use testkit::{Baresip, PhoneOptions, PhoneTransport, Platform, record_path, wait_for};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// A platform that records alice's calls, with her and bob.
fn recorded_phones() -> Result<(Platform, [Baresip; 2])> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let users = rest.list("/v1/users")?;
    let alice = users.iter().find(|user| user["name"] == "alice");
    let alice = record_path("users", alice.context("alice")?);
    rest.change(&alice, &json!({ "record": true }))?;
    let ready = platform.ready();
    let phone = |name: &str, tone_hz| {
        let options = PhoneOptions::new(name, &ready.domain)
            .password(&ready.user(name).password)
            .server(ready.sip.udp, PhoneTransport::Udp)
            .tone_hz(tone_hz);
        Baresip::register(options)
    };
    let phones = [phone("alice", ALICE_HZ)?, phone("bob", BOB_HZ)?];
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == 2).then_some(())
    });
    Ok((platform, phones))
}

/// Alice has called bob, and each hears the other.
fn talk(platform: &Platform, [alice, bob]: &mut [Baresip; 2]) -> Result<()> {
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    Ok(())
}

fn recordings(platform: &Platform) -> Vec<Value> {
    platform.rest().list("/v1/recordings").unwrap_or_default()
}

fn path(platform: &Platform, file: &str) -> PathBuf {
    platform.data().join("recordings").join(file)
}

/// What sounds left and right in a stereo file, over its second half: phones begin one by one.
fn tones(bytes: &[u8]) -> [Option<u32>; 2] {
    let data_bytes = u32::from_le_bytes(bytes[40..44].try_into().expect("four bytes"));
    assert_eq!(data_bytes as usize, (bytes.len() - 44) / 4 * 4);
    let samples = bytes[44..].as_chunks().0.iter();
    let samples: Vec<i16> = samples.map(|pair| i16::from_le_bytes(*pair)).collect();
    [0, 1].map(|channel| {
        let channel: Vec<i16> = samples.iter().skip(channel).step_by(2).copied().collect();
        let voiced: Vec<i16> = channel
            .into_iter()
            .skip_while(|s| s.abs() < 1_000)
            .collect();
        dominant_frequency_hz(&voiced[..voiced.len().min(4_000)])
    })
}

#[test]
fn the_caller_is_left_and_the_callee_right_and_the_record_names_the_file() -> Result<()> {
    let (platform, mut phones) = recorded_phones()?;
    talk(&platform, &mut phones)?;
    wait_for("a recording that grows", || {
        let found = recordings(&platform);
        let grows = found.first()?["length_ms"].as_u64()? > 1_000;
        (grows && found[0]["finished"] == false).then_some(())
    });
    phones[0].hang_up()?;
    phones[1].wait_for_closed();
    let found = wait_for("a finished recording", || {
        let found = recordings(&platform);
        (found.first()?["finished"] == true).then_some(found)
    });
    assert_eq!(found.len(), 1, "{found:?}");
    let file = found[0]["file"].as_str().context("a name")?.to_owned();
    let bytes = fs::read(path(&platform, &file))?;
    assert_eq!(tones(&bytes), [Some(ALICE_HZ), Some(BOB_HZ)]);
    let cdr = wait_for("a CDR", || {
        platform.rest().list("/v1/cdrs").ok()?.into_iter().next()
    });
    assert_eq!(cdr["recordings"], json!([file]));
    let call = cdr["call"].as_str().context("a call")?;
    assert_eq!(file, format!("{call}-1.wav"));
    Ok(())
}

#[test]
fn a_recording_that_a_crash_cut_off_is_finished_by_the_next_start() -> Result<()> {
    let (mut platform, mut phones) = recorded_phones()?;
    talk(&platform, &mut phones)?;
    wait_for("a recording that grows", || {
        let found = recordings(&platform);
        (found.first()?["length_ms"].as_u64()? > 1_000).then_some(())
    });
    platform.kill_9();
    platform.restart()?;
    let found = wait_for("a finished recording", || {
        let found = recordings(&platform);
        (found.first()?["finished"] == true).then_some(found)
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0]["length_ms"].as_u64() > Some(1_000), "{found:?}");
    let file = found[0]["file"].as_str().context("a name")?;
    let bytes = fs::read(path(&platform, file))?;
    assert_eq!(tones(&bytes), [Some(ALICE_HZ), Some(BOB_HZ)]);
    Ok(())
}
