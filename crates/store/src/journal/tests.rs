//! The journal over real directories, and over a disk that fails on purpose.

mod full_disk;
mod shipping;

use std::fs;
use std::path::Path;

use clock::Time;
use model::{CallId, Cdr, CdrLegMedia, CdrOutcome, EndedBy, UserId};
use proptest::prelude::*;

use super::open_calls::OpenCalls;
use super::*;
use crate::conformance::samples;

#[test]
fn a_new_journal_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (_journal, recovery) = open(dir.path(), 1);
    let expected = Recovery {
        closed: vec![],
        unsettled: vec![],
        last: Time::ZERO,
        next_sequence: 0,
        torn_bytes: 0,
    };
    assert_eq!(recovery, expected);
}

#[test]
fn open_calls_are_closed_at_the_last_sign_of_life() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), 1);
    append(&mut journal, &[opened(10), opened(11), opened(12)]);
    append(&mut journal, &[answered(11, 13), closed(10)]);
    append(
        &mut journal,
        &[JournalEntry::Heartbeat(Time::from_secs(20))],
    );
    drop(journal);

    let (journal, recovery) = open(dir.path(), 100);
    let [one, two] = &recovery.closed[..] else {
        panic!("{:?}", recovery.closed)
    };
    assert_eq!(
        (one.call, one.outcome, one.status),
        (call(11), CdrOutcome::Answered, 200)
    );
    assert_eq!(
        (two.call, two.outcome, two.status),
        (call(12), CdrOutcome::Failed, 0)
    );
    assert_eq!((one.answer_us, two.answer_us), (Some(13_000_000), None));
    for (cdr, sequence) in [(one, 11), (two, 12)] {
        assert_eq!(cdr.end_us, 20_000_000);
        assert_eq!(
            (cdr.ended_by, cdr.reason.as_str()),
            (EndedBy::Platform, "node restarted")
        );
        assert_eq!((cdr.node.as_str(), cdr.sequence), ("node-1", sequence));
        assert_eq!(cdr.from_user, Some(UserId::from_bits(7)));
    }
    assert_eq!(
        (recovery.last, recovery.next_sequence),
        (Time::from_secs(20), 13)
    );
    drop(journal);

    let (_, recovery) = open(dir.path(), 200);
    assert!(recovery.closed.is_empty(), "they are closed once");
    assert_eq!(
        (recovery.last, recovery.next_sequence),
        (Time::from_secs(100), 13)
    );
}

#[test]
fn records_of_calls_that_a_crash_ended_name_what_was_recorded_of_them() {
    let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut journal, _) = open(dir.path(), 1);
    append(&mut journal, &[opened(10), answered(10, 13), opened(11)]);
    drop(journal);
    let of = |end: &str| format!("{}-{end}", call(10));
    let others = ["notes.txt", "1.wav", "call_1-1.wav", "uploaded"].map(str::to_owned);
    let left = ["10.wav.part", "9.opus", "1.wav", "1.json"].map(of);
    for name in left.iter().chain(&others) {
        std::fs::write(files.path().join(name), b"RIFF").unwrap();
    }
    let config = JournalConfig {
        recordings: Some(files.path().to_owned()),
        ..JournalConfig::new("node-1")
    };
    let (_, recovery) = Journal::open(dir.path(), config, Time::from_secs(100)).unwrap();
    let named: Vec<_> = recovery.closed.iter().map(|cdr| &cdr.recordings).collect();
    let expected = ["1.wav", "9.opus", "10.wav"].map(of).to_vec();
    assert_eq!(named, [&expected, &Vec::new()]);
}

#[test]
fn calls_that_others_may_have_stay_open_until_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let reopen = |at_s| {
        let config = JournalConfig {
            left_open: LeftOpen::Unsettled,
            ..JournalConfig::new("node-1")
        };
        Journal::open(dir.path(), config, Time::from_secs(at_s)).unwrap()
    };
    let (mut journal, _) = open(dir.path(), 1);
    append(&mut journal, &[opened(10), opened(11), answered(11, 13)]);
    drop(journal);
    for at_s in [20, 30] {
        // Also if it crashes again before it was told.
        let (_, recovery) = reopen(at_s);
        assert_eq!(recovery.closed, []);
        let open: Vec<_> = recovery.unsettled.iter().map(|cdr| cdr.call).collect();
        assert_eq!(open, [call(10), call(11)]);
    }
    let (mut journal, recovery) = reopen(40);
    let ended = recovery.unsettled[0].clone();
    append(
        &mut journal,
        &[JournalEntry::Left(call(11)), JournalEntry::Closed(ended)],
    );
    drop(journal);
    let (_, recovery) = reopen(50);
    assert_eq!(recovery.unsettled, []);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let (_journal, _) = open(dir.path(), 1);
    let second = Journal::open(dir.path(), JournalConfig::new("node-1"), Time::ZERO);
    assert!(matches!(second.err(), Some(JournalError::Locked)));
}

#[test]
fn a_foreign_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment_path(dir.path(), 1), b"TDMCDRJ9 of another day").unwrap();
    let refused = Journal::open(dir.path(), JournalConfig::new("node-1"), Time::ZERO);
    assert!(matches!(
        refused.err(),
        Some(JournalError::UnknownFormat { segment: 1 })
    ));
}

