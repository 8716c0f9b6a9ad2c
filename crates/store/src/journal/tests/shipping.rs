//! From the journal to a store, and what is left behind.

use std::sync::Arc;

use super::*;
use crate::conformance::Faulty;
use crate::{CdrFilter, CdrStore, Sqlite};

#[test]
fn closed_calls_arrive_once_and_their_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("db")).unwrap();
    let (mut journal, _) = small_segments(dir.path(), 1);
    let mut shipper = Shipper::open(dir.path()).unwrap();
    append(&mut journal, &[opened(5), answered(5, 6), opened(6)]);
    for n in 10..40 {
        append(&mut journal, &[opened(n), closed(n)]);
        if n % 3 == 0 {
            shipper.ship(&store).unwrap();
        }
    }
    shipper.ship(&store).unwrap();
    assert_eq!(sequences(&store), (10..40).collect::<Vec<_>>());
    assert_eq!(segment::segments(dir.path()).unwrap(), [journal.segment]);
    assert_eq!(segment::carries(dir.path()).unwrap(), [journal.segment - 1]);
    append(&mut journal, &[closed(6)]);
    drop(journal);

    // Of the call that outlived its segment, the carried state still knows all.
    let (journal, recovery) = small_segments(dir.path(), 100);
    let [cdr] = &recovery.closed[..] else {
        panic!("{:?}", recovery.closed)
    };
    assert_eq!((cdr.call, cdr.answer_us), (call(5), Some(6_000_000)));
    assert_eq!((cdr.caller.as_str(), cdr.sequence), ("alice", 40));
    Shipper::open(dir.path()).unwrap().ship(&store).unwrap();
    assert_eq!(
        sequences(&store),
        [6].into_iter().chain(10..=40).collect::<Vec<_>>()
    );
    drop(journal);
    assert!(small_segments(dir.path(), 200).1.closed.is_empty());
}

#[test]
fn a_lost_place_repeats_without_doubling() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("db")).unwrap();
    let (mut journal, _) = open(dir.path(), 1);
    append(&mut journal, &[closed(10), closed(11)]);
    let shipped = Shipper::open(dir.path()).unwrap().ship(&store).unwrap();
    assert_eq!(shipped, Shipped { read: 2, added: 2 });
    fs::write(dir.path().join(segment::SHIPPED_NAME), b"torn").unwrap();
    let shipped = Shipper::open(dir.path()).unwrap().ship(&store).unwrap();
    assert_eq!(shipped, Shipped { read: 2, added: 0 });
    let shipped = Shipper::open(dir.path()).unwrap().ship(&store).unwrap();
    assert_eq!(shipped, Shipped { read: 0, added: 0 });
}

#[test]
fn a_store_that_fails_now_and_then_gets_everything() {
    for seed in 1..=10 {
        let dir = tempfile::tempdir().unwrap();
        let store = Faulty::new(Sqlite::open(&dir.path().join("db")).unwrap(), seed);
        let (mut journal, _) = small_segments(dir.path(), 1);
        let mut shipper = Shipper::open(dir.path()).unwrap();
        let mut failures = 0;
        for n in 10..60 {
            append(&mut journal, &[opened(n), closed(n)]);
            failures += u32::from(shipper.ship(&store).is_err());
        }
        while shipper.ship(&store).is_err() {}
        assert!(failures > 0, "seed {seed} injected nothing");
        let count = (0..100).find_map(|_| store.list(&CdrFilter::default(), None, 100).ok());
        assert_eq!(count.unwrap().len(), 50, "seed {seed}");
    }
}

#[test]
fn more_than_a_batch_takes_several_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("db")).unwrap();
    let (mut journal, _) = small_segments(dir.path(), 1);
    let count = SHIP_BATCH as u64 + 20;
    for n in 1..=count {
        append(&mut journal, &[closed(n)]);
    }
    let mut shipper = Shipper::open(dir.path()).unwrap();
    assert_eq!(shipper.ship(&store).unwrap().added, SHIP_BATCH);
    assert_eq!(shipper.ship(&store).unwrap().added, 20);
    assert_eq!(sequences(&store), (1..=count).collect::<Vec<_>>());
}

#[test]
fn a_damaged_segment_is_set_aside_and_the_rest_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("db")).unwrap();
    let (mut journal, _) = small_segments(dir.path(), 1);
    for n in 10..40 {
        append(&mut journal, &[closed(n)]);
    }
    let first = segment_path(dir.path(), 1);
    let mut bytes = fs::read(&first).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&first, bytes).unwrap();
    Shipper::open(dir.path()).unwrap().ship(&store).unwrap();
    assert!(segment::damaged_path(dir.path(), 1).exists());
    assert_eq!(
        sequences(&store).len(),
        29,
        "all but the one in the damaged frame"
    );
}

#[test]
fn a_shipper_thread_ships_the_rest_when_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&dir.path().join("db")).unwrap());
    let (mut journal, _) = open(dir.path(), 1);
    let shipper = Shipper::open(dir.path()).unwrap();
    let for_thread: Arc<dyn CdrStore> = Arc::<Sqlite>::clone(&store);
    let thread = shipper
        .spawn(for_thread, Duration::from_secs(3_600))
        .unwrap();
    append(&mut journal, &[closed(10)]);
    drop(thread);
    assert_eq!(sequences(&*store), [10]);
}

fn small_segments(dir: &Path, now_s: u64) -> (Journal, Recovery) {
    let config = JournalConfig {
        segment_bytes: 1_000,
        ..JournalConfig::new("node-1")
    };
    Journal::open(dir, config, Time::from_secs(now_s)).unwrap()
}

/// The sequences of all records, ascending.
fn sequences(store: &dyn CdrStore) -> Vec<u64> {
    let cdrs = store.list(&CdrFilter::default(), None, usize::MAX).unwrap();
    let mut sequences: Vec<_> = cdrs.iter().map(|cdr| cdr.sequence).collect();
    sequences.sort_unstable();
    sequences
}
