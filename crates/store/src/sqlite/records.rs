//! Records and settings in SQLite.

use clock::Time;
use model::{ApiToken, AuditEntry, Settings, Snapshot, TokenId, Validate};
use rusqlite::{OptionalExtension, Transaction, params};

use super::audit::{self, note};
use super::{Sqlite, many, names, tickets, tokens};
use crate::records::{check, expect, gather, new_names};
use crate::{
    Actor, Bad, Changed, Inserted, Kind, Made, Page, Purpose, Record, RecordChange, Records,
    Reference, StoreError, Stored, Ticket, UniqueValue,
};

impl Records for Sqlite {
    fn insert(&self, actor: &Actor, record: &Record) -> Result<u64, StoreError> {
        self.change(|tx| put(tx, actor, record))
    }

    fn insert_all(
        &self,
        actor: &Actor,
        records: &[Record],
        bad: Bad,
    ) -> Result<Inserted, StoreError> {
        self.change(|tx| {
            tx.execute_batch("SAVEPOINT all_of_them")?;
            let mut refused = Vec::new();
            for (place, record) in records.iter().enumerate() {
                tx.prepare_cached("SAVEPOINT one")?.execute([])?;
                match put(tx, actor, record) {
                    Ok(_) => {}
                    Err(error @ (StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
                        return Err(error);
                    }
                    Err(error) => {
                        tx.execute_batch("ROLLBACK TO one")?;
                        refused.push((place, error));
                    }
                }
                tx.prepare_cached("RELEASE one")?.execute([])?;
            }
            let keep = match bad {
                Bad::RefuseAll => refused.is_empty(),
                Bad::Skip => true,
                Bad::Rehearse => false,
            };
            if !keep {
                tx.execute_batch("ROLLBACK TO all_of_them")?;
            }
            tx.execute_batch("RELEASE all_of_them")?;
            Ok(Inserted {
                revision: revision(tx)?,
                refused,
            })
        })
    }

    fn change_all(
        &self,
        actor: &Actor,
        changes: &[RecordChange],
        purpose: Purpose,
    ) -> Result<Changed, StoreError> {
        self.change(|tx| many::change_all(tx, actor, changes, purpose))
    }

    fn replace(&self, actor: &Actor, record: &Record, expected: u64) -> Result<u64, StoreError> {
        self.change(|tx| Ok(swap(tx, actor, record, Some(expected))?.revision))
    }

    fn remove(
        &self,
        actor: &Actor,
        kind: Kind,
        id: &str,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        self.change(|tx| erase(tx, actor, (kind, id), expected).map(drop))
    }

    fn find(&self, kind: Kind, id: &str) -> Result<Stored<Record>, StoreError> {
        let (revision, body) = self.query(|tx| stored(tx, kind, id))?;
        Ok(Stored {
            revision,
            record: Record::from_json(kind, &body)?,
        })
    }

    fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<Stored<Record>>, StoreError> {
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        self.query(|tx| scan(tx, kind, page.after.unwrap_or(""), limit))
    }

    fn settings(&self) -> Result<Stored<Settings>, StoreError> {
        self.query(settings)
    }

    fn set_settings(
        &self,
        actor: &Actor,
        settings: &Settings,
        expected: u64,
    ) -> Result<u64, StoreError> {
        check(settings.validate())?;
        self.change(|tx| {
            let before = self::settings(tx)?;
            expect(before.revision, Some(expected))?;
            let revision = next_revision(tx)?;
            let body = serde_json::to_value(settings)?;
            tx.prepare_cached("REPLACE INTO settings (id, revision, body) VALUES (1, ?, ?)")?
                .execute(params![revision as i64, body.to_string()])?;
            let before = serde_json::to_value(before.record)?;
            note(
                tx,
                actor,
                revision,
                (Kind::Settings, "settings"),
                Some(before),
                Some(body),
            )?;
            Ok(revision)
        })
    }

    fn create_token(&self, actor: &Actor, token: &ApiToken, hash: &str) -> Result<(), StoreError> {
        check(token.validate())?;
        self.change(|tx| {
            tokens::insert(tx, token, hash)?;
            let (revision, id) = (next_revision(tx)?, token.id.to_string());
            let after = serde_json::to_value(token)?;
            note(tx, actor, revision, (Kind::Token, &id), None, Some(after))
        })
    }

    fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.query(tokens::all)
    }

