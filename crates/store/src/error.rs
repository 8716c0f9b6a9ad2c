//! Why a store refuses or fails, ordered by culprit.

use model::FieldError;

use crate::Kind;

/// Why a store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller: the record is not valid in itself.
    #[error("the record is not valid: {}", .0.iter().map(|e| e.field.as_str()).collect::<Vec<_>>().join(", "))]
    Invalid(Vec<FieldError>),
    /// The caller: another record has this value already.
    #[error("{field} is taken by {by}")]
    Duplicate {
        /// The field, as in JSON.
        field: &'static str,
        /// The record that has it.
        by: String,
    },
    /// The caller: the record names another that does not exist.
    #[error("{field} names {id}, which does not exist")]
    MissingReference {
        /// The field, as in JSON.
        field: &'static str,
        /// What it names.
        id: String,
    },
    /// The caller: no such record.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What was asked for.
        kind: Kind,
        /// Its identifier.
        id: String,
    },
    /// Another caller: the record changed in between.
    #[error("the record has changed: its revision is {current}")]
    Conflict {
        /// The revision it has now.
        current: u64,
    },
    /// Another caller: a record that is to be deleted is named by another.
    #[error("it is used by {by}{}", name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default())]
    InUse {
        /// One record that names it.
        by: String,
        /// What people call that one, if it has a name.
        name: Option<String>,
    },
    /// The operator: where the store is said to be, or what is found there, will not do.
    #[error("the store cannot be used: {0}")]
    Misconfigured(String),
    /// Misuse: the store of a node that has joined a platform, whose records are changed at control.
    #[error("this node has its records of the platform's control: change them there")]
    Elsewhere,
    /// The operator: the store was written by a later version of the program.
    #[error("the store has schema {found}, this program knows up to {known}: use a newer program")]
    NewerSchema {
        /// What the store has.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// The store: what it holds cannot be read.
    #[error("the store holds what cannot be read: {0}")]
    Corrupt(String),
    /// The machine: the store cannot be reached, or cannot write.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
