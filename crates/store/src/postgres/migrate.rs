//! Schema versions of a PostgreSQL database: numbered SQL files, each run once and in order, by
//! one node while the others wait.

use deadpool_postgres::Object;

use crate::StoreError;

/// Brings the schema up to date. Errors: `NewerSchema`, `Unavailable`.
pub(super) async fn run(client: &mut Object) -> Result<(), StoreError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    // Asked first: a program without the right to make tables can still use those there are.
    let there = tx
        .query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[])
        .await?;
    if !there.get::<_, bool>(0) {
        tx.batch_execute(VERSION_TABLE).await?;
    }
    let row = tx
        .query_one("SELECT version FROM schema_version", &[])
        .await?;
    let found = u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX);
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for sql in &MIGRATIONS[found as usize..] {
        tx.batch_execute(sql).await?;
    }
    if found < known {
        let known = i64::from(known);
        tx.execute("UPDATE schema_version SET version = $1", &[&known])
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

const VERSION_TABLE: &str = "CREATE TABLE schema_version (version BIGINT NOT NULL);
    INSERT INTO schema_version VALUES (0);";
/// Held while the schema changes: "tandem" as a number.
const LOCK: i64 = 0x7461_6e64_656d;
/// The file at index N brings a schema from version N to N + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001-records.sql"),
    include_str!("../../migrations/postgres/0002-cdrs.sql"),
    include_str!("../../migrations/postgres/0003-people.sql"),
    include_str!("../../migrations/postgres/0004-history.sql"),
    include_str!("../../migrations/postgres/0005-cdr-indexes.sql"),
    include_str!("../../migrations/postgres/0006-zones.sql"),
    include_str!("../../migrations/postgres/0007-leases.sql"),
];
