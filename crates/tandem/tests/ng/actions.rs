//! What is done to the media of a call: recorded, blocked, silenced, played into.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{PATIENCE, dominant_frequency_hz, from_alaw, to_alaw, tone, wait_for, write_wav};

use crate::call::{CALL_ID, Call, EVENT, PCMA, talk};

const A_HZ: u32 = 440;
const B_HZ: u32 = 1_000;
const PROMPT_HZ: u32 = 800;
/// The key 5, pressed for 20 ms.
const FIVE: [u8; 4] = [5, 10, 0, 160];
const SILENCE: u8 = 0xd5;

/// A second of talk of both sides.
fn second() -> [Vec<u8>; 2] {
    [A_HZ, B_HZ].map(|hz| to_alaw(&tone(f64::from(hz), 1.0)))
}

/// The only finished recording.
fn recording(call: &Call) -> PathBuf {
    wait_for("a finished recording", || {
        let files = fs::read_dir(call.server.recordings()).ok()?;
        let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
        paths.find(|path| path.extension().is_some_and(|extension| extension == "wav"))
    })
}

/// Left and right of a stereo file.
fn channels(path: &Path) -> Result<[Vec<i16>; 2]> {
    let samples = testkit::read_wav(path)?;
    let channel = |first: usize| samples.iter().skip(first).step_by(2).copied().collect();
    Ok([channel(0), channel(1)])
}

#[test]
fn a_recording_has_both_voices_and_a_pause_is_silent() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    call.done("start recording", &json!({}));
    talk([&mut call.a, &mut call.b], &second())?;
    call.done("pause recording", &json!({}));
    talk([&mut call.a, &mut call.b], &second())?;
    call.done("start recording", &json!({}));
    talk([&mut call.a, &mut call.b], &second())?;
    call.done("stop recording", &json!({}));
    let path = recording(&call);
    let name = path.file_name().context("a name")?.to_string_lossy();
    assert!(name.starts_with(CALL_ID), "{name}");
    for (channel, hz) in channels(&path)?.iter().zip([A_HZ, B_HZ]) {
        // In tenths of a second: a busy machine may tear a longer one.
        let heard: Vec<Option<u32>> = channel.chunks(800).map(dominant_frequency_hz).collect();
        assert!(heard.len() >= 28, "{heard:?}");
        assert!(heard[..8].contains(&Some(hz)), "{heard:?}");
        assert!(
            heard[13..17].iter().all(Option::is_none),
            "the pause: {heard:?}"
        );
        assert!(heard[22..].contains(&Some(hz)), "{heard:?}");
    }
    Ok(())
}

#[test]
fn a_call_may_be_recorded_from_its_offer_on() -> Result<()> {
    let mut call = Call::offered(&json!({"flags": ["record-call"]}))?;
    talk([&mut call.a, &mut call.b], &second())?;
    call.done("delete", &json!({"from-tag": "a"}));
    let [left, right] = channels(&recording(&call))?;
    assert_eq!(dominant_frequency_hz(&left[1_600..6_400]), Some(A_HZ));
    assert_eq!(dominant_frequency_hz(&right[1_600..6_400]), Some(B_HZ));
    Ok(())
}

#[test]
fn blocked_media_does_not_arrive_and_keys_do() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    call.done("block media", &json!({}));
    call.a.say("lost")?;
    call.a.send(EVENT, &FIVE)?;
    assert_eq!(call.b.receive()?.payload, FIVE);
    call.b.say("lost")?;
    call.b.send(EVENT, &FIVE)?;
    assert_eq!(call.a.receive()?.payload, FIVE);
    call.done("unblock media", &json!({}));
    call.assert_heard("free")
}

#[test]
fn media_is_blocked_of_one_side_alone_if_that_is_said() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let one = json!({"from-tag": "a"});
    call.done("block media", &one);
    call.b.say("heard")?;
    assert_eq!(call.a.hear()?, "heard");
    call.a.say("lost")?;
    // Keys pass: what was said before this one has been dropped.
    call.a.send(EVENT, &FIVE)?;
    assert_eq!(call.b.receive()?.payload, FIVE);
    call.done("unblock media", &one);
    call.assert_heard("free")
}

#[test]
fn silenced_media_arrives_as_silence() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    call.done("silence media", &json!({}));
    call.a.say("secret")?;
    let packet = call.b.receive()?;
    assert_eq!(
        (packet.payload_type, packet.payload),
        (PCMA, vec![SILENCE; 6])
    );
    call.a.send(EVENT, &FIVE)?;
    assert_eq!(call.b.receive()?.payload, FIVE, "keys are no voice");
    call.done("unsilence media", &json!({}));
    call.assert_heard("free")
}

