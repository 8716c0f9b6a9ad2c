//! Records and settings in PostgreSQL.

use clock::Time;
use deadpool_postgres::Transaction;
use model::{ApiToken, AuditEntry, Settings, Snapshot, TokenId, Validate};

use super::audit::{self, note};
use super::{PATIENCE, Postgres, execute, many, names, row, rows, tickets, tokens};
use crate::records::{check, expect, gather, new_names};
use crate::{
    Actor, Bad, Changed, Inserted, Kind, Made, Page, Purpose, Record, RecordChange, Records,
    Reference, StoreError, Stored, Ticket, UniqueValue,
};

impl Records for Postgres {
    fn insert(&self, actor: &Actor, record: &Record) -> Result<u64, StoreError> {
        self.change(async |tx| put(tx, actor, record).await)
    }

    fn insert_all(
        &self,
        actor: &Actor,
        records: &[Record],
        bad: Bad,
    ) -> Result<Inserted, StoreError> {
        self.change(async |tx| {
            execute(tx, "SAVEPOINT all_of_them", &[]).await?;
            let mut refused = Vec::new();
            for (place, record) in records.iter().enumerate() {
                execute(tx, "SAVEPOINT one", &[]).await?;
                match put(tx, actor, record).await {
                    Ok(_) => {}
                    Err(error @ (StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
                        return Err(error);
                    }
                    Err(error) => {
                        execute(tx, "ROLLBACK TO one", &[]).await?;
                        refused.push((place, error));
                    }
                }
                execute(tx, "RELEASE one", &[]).await?;
            }
            let keep = match bad {
                Bad::RefuseAll => refused.is_empty(),
                Bad::Skip => true,
                Bad::Rehearse => false,
            };
            if !keep {
                execute(tx, "ROLLBACK TO all_of_them", &[]).await?;
            }
            Ok(Inserted {
                revision: revision(tx).await?,
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
        self.change(async |tx| many::change_all(tx, actor, changes, purpose).await)
    }

    fn replace(&self, actor: &Actor, record: &Record, expected: u64) -> Result<u64, StoreError> {
        self.change(async |tx| Ok(swap(tx, actor, record, Some(expected)).await?.revision))
    }

    fn remove(
        &self,
        actor: &Actor,
        kind: Kind,
        id: &str,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        self.change(async |tx| erase(tx, actor, (kind, id), expected).await.map(drop))
    }

    fn find(&self, kind: Kind, id: &str) -> Result<Stored<Record>, StoreError> {
        let (revision, body) = self.query(async |tx| stored(tx, kind, id).await)?;
        Ok(Stored {
            revision,
            record: Record::from_json(kind, &body)?,
        })
    }

    fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<Stored<Record>>, StoreError> {
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        self.query(async |tx| scan(tx, kind, page.after.unwrap_or(""), limit).await)
    }

    fn settings(&self) -> Result<Stored<Settings>, StoreError> {
        self.query(async |tx| settings(tx).await)
    }

    fn set_settings(
        &self,
        actor: &Actor,
        settings: &Settings,
        expected: u64,
    ) -> Result<u64, StoreError> {
        check(settings.validate())?;
        self.change(async |tx| {
            let before = self::settings(tx).await?;
            expect(before.revision, Some(expected))?;
            let revision = next_revision(tx).await?;
            let body = serde_json::to_value(settings)?;
            let put = "INSERT INTO settings (id, revision, body) VALUES (1, $1, $2) \
                ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, body = excluded.body";
            execute(tx, put, &[&(revision as i64), &body.to_string()]).await?;
            let before = Some(serde_json::to_value(before.record)?);
            let what = (Kind::Settings, "settings");
            note(tx, actor, revision, what, before, Some(body)).await?;
            Ok(revision)
        })
    }

    fn create_token(&self, actor: &Actor, token: &ApiToken, hash: &str) -> Result<(), StoreError> {
        check(token.validate())?;
        self.change(async |tx| {
            tokens::insert(tx, token, hash).await?;
            let (revision, id) = (next_revision(tx).await?, token.id.to_string());
            let after = serde_json::to_value(token)?;
            note(tx, actor, revision, (Kind::Token, &id), None, Some(after)).await
        })
    }

    fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.query(async |tx| tokens::all(tx).await)
    }

    fn token_by_hash(&self, hash: &str) -> Result<Option<ApiToken>, StoreError> {
        self.query(async |tx| tokens::by_hash(tx, hash).await)
    }

    fn touch_token(&self, id: TokenId, at: Time) -> Result<(), StoreError> {
        self.write(PATIENCE, async |tx| tokens::touch(tx, id, at).await)
    }

    fn delete_token(&self, actor: &Actor, id: TokenId) -> Result<(), StoreError> {
        self.change(async |tx| {
            let before = serde_json::to_value(tokens::remove(tx, id).await?)?;
            let (revision, id) = (next_revision(tx).await?, id.to_string());
            note(tx, actor, revision, (Kind::Token, &id), Some(before), None).await
        })
    }

    fn add_ticket(&self, ticket: &Ticket, now: Time) -> Result<bool, StoreError> {
        self.write(PATIENCE, async |tx| tickets::add(tx, ticket, now).await)
    }

    fn ticket(&self, space: &str, key: &str, now: Time) -> Result<Option<Ticket>, StoreError> {
        self.query(async |tx| tickets::one(tx, space, key, now).await)
    }

    fn tickets(&self, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError> {
        self.query(async |tx| tickets::all(tx, space, now).await)
    }

    fn remove_ticket(&self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.write(PATIENCE, async |tx| tickets::remove(tx, space, key).await)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before
            .and_then(|b| i64::try_from(b).ok())
            .unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.query(async |tx| audit::before(tx, before, limit).await)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.query(async |tx| revision(tx).await)
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.query(async |tx| everything(tx).await)
    }
}

/// All that a node needs.
pub(super) async fn everything(tx: &Transaction<'_>) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot {
        revision: revision(tx).await?,
        settings: settings(tx).await?.record,
        ..Snapshot::default()
    };
    for kind in Kind::RECORDS {
        for stored in scan(tx, kind, "", i64::MAX).await? {
            gather(&mut snapshot, stored.record);
        }
    }
    Ok(snapshot)
}

async fn exists(tx: &Transaction<'_>, id: &str) -> Result<bool, StoreError> {
    let found = row(tx, "SELECT 1 FROM record WHERE id = $1", &[&id]).await?;
    Ok(found.is_some())
}

/// Makes a record; its revision.
pub(super) async fn put(
    tx: &Transaction<'_>,
    actor: &Actor,
    record: &Record,
) -> Result<u64, StoreError> {
    check(record.validate())?;
    let (kind, id, body) = (record.kind(), record.id(), record.to_json()?);
    if exists(tx, &id).await? {
        return Err(StoreError::Duplicate {
            field: "id",
            by: id,
        });
    }
    let revision = next_revision(tx).await?;
    let insert = "INSERT INTO record (id, kind, revision, body) VALUES ($1, $2, $3, $4)";
    let (kind_word, number) = (kind.as_str(), revision as i64);
    execute(tx, insert, &[&id, &kind_word, &number, &body.to_string()]).await?;
    take_values(tx, &id, &record.unique_values()).await?;
    name_others(tx, &id, &record.references()).await?;
    names::refer(tx, &id, &record.named()).await?;
    note(tx, actor, revision, (kind, &id), None, Some(body)).await?;
    Ok(revision)
}

/// Replaces a record.
pub(super) async fn swap(
    tx: &Transaction<'_>,
    actor: &Actor,
    record: &Record,
    expected: Option<u64>,
) -> Result<Made, StoreError> {
    check(record.validate())?;
    let (kind, id, body) = (record.kind(), record.id(), record.to_json()?);
    let before = stored(tx, kind, &id).await?;
    expect(before.0, expected)?;
    let revision = next_revision(tx).await?;
    let update = "UPDATE record SET revision = $1, body = $2 WHERE id = $3";
    execute(tx, update, &[&(revision as i64), &body.to_string(), &id]).await?;
    execute(tx, "DELETE FROM record_value WHERE record = $1", &[&id]).await?;
    let references = "DELETE FROM record_reference WHERE record = $1";
    execute(tx, references, &[&id]).await?;
    take_values(tx, &id, &record.unique_values()).await?;
    name_others(tx, &id, &record.references()).await?;
    names::refer(tx, &id, &record.named()).await?;
    let was = Record::from_json(kind, &before.1)?;
    let before = serde_json::from_str(&before.1)?;
    let (before, after) = (Some(before), Some(body));
    note(tx, actor, revision, (kind, &id), before, after).await?;
    names::follow(tx, actor, &id, &new_names(&was, record)).await?;
    Ok(Made {
        revision,
        before: Some(was),
    })
}

/// Deletes a record.
pub(super) async fn erase(
    tx: &Transaction<'_>,
    actor: &Actor,
    (kind, id): (Kind, &str),
    expected: Option<u64>,
) -> Result<Made, StoreError> {
    let before = stored(tx, kind, id).await?;
    expect(before.0, expected)?;
    if let Some(user) = row(tx, USER_OF, &[&id]).await? {
        let (by, body): (String, &str) = (user.try_get(0)?, user.try_get(1)?);
        let name = name_in(body);
        return Err(StoreError::InUse { by, name });
    }
    execute(tx, "DELETE FROM record WHERE id = $1", &[&id]).await?;
    let revision = next_revision(tx).await?;
    let was = Record::from_json(kind, &before.1)?;
    let before = serde_json::from_str(&before.1)?;
    note(tx, actor, revision, (kind, id), Some(before), None).await?;
    Ok(Made {
        revision,
        before: Some(was),
    })
}

/// The revision and the body of a record.
async fn stored(tx: &Transaction<'_>, kind: Kind, id: &str) -> Result<(u64, String), StoreError> {
    let select = "SELECT revision, body FROM record WHERE id = $1 AND kind = $2";
    let found = row(tx, select, &[&id, &kind.as_str()]).await?;
    let Some(row) = found else {
        return Err(StoreError::NotFound {
            kind,
            id: id.to_owned(),
        });
    };
    Ok((row.try_get::<_, i64>(0)? as u64, row.try_get(1)?))
}

async fn scan(
    tx: &Transaction<'_>,
    kind: Kind,
    after: &str,
    limit: i64,
) -> Result<Vec<Stored<Record>>, StoreError> {
    let select = "SELECT revision, body FROM record WHERE kind = $1 AND id > $2 \
        ORDER BY id LIMIT $3";
    let rows = rows(tx, select, &[&kind.as_str(), &after, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Stored {
                revision: row.try_get::<_, i64>(0)? as u64,
                record: Record::from_json(kind, row.try_get(1)?)?,
            })
        })
        .collect()
}

async fn settings(tx: &Transaction<'_>) -> Result<Stored<Settings>, StoreError> {
    let found = row(tx, "SELECT revision, body FROM settings", &[]).await?;
    let Some(row) = found else {
        return Ok(Stored {
            revision: 0,
            record: Settings::default(),
        });
    };
    Ok(Stored {
        revision: row.try_get::<_, i64>(0)? as u64,
        record: serde_json::from_str(row.try_get(1)?)?,
    })
}

async fn revision(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    counted(row(tx, "SELECT revision FROM platform", &[]).await?)
}

pub(super) async fn next_revision(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    let next = "UPDATE platform SET revision = revision + 1 RETURNING revision";
    counted(row(tx, next, &[]).await?)
}

fn counted(row: Option<tokio_postgres::Row>) -> Result<u64, StoreError> {
    let row = row.ok_or_else(|| StoreError::Corrupt("the table platform is empty".into()))?;
    Ok(row.try_get::<_, i64>(0)? as u64)
}

async fn take_values(
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
        let holder = "SELECT record FROM record_value WHERE space = $1 AND value = $2";
        if let Some(holder) = row(tx, holder, &[space, value]).await? {
            let by = holder.try_get(0)?;
            return Err(StoreError::Duplicate { field, by });
        }
        let take = "INSERT INTO record_value (space, value, record) VALUES ($1, $2, $3)";
        execute(tx, take, &[space, value, &id]).await?;
    }
    Ok(())
}

async fn name_others(
    tx: &Transaction<'_>,
    id: &str,
    named: &[Reference],
) -> Result<(), StoreError> {
    for Reference { field, id: target } in named {
        if !exists(tx, target).await? {
            return Err(StoreError::MissingReference {
                field,
                id: target.clone(),
            });
        }
        let name = "INSERT INTO record_reference (record, target) VALUES ($1, $2) \
            ON CONFLICT DO NOTHING";
        execute(tx, name, &[&id, target]).await?;
    }
    Ok(())
}

/// What people call a record.
fn name_in(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    ["name", "number", "prefix"]
        .iter()
        .find_map(|field| body[*field].as_str())
        .map(str::to_owned)
}

/// One record that names another.
const USER_OF: &str = "SELECT r.id, r.body FROM record_reference f \
    JOIN record r ON r.id = f.record WHERE f.target = $1 LIMIT 1";
