//! What a platform sees and keeps of calls whose media is on servers of its own: recordings, figures
//! and silence.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{
    Baresip, GatewaySpec, MediaServer, Platform, Talkers, dominant_frequency_hz, record_path,
    wait_for,
};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// A media server that records into a folder.
fn recorder(folder: &Path) -> Result<MediaServer> {
    let folder = folder.to_str().context("a path")?;
    MediaServer::start(TANDEM, &["--recordings", folder])
}

fn phone(platform: &Platform, name: &str, tone_hz: u32) -> Result<Baresip> {
    let options = platform.phone(name, tone_hz);
    Baresip::register(options)
}

/// The one file of a folder, finished or not, once it has so many bytes.
#[track_caller]
fn wait_for_file(folder: &Path, bytes: u64) -> PathBuf {
    wait_for("a recording that grows", || {
        let mut files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
        let file = files.next()?;
        (file.metadata().ok()?.len() >= bytes).then(|| file.path())
    })
}

/// What sounds left and right in a stereo file.
fn tones(file: &Path) -> Result<[Option<u32>; 2]> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let samples = bytes[44..].as_chunks().0.iter();
    let samples: Vec<i16> = samples.map(|pair| i16::from_le_bytes(*pair)).collect();
    Ok([0, 1].map(|channel| {
        let channel = samples.iter().skip(channel).step_by(2).copied();
        let voiced: Vec<i16> = channel
            .skip_while(|s| s.abs() < 1_000)
            .take(4_000)
            .collect();
        dominant_frequency_hz(&voiced)
    }))
}

fn cdr(platform: &Platform) -> Value {
    platform.wait_until_idle();
    wait_for("a CDR", || {
        platform.rest().list("/v1/cdrs").ok()?.into_iter().next()
    })
}

fn metric(platform: &Platform, line: &str) -> u64 {
    let page = platform.rest().send("GET", "/metrics", None);
    let page = page.map(|(_, page)| page).unwrap_or_default();
    let mut lines = page.as_str().unwrap_or_default().lines();
    let value = lines.find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    value.unwrap_or(0)
}

