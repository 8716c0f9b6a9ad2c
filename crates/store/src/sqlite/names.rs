//! Records that others name by a unique value, in SQLite.

use rusqlite::{OptionalExtension, Transaction, params};

use super::audit::note;
use super::records::next_revision;
use crate::records::renamed;
use crate::{Actor, Kind, StoreError, UniqueValue};

/// Notes which records are named. Errors: `MissingReference`.
pub(super) fn refer(
    tx: &Transaction<'_>,
    id: &str,
    named: &[UniqueValue<'_>],
) -> Result<(), StoreError> {
    for UniqueValue {
        space,
        field,
        value,
    } in named
    {
        let holder: Option<String> = tx
            .prepare_cached("SELECT record FROM record_value WHERE space = ? AND value = ?")?
            .query_row([space, value], |row| row.get(0))
            .optional()?;
        let Some(holder) = holder else {
            return Err(StoreError::MissingReference {
                field,
                id: (*value).to_owned(),
            });
        };
        tx.prepare_cached("INSERT OR IGNORE INTO record_reference (record, target) VALUES (?, ?)")?
            .execute([id, &holder])?;
    }
    Ok(())
}

/// Those who name a record go on to do so when it has got other names.
pub(super) fn follow(
    tx: &Transaction<'_>,
    actor: &Actor,
    id: &str,
    names: &[(&'static str, String, String)],
) -> Result<(), StoreError> {
    for (space, old, new) in names {
        for (record, kind, body) in users_of(tx, id)? {
            let Some(changed) = renamed(kind, &body, (space, old, new))? else {
                continue;
            };
            let revision = next_revision(tx)?;
            tx.prepare_cached("UPDATE record SET revision = ?, body = ? WHERE id = ?")?
                .execute(params![revision as i64, changed.to_string(), record])?;
            let before = serde_json::from_str(&body)?;
            let what = (kind, record.as_str());
            note(tx, actor, revision, what, Some(before), Some(changed))?;
        }
    }
    Ok(())
}

fn users_of(tx: &Transaction<'_>, id: &str) -> Result<Vec<(String, Kind, String)>, StoreError> {
    let mut select = tx.prepare_cached(
        "SELECT r.id, r.kind, r.body FROM record_reference f JOIN record r ON r.id = f.record
         WHERE f.target = ? ORDER BY r.id",
    )?;
    let mut rows = select.query([id])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        let word: String = row.get(1)?;
        let kind = Kind::RECORDS.into_iter().find(|kind| kind.as_str() == word);
        if let Some(kind) = kind {
            users.push((row.get(0)?, kind, row.get(2)?));
        }
    }
    Ok(users)
}
