//! Prefix routes and number rewriting.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountId, CarrierId, RouteId};

/// Which carrier takes numbers that begin with a prefix. The longest prefix wins; among equals
/// the lower priority, then the lower cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// Which it is.
    pub id: RouteId,
    /// The tenant it serves; `None` serves all.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Leading digits, without `+`; empty matches every number.
    pub prefix: String,
    /// Who takes the call.
    pub carrier: CarrierId,
    /// Lower is tried first.
    #[serde(default)]
    pub priority: u16,
    /// What a minute costs us, in millionths of the platform's currency.
    #[serde(default)]
    pub cost_per_minute_micros: u64,
    /// Applied to the called number.
    #[serde(default)]
    pub rewrite: Rewrite,
    /// Whether it is used.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
}

/// Number rewriting: leading digits taken off, then others put before. A leading `+` is
/// not counted as a digit: it is taken off first, and put back only if `prepend` has one.
/// With `strip_digits` 0 and no `prepend` the number is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rewrite {
    /// How many leading digits are taken off.
    #[serde(default)]
    pub strip_digits: u8,
    /// What is put before the rest.
    #[serde(default)]
    pub prepend: String,
}
