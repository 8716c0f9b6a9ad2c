//! Schema versions of a SQLite file: numbered SQL files, each run once and in order.

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// Brings the schema up to date. Errors: `NewerSchema`, `Corrupt`, `Unavailable`.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = MIGRATIONS.len() as u32;
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        let Some(sql) = MIGRATIONS.get(found as usize) else {
            return Ok(());
        };
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}

/// The file at index N brings a schema from version N to N + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001-records.sql"),
    include_str!("../../migrations/0002-cdrs.sql"),
    include_str!("../../migrations/0003-people.sql"),
    include_str!("../../migrations/0004-history.sql"),
    include_str!("../../migrations/0005-cdr-blocks.sql"),
    include_str!("../../migrations/0006-zones.sql"),
    include_str!("../../migrations/0007-leases.sql"),
];
