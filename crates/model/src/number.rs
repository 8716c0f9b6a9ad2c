//! Numbers (DIDs): what a carrier's call to us reaches.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{AccountId, CustomerId, FieldError, LimitSpec, NumberId, UserId, Validate};

/// A number that carriers and customers can call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Number {
    /// Which it is.
    pub id: NumberId,
    /// The tenant it belongs to.
    pub account: AccountId,
    /// The digits, in E.164 with or without `+`; unique when compared without the `+`.
    pub number: String,
    /// What it reaches.
    pub target: NumberTarget,
    /// Whether it is reachable.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// What calls to it may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

impl Validate for Number {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.number("number", &self.number);
        checks.nested("limits", &self.limits);
        checks.done()
    }
}

/// What a number reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NumberTarget {
    /// The contacts of a user.
    User {
        /// Whose.
        user: UserId,
    },
    /// A customer's own switch, at its first address or the given host.
    Customer {
        /// Which.
        customer: CustomerId,
    },
    /// The echo application.
    Echo,
}
