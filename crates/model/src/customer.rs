//! Customers: who sends us calls, and how we know them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{
    AccountId, CustomerId, DigestSecret, FieldError, LimitSpec, MediaMode, Rewrite, Validate,
};

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
    /// The media zone its calls are to be served in; `None` leaves it to the route, the carrier
    /// and the measured delays.
    #[serde(default)]
    pub media_zone: Option<String>,
    /// Whether its calls are accepted.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// What its calls may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

impl Validate for Customer {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        match &self.auth {
            CustomerAuth::Address { networks } => {
                checks.require(
                    (1..=NETWORKS_MAX).contains(&networks.len()),
                    "auth.networks",
                    "1 to 256 networks are accepted",
                );
                checks.require(
                    networks.iter().all(|net| net.prefix_len() > 0),
                    "auth.networks",
                    "networks of length 1 and more are accepted: /0 is everybody",
                );
            }
            CustomerAuth::Certificate { names } => {
                checks.require(
                    (1..=NAMES_MAX).contains(&names.len()),
                    "auth.names",
                    "1 to 16 names are accepted",
                );
                for (at, name) in names.iter().enumerate() {
                    checks.certificate_name("auth.names", name);
                    let fresh = !names[..at].contains(name);
                    checks.require(fresh, "auth.names", "each name is accepted once");
                }
            }
            CustomerAuth::Digest { auth_name, secret } => {
                checks.user_name("auth.auth_name", auth_name);
                checks.nested("auth.secret", secret);
            }
        }
        if let Some(host) = &self.host {
            checks.host_port("host", host);
        }
        checks.zone("media_zone", self.media_zone.as_deref());
        checks.nested("rewrite", &self.rewrite);
        checks.nested("limits", &self.limits);
        checks.done()
    }
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
    /// By the certificate that it shows when it connects over TLS.
    Certificate {
        /// Host names, in small letters: the certificate is for one of them (RFC 5922 §7.1).
        /// Each is one customer's.
        names: Vec<String>,
    },
    /// By digest.
    Digest {
        /// The digest user name; unique among users, devices and customers.
        auth_name: String,
        /// The secret.
        secret: DigestSecret,
    },
}

/// Names of certificates of one customer.
const NAMES_MAX: usize = 16;
/// Networks of one customer.
const NETWORKS_MAX: usize = 256;