    fn token_by_hash(&self, hash: &str) -> Result<Option<ApiToken>, StoreError> {
        self.query(|tx| tokens::by_hash(tx, hash))
    }

    fn touch_token(&self, id: TokenId, at: Time) -> Result<(), StoreError> {
        self.change(|tx| tokens::touch(tx, id, at))
    }

    fn delete_token(&self, actor: &Actor, id: TokenId) -> Result<(), StoreError> {
        self.change(|tx| {
            let before = serde_json::to_value(tokens::remove(tx, id)?)?;
            let (revision, id) = (next_revision(tx)?, id.to_string());
            note(tx, actor, revision, (Kind::Token, &id), Some(before), None)
        })
    }

    fn add_ticket(&self, ticket: &Ticket, now: Time) -> Result<bool, StoreError> {
        self.change(|tx| tickets::add(tx, ticket, now))
    }

    fn ticket(&self, space: &str, key: &str, now: Time) -> Result<Option<Ticket>, StoreError> {
        self.query(|tx| tickets::one(tx, space, key, now))
    }

    fn tickets(&self, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError> {
        self.query(|tx| tickets::all(tx, space, now))
    }

    fn remove_ticket(&self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.change(|tx| tickets::remove(tx, space, key))
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before
            .and_then(|b| i64::try_from(b).ok())
            .unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.query(|tx| audit::before(tx, before, limit))
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.query(revision)
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.query(everything)
    }
}

/// All that a node needs.
pub(super) fn everything(tx: &Transaction<'_>) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot {
        revision: revision(tx)?,
        settings: settings(tx)?.record,
        ..Snapshot::default()
    };
    for kind in Kind::RECORDS {
        for stored in scan(tx, kind, "", i64::MAX)? {
            gather(&mut snapshot, stored.record);
        }
    }
    Ok(snapshot)
}

fn exists(tx: &Transaction<'_>, id: &str) -> Result<bool, StoreError> {
    Ok(tx
        .prepare_cached("SELECT 1 FROM record WHERE id = ?")?
        .exists([id])?)
}

/// Makes a record; its revision.
pub(super) fn put(tx: &Transaction<'_>, actor: &Actor, record: &Record) -> Result<u64, StoreError> {
    check(record.validate())?;
    let (kind, id, body) = (record.kind(), record.id(), record.to_json()?);
    if exists(tx, &id)? {
        return Err(StoreError::Duplicate {
            field: "id",
            by: id,
        });
    }
    let revision = next_revision(tx)?;
    tx.prepare_cached("INSERT INTO record (id, kind, revision, body) VALUES (?, ?, ?, ?)")?
        .execute(params![
            id,
            kind.as_str(),
            revision as i64,
            body.to_string()
        ])?;
    take_values(tx, &id, &record.unique_values())?;
    name_others(tx, &id, &record.references())?;
    names::refer(tx, &id, &record.named())?;
    note(tx, actor, revision, (kind, &id), None, Some(body))?;
    Ok(revision)
}

/// Replaces a record.
pub(super) fn swap(
    tx: &Transaction<'_>,
    actor: &Actor,
    record: &Record,
    expected: Option<u64>,
) -> Result<Made, StoreError> {
    check(record.validate())?;
    let (kind, id, body) = (record.kind(), record.id(), record.to_json()?);
    let before = stored(tx, kind, &id)?;
    expect(before.0, expected)?;
    let revision = next_revision(tx)?;
    tx.prepare_cached("UPDATE record SET revision = ?, body = ? WHERE id = ?")?
        .execute(params![revision as i64, body.to_string(), id])?;
    tx.prepare_cached("DELETE FROM record_value WHERE record = ?")?
        .execute([&id])?;
    tx.prepare_cached("DELETE FROM record_reference WHERE record = ?")?
        .execute([&id])?;
    take_values(tx, &id, &record.unique_values())?;
    name_others(tx, &id, &record.references())?;
    names::refer(tx, &id, &record.named())?;
    let was = Record::from_json(kind, &before.1)?;
    let before = serde_json::from_str(&before.1)?;
    note(tx, actor, revision, (kind, &id), Some(before), Some(body))?;
    names::follow(tx, actor, &id, &new_names(&was, record))?;
    Ok(Made {
        revision,
        before: Some(was),
    })
}

