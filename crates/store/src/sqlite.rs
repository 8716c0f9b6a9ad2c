//! The SQL adapter for one machine: SQLite in write-ahead mode, in one file.
//!
//! One connection writes, one reads and one reads CDRs, which one has at a time: readers never wait for a
//! writer, nor records for somebody who looks through millions of CDRs, and a transaction never finds
//! the database busy. Commits are synced
//! (`synchronous=FULL`): a journal is deleted on the strength of them.

mod audit;
mod blocks;
mod cdrs;
mod dump;
mod history;
mod leases;
mod many;
mod migrate;
mod names;
mod records;
mod summary;
mod tickets;
mod tokens;
mod turns;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::turns::Turns;
use crate::StoreError;

/// Records and CDRs in a SQLite file; fills [`Records`](crate::Records) and
/// [`CdrStore`](crate::CdrStore).
pub struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// Taken for some milliseconds at a time by who looks through everything, who must not have it
    /// again while others wait.
    cdr_reader: Turns<Connection>,
    /// New CDRs until blocks are made of them.
    seal_after: AtomicUsize,
    /// CDRs of a block.
    block_rows: usize,
}

impl Sqlite {
    /// Opens a file, which is made if need be, and brings its schema up to date. Errors:
    /// `NewerSchema`, `Corrupt`, `Unavailable`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, blocks::BLOCK_ROWS)
    }

    /// The same with blocks of so many CDRs.
    fn open_with(path: &Path, block_rows: usize) -> Result<Self, StoreError> {
        // Digest secrets are in it: nobody else's to read. SQLite gives its other files the same
        // mode.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let mut writer = connect(path)?;
        migrate::run(&mut writer)?;
        let reader = || -> Result<Connection, StoreError> {
            let reader = connect(path)?;
            reader.pragma_update(None, "query_only", true)?;
            Ok(reader)
        };
        Ok(Self {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader()?),
            cdr_reader: Turns::new(reader()?),
            seal_after: AtomicUsize::new(0),
            block_rows,
        })
    }

    /// Runs a change: all of it or nothing.
    fn change<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = change(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Runs queries that see one moment.
    fn query<T>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(&mut lock(&self.reader), query)
    }

    /// Runs queries that may take their time.
    fn query_cdrs<T>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.cdr_reader.take(|reader| read(reader, query))
    }
}

fn read<T>(
    reader: &mut Connection,
    query: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = reader.transaction_with_behavior(TransactionBehavior::Deferred)?;
    query(&transaction)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A transaction that was cut short by a panic was rolled back; the connection is good.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait for another process that has the file, a backup for instance.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept for each connection.
const STATEMENTS: usize = 64;

#[cfg(test)]
mod tests;
