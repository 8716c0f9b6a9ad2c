//! The audit log: who changed what, from what, to what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One change of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Grows with every change; the platform's revision that the change made.
    pub revision: u64,
    /// When; microseconds since the Unix epoch.
    pub at_us: u64,
    /// Who, as the API names them.
    pub actor: String,
    /// The kind of the record, as in the API (`user`, `settings`).
    pub kind: String,
    /// The record.
    pub record: String,
    /// The record as it was, without secrets; `None` if it was made.
    pub before: Option<serde_json::Value>,
    /// The record as it is, without secrets; `None` if it was deleted.
    pub after: Option<serde_json::Value>,
}
