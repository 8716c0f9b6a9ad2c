//! Changes of many records at once.

use deadpool_postgres::Transaction;

use super::execute;
use super::records::{erase, everything, put, swap};
use crate::{Actor, Changed, Made, Purpose, RecordChange, StoreError};

/// Makes all, or none.
pub(super) async fn change_all(
    tx: &Transaction<'_>,
    actor: &Actor,
    changes: &[RecordChange],
    purpose: Purpose,
) -> Result<Changed, StoreError> {
    execute(tx, "SAVEPOINT all_of_them", &[]).await?;
    let mut changed = Changed::default();
    for (place, change) in changes.iter().enumerate() {
        match make(tx, actor, change).await {
            Ok(made) => changed.made.push(made),
            Err(error @ (StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {
                return Err(error);
            }
            Err(error) => {
                changed.refused = Some((place, error));
                break;
            }
        }
    }
    if purpose == Purpose::Look && changed.refused.is_none() {
        changed.snapshot = Some(everything(tx).await?);
    }
    if purpose != Purpose::Make || changed.refused.is_some() {
        execute(tx, "ROLLBACK TO all_of_them", &[]).await?;
    }
    Ok(changed)
}

async fn make(
    tx: &Transaction<'_>,
    actor: &Actor,
    change: &RecordChange,
) -> Result<Made, StoreError> {
    match change {
        RecordChange::Insert(record) => Ok(Made {
            revision: put(tx, actor, record).await?,
            before: None,
        }),
        RecordChange::Replace { record, expected } => swap(tx, actor, record, *expected).await,
        RecordChange::Remove { kind, id, expected } => {
            erase(tx, actor, (*kind, id), *expected).await
        }
    }
}
