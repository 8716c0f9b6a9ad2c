//! The audit log in PostgreSQL.

use deadpool_postgres::Transaction;
use model::AuditEntry;
use serde_json::Value;

use super::{execute, rows};
use crate::records::redacted;
use crate::{Actor, Kind, StoreError};

/// Leaves an audit entry.
pub(super) async fn note(
    tx: &Transaction<'_>,
    actor: &Actor,
    revision: u64,
    (kind, id): (Kind, &str),
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), StoreError> {
    let text = |value: Option<Value>| value.map(|v| redacted(v).to_string());
    execute(
        tx,
        "INSERT INTO audit (revision, at_us, actor, kind, record, before, after) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &(revision as i64),
            &(actor.at.as_micros() as i64),
            &actor.name,
            &kind.as_str(),
            &id,
            &text(before),
            &text(after),
        ],
    )
    .await?;
    Ok(())
}

/// The latest entries before a revision, newest first.
pub(super) async fn before(
    tx: &Transaction<'_>,
    before: i64,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows = rows(
        tx,
        "SELECT revision, at_us, actor, kind, record, before, after FROM audit \
         WHERE revision < $1 ORDER BY revision DESC LIMIT $2",
        &[&before, &limit],
    )
    .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let value = |column| -> Result<Option<Value>, StoreError> {
            let text: Option<&str> = row.try_get(column)?;
            Ok(text.map(serde_json::from_str).transpose()?)
        };
        entries.push(AuditEntry {
            revision: row.try_get::<_, i64>(0)? as u64,
            at_us: row.try_get::<_, i64>(1)? as u64,
            actor: row.try_get(2)?,
            kind: row.try_get(3)?,
            record: row.try_get(4)?,
            before: value(5)?,
            after: value(6)?,
        });
    }
    Ok(entries)
}
