//! Accounts (tenants) and the limits every entity can carry.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::AccountId;

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
    /// What all its calls together may use.
    #[serde(default)]
    pub limits: LimitSpec,
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
