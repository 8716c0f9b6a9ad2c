//! Servers: machines that work for the platform, and the tokens by which they join it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{Dispatching, FieldError, JoinTokenId, LimitSpec, ServerId, Validate};

/// A machine that takes calls, spreads them, or relays their media. It exists from when it joins, or before that if it is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// Which it is.
    pub id: ServerId,
    /// What people call it; no two servers have the same name.
    pub name: String,
    /// What it does. It stays what it is once a machine has joined as it.
    #[serde(default)]
    pub role: ServerRole,
    /// The zone it stands in; empty if there is but one.
    #[serde(default)]
    pub zone: String,
    /// The cluster it belongs to; empty if there is but one.
    #[serde(default)]
    pub cluster: String,
    /// It takes no new calls; those it has go on to their end.
    #[serde(default)]
    pub draining: bool,
    /// What it may carry; where it says nothing, the platform's settings do.
    #[serde(default)]
    pub limits: LimitSpec,
    /// Where a dispatcher sends calls; `None`: as its own file says.
    #[serde(default)]
    pub dispatching: Option<Dispatching>,
    /// Somebody has stopped it: its SIP is closed until it is started; `None`: nobody has.
    #[serde(default)]
    #[schema(read_only)]
    pub stopped: Option<ServerStop>,
    /// The certificate that its node was given last; `None`: nobody has joined as this server.
    #[serde(default)]
    #[schema(read_only)]
    pub certificate: Option<ServerCertificate>,
    /// Its certificates are refused since then; microseconds since the Unix epoch. A machine that
    /// joins as this server anew ends that.
    #[serde(default)]
    #[schema(read_only)]
    pub revoked_us: Option<u64>,
}

/// What a server does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServerRole {
    /// It takes calls.
    #[default]
    Switch,
    /// It spreads calls over switches.
    Dispatcher,
    /// It relays media.
    Media,
}

impl ServerRole {
    /// The role of that name; an empty one is a switch.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Switch, Self::Dispatcher, Self::Media];
        if name.is_empty() {
            return Some(Self::Switch);
        }
        all.into_iter().find(|role| role.name() == name)
    }

    /// What it is called in records, requests and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Dispatcher => "dispatcher",
            Self::Media => "media",
        }
    }
}

/// Who has stopped a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerStop {
    /// When; microseconds since the Unix epoch.
    pub at_us: u64,
    /// Who, as in the audit log.
    pub by: String,
}

/// The certificate of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerCertificate {
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The token that it goes back to. A machine that joins as the same server anew ends the
    /// certificates that go back to another.
    pub enrolment: JoinTokenId,
    /// It was given; microseconds since the Unix epoch.
    pub issued_us: u64,
    /// It is refused from then on; microseconds since the Unix epoch.
    pub expires_us: u64,
}

impl Validate for Server {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.optional_name("zone", &self.zone);
        checks.optional_name("cluster", &self.cluster);
        checks.nested("limits", &self.limits);
        if let Some(dispatching) = &self.dispatching {
            checks.require(
                self.role == ServerRole::Dispatcher,
                "dispatching",
                "only a dispatcher has targets",
            );
            checks.nested("dispatching", dispatching);
        }
        checks.done()
    }
}

/// A one-time token by which a machine joins. What it keeps secret is shown once; only its hash is
/// kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Which it is.
    pub id: JoinTokenId,
    /// What the server will be called; empty: as the machine is called.
    #[serde(default)]
    pub name: String,
    /// The zone it will stand in.
    #[serde(default)]
    pub zone: String,
    /// The cluster it will belong to.
    #[serde(default)]
    pub cluster: String,
    /// The server that the machine will be; `None`: a new one.
    #[serde(default)]
    pub server: Option<ServerId>,
    /// What a new server will do.
    #[serde(default)]
    pub role: ServerRole,
    /// The hash of what it keeps secret.
    pub secret: String,
    /// It was made; microseconds since the Unix epoch.
    pub created_us: u64,
    /// It is refused from then on; microseconds since the Unix epoch.
    pub expires_us: u64,
}

impl Validate for JoinToken {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.optional_name("name", &self.name);
        checks.optional_name("zone", &self.zone);
        checks.optional_name("cluster", &self.cluster);
        let valid_us = self.expires_us.saturating_sub(self.created_us);
        checks.require(
            (1_000_000..=JOIN_VALID_MAX_S * 1_000_000).contains(&valid_us),
            "valid_s",
            "1 second to 7 days are accepted",
        );
        checks.done()
    }
}

/// How long a token may be valid.
const JOIN_VALID_MAX_S: u64 = 7 * 86_400;
