//! Validation: every complaint names its field and says what would be accepted.

use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong with one field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, as in JSON; nested fields with dots.
    pub field: String,
    /// What is wrong and what would be accepted.
    pub message: String,
}

/// A record that can judge itself, without looking at others.
pub trait Validate {
    /// All complaints; none means valid.
    fn validate(&self) -> Vec<FieldError>;
}

pub(crate) fn enabled() -> bool {
    true
}