#[test]
fn a_recording_goes_on_in_a_second_part_where_its_call_has_moved() -> Result<()> {
    let platform = Platform::start(TANDEM)?;
    let rest = platform.rest();
    let folders = ["m1", "m2"].map(|name| platform.data().join(name));
    let mut dies = recorder(&folders[0])?;
    let stays = recorder(&folders[1])?;
    rest.add_media_server("m1", &dies.control(), &json!({}))?;
    let users = rest.list("/v1/users")?;
    let alice = users.iter().find(|user| user["name"] == "alice");
    let alice = record_path("users", alice.context("alice")?);
    rest.change(&alice, &json!({ "record": true }))?;
    let mut alice = phone(&platform, "alice", ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", BOB_HZ)?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    wait_for_file(&folders[0], 2 * SECOND_BYTES);

    rest.add_media_server("m2", &stays.control(), &json!({}))?;
    dies.kill_9();
    wait_for_file(&folders[1], 2 * SECOND_BYTES);
    alice.hang_up()?;
    bob.wait_for_closed();
    let cdr = cdr(&platform);
    let call = cdr["call"].as_str().context("a call")?;
    let [first, second] = [0, 1].map(|part| {
        let file = format!("{call}-{}.wav", part + 1);
        folders[part].join(file)
    });
    let named = [
        format!("m1:{}", first.display()),
        format!("m2:{}", second.display()),
    ];
    assert_eq!(cdr["recordings"], json!(named));
    let listed = rest.list("/v1/recordings")?;
    let lies = |at: usize| (listed[at]["server"].as_str(), listed[at]["file"].as_str());
    let mut found = [lies(0), lies(1)];
    found.sort();
    let expected = [("m1", &first), ("m2", &second)];
    assert_eq!(
        found,
        expected.map(|(server, file)| (Some(server), file.to_str()))
    );
    wait_for("the second part", || second.exists().then_some(()));
    assert_eq!(tones(&second)?, [Some(ALICE_HZ), Some(BOB_HZ)]);
    let ended = |how: &str| {
        metric(
            &platform,
            &format!("tandem_recordings_total{{outcome=\"{how}\"}}"),
        )
    };
    assert_eq!((ended("cut"), ended("finished")), (1, 1));

    // What the dead one had is finished when it is back.
    let _back = recorder(&folders[0])?;
    wait_for("the first part", || first.exists().then_some(()));
    assert_eq!(tones(&first)?, [Some(ALICE_HZ), Some(BOB_HZ)]);
    Ok(())
}

#[test]
fn a_server_that_cannot_record_costs_the_recording_and_not_the_call() -> Result<()> {
    let platform = Platform::start(TANDEM)?;
    let rest = platform.rest();
    let server = MediaServer::without_recordings(TANDEM)?;
    rest.add_media_server("m1", &server.control(), &json!({}))?;
    let talkers = Talkers::new(platform.ready().sip.udp)?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let gateway = GatewaySpec::at(talkers.gateway());
    rest.add_carrier("", &[gateway], &json!({ "record": true }))?;
    talkers.call(1, "493012345")?;
    wait_for("a failure that is counted", || {
        let failed = metric(&platform, "tandem_recordings_total{outcome=\"failed\"}");
        (failed == 1).then_some(())
    });
    talkers.hang_up()?;
    assert_eq!(cdr(&platform)["recordings"], json!([]));
    Ok(())
}

#[test]
fn the_figures_of_a_dead_server_are_those_that_were_seen_last() -> Result<()> {
    let platform = Platform::start(TANDEM)?;
    let rest = platform.rest();
    let mut dies = MediaServer::start(TANDEM, &[])?;
    let stays = MediaServer::start(TANDEM, &[])?;
    // Sessions are looked at four times as often as silence is to be noticed.
    rest.change("/v1/settings", &json!({ "media_timeout_s": TIMEOUT_S }))?;
    rest.add_media_server("m1", &dies.control(), &json!({}))?;
    let talkers = Talkers::new(platform.ready().sip.udp)?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let gateway = GatewaySpec::at(talkers.gateway());
    rest.add_carrier("", &[gateway], &json!({}))?;
    talkers.call(1, "493012345")?;
    talkers.wait_for_packets(250);
    rest.add_media_server("m2", &stays.control(), &json!({}))?;
    dies.kill_9();
    talkers.wait_until_at(&stays.media_ports());
    talkers.hang_up()?;
    let cdr = cdr(&platform);
    for leg in ["media_a", "media_b"] {
        assert!(cdr[leg]["packets"].as_u64() > Some(150), "{leg} of {cdr}");
        assert_eq!(cdr[leg]["codec"], "PCMA");
    }
    Ok(())
}

#[test]
fn a_side_that_falls_silent_ends_its_call() -> Result<()> {
    let platform = Platform::start(TANDEM)?;
    let rest = platform.rest();
    let server = MediaServer::start(TANDEM, &[])?;
    rest.change("/v1/settings", &json!({ "media_timeout_s": TIMEOUT_S }))?;
    rest.add_media_server("m1", &server.control(), &json!({}))?;
    let talkers = Talkers::new(platform.ready().sip.udp)?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let gateway = GatewaySpec::at(talkers.gateway());
    rest.add_carrier("", &[gateway], &json!({}))?;
    talkers.call(1, "493012345")?;
    talkers.wait_for_packets(250);
    talkers.silence_callees();
    let cdr = cdr(&platform);
    assert_eq!(cdr["reason"], "no media received");
    assert_eq!(cdr["ended_by"], "platform");
    let us = |field: &str| cdr[field].as_u64().unwrap_or(0);
    let lasted = Duration::from_micros(us("end_us") - us("answer_us"));
    assert!(lasted > Duration::from_secs(5 + TIMEOUT_S), "{lasted:?}");
    assert!(cdr["media_a"]["packets"].as_u64() > Some(400), "{cdr}");
    Ok(())
}

/// Stereo of 16 bit at 8 kHz.
const SECOND_BYTES: u64 = 32_000;
const TIMEOUT_S: u64 = 5;
