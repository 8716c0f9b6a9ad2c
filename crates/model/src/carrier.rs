//! Carriers and their gateways.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountId, CarrierId, GatewayId, LimitSpec, MediaMode, Rewrite};

/// Somebody we send calls to, through one or several gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Carrier {
    /// Who it is.
    pub id: CarrierId,
    /// The tenant it belongs to; `None` serves all.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// What people call it.
    pub name: String,
    /// Applied to the called number after the route's own rewriting.
    #[serde(default)]
    pub rewrite: Rewrite,
    /// How media travels; `None` means as the platform is set.
    #[serde(default)]
    pub media: Option<MediaMode>,
    /// Whether it is used.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// What calls to it may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

/// One address of a carrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Which it is.
    pub id: GatewayId,
    /// Whose it is.
    pub carrier: CarrierId,
    /// What people call it.
    pub name: String,
    /// A host name or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port; `None` leaves it to RFC 3263 (SRV, else the default).
    #[serde(default)]
    pub port: Option<u16>,
    /// The transport; `None` leaves it to RFC 3263 (NAPTR, else UDP).
    #[serde(default)]
    pub transport: Option<TransportSpec>,
    /// Lower is tried first.
    #[serde(default)]
    pub priority: u16,
    /// Share among equals of one priority; 0 is tried last.
    #[serde(default = "one")]
    pub weight: u16,
    /// OPTIONS interval in seconds; 0 switches health checks off.
    #[serde(default)]
    pub ping_interval_s: u16,
    /// How long an INVITE may stay without any answer before the next gateway is tried, in
    /// milliseconds; 0 means the platform's default.
    #[serde(default)]
    pub no_answer_timeout_ms: u32,
    /// How we answer its 401 and 407; `None` lets them fail.
    #[serde(default)]
    pub auth: Option<OutboundAuth>,
    /// Whether calls from its address to our numbers are accepted.
    #[serde(default = "crate::validate::enabled")]
    pub inbound: bool,
    /// Whether it is used.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// What calls to it may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

/// Our identity towards a gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboundAuth {
    /// The digest user name.
    pub username: String,
    /// The password in clear: digest towards any realm needs it.
    pub password: String,
}

impl core::fmt::Debug for OutboundAuth {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("OutboundAuth(..)")
    }
}

/// A SIP transport as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportSpec {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

fn one() -> u16 {
    1
}