/// Whatever part of a journal reached the disk, recovery makes of it what its whole entries
/// say, and what is written afterwards is read again.
#[test]
fn a_journal_cut_at_any_byte_recovers_its_whole_entries() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), 1);
    let path = segment_path(dir.path(), journal.segment);
    let entries = [
        opened(10),
        opened(11),
        answered(10, 12),
        closed(10),
        answered(11, 13),
    ];
    let mut ends = Vec::new();
    for entry in &entries {
        append(&mut journal, core::slice::from_ref(entry));
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(journal);
    let bytes = fs::read(&path).unwrap();

    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment_path(dir.path(), 1), &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        let mut expected = OpenCalls::default();
        entries[..whole]
            .iter()
            .for_each(|entry| expected.apply(entry.clone()));
        let calls = |cdrs: &[Cdr]| {
            cdrs.iter()
                .map(|c| (c.call, c.answer_us))
                .collect::<Vec<_>>()
        };
        let expected = calls(&expected.close_all("node-1"));

        let (mut journal, recovery) = open(dir.path(), 50);
        assert_eq!(calls(&recovery.closed), expected, "cut at {cut}");
        append(&mut journal, &[opened(60)]);
        drop(journal);
        let (_, recovery) = open(dir.path(), 70);
        assert_eq!(
            calls(&recovery.closed),
            [(call(60), None)],
            "cut at {cut}, then written"
        );
        assert_eq!(recovery.torn_bytes, 0);
    }
}

#[test]
fn a_full_segment_is_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        segment_bytes: 1_000,
        ..JournalConfig::new("node-1")
    };
    let (mut journal, _) = Journal::open(dir.path(), config, Time::from_secs(1)).unwrap();
    for n in 10..30 {
        append(&mut journal, &[opened(n), answered(n, n)]);
    }
    assert!(segment::segments(dir.path()).unwrap().len() > 2);
    drop(journal);
    assert_eq!(open(dir.path(), 50).1.closed.len(), 20);
}

#[test]
fn long_texts_are_cut_off_where_a_character_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), 1);
    let long = "ä".repeat(100_000);
    append(
        &mut journal,
        &[JournalEntry::Opened(OpenCdr {
            caller: long.clone(),
            ..open_cdr(10)
        })],
    );
    drop(journal);
    let (_, recovery) = open(dir.path(), 50);
    let kept = &recovery.closed[0].caller;
    assert!(kept.len() == 8 * 1_024 && long.starts_with(kept.as_str()));
}

proptest! {
    #[test]
    fn any_entry_is_read_as_it_was_written(entry in any_entry()) {
        let mut bytes = Vec::new();
        codec::encode(&entry, &mut bytes);
        prop_assert_eq!(codec::decode(&bytes), Some(entry));
        for cut in 0..bytes.len() {
            prop_assert_eq!(codec::decode(&bytes[..cut]), None);
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = codec::decode(&bytes);
    }
}

fn any_entry() -> impl Strategy<Value = JournalEntry> {
    let text = ".{0,20}";
    let times = (
        any::<u64>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<u64>(),
    );
    let media = prop::option::of((text, any::<u64>(), any::<u32>(), any::<u16>()));
    (
        0..4u8,
        any::<u128>(),
        any::<Option<u128>>(),
        text,
        text,
        times,
        media,
    )
        .prop_map(
            |(kind, call, id, one, other, (start_us, ring_us, answer_us, end_us), media)| {
                let call = CallId::from_bits(call);
                let user = id.map(UserId::from_bits);
                match kind {
                    0 => JournalEntry::Opened(OpenCdr {
                        call,
                        from_user: user,
                        start_us,
                        caller: one,
                        sip_call_id: other,
                        ..open_cdr(1)
                    }),
                    1 => JournalEntry::Answered {
                        call,
                        at: Time::from_micros(end_us),
                    },
                    2 => JournalEntry::Heartbeat(Time::from_micros(end_us)),
                    _ => JournalEntry::Closed(Cdr {
                        call,
                        to_user: user,
                        destination: one,
                        reason: other,
                        start_us,
                        ring_us,
                        answer_us,
                        end_us,
                        media_b: media.map(|(codec, packets, jitter_us, mos_centi)| CdrLegMedia {
                            codec,
                            packets,
                            bytes: packets / 2,
                            lost: 1,
                            jitter_us,
                            mos_centi,
                            rtt_us: ring_us.map(|us| us as u32),
                            peer_lost: answer_us,
                            peer_mos_centi: Some(mos_centi / 2),
                            mos_course_centi: vec![mos_centi; usize::from(mos_centi % 66)],
                            mos_course_step_s: jitter_us,
                            ..CdrLegMedia::default()
                        }),
                        recordings: vec!["a-1.wav".into(), "a-2.wav".into()],
                        ..samples::cdr(1)
                    }),
                }
            },
        )
}

fn open(dir: &Path, now_s: u64) -> (Journal, Recovery) {
    Journal::open(dir, JournalConfig::new("node-1"), Time::from_secs(now_s)).unwrap()
}

fn append(journal: &mut Journal, entries: &[JournalEntry]) {
    entries
        .iter()
        .for_each(|entry| journal.append(entry).unwrap());
    journal.write().unwrap();
}

fn call(n: u64) -> CallId {
    samples::cdr(n).call
}

fn open_cdr(n: u64) -> OpenCdr {
    OpenCdr {
        call: call(n),
        account: None,
        from_user: Some(UserId::from_bits(7)),
        customer: None,
        carrier: None,
        start_us: n * 1_000_000,
        caller: "alice".into(),
        called: "bob".into(),
        source: "udp:192.0.2.1:5060".into(),
        sip_call_id: format!("a-{n}@192.0.2.1"),
    }
}

fn opened(n: u64) -> JournalEntry {
    JournalEntry::Opened(open_cdr(n))
}

fn answered(n: u64, at_s: u64) -> JournalEntry {
    JournalEntry::Answered {
        call: call(n),
        at: Time::from_secs(at_s),
    }
}

fn closed(n: u64) -> JournalEntry {
    JournalEntry::Closed(samples::cdr(n))
}