#[test]
fn blocked_dtmf_does_not_arrive_and_voice_does() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    // As a proxy does it in a dialogue: the tags are there and mean nothing by themselves.
    let tags = json!({"from-tag": "a", "to-tag": "b", "rtpp-flags": ""});
    call.done("block DTMF", &tags);
    call.a.send(EVENT, &FIVE)?;
    call.b.send(EVENT, &FIVE)?;
    call.assert_heard("voice")?;
    call.done("unblock DTMF", &tags);
    call.a.send(EVENT, &FIVE)?;
    assert_eq!(call.b.receive()?.payload, FIVE);
    call.assert_heard("voice again")
}

#[test]
fn a_file_is_played_to_the_selected_side_until_it_is_stopped() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let file = call.server.directory().join("prompt.wav");
    let samples = tone(f64::from(PROMPT_HZ), 0.5);
    write_wav(&file, &samples)?;
    let play = json!({"from-tag": "a", "file": file, "repeat-times": 100});
    let answer = call.done("play media", &play);
    assert_eq!(answer["duration"], 500, "{answer}");
    let mut heard = Vec::new();
    while heard.len() < 4_000 {
        heard.extend(from_alaw(&call.a.receive()?.payload));
    }
    assert_eq!(dominant_frequency_hz(&heard), Some(PROMPT_HZ));
    // The other side is none the wiser.
    call.a.say("still here")?;
    assert_eq!(call.b.hear()?, "still here");
    call.done("stop media", &json!({"from-tag": "a"}));
    call.b.say("back")?;
    while call.a.hear()? != "back" {}
    Ok(())
}

#[test]
fn bytes_are_played_as_well_as_files_and_a_database_is_refused() -> Result<()> {
    let call = Call::new(&[])?.talking()?;
    let file = call.server.directory().join("prompt.wav");
    write_wav(&file, &tone(f64::from(PROMPT_HZ), 0.1))?;
    let bytes = fs::read(&file)?;

    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut message = format!("blob d4:blob{}:", bytes.len()).into_bytes();
    message.extend(&bytes);
    let rest = format!(
        "7:call-id{}:{CALL_ID}7:command10:play media8:from-tag1:be",
        CALL_ID.len()
    );
    message.extend(rest.bytes());
    socket.send_to(&message, call.server.udp())?;
    let mut buffer = [0; 512];
    let (length, _) = socket.recv_from(&mut buffer)?;
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(answer.contains("6:result2:ok"), "{answer}");
    let mut heard = Vec::new();
    while heard.len() < 800 {
        heard.extend(from_alaw(&call.b.receive()?.payload));
    }
    assert_eq!(dominant_frequency_hz(&heard), Some(PROMPT_HZ));

    let refused = |more: serde_json::Value| {
        let answer = call.ask("play media", &more);
        assert_eq!(answer["result"], "error", "{answer}");
        answer["error-reason"].to_string()
    };
    let database = refused(json!({"from-tag": "b", "db-id": 7}));
    assert!(database.contains("database"), "{database}");
    let missing = refused(json!({"from-tag": "b", "file": "/nowhere/x.wav"}));
    assert!(missing.contains("/nowhere/x.wav"), "{missing}");
    refused(json!({"from-tag": "nobody", "file": file}));
    refused(json!({"from-tag": "b", "blob64": "bm8gd2F2"}));
    Ok(())
}

#[test]
fn a_digit_is_played_as_events_to_the_other_side_of_whom_it_is_played_for() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let play = json!({"from-tag": "a", "code": "#", "duration": 200, "volume": -5});
    call.done("play DTMF", &play);
    let mut events = Vec::new();
    loop {
        let packet = call.b.receive()?;
        assert_eq!(packet.payload_type, EVENT);
        events.push(packet);
        let ends = events.iter().filter(|packet| packet.payload[1] & 0x80 != 0);
        if ends.count() == 3 {
            break;
        }
    }
    assert!(events[0].marker);
    assert!(events.iter().all(|packet| packet.payload[0] == 11));
    assert!(events.iter().all(|packet| packet.payload[1] & 0x3f == 5));
    let last = &events[events.len() - 1].payload;
    assert_eq!(u16::from_be_bytes([last[2], last[3]]), 1_600, "200 ms");
    call.b.say("not disturbed")?;
    assert_eq!(call.a.hear()?, "not disturbed");
    let wrong = call.ask("play DTMF", &json!({"from-tag": "a", "code": "x"}));
    assert_eq!(wrong["result"], "error");
    Ok(())
}
