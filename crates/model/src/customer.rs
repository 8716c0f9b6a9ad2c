//! Customers: who sends us calls, and how we know them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountId, CustomerId, DigestSecret, LimitSpec, MediaMode, Rewrite};

/// Somebody who sends us calls for carriers and numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Customer {
    /// Who it is.
    pub id: CustomerId,
    /// The tenant it belongs to.
    pub account: AccountId,
    /// What people call it.
    pub name: String,
    /// How its calls are recognised.
    pub auth: CustomerAuth,
    /// Where its own switch takes calls to its numbers: `host[:port]`.
    #[serde(default)]
    pub host: Option<String>,
    /// Applied to the called number before routing.
    #[serde(default)]
    pub rewrite: Rewrite,
    /// How its media travels; `None` means as the platform is set.
    #[serde(default)]
    pub media: Option<MediaMode>,
    /// Whether its calls are accepted.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// What its calls may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

/// How a customer's calls are recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CustomerAuth {
    /// By the address a request comes from.
    Address {
        /// Networks in CIDR notation; at least one. The longest match over all customers wins.
        #[schema(value_type = Vec<String>)]
        networks: Vec<IpNet>,
    },
    /// By digest.
    Digest {
        /// The digest user name; unique among users, devices and customers.
        auth_name: String,
        /// The secret.
        secret: DigestSecret,
    },
}
