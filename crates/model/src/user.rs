//! Users, their devices, and the digest secrets of both.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{AccountId, DeviceId, DtmfMode, FieldError, LimitSpec, UserId, Validate};

/// Somebody who registers devices and is called by name (`sip:name@domain`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// The tenant it belongs to.
    pub account: AccountId,
    /// The user part of its address of record; unique on the platform.
    pub name: String,
    /// What callees see; empty means the name.
    #[serde(default)]
    pub display_name: String,
    /// The number shown to carriers and customers on calls it makes; `None` keeps the name.
    #[serde(default)]
    pub caller_number: Option<String>,
    /// The digest secret of all its devices that have none of their own.
    pub secret: DigestSecret,
    /// Whether it may register and call.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// How many contacts it may register at once; 0 means the platform's default.
    #[serde(default)]
    pub contacts_max: u16,
    /// How its contacts ring.
    #[serde(default)]
    pub forking: Forking,
    /// How long they ring, in seconds; 0 means the platform's default.
    #[serde(default)]
    pub ring_timeout_s: u16,
    /// Whether the calls it makes and takes are recorded.
    #[serde(default)]
    pub record: bool,
    /// In what form its phones give and take keys.
    #[serde(default)]
    pub dtmf: DtmfMode,
    /// What its calls may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

impl Validate for User {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.user_name("name", &self.name);
        checks.optional_name("display_name", &self.display_name);
        if let Some(number) = &self.caller_number {
            checks.number("caller_number", number);
        }
        checks.nested("secret", &self.secret);
        checks.range_or_zero(
            "contacts_max",
            self.contacts_max.into(),
            1..=100,
            "means as the platform is set",
        );
        checks.range_or_zero(
            "ring_timeout_s",
            self.ring_timeout_s.into(),
            5..=600,
            "means as the platform is set",
        );
        checks.nested("limits", &self.limits);
        checks.done()
    }
}

/// One device of a user, with an authentication user name and secret of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Which it is.
    pub id: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// What people call it.
    pub name: String,
    /// The digest user name; unique among users and devices.
    pub auth_name: String,
    /// Its digest secret.
    pub secret: DigestSecret,
    /// Whether it may register and call.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
}

impl Validate for Device {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.user_name("auth_name", &self.auth_name);
        checks.nested("secret", &self.secret);
        checks.done()
    }
}

/// How the contacts of a user ring (RFC 3261 §16.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Forking {
    /// All at once.
    #[default]
    Parallel,
    /// One after the other, in order of q and age.
    Sequential,
}

/// What digest needs to know of a password, for one realm: H(user:realm:password) in
/// lower-case hexadecimal, by MD5 (RFC 2617 §3.2.2.2) and SHA-256 (RFC 8760 §2.4).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DigestSecret {
    /// By MD5; 32 characters.
    pub md5: String,
    /// By SHA-256; 64 characters.
    pub sha256: String,
}

impl Validate for DigestSecret {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        checks.require(
            self.md5.len() == 32 && hex(&self.md5),
            "md5",
            "32 lower-case hexadecimal digits are accepted",
        );
        checks.require(
            self.sha256.len() == 64 && hex(&self.sha256),
            "sha256",
            "64 lower-case hexadecimal digits are accepted",
        );
        checks.done()
    }
}

impl core::fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("DigestSecret(..)")
    }
}