/// Deletes a record.
pub(super) fn erase(
    tx: &Transaction<'_>,
    actor: &Actor,
    (kind, id): (Kind, &str),
    expected: Option<u64>,
) -> Result<Made, StoreError> {
    let before = stored(tx, kind, id)?;
    expect(before.0, expected)?;
    let user: Option<(String, Option<String>)> = tx
        .prepare_cached(
            "SELECT r.id, coalesce(r.body ->> 'name', r.body ->> 'number', r.body ->> 'prefix')
             FROM record_reference f JOIN record r ON r.id = f.record
             WHERE f.target = ? LIMIT 1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((by, name)) = user {
        return Err(StoreError::InUse { by, name });
    }
    tx.prepare_cached("DELETE FROM record WHERE id = ?")?
        .execute([id])?;
    let revision = next_revision(tx)?;
    let was = Record::from_json(kind, &before.1)?;
    let before = serde_json::from_str(&before.1)?;
    note(tx, actor, revision, (kind, id), Some(before), None)?;
    Ok(Made {
        revision,
        before: Some(was),
    })
}

/// The revision and the body of a record.
fn stored(tx: &Transaction<'_>, kind: Kind, id: &str) -> Result<(u64, String), StoreError> {
    tx.prepare_cached("SELECT revision, body FROM record WHERE id = ? AND kind = ?")?
        .query_row([id, kind.as_str()], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
        })
        .optional()?
        .ok_or_else(|| StoreError::NotFound {
            kind,
            id: id.to_owned(),
        })
}

fn scan(
    tx: &Transaction<'_>,
    kind: Kind,
    after: &str,
    limit: i64,
) -> Result<Vec<Stored<Record>>, StoreError> {
    let mut select = tx.prepare_cached(
        "SELECT revision, body FROM record WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
    )?;
    let mut rows = select.query(params![kind.as_str(), after, limit])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let body: String = row.get(1)?;
        let revision = row.get::<_, i64>(0)? as u64;
        records.push(Stored {
            revision,
            record: Record::from_json(kind, &body)?,
        });
    }
    Ok(records)
}

fn settings(tx: &Transaction<'_>) -> Result<Stored<Settings>, StoreError> {
    let row: Option<(i64, String)> = tx
        .prepare_cached("SELECT revision, body FROM settings")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match row {
        Some((revision, body)) => Stored {
            revision: revision as u64,
            record: serde_json::from_str(&body)?,
        },
        None => Stored {
            revision: 0,
            record: Settings::default(),
        },
    })
}

fn revision(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    let revision: i64 = tx
        .prepare_cached("SELECT revision FROM platform")?
        .query_row([], |row| row.get(0))?;
    Ok(revision as u64)
}

pub(super) fn next_revision(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    tx.prepare_cached("UPDATE platform SET revision = revision + 1")?
        .execute([])?;
    revision(tx)
}

fn take_values(
    tx: &Transaction<'_>,
    id: &str,
    values: &[UniqueValue<'_>],
) -> Result<(), StoreError> {
    for UniqueValue {
        space,
        field,
        value,
    } in values
    {
        let holder: Option<String> = tx
            .prepare_cached("SELECT record FROM record_value WHERE space = ? AND value = ?")?
            .query_row([space, value], |row| row.get(0))
            .optional()?;
        if let Some(by) = holder {
            return Err(StoreError::Duplicate { field, by });
        }
        tx.prepare_cached("INSERT INTO record_value (space, value, record) VALUES (?, ?, ?)")?
            .execute([space, value, id])?;
    }
    Ok(())
}

fn name_others(tx: &Transaction<'_>, id: &str, named: &[Reference]) -> Result<(), StoreError> {
    for Reference { field, id: target } in named {
        if !exists(tx, target)? {
            return Err(StoreError::MissingReference {
                field,
                id: target.clone(),
            });
        }
        tx.prepare_cached("INSERT OR IGNORE INTO record_reference (record, target) VALUES (?, ?)")?
            .execute([id, target])?;
    }
    Ok(())
}
