//! A disk that takes a part of a write, or nothing, and recovers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use super::super::disk::{Disk, DiskFile, LocalDisk};
use super::*;

/// Nothing is lost and nothing doubled, wherever the disk stops and goes on: each plan says how
/// many bytes each write takes, 0 for none with an error.
#[test]
fn writes_go_on_at_the_byte_where_they_stopped() {
    for first in 0..60 {
        for second in [0, 1, 7, 8, 30] {
            let dir = tempfile::tempdir().unwrap();
            let (disk, plan) = PlannedDisk::new();
            let (mut journal, _) = open_on(disk, dir.path(), 1_000_000);
            plan.lock().unwrap().extend([first, 0, second, 0]);
            let mut failures = 0;
            for n in 10..14 {
                journal.append(&opened(n)).unwrap();
                failures += u64::from(journal.write().is_err());
            }
            plan.lock().unwrap().clear();
            journal.write().unwrap();
            assert!(failures > 0);
            assert_eq!(
                (journal.stats().write_errors, journal.stats().pending_bytes),
                (failures, 0)
            );
            drop(journal);
            let (_, recovery) = open(dir.path(), 50);
            let calls: Vec<_> = recovery.closed.iter().map(|cdr| cdr.call).collect();
            assert_eq!(calls, [10, 11, 12, 13].map(call), "plan {first} {second}");
            assert_eq!(recovery.torn_bytes, 0);
        }
    }
}

#[test]
fn a_full_memory_refuses_new_calls_first_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, plan) = PlannedDisk::new();
    let (mut journal, _) = open_on(disk, dir.path(), 2_000);
    plan.lock().unwrap().extend([0; 1_000]);
    let mut taken = 0;
    while journal.append(&opened(100 + taken)).is_ok() {
        assert!(matches!(journal.write(), Err(JournalError::Io(_))));
        taken += 1;
    }
    assert!((1_000..1_200).contains(&journal.stats().pending_bytes));
    // Calls that were accepted still have room for their ends.
    journal.append(&answered(100, 101)).unwrap();
    journal.append(&closed(100)).unwrap();
    while journal.append(&closed(101)).is_ok() {}
    assert!(matches!(
        journal.append(&closed(102)),
        Err(JournalError::Full)
    ));
    assert!(journal.stats().pending_bytes < 2_500);
    assert_eq!(journal.stats().refused, 3);

    plan.lock().unwrap().clear();
    journal.write().unwrap();
    journal.append(&opened(200)).unwrap();
    drop(journal);
    let (_, recovery) = open(dir.path(), 300);
    assert_eq!(
        recovery.closed.len() as u64,
        taken - 2 + 1,
        "all taken but the two that ended"
    );
}

#[test]
fn without_a_new_segment_the_old_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        segment_bytes: 100,
        ..JournalConfig::new("node-1")
    };
    let disk = Box::new(OneFileDisk { made: false });
    let (mut journal, _) = Journal::open_on(disk, dir.path(), config, Time::from_secs(1)).unwrap();
    append(&mut journal, &[opened(10)]);
    append(&mut journal, &[opened(11)]);
    assert!(journal.stats().write_errors > 0);
    drop(journal);
    assert_eq!(open(dir.path(), 50).1.closed.len(), 2);
}

fn open_on(disk: PlannedDisk, dir: &Path, buffer_max: usize) -> (Journal, Recovery) {
    let config = JournalConfig {
        buffer_max,
        ..JournalConfig::new("node-1")
    };
    Journal::open_on(Box::new(disk), dir, config, Time::from_secs(1)).unwrap()
}

/// How many bytes each of the next writes takes; without a plan, all.
type Plan = Arc<Mutex<VecDeque<usize>>>;

struct PlannedDisk {
    plan: Plan,
}

impl PlannedDisk {
    fn new() -> (Self, Plan) {
        let plan = Plan::default();
        (
            Self {
                plan: Arc::clone(&plan),
            },
            plan,
        )
    }
}

impl Disk for PlannedDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = LocalDisk.create(path)?;
        Ok(Box::new(PlannedFile {
            file,
            plan: Arc::clone(&self.plan),
        }))
    }
}

struct PlannedFile {
    file: Box<dyn DiskFile>,
    plan: Plan,
}

impl DiskFile for PlannedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.plan.lock().unwrap().pop_front() {
            None => self.file.write(bytes),
            Some(0) => Err(io::ErrorKind::StorageFull.into()),
            Some(n) => self.file.write(&bytes[..n.min(bytes.len())]),
        }
    }

    fn file(&self) -> io::Result<File> {
        self.file.file()
    }
}

/// A disk with room for the name of one file.
struct OneFileDisk {
    made: bool,
}

impl Disk for OneFileDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if core::mem::replace(&mut self.made, true) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        LocalDisk.create(path)
    }
}
