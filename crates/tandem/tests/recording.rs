//! Recorded calls of real phones.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{
    Baresip, MediaEncryption, PhoneOptions, PhoneTransport, Platform, S3Server, decode_opus,
    dominant_frequency_hz, record_path, wait_for,
};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// A platform that records alice's calls, with her and bob.
fn recorded_phones() -> Result<(Platform, [Baresip; 2])> {
    recorded(|options| options, |options| options)
}

/// The same with phones of some kind.
fn recorded(
    alice: impl FnOnce(PhoneOptions) -> PhoneOptions,
    bob: impl FnOnce(PhoneOptions) -> PhoneOptions,
) -> Result<(Platform, [Baresip; 2])> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let users = rest.list("/v1/users")?;
    let user = users.iter().find(|user| user["name"] == "alice");
    let user = record_path("users", user.context("alice")?);
    rest.change(&user, &json!({ "record": true }))?;
    let ready = platform.ready();
    let options = |name: &str, tone_hz| {
        PhoneOptions::new(name, &ready.domain)
            .password(&ready.user(name).password)
            .server(ready.sip.udp, PhoneTransport::Udp)
            .tone_hz(tone_hz)
    };
    let phones = [
        Baresip::register(alice(options("alice", ALICE_HZ)))?,
        Baresip::register(bob(options("bob", BOB_HZ)))?,
    ];
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

/// What sounds left and right in a stereo WAV file, once somebody speaks: phones begin one by one.
fn tones(bytes: &[u8]) -> [Option<u32>; 2] {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(word(40) as usize, (bytes.len() - 44) / 4 * 4);
    let samples = bytes[44..].as_chunks().0.iter();
    let samples: Vec<i16> = samples.map(|pair| i16::from_le_bytes(*pair)).collect();
    let step = word(24) as usize / 8_000;
    [0, 1].map(|channel| {
        let channel = samples.iter().skip(channel).step_by(2 * step).copied();
        let voiced: Vec<i16> = channel.skip_while(|s| s.abs() < 1_000).collect();
        dominant_frequency_hz(&voiced[..voiced.len().min(4_000)])
    })
}

/// The bytes of the only recording, when it is finished.
fn finished(platform: &Platform) -> Result<Vec<u8>> {
    let found = wait_for("a finished recording", || {
        let found = recordings(platform);
        (found.first()?["finished"] == true).then_some(found)
    });
    assert_eq!(found.len(), 1, "{found:?}");
    let file = found[0]["file"].as_str().context("a name")?;
    Ok(fs::read(path(platform, file))?)
}

/// Both tones are in the recording of a call between such phones.
fn a_recorded_call(
    alice: impl FnOnce(PhoneOptions) -> PhoneOptions,
    bob: impl FnOnce(PhoneOptions) -> PhoneOptions,
) -> Result<()> {
    let (platform, mut phones) = recorded(alice, bob)?;
    talk(&platform, &mut phones)?;
    wait_for("a recording that grows", || {
        let found = recordings(&platform);
        (found.first()?["length_ms"].as_u64()? > 1_500).then_some(())
    });
    phones[0].hang_up()?;
    phones[1].wait_for_closed();
    assert_eq!(tones(&finished(&platform)?), [Some(ALICE_HZ), Some(BOB_HZ)]);
    Ok(())
}

#[test]
fn a_call_with_keys_on_one_side_and_one_with_keys_on_both_are_recorded_in_the_clear() -> Result<()>
{
    let secure = |options: PhoneOptions| options.encryption(MediaEncryption::Sdes);
    let able = |options: PhoneOptions| options.encryption(MediaEncryption::SdesIfPossible);
    a_recorded_call(secure, |options| options)?;
    a_recorded_call(secure, able)
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

/// Alice and bob talk, and the platform is killed while it records them.
fn talk_and_kill(platform: &mut Platform, phones: &mut [Baresip; 2]) -> Result<PathBuf> {
    talk(platform, phones)?;
    wait_for("a recording that grows", || {
        let found = recordings(platform);
        (found.first()?["length_ms"].as_u64()? > 1_500).then_some(())
    });
    platform.kill_9();
    platform.restart()?;
    let found = wait_for("a finished recording", || {
        let found = recordings(platform);
        (found.first()?["finished"] == true).then_some(found)
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0]["length_ms"].as_u64() > Some(1_000), "{found:?}");
    let file = found[0]["file"].as_str().context("a name")?;
    Ok(path(platform, file))
}

#[test]
fn a_recording_that_a_crash_cut_off_is_finished_by_the_next_start() -> Result<()> {
    let (mut platform, mut phones) = recorded_phones()?;
    let path = talk_and_kill(&mut platform, &mut phones)?;
    let bytes = fs::read(path)?;
    assert_eq!(tones(&bytes), [Some(ALICE_HZ), Some(BOB_HZ)]);
    Ok(())
}

/// What sounds left and right in an Ogg/Opus file.
fn opus_tones(path: &Path) -> Result<[Option<u32>; 2]> {
    Ok(decode_opus(path)?.map(|channel| {
        let mut voiced = channel;
        voiced.drain(..voiced.iter().take_while(|s| s.abs() < 1_000).count());
        // The coder takes a moment to learn a tone.
        let from = voiced.len().min(1_600);
        dominant_frequency_hz(&voiced[from..voiced.len().min(from + 2_400)])
    }))
}

#[test]
fn an_opus_recording_has_both_tones_and_survives_a_crash() -> Result<()> {
    let (mut platform, mut phones) = recorded_phones()?;
    let settings = json!({ "recording_format": "opus" });
    platform.rest().change("/v1/settings", &settings)?;
    let path = talk_and_kill(&mut platform, &mut phones)?;
    assert_eq!(path.extension(), Some("opus".as_ref()));
    assert_eq!(opus_tones(&path)?, [Some(ALICE_HZ), Some(BOB_HZ)]);
    Ok(())
}

#[test]
fn a_recording_that_is_finished_goes_to_the_store_and_is_told() -> Result<()> {
    let server = S3Server::start()?;
    let (platform, mut phones) = recorded_phones()?;
    let keys = platform.data().join("s3-keys.json");
    fs::write(keys, server.keys().to_string())?;
    let mut settings = server.settings("delete");
    settings["recording_format"] = json!("opus");
    platform.rest().change("/v1/settings", &settings)?;
    talk(&platform, &mut phones)?;
    wait_for("a recording that grows", || {
        let found = recordings(&platform);
        (found.first()?["length_ms"].as_u64()? > 1_500).then_some(())
    });
    phones[0].hang_up()?;
    let found = wait_for("a recording that is elsewhere", || {
        let found = recordings(&platform);
        (found.first()?["here"] == false).then_some(found)
    });
    let file = found[0]["file"].as_str().context("a name")?.to_owned();
    let location = format!("s3://{}/calls/{file}", server.bucket());
    assert_eq!(found[0]["location"], location);
    let object = server.object(&format!("calls/{file}"));
    let fetched = platform.data().join("fetched.opus");
    fs::write(&fetched, object.context("the object")?)?;
    assert_eq!(opus_tones(&fetched)?, [Some(ALICE_HZ), Some(BOB_HZ)]);
    let output = platform.command_line(&["recording", "list"])?;
    assert!(output.stdout.contains(&location), "{output:?}");
    Ok(())
}
