//! API tokens: who may ask the API for what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{FieldError, TokenId, Validate};

/// A token of the API. The token itself is shown once, when it is made; only its hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// Which it is.
    pub id: TokenId,
    /// What people call it; 1 to 64 characters.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// It was made; microseconds since the Unix epoch.
    pub created_us: u64,
    /// It was last used, to the minute or so; `None` if never.
    #[serde(default)]
    pub last_used_us: Option<u64>,
    /// From then on it is refused; `None` means never.
    #[serde(default)]
    pub expires_us: Option<u64>,
}

impl Validate for ApiToken {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.require(
            self.expires_us
                .is_none_or(|end| end > self.created_us && end <= i64::MAX as u64),
            "expires_us",
            "a time after the token was made is accepted, or none",
        );
        checks.done()
    }
}

/// What a token may do. Each role may do all that the ones before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Changes records, hangs up calls, removes registrations.
    Operator,
    /// Changes settings and tokens.
    Admin,
}
