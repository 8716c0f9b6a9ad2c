//! Recordings of real packets, and what is said of them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use audio::{Wav, WavWriter, g711};
use media::{
    AddressFamily, Engine, EngineConfig, MediaEvent, Recorded, RecordingFormat, RecordingOptions,
    RecordingOutcome, Side,
};

use crate::peer::{PCMA, Peer, SESSION, config, from, rtp_address};

/// Two phones, recorded or about to be.
struct Call {
    engine: Engine,
    wakes: Receiver<()>,
    a: Peer,
    b: Peer,
    towards_a: std::net::SocketAddr,
    towards_b: std::net::SocketAddr,
}

pub(crate) fn engine(dir: &Path) -> (Engine, Receiver<()>) {
    engine_for(dir, RecordingFormat::Wav)
}

pub(crate) fn engine_for(dir: &Path, format: RecordingFormat) -> (Engine, Receiver<()>) {
    let (woken, wakes) = mpsc::channel();
    let config = EngineConfig {
        recordings: Some(dir.to_owned()),
        recording_format: format,
        ..config()
    };
    let engine = Engine::new(config, move || {
        // The receiver is gone only when the test is over.
        let _ = woken.send(());
    });
    (engine.expect("an engine"), wakes)
}

fn call(dir: &Path) -> Call {
    let (mut engine, wakes) = engine(dir);
    let (a, b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let offer = engine
        .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, from(Side::B, &b.sdp()))
        .expect("an answer");
    Call {
        engine,
        wakes,
        a,
        b,
        towards_a: rtp_address(&offer),
        towards_b: rtp_address(&answer),
    }
}

impl Call {
    /// Both say a packet of their own level, and it arrives.
    fn say(&mut self) {
        let voice = |level| [g711::alaw_encode(level); 160];
        let mut packet = self.a.packet(PCMA, "");
        packet.extend(voice(A_LEVEL));
        self.a.rtp.send_to(&packet, self.towards_b).expect("sent");
        assert_eq!(crate::peer::receive(&self.b.rtp).0, packet);
        let mut packet = self.b.packet(PCMA, "");
        packet.extend(voice(B_LEVEL));
        self.b.rtp.send_to(&packet, self.towards_a).expect("sent");
        assert_eq!(crate::peer::receive(&self.a.rtp).0, packet);
    }
}

pub(crate) fn recorded(engine: &mut Engine, wakes: &Receiver<()>) -> Recorded {
    loop {
        if let Some(event) = engine.poll_event() {
            match event {
                MediaEvent::Recorded(recorded) => return recorded,
                other => panic!("{other:?}"),
            }
        }
        let deadline = Duration::from_secs(5);
        wakes.recv_timeout(deadline).expect("a recording in time");
    }
}

/// How many samples of each channel have its side's level, and how many the other's.
fn levels(bytes: &[u8]) -> [[usize; 2]; 2] {
    let wav = Wav::parse(bytes).expect("a WAV file");
    assert_eq!(wav.format().channels, 2);
    let [a, b] = [A_LEVEL, B_LEVEL].map(|level| g711::alaw_decode(g711::alaw_encode(level)));
    let samples: Vec<i16> = wav.samples().collect();
    [0, 1].map(|channel| {
        let count = |level| {
            let channel = samples.iter().skip(channel).step_by(2);
            channel.filter(|sample| **sample == level).count()
        };
        [count(a), count(b)]
    })
}

#[test]
fn a_is_left_and_b_is_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut call = call(dir.path());
    let options = RecordingOptions::first("call_1");
    let file = call.engine.start_recording(SESSION, &options);
    assert_eq!(file.expect("a file"), "call_1-1.wav");
    (0..5).for_each(|_| call.say());
    let report = call.engine.delete(SESSION).expect("a session");
    assert_eq!(report.recordings, ["call_1-1.wav"]);
    let recorded = recorded(&mut call.engine, &call.wakes);
    assert_eq!(recorded.session, Some(SESSION));
    assert_eq!(recorded.outcome, RecordingOutcome::Finished);
    let bytes = fs::read(dir.path().join("call_1-1.wav")).expect("the file");
    assert_eq!(levels(&bytes), [[800, 0], [0, 800]]);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
}

#[test]
fn a_pause_is_not_recorded_and_a_second_recording_is_a_second_part() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut call = call(dir.path());
    let options = RecordingOptions::first("x");
    call.engine.start_recording(SESSION, &options).expect("1");
    call.say();
    call.engine.pause_recording(SESSION).expect("a recording");
    call.say();
    call.engine.resume_recording(SESSION).expect("a recording");
    call.say();
    call.engine.stop_recording(SESSION).expect("a recording");
    call.say();
    let first = recorded(&mut call.engine, &call.wakes);
    let bytes = fs::read(dir.path().join(&first.file)).expect("the file");
    assert_eq!(levels(&bytes), [[320, 0], [0, 320]]);
    let second = call.engine.start_recording(SESSION, &options);
    assert_eq!(second.expect("a file"), "x-2.wav");
    drop(call.engine);
    assert!(dir.path().join("x-2.wav").exists());
}

