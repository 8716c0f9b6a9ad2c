//! Carriers and their gateways.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{
    AccountId, CarrierId, DtmfMode, FieldError, GatewayId, LimitSpec, MediaMode, Rewrite, Validate,
};

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
    /// The media zone near it; `None` leaves it to the customer and the measured delays.
    #[serde(default)]
    pub media_zone: Option<String>,
    /// Whether it is used.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// Whether the calls it takes and sends are recorded.
    #[serde(default)]
    pub record: bool,
    /// In what form it gives and takes keys.
    #[serde(default)]
    pub dtmf: DtmfMode,
    /// What calls to it may use.
    #[serde(default)]
    pub limits: LimitSpec,
}

impl Validate for Carrier {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.zone("media_zone", self.media_zone.as_deref());
        checks.nested("rewrite", &self.rewrite);
        checks.nested("limits", &self.limits);
        checks.done()
    }
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
    /// How we register there; `None` if we do not.
    #[serde(default)]
    pub registration: Option<GatewayRegistration>,
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

impl Validate for Gateway {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.host("host", &self.host);
        if let Some(port) = self.port {
            checks.range("port", port.into(), 1..=65_535);
        }
        checks.range_or_zero(
            "ping_interval_s",
            self.ping_interval_s.into(),
            5..=3_600,
            "switches health checks off",
        );
        checks.range_or_zero(
            "no_answer_timeout_ms",
            self.no_answer_timeout_ms.into(),
            200..=60_000,
            "means as the platform is set",
        );
        if let Some(auth) = &self.auth {
            checks.nested("auth", auth);
        }
        if let Some(registration) = &self.registration {
            checks.nested("registration", registration);
            checks.require(
                registration.user.is_some() || self.auth.is_some(),
                "registration.user",
                "a user is needed where auth names none",
            );
        }
        checks.nested("limits", &self.limits);
        checks.done()
    }
}

/// Our registration at a gateway (RFC 3261 §10.2), for carriers that send calls to whoever has
/// registered, and take calls from nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayRegistration {
    /// The user of the address of record, and of our Contact; `None` for the user name of `auth`.
    #[serde(default)]
    pub user: Option<String>,
    /// The domain of the address of record; `None` for the host of the gateway.
    #[serde(default)]
    pub domain: Option<String>,
    /// Where its calls are to come, `host[:port]`: a dispatcher that all nodes are behind; `None` for
    /// the node that registers.
    #[serde(default)]
    pub contact: Option<String>,
    /// How long a registration is asked to last, in seconds.
    #[serde(default = "hour")]
    pub expiry_s: u32,
}

impl Validate for GatewayRegistration {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        if let Some(user) = &self.user {
            checks.require(
                (1..=128).contains(&user.len()) && !user.contains(char::is_control),
                "user",
                "1 to 128 bytes are accepted, without control characters",
            );
        }
        if let Some(domain) = &self.domain {
            checks.host("domain", domain);
        }
        if let Some(contact) = &self.contact {
            checks.host_port("contact", contact);
        }
        checks.range("expiry_s", self.expiry_s.into(), 60..=86_400);
        checks.done()
    }
}

/// Our identity towards a gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboundAuth {
    /// The digest user name.
    pub username: String,
    /// The password in clear: digest towards any realm needs it.
    #[serde(default)]
    pub password: String,
}

impl core::fmt::Debug for OutboundAuth {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("OutboundAuth(..)")
    }
}

impl Validate for OutboundAuth {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        let quotable = |text: &str| {
            !text
                .chars()
                .any(|c| c.is_control() || c == '"' || c == '\\')
        };
        checks.require(
            (1..=128).contains(&self.username.len()) && quotable(&self.username),
            "username",
            "1 to 128 bytes are accepted, without control characters, quotes and backslashes",
        );
        checks.require(
            (1..=128).contains(&self.password.len()) && !self.password.contains(char::is_control),
            "password",
            "1 to 128 bytes are accepted, without control characters",
        );
        checks.done()
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

fn hour() -> u32 {
    3_600
}

fn one() -> u16 {
    1
}
