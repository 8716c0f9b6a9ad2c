//! Media servers: where RTP is relayed when it is not the switch itself that does.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{FieldError, MediaServerId, Validate};

/// A media server, controlled by the `ng` protocol: Tandem's own, or rtpengine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MediaServer {
    /// Which it is.
    pub id: MediaServerId,
    /// What people call it.
    pub name: String,
    /// Where it is controlled: `udp:host:port`, an IPv6 address in brackets.
    pub control: String,
    /// Other names and addresses it is known by; shown to people, never used.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The media zone it stands in; empty if there is but one.
    #[serde(default)]
    pub zone: String,
    /// Share of the sessions among equals; 0 is used only where there is no other.
    #[serde(default = "one")]
    pub weight: u16,
    /// Whether it is used. Taking it out of use moves its calls to others.
    #[serde(default = "crate::validate::enabled")]
    pub enabled: bool,
    /// Takes no new calls; those it has go on to their end.
    #[serde(default)]
    pub draining: bool,
    /// The address that peers send media to, if it is not the one the server says itself.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub public_address: Option<IpAddr>,
}

impl MediaServer {
    /// `host:port` of [`MediaServer::control`]; `None` if it says something else.
    #[must_use]
    pub fn control_host_port(&self) -> Option<&str> {
        self.control.strip_prefix("udp:")
    }
}

impl Validate for MediaServer {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        match self.control_host_port() {
            Some(host_port) => checks.host_port_required("control", host_port),
            None => checks.refuse("control", "udp:host:port is accepted"),
        }
        checks.require(
            self.aliases.len() <= ALIASES_MAX,
            "aliases",
            "up to 16 names or addresses are accepted",
        );
        for alias in &self.aliases {
            checks.host("aliases", alias);
        }
        checks.optional_name("zone", &self.zone);
        checks.require(
            self.public_address.is_none_or(|a| !a.is_unspecified()),
            "public_address",
            "the address of one machine is accepted",
        );
        checks.done()
    }
}

/// Other names of one media server.
const ALIASES_MAX: usize = 16;

fn one() -> u16 {
    1
}
