//! Records that others name by a unique value, in PostgreSQL.

use deadpool_postgres::Transaction;

use super::audit::note;
use super::records::next_revision;
use super::{execute, row, rows};
use crate::records::renamed;
use crate::{Actor, Kind, StoreError, UniqueValue};

/// Notes which records are named. Errors: `MissingReference`.
pub(super) async fn refer(
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
        let holder = "SELECT record FROM record_value WHERE space = $1 AND value = $2";
        let Some(holder) = row(tx, holder, &[space, value]).await? else {
            return Err(StoreError::MissingReference {
                field,
                id: (*value).to_owned(),
            });
        };
        let holder: String = holder.try_get(0)?;
        let refer = "INSERT INTO record_reference (record, target) VALUES ($1, $2) \
            ON CONFLICT DO NOTHING";
        execute(tx, refer, &[&id, &holder]).await?;
    }
    Ok(())
}

/// Those who name a record go on to do so when it has got other names.
pub(super) async fn follow(
    tx: &Transaction<'_>,
    actor: &Actor,
    id: &str,
    names: &[(&'static str, String, String)],
) -> Result<(), StoreError> {
    for (space, old, new) in names {
        for user in rows(tx, USERS_OF, &[&id]).await? {
            let (record, word, body): (String, String, String) =
                (user.try_get(0)?, user.try_get(1)?, user.try_get(2)?);
            let kind = Kind::RECORDS.into_iter().find(|kind| kind.as_str() == word);
            let Some(kind) = kind else { continue };
            let Some(changed) = renamed(kind, &body, (space, old, new))? else {
                continue;
            };
            let revision = next_revision(tx).await?;
            let update = "UPDATE record SET revision = $1, body = $2 WHERE id = $3";
            execute(
                tx,
                update,
                &[&(revision as i64), &changed.to_string(), &record],
            )
            .await?;
            let before = serde_json::from_str(&body)?;
            let what = (kind, record.as_str());
            note(tx, actor, revision, what, Some(before), Some(changed)).await?;
        }
    }
    Ok(())
}

const USERS_OF: &str = "SELECT r.id, r.kind, r.body FROM record_reference f \
    JOIN record r ON r.id = f.record WHERE f.target = $1 ORDER BY r.id";
