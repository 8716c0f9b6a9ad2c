//! What is going on at this moment, as shown to people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountId, CallId, GatewayId, MediaServerId, ServerId, UserId};

/// A call in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// The call.
    pub id: CallId,
    /// The server that has it; `None` where there is no list of servers.
    #[serde(default)]
    pub server: Option<ServerId>,
    /// What people call that server.
    #[serde(default)]
    pub server_name: String,
    /// Who pays.
    pub account: Option<AccountId>,
    /// Where it stands.
    pub state: CallState,
    /// The caller (user part of From).
    pub caller: String,
    /// The called party (user part of the request URI).
    pub called: String,
    /// The INVITE arrived; microseconds since the Unix epoch.
    pub start_us: u64,
    /// The 200 went to the caller.
    pub answer_us: Option<u64>,
    /// Its legs: the caller's first.
    pub legs: Vec<LegView>,
    /// The routing decision, step by step.
    pub explanation: Vec<String>,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// No answer yet, not even ringing.
    Trying,
    /// A callee rings.
    Ringing,
    /// Answered.
    Answered,
    /// Ending.
    Ending,
}

/// One leg of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LegView {
    /// Its Call-ID.
    pub sip_call_id: String,
    /// The remote address, `transport:address:port`.
    pub remote: String,
    /// The remote URI.
    pub uri: String,
    /// Whether the remote side has put us on hold.
    pub held: bool,
}

/// A registered contact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RegistrationView {
    /// Identifies the binding in the API.
    pub id: String,
    /// Whose it is.
    pub user: Option<UserId>,
    /// The address of record, `name@domain`.
    pub aor: String,
    /// The contact URI as registered.
    pub contact: String,
    /// The address it came from, `transport:address:port`.
    pub received: String,
    /// The User-Agent header.
    pub user_agent: String,
    /// When it expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// Round trip of the last OPTIONS in microseconds; `None` if not measured.
    pub rtt_us: Option<u32>,
    /// Whether calls go to it.
    pub routable: bool,
    /// The node that it is registered at: the one that holds its connection, or pings it.
    pub node: String,
}

/// How a gateway is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayHealth {
    /// Which.
    pub gateway: GatewayId,
    /// What people call it.
    pub name: String,
    /// `None` if nothing proves it: it has answered neither OPTIONS nor calls, ever or since it was down.
    pub up: Option<bool>,
    /// Round trip of the last OPTIONS in microseconds.
    pub rtt_us: Option<u32>,
    /// The last failure in words, empty if none.
    pub last_failure: String,
    /// Calls in progress through it.
    pub channels: u32,
    /// How our registration there is; `None` if we do not register.
    pub registration: Option<GatewayRegistrationView>,
}

/// How our registration at a gateway is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayRegistrationView {
    /// Whether the carrier knows where we are, as far as we know.
    pub state: GatewayRegistrationState,
    /// The address of record, `sip:user@domain`.
    pub aor: String,
    /// Until when it is registered; microseconds since the Unix epoch.
    pub expires_us: Option<u64>,
    /// When the next REGISTER goes out; microseconds since the Unix epoch.
    pub next_us: Option<u64>,
    /// The last failure in words, empty if none or if it was overcome.
    pub last_failure: String,
    /// Which node of the cluster registers there; `None` if there is no cluster.
    #[serde(default)]
    pub node: Option<String>,
}

/// Whether we are registered at a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayRegistrationState {
    /// We are.
    Registered,
    /// We have not been answered yet.
    Trying,
    /// We are not, and try again.
    Failed,
}

impl GatewayRegistrationState {
    /// By its name in the API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Registered, Self::Trying, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Trying => "trying",
            Self::Failed => "failed",
        }
    }
}

/// How a media server is, as this node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MediaServerHealth {
    /// Which.
    pub media_server: MediaServerId,
    /// What people call it.
    pub name: String,
    /// The media zone it stands in.
    pub zone: String,
    /// Whether calls go to it, and if not why.
    pub state: MediaServerState,
    /// Round trip of the last ping in microseconds; `None` if it never answered.
    pub rtt_us: Option<u32>,
    /// Sessions of this node on it.
    pub sessions: u32,
    /// Sessions of everybody on it, by its own word; `None` if it does not say.
    pub sessions_total: Option<u32>,
    /// How busy it is in per cent, by its own word; `None` if it does not say.
    pub load_percent: Option<u8>,
    /// Whether it converts keys between RFC 4733, SIP INFO and tones: servers of ours do.
    pub converts_keys: bool,
    /// The last failure in words, empty if none.
    pub last_failure: String,
}

/// Whether calls go to a media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediaServerState {
    /// They do.
    Up,
    /// It has not answered yet.
    Unknown,
    /// It does not answer; its calls were moved.
    Down,
    /// It takes no new ones, and still has some.
    Draining,
    /// It takes no new ones, and has none left.
    Drained,
    /// It is switched off.
    Disabled,
}

impl MediaServerState {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Disabled => "disabled",
        }
    }
}
