use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::Sqlite;
use crate::conformance::{Faulty, cdrs, history, leases, records, samples, zones};
use crate::{Kind, Records, StoreError};

#[test]
fn records_conform() {
    let files = Files::new();
    records::run(|| files.fresh());
}

#[test]
fn records_conform_with_faults() {
    let files = Files::new();
    for seed in 1..=5 {
        records::run(|| Faulty::new(files.fresh(), seed));
    }
}

#[test]
fn cdrs_conform() {
    let files = Files::new();
    cdrs::run(|| files.fresh());
}

#[test]
fn cdrs_conform_with_faults() {
    let files = Files::new();
    for seed in 1..=5 {
        cdrs::run(|| Faulty::new(files.fresh(), seed));
    }
}

#[test]
fn cdrs_conform_in_the_smallest_blocks() {
    let files = Files::new();
    cdrs::run(|| Sqlite::open_with(&files.next(), 1).unwrap());
}

#[test]
fn leases_conform() {
    let files = Files::new();
    leases::run(|| files.fresh());
    for seed in 1..=5 {
        leases::run(|| Faulty::new(files.fresh(), seed));
    }
}

#[test]
fn history_conforms() {
    let files = Files::new();
    history::run(|| files.fresh());
    for seed in 1..=5 {
        history::run(|| Faulty::new(files.fresh(), seed));
    }
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let files = Files::new();
    let path = files.next();
    let account = samples::account(1);
    let revision = Sqlite::open(&path)
        .unwrap()
        .insert(&samples::actor(), &account.clone().into())
        .unwrap();
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.revision().unwrap(), revision);
    assert_eq!(
        store
            .find(Kind::Account, &account.id.to_string())
            .unwrap()
            .record,
        account.into()
    );
}

#[test]
fn of_two_changes_at_once_one_wins() {
    let files = Files::new();
    let store = files.fresh();
    let account = samples::account(1);
    let made = store
        .insert(&samples::actor(), &account.clone().into())
        .unwrap();
    let outcomes = std::thread::scope(|scope| {
        let change = || store.replace(&samples::actor(), &account.clone().into(), made);
        let threads = [
            scope.spawn(change),
            scope.spawn(change),
            scope.spawn(change),
        ];
        threads.map(|thread| thread.join().unwrap())
    });
    let won = outcomes.iter().flatten().count();
    let lost = |o: &&_| matches!(o, Err(StoreError::Conflict { current }) if *current > made);
    assert_eq!(
        (won, outcomes.iter().filter(lost).count()),
        (1, 2),
        "{outcomes:?}"
    );
}

#[test]
fn only_its_owner_reads_a_database() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::new();
    let _store = files.fresh();
    for file in std::fs::read_dir(files.dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{file:?}"
        );
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let files = Files::new();
    let path = files.next();
    drop(Sqlite::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let refused = Sqlite::open(&path).err();
    assert!(
        matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })),
        "{refused:?}"
    );
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |r| r.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[test]
fn words_for_zones_become_records() {
    let files = Files::new();
    let path = files.next();
    drop(Sqlite::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (id, kind, body) in zones::words() {
        let insert = "INSERT INTO record (id, kind, revision, body) VALUES (?, ?, 1, ?)";
        connection.execute(insert, [&id, kind, &body]).unwrap();
    }
    // As before there were zones.
    connection.pragma_update(None, "user_version", 5).unwrap();
    drop(connection);
    zones::words_became_records(&Sqlite::open(&path).unwrap());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let files = Files::new();
    let path = files.next();
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at".repeat(50),
    )
    .unwrap();
    assert!(matches!(
        Sqlite::open(&path).err(),
        Some(StoreError::Corrupt(_))
    ));
}

/// Makes databases that go away with it.
struct Files {
    dir: TempDir,
    made: AtomicU64,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            made: AtomicU64::new(0),
        }
    }

    fn next(&self) -> PathBuf {
        self.dir
            .path()
            .join(self.made.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn fresh(&self) -> Sqlite {
        Sqlite::open(&self.next()).unwrap()
    }
}
