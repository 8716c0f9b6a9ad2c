//! Accounts (tenants) and the limits every entity can carry.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{AccountId, FieldError, Validate};

/// A tenant: owns users, numbers, customers, carriers and routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Who it is.
    pub id: AccountId,
    /// What people call it; 1 to 64 characters.
    pub name: String,
    /// Whether its calls and registrations are accepted.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// A WAV file that who is put on hold in its calls hears, on the server; `None`: as the
    /// platform is set.
    #[serde(default)]
    pub music_on_hold: Option<String>,
    /// What all its calls together may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

impl Validate for Account {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.path("music_on_hold", self.music_on_hold.as_deref());
        checks.nested("limits", &self.limits);
        checks.done()
    }
}

/// Limits of one entity; `None` means no limit at this level of the hierarchy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitSpec {
    /// New calls per second.
    #[serde(default)]
    pub cps: Option<u32>,
    /// Calls in progress, set-up included.
    #[serde(default)]
    pub channels: Option<u32>,
}

impl Validate for LimitSpec {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        if let Some(cps) = self.cps {
            checks.range("cps", cps.into(), 0..=CPS_MAX);
        }
        if let Some(channels) = self.channels {
            checks.range("channels", channels.into(), 0..=CHANNELS_MAX);
        }
        checks.done()
    }
}

/// More than one platform does; a larger number is a slip of the keyboard.
const CPS_MAX: u64 = 1_000_000;
/// As for [`CPS_MAX`].
const CHANNELS_MAX: u64 = 100_000_000;
