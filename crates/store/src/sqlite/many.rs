//! Changes of many records at once.

use rusqlite::Transaction;

use super::records::{erase, everything, put, swap};
use crate::{Actor, Changed, Made, Purpose, RecordChange, StoreError};

/// Makes all, or none.
pub(super) fn change_all(
    tx: &Transaction<'_>,
    actor: &Actor,
    changes: &[RecordChange],
    purpose: Purpose,
) -> Result<Changed, StoreError> {
    tx.execute_batch("SAVEPOINT all_of_them")?;
    let mut changed = Changed::default();
    for (place, change) in changes.iter().enumerate() {
        match make(tx, actor, change) {
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
        changed.snapshot = Some(everything(tx)?);
    }
    if purpose != Purpose::Make || changed.refused.is_some() {
        tx.execute_batch("ROLLBACK TO all_of_them")?;
    }
    tx.execute_batch("RELEASE all_of_them")?;
    Ok(changed)
}

fn make(tx: &Transaction<'_>, actor: &Actor, change: &RecordChange) -> Result<Made, StoreError> {
    match change {
        RecordChange::Insert(record) => Ok(Made {
            revision: put(tx, actor, record)?,
            before: None,
        }),
        RecordChange::Replace { record, expected } => swap(tx, actor, record, *expected),
        RecordChange::Remove { kind, id, expected } => erase(tx, actor, (*kind, id), *expected),
    }
}
