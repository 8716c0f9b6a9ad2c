//! The audit log in SQLite.

use model::AuditEntry;
use rusqlite::{Transaction, params};
use serde_json::Value;

use crate::records::redacted;
use crate::{Actor, Kind, StoreError};

/// Leaves an audit entry.
pub(super) fn note(
    tx: &Transaction<'_>,
    actor: &Actor,
    revision: u64,
    (kind, id): (Kind, &str),
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), StoreError> {
    let text = |value: Option<Value>| value.map(|v| redacted(v).to_string());
    tx.prepare_cached(
        "INSERT INTO audit (revision, at_us, actor, kind, record, before, after) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        revision as i64,
        actor.at.as_micros() as i64,
        actor.name,
        kind.as_str(),
        id,
        text(before),
        text(after)
    ])?;
    Ok(())
}

/// The latest entries before a revision, newest first.
pub(super) fn before(
    tx: &Transaction<'_>,
    before: i64,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut select = tx.prepare_cached(
        "SELECT revision, at_us, actor, kind, record, before, after FROM audit \
         WHERE revision < ? ORDER BY revision DESC LIMIT ?",
    )?;
    let mut rows = select.query([before, limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let value = |column| -> Result<Option<Value>, StoreError> {
            let text: Option<String> = row.get(column)?;
            Ok(text.as_deref().map(serde_json::from_str).transpose()?)
        };
        entries.push(AuditEntry {
            revision: row.get::<_, i64>(0)? as u64,
            at_us: row.get::<_, i64>(1)? as u64,
            actor: row.get(2)?,
            kind: row.get(3)?,
            record: row.get(4)?,
            before: value(5)?,
            after: value(6)?,
        });
    }
    Ok(entries)
}
