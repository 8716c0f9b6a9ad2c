use std::fs;

use super::{Batch, LiveLog, Outcome};
use crate::conformance::{Faulty, live, samples};
use crate::{LiveStore, StoreError};

#[test]
fn the_log_conforms() {
    let dir = tempfile::tempdir().unwrap();
    live::run(|name| LiveLog::open(&dir.path().join(name)).unwrap());
}

#[test]
fn the_log_conforms_with_faults() {
    for seed in 1..=5 {
        let dir = tempfile::tempdir().unwrap();
        live::run(|name| Faulty::new(LiveLog::open(&dir.path().join(name)).unwrap(), seed));
    }
}

#[test]
fn a_log_cut_at_any_byte_brings_back_what_was_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut lengths = Vec::new();
    let mut log = LiveLog::open(&path).unwrap();
    for n in 1..=4 {
        log.save((&samples::binding(n, 10, b"body")).into());
        log.sync().unwrap();
        lengths.push(fs::metadata(&path).unwrap().len());
    }
    drop(log);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = lengths.iter().filter(|len| **len <= cut as u64).count();
        let mut log = LiveLog::open(&path).unwrap();
        assert_eq!(log.load_all(0).unwrap().len(), whole, "cut at {cut}");
        log.save((&samples::binding(9, 10, b"later")).into());
        log.sync().unwrap();
        drop(log);
        let mut log = LiveLog::open(&path).unwrap();
        assert_eq!(
            log.load_all(0).unwrap().len(),
            whole + 1,
            "cut at {cut}, then written"
        );
    }
}

#[test]
fn a_log_stays_within_a_few_times_what_lives_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut log = LiveLog::open(&path).unwrap();
    let body = [1; 1_000];
    for round in 1..=50 {
        for n in 1..=100 {
            log.save((&samples::binding(n, round, &body)).into());
        }
        log.sync().unwrap();
    }
    assert!(
        fs::metadata(&path).unwrap().len() < 1_300_000,
        "5 MB were written, 0.1 MB live"
    );
    assert_eq!(log.load_all(0).unwrap().len(), 100);
}

#[test]
fn a_binding_that_is_too_large_is_reported_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LiveLog::open(&dir.path().join("log")).unwrap();
    log.save((&samples::binding(1, 10, &vec![0; 1_000_000])).into());
    assert!(matches!(log.flush(), Err(StoreError::Unavailable(_))));
    log.sync().unwrap();
    assert!(log.load_all(0).unwrap().is_empty());
}

#[test]
fn a_foreign_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "something else entirely").unwrap();
    assert!(matches!(
        LiveLog::open(&path).err(),
        Some(StoreError::Corrupt(_))
    ));
}

#[test]
fn a_batch_that_failed_goes_out_again_before_what_is_younger() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LiveLog::open(&dir.path().join("log")).unwrap();
    let mut batch = Batch::default();
    for n in 1..=3 {
        let record = samples::binding(n, 10, b"failed");
        let name = log.names.hash(&record.aor, &record.key);
        batch.save(name, &(&record).into());
    }
    log.save((&samples::binding(2, 10, b"newer")).into());
    log.remove("user-3@example.com", &3_u64.to_be_bytes());
    let error = Some(StoreError::Unavailable("full".into()));
    assert!(log.settle(Outcome { batch, error }).is_err());
    assert!(!log.has_room(), "owners keep their changes meanwhile");
    log.sync().unwrap();
    assert!(log.has_room());
    let mut loaded = log.load_all(0).unwrap();
    loaded.sort_by(|a, b| a.aor.cmp(&b.aor));
    assert_eq!(
        loaded,
        [
            samples::binding(1, 10, b"failed"),
            samples::binding(2, 10, b"newer")
        ]
    );
}

#[test]
fn what_waits_is_bounded_and_goes_out_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LiveLog::open(&dir.path().join("log")).unwrap();
    let body = vec![1; 100_000];
    let mut saved = 0;
    while log.has_room() {
        saved += 1;
        log.save((&samples::binding(saved, 10, &body)).into());
        assert!(saved < 1_000, "100 MB wait in memory");
    }
    log.sync().unwrap();
    assert!(log.has_room());
    assert_eq!(log.load_all(0).unwrap().len() as u64, saved);
}