#[test]
fn a_name_that_is_taken_is_passed_over_and_the_real_one_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("x-1.wav"), "earlier").expect("written");
    fs::write(dir.path().join("x-3.wav.broken"), "").expect("written");
    // A store has taken this one, and it is not here any more.
    let receipt = media::recording_receipt(dir.path(), "x-2.wav");
    fs::create_dir(receipt.parent().expect("a directory")).expect("made");
    fs::write(receipt, "{}").expect("written");
    let mut call = call(dir.path());
    let options = RecordingOptions::first("x");
    call.engine.start_recording(SESSION, &options).expect("1");
    call.say();
    call.engine.stop_recording(SESSION).expect("a recording");
    let recorded = recorded(&mut call.engine, &call.wakes);
    assert_eq!(recorded.file, "x-3.wav");
    assert_eq!(recorded.outcome, RecordingOutcome::Finished);
    let report = call.engine.report(SESSION).expect("a session");
    assert_eq!(report.recordings, ["x-3.wav"]);
    let kept = fs::read(dir.path().join("x-1.wav")).expect("the file");
    assert_eq!(kept, b"earlier");
}

#[test]
fn what_a_killed_process_left_is_finished_by_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bytes = Vec::new();
    let mut wav = WavWriter::new(8_000, 2, &mut bytes);
    wav.push(&[7; 16_000], &mut bytes);
    bytes.push(1);
    fs::write(dir.path().join("old-1.wav.part"), &bytes).expect("written");
    let (mut engine, wakes) = engine(dir.path());
    let recorded = recorded(&mut engine, &wakes);
    let expected = Recorded {
        session: None,
        file: "old-1.wav".into(),
        outcome: RecordingOutcome::Repaired,
        length_ms: 1_000,
    };
    assert_eq!(recorded, expected);
    let bytes = fs::read(dir.path().join("old-1.wav")).expect("the file");
    let data_bytes = u32::from_le_bytes(bytes[40..44].try_into().expect("four bytes"));
    assert_eq!(data_bytes, 32_000);
}

#[test]
fn what_cannot_be_repaired_is_kept_and_what_is_not_ours_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    // The block with the header was lost, the sound was not.
    fs::write(path("long-1.wav.part"), vec![0; 100_000]).expect("written");
    fs::write(path("odd-1.opus.part"), vec![1; 100_000]).expect("written");
    let mut header = Vec::new();
    let _ = WavWriter::new(8_000, 2, &mut header);
    fs::write(path("short-1.wav.part"), &header[..20]).expect("written");
    fs::write(path("download.iso.part"), "not ours").expect("written");
    fs::write(path("x.part"), "not ours").expect("written");
    let (mut engine, wakes) = engine(dir.path());
    for file in ["long-1.wav", "odd-1.opus", "short-1.wav"] {
        let recorded = recorded(&mut engine, &wakes);
        assert_eq!(recorded.file, file);
        assert!(matches!(recorded.outcome, RecordingOutcome::Failed { .. }));
    }
    let names = fs::read_dir(dir.path()).expect("readable");
    let mut names: Vec<_> = names
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    let kept = [
        "download.iso.part",
        "long-1.wav.broken",
        "odd-1.opus.broken",
        "x.part",
    ];
    assert_eq!(names, kept);
}

#[test]
fn without_a_directory_media_flows_and_the_failure_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").expect("written");
    let mut call = call(&blocked);
    let options = RecordingOptions::first("x");
    call.engine.start_recording(SESSION, &options).expect("1");
    call.say();
    let recorded = recorded(&mut call.engine, &call.wakes);
    assert!(matches!(recorded.outcome, RecordingOutcome::Failed { .. }));
    call.say();
}

#[test]
fn a_full_disk_keeps_what_was_written_and_disturbs_no_media() {
    let dir = tempfile::tempdir().expect("a directory");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "none"])
        .arg(dir.path())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small disk needs the right to mount one");
        return;
    }
    let mut call = call(dir.path());
    let options = RecordingOptions::first("x");
    call.engine.start_recording(SESSION, &options).expect("1");
    let recorded = loop {
        call.say();
        if let Some(MediaEvent::Recorded(recorded)) = call.engine.poll_event() {
            break recorded;
        }
    };
    let RecordingOutcome::Failed { reason } = recorded.outcome else {
        panic!("{recorded:?}");
    };
    assert!(reason.contains("No space left"), "{reason}");
    call.say();
    let bytes = fs::read(dir.path().join("x-1.wav")).expect("the file");
    assert!(levels(&bytes)[0][0] > 0);
    drop(call);
    let unmounted = Command::new("umount").arg(dir.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
}

const A_LEVEL: i16 = 8_000;
const B_LEVEL: i16 = -3_000;
