//! Recordings as Ogg/Opus, played by the decoder of the Opus project, whole and cut off.

use std::fs;
use std::path::Path;

use audio::Codec;
use media::{RecordingFormat, RecordingOptions, RecordingOutcome};
use rtp::srtp::Suite;
use testkit::decode_opus;

use crate::recording::{engine_for, recorded};
use crate::recording_ways::{TENTHS, check_sides, talked};
use crate::secure_peer::Way;
use crate::transcode::{A_HZ, B_HZ, Call, Phone, call, pace};

/// Records a call of this kind for a while, and leaves the file in `dir`.
fn record(dir: &Path, name: &str, kind: ([Way; 2], [Codec; 2]), packets: u32) -> u64 {
    let (mut engine, wakes) = engine_for(dir, RecordingFormat::Opus);
    let mut calls: [Call; 1] = [call(&mut engine, 0, kind, 20, [""; 2])];
    let options = RecordingOptions::first(name);
    let file = engine.start_recording(0, &options).expect("a file");
    assert_eq!(file, format!("{name}-1.opus"));
    pace(
        &mut calls,
        |call, _| call.phones.iter_mut().for_each(Phone::talk),
        |calls, n| n >= packets && talked(calls, [A_HZ, B_HZ], TENTHS + 2),
    );
    engine.delete(0).expect("a session");
    let recorded = recorded(&mut engine, &wakes);
    assert_eq!(recorded.outcome, RecordingOutcome::Finished);
    recorded.length_ms
}

#[test]
fn a_call_in_any_form_is_played_by_a_decoder_of_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let sdes = Way::Sdes(Suite::AesCm128HmacSha1_80);
    let kinds = [
        ("plain", ([Way::Rtp, Way::Rtp], [Codec::Pcma, Codec::Pcma])),
        ("wide", ([sdes, Way::Rtp], [Codec::Opus, Codec::G722])),
    ];
    for (name, kind) in kinds {
        let length_ms = record(dir.path(), name, kind, 60);
        let path = dir.path().join(format!("{name}-1.opus"));
        let sides = decode_opus(&path).expect("a file that plays");
        let played_ms = sides[0].len() as u64 / 8;
        assert!(
            played_ms.abs_diff(length_ms) <= 1,
            "{played_ms} of {length_ms}"
        );
        check_sides(&sides, name);
        assert_eq!(media::recording_length_ms(&path), Some(length_ms));
    }
}

/// Where the pages of a file begin and end.
fn page_ends(bytes: &[u8]) -> Vec<usize> {
    let starts = bytes.windows(4).enumerate();
    let starts = starts.filter(|(_, window)| window == b"OggS");
    let mut ends: Vec<usize> = starts.map(|(at, _)| at).collect();
    ends.push(bytes.len());
    ends
}

#[test]
fn a_file_cut_off_anywhere_is_repaired_and_plays() {
    let source = tempfile::tempdir().expect("a directory");
    let kind = ([Way::Rtp, Way::Rtp], [Codec::Pcma, Codec::Pcma]);
    record(source.path(), "whole", kind, 150);
    let bytes = fs::read(source.path().join("whole-1.opus")).expect("the file");
    let dir = tempfile::tempdir().expect("a directory");
    let ends = page_ends(&bytes);
    assert!(ends.len() > 5, "{ends:?}");
    let cuts = ends
        .iter()
        .flat_map(|end| [-1, 0, 1, 27].map(|by| *end as i64 + by));
    let cuts = cuts.filter_map(|at| usize::try_from(at).ok());
    let mut cuts: Vec<usize> = cuts.filter(|cut| *cut <= bytes.len()).collect();
    cuts.dedup();
    for cut in &cuts {
        let path = dir.path().join(format!("cut_{cut}-1.opus.part"));
        fs::write(path, &bytes[..*cut]).expect("written");
    }
    let (mut engine, wakes) = engine_for(dir.path(), RecordingFormat::Opus);
    // Head and tags are the first two pages.
    let headers = ends[2];
    for _ in &cuts {
        let recorded = recorded(&mut engine, &wakes);
        let path = dir.path().join(&recorded.file);
        let cut: String = recorded.file.chars().filter(char::is_ascii_digit).collect();
        let cut = cut
            .strip_suffix('1')
            .expect("the part")
            .parse::<usize>()
            .expect("a cut");
        let sound = ends.iter().rev().find(|end| **end <= cut);
        if sound.is_none_or(|end| *end <= headers) {
            assert!(
                matches!(recorded.outcome, RecordingOutcome::Failed { .. }),
                "{recorded:?}"
            );
            assert!(!path.exists(), "nothing is in it");
            continue;
        }
        assert_eq!(
            recorded.outcome,
            RecordingOutcome::Repaired,
            "{}",
            recorded.file
        );
        let sides = decode_opus(&path).expect("a file that plays");
        let played_ms = sides[0].len() as u64 / 8;
        assert!(
            played_ms.abs_diff(recorded.length_ms) <= 1,
            "{recorded:?}: {played_ms}"
        );
    }
    let left = fs::read_dir(dir.path()).expect("readable").flatten();
    let mut left = left.filter_map(|entry| entry.file_name().into_string().ok());
    assert!(!left.any(|name| name.ends_with(".part")));
}
