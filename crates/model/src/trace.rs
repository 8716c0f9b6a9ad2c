//! What is kept of SIP messages, and who else may tell of theirs.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{FieldError, Validate};

/// What is kept of SIP messages on each node, for how long, and whose besides our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TraceSettings {
    /// What is kept of a message.
    pub mode: TraceMode,
    /// Whether REGISTER and its answers are kept, too.
    pub registrations: bool,
    /// Whether OPTIONS and its answers are kept, too.
    pub keep_alives: bool,
    /// What is kept of what people write to each other (MESSAGE).
    pub texts: TraceTexts,
    /// For how many days messages are kept at most.
    pub days: u16,
    /// What they may take on the disk of a node, in megabytes; beyond, the oldest go.
    pub megabytes: u32,
    /// Where other systems (Kamailio, OpenSIPS, Asterisk, ...) may tell of their messages by HEPv3
    /// over UDP and TCP, as `address:port`; `None`: nowhere.
    #[schema(value_type = Option<String>)]
    pub hep_listen: Option<SocketAddr>,
    /// Who may, in CIDR notation; nobody else is heard.
    #[schema(value_type = Vec<String>)]
    pub hep_sources: Vec<IpNet>,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            mode: TraceMode::Full,
            registrations: true,
            keep_alives: false,
            texts: TraceTexts::Hide,
            days: 7,
            megabytes: 1_024,
            hep_listen: None,
            hep_sources: Vec::new(),
        }
    }
}

impl Validate for TraceSettings {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.range("days", self.days.into(), 1..=365);
        checks.range("megabytes", self.megabytes.into(), 4..=65_536);
        checks.require(
            self.hep_sources.len() <= HEP_SOURCES_MAX,
            "hep_sources",
            "up to 64 networks are accepted",
        );
        checks.require(
            self.hep_sources.iter().all(|net| net.prefix_len() > 0),
            "hep_sources",
            "networks of length 1 and more are accepted: /0 is everybody",
        );
        checks.done()
    }
}

/// What is kept of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceMode {
    /// Nothing.
    Off,
    /// All but its body.
    Headers,
    /// All of it; secrets are hidden.
    #[default]
    Full,
}

/// What is kept of texts between people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceTexts {
    /// That they were sent.
    #[default]
    Hide,
    /// What they say.
    Keep,
}

/// Each packet is compared with all.
const HEP_SOURCES_MAX: usize = 64;
