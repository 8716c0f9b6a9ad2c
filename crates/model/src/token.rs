//! API tokens: who may ask the API for what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::oidc::ZONES_MAX;
use crate::validate::Checks;
use crate::{AccountId, FieldError, TokenId, Validate, ZoneId};

/// A token of the API. The token itself is shown once, when it is made; only its hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    /// Which it is.
    pub id: TokenId,
    /// What people call it; 1 to 64 characters.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Nothing but this account is shown to it, and it changes nothing else; `None`: the whole
    /// platform.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Nothing but what is in these zones is shown to it, and it does nothing elsewhere; none means all.
    #[serde(default)]
    pub zones: Vec<ZoneId>,
    /// What of that it may do: areas of the API, such as `cdrs` or, to read only, `users:read`; none
    /// means all.
    #[serde(default)]
    pub scopes: Vec<String>,
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
        let is_part = |b: u8| b.is_ascii_lowercase() || b == b'-';
        let is_scope = |scope: &String| {
            let area = scope.strip_suffix(READ_ONLY).unwrap_or(scope);
            !area.is_empty() && area.len() <= AREA_MAX && area.bytes().all(is_part)
        };
        checks.require(
            self.scopes.len() <= SCOPES_MAX && self.scopes.iter().all(is_scope),
            "scopes",
            "up to 64 areas such as cdrs or users:read are accepted",
        );
        checks.require(
            self.zones.len() <= ZONES_MAX,
            "zones",
            "up to 64 are accepted",
        );
        checks.done()
    }
}

/// What stands behind an area that may only be read.
const READ_ONLY: &str = ":read";
/// More than there are areas.
const SCOPES_MAX: usize = 64;
/// Characters of an area.
const AREA_MAX: usize = 32;

/// What somebody may do. Each role may do all that the ones before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Changes records, hangs up calls, removes registrations.
    Operator,
    /// Changes settings, tokens and people, too, and reads the audit log.
    Admin,
}
