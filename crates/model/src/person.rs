//! People: who signs in to the panel, and what they may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::oidc::ZONES_MAX;
use crate::validate::Checks;
use crate::{AccountId, FieldError, PersonId, Role, Validate, ZoneId};

/// Somebody who signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Who it is.
    pub id: PersonId,
    /// What they sign in with: lower-case letters, digits and `._@-`; 1 to 64 of them.
    pub name: String,
    /// What others call them.
    #[serde(default)]
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// Nothing but this account is shown to them, and they change nothing else; `None`: the whole
    /// platform.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Nothing but what is in these zones is shown to them, and they do nothing elsewhere; none means all.
    #[serde(default)]
    pub zones: Vec<ZoneId>,
    /// By what they sign in.
    #[serde(default)]
    pub sign_in: SignInBy,
    /// Who they are to the provider; `None`: they have not signed in by it yet.
    #[serde(default)]
    pub oidc: Option<OidcIdentity>,
    /// Whether they may sign in.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// What is kept of the password: an argon2id hash in the PHC format; `None`: they cannot sign in
    /// with one.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// What they show besides the password; `None`: nothing.
    #[serde(default)]
    pub second_factor: Option<SecondFactor>,
}

/// By what somebody signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignInBy {
    /// Their name and password.
    #[default]
    Password,
    /// The provider of the settings, and by name and password, too, if they have one.
    Oidc,
}

/// Who somebody is to a provider of identities (OpenID Connect Core 1.0 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcIdentity {
    /// Who says so.
    pub issuer: String,
    /// What it calls them, now and for ever.
    pub subject: String,
}

/// An app that shows one-time codes (TOTP, RFC 6238), and codes for when it is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondFactor {
    /// It was set up; microseconds since the Unix epoch.
    pub since_us: u64,
    /// What the app knows, sealed.
    #[schema(ignore)]
    pub secret: String,
    /// Hashes of the recovery codes that were not used yet.
    #[schema(ignore)]
    pub recovery: Vec<String>,
}

impl Validate for Person {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
        checks.require(
            (1..=NAME_MAX).contains(&self.name.len()) && self.name.chars().all(is_part),
            "name",
            "1 to 64 lower-case letters, digits and the characters . _ @ - are accepted",
        );
        if !self.display_name.is_empty() {
            checks.name("display_name", &self.display_name);
        }
        checks.require(
            self.zones.len() <= ZONES_MAX,
            "zones",
            "up to 64 are accepted",
        );
        checks.done()
    }
}

/// Characters of a name.
const NAME_MAX: usize = 64;
