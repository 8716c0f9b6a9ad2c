//! Taking back a change that the audit log tells of.
//!
//! Only the last change of a record can be taken back: what came after it would be lost otherwise.
//! The log has no secrets, so those stay as they are; what was deleted with a secret cannot be made
//! again.

use model::{AuditEntry, Settings};
use serde_json::Value;
use store::{Actor, Kind, Record, Records, StoreError, Stored};

use crate::{Problem, problem};

/// Why a change cannot be taken back.
pub(crate) enum Refused {
    /// For a reason of the log or the record.
    Because(&'static str),
    /// The store refuses it.
    Store(StoreError),
}

/// Takes back the change of an entry; the new revision.
pub(crate) fn revert(
    records: &dyn Records,
    actor: &Actor,
    entry: &AuditEntry,
) -> Result<u64, Refused> {
    if entry.before == entry.after {
        return Err(Refused::Because(
            "nothing that the log shows was changed: a secret, which it does not keep",
        ));
    }
    if is_another_chain(entry) {
        return Err(Refused::Because(
            "the log does not keep the key of the earlier chain: upload both",
        ));
    }
    if entry.kind == Kind::Settings.as_str() {
        return settings(records, actor, entry);
    }
    let kind = Kind::RECORDS
        .into_iter()
        .find(|kind| kind.as_str() == entry.kind);
    let Some(kind) = kind else {
        return Err(Refused::Because("make or delete the token instead"));
    };
    let current = match records.find(kind, &entry.record) {
        Ok(current) => Some(current),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let last = current.as_ref().map(|stored| stored.revision);
    if entry.after.is_some() && last != Some(entry.revision) {
        return Err(Refused::Because(LATER));
    }
    let Some(before) = entry.before.clone() else {
        records.remove(actor, kind, &entry.record, last)?;
        return Ok(records.revision()?);
    };
    let secrets = match &current {
        Some(Stored { record, .. }) => record.to_json()?,
        None => Value::Null,
    };
    let before = with_secrets(before, &secrets)?;
    let record = Record::from_json(kind, &before.to_string())?;
    match current {
        Some(_) if entry.after.is_none() => Err(Refused::Because(LATER)),
        Some(current) => Ok(records.replace(actor, &record, current.revision)?),
        None => Ok(records.insert(actor, &record)?),
    }
}

/// Whether a certificate got another chain, which the key that is there now would not fit.
fn is_another_chain(entry: &AuditEntry) -> bool {
    let (Some(before), Some(after)) = (&entry.before, &entry.after) else {
        return false;
    };
    entry.kind == Kind::Certificate.as_str() && before["chain"] != after["chain"]
}

fn settings(records: &dyn Records, actor: &Actor, entry: &AuditEntry) -> Result<u64, Refused> {
    let current = records.settings()?;
    if current.revision != entry.revision {
        return Err(Refused::Because(LATER));
    }
    let secrets = serde_json::to_value(&current.record).map_err(StoreError::from)?;
    let before = entry.before.clone().unwrap_or_default();
    let before: Settings =
        serde_json::from_value(with_secrets(before, &secrets)?).map_err(StoreError::from)?;
    Ok(records.set_settings(actor, &before, current.revision)?)
}

/// A record of the log with the secrets that the record has now.
fn with_secrets(logged: Value, current: &Value) -> Result<Value, Refused> {
    match logged {
        Value::String(text) if text == HIDDEN => match current {
            Value::Null => Err(Refused::Because(
                "the log does not keep its secret: make it again with a new one",
            )),
            secret => Ok(secret.clone()),
        },
        Value::Object(fields) => {
            let filled = fields.into_iter().map(|(name, value)| {
                let value = with_secrets(value, current.get(&name).unwrap_or(&Value::Null))?;
                Ok((name, value))
            });
            Ok(Value::Object(filled.collect::<Result<_, Refused>>()?))
        }
        Value::Array(items) => {
            let filled = items.into_iter().enumerate().map(|(place, value)| {
                with_secrets(value, current.get(place).unwrap_or(&Value::Null))
            });
            Ok(Value::Array(filled.collect::<Result<_, Refused>>()?))
        }
        other => Ok(other),
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Because(why) => Self::new(&problem::NOT_REVERTIBLE, why),
            Refused::Store(error) => error.into(),
        }
    }
}

const LATER: &str = "it was changed again since: take back the later change first";
/// What stands in the log in place of a secret.
const HIDDEN: &str = "(hidden)";
