//! What the API asks of the running node.
//!
//! The API holds no live state of its own: calls, registrations, listeners and bans belong to
//! the node, which implements [`Platform`]. Every question is answered within the node's own
//! time bound; a node that cannot answer says [`PlatformError::Unavailable`].

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use model::{
    AccountId, CallId, CallState, CallView, CarrierId, CustomerId, GatewayHealth, GatewayId,
    MediaServerHealth, RegistrationView, ServerId, Snapshot, TraceMode, TransportSpec, UserId,
};
use serde::{Deserialize, Serialize};
use store::{TraceId, TracePart, TraceQuery};
use tokio::sync::broadcast;
use trace::Seen;
use utoipa::ToSchema;

use crate::{ArrayView, Deployment, PresentedCertificate, Recording, RecordingPlace};

/// An answer that is still to come.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, PlatformError>> + Send + 'a>>;

/// The running node, as the API sees it.
pub trait Platform: Send + Sync + 'static {
    /// Calls in progress that match, in ascending order of their ids, at most `limit`, those
    /// after `after` only; and how many match.
    fn calls(
        &self,
        filter: CallFilter,
        limit: usize,
        after: Option<CallId>,
    ) -> Reply<'_, CallsFound>;

    /// One call, if it is in progress.
    fn call(&self, id: CallId) -> Reply<'_, Option<CallView>>;

    /// Ends a call on both sides; false if it is not in progress.
    fn hang_up(&self, id: CallId) -> Reply<'_, bool>;

    /// Registered contacts that match, in ascending order of their ids, at most `limit`, those
    /// after `after` only.
    fn registrations(
        &self,
        filter: RegistrationFilter,
        limit: usize,
        after: Option<String>,
    ) -> Reply<'_, Vec<RegistrationView>>;

    /// Removes a registered contact; false if there is none of that id.
    fn remove_registration(&self, id: String) -> Reply<'_, bool>;

    /// How every gateway is.
    fn gateway_health(&self) -> Reply<'_, Vec<GatewayHealth>>;

    /// How every media server is, as this node sees it.
    fn media_server_health(&self) -> Reply<'_, Vec<MediaServerHealth>>;

    /// What the limits allow and what of it is in use; entities without a limit are left out.
    fn limit_usage(&self) -> Reply<'_, Vec<LimitUsage>>;

    /// How bindings are shared with servers that are no cluster.
    fn array(&self) -> Reply<'_, ArrayView>;

    /// What the deployment consists of, as far as this node sees it.
    fn deployment(&self) -> Reply<'_, Deployment>;

    /// What would happen to a call, by the engine that decides real ones, with the node's own
    /// configuration or with another one; changes nothing.
    fn simulate(
        &self,
        query: RouteQuery,
        configuration: Option<Arc<Snapshot>>,
    ) -> Reply<'_, Simulation>;

    /// Everything measured, in Prometheus text format 0.0.4.
    fn metrics(&self) -> Reply<'_, String>;

    /// Whether the node takes calls.
    fn readiness(&self) -> Reply<'_, Readiness>;

    /// Every socket that is open for SIP.
    fn listeners(&self) -> Reply<'_, Vec<ListenerStatus>>;

    /// What each socket of TLS shows, found out by connecting to it.
    fn presented_certificates(&self) -> Reply<'_, Vec<PresentedCertificate>>;

    /// Opens another socket, now and at every later start; [`PlatformError::Refused`] if the
    /// address cannot be had.
    fn add_listener(&self, spec: ListenerSpec) -> Reply<'_, ListenerStatus>;

    /// Closes a socket; false if there is none of that id.
    fn remove_listener(&self, id: String) -> Reply<'_, bool>;

    /// Sources whose packets are dropped.
    fn bans(&self) -> Reply<'_, Vec<Ban>>;

    /// At most `limit` recordings of this machine, here or in the store, the latest first, those
    /// after a place only.
    fn recordings(&self, after: Option<RecordingPlace>, limit: usize) -> Reply<'_, Vec<Recording>>;

    /// The same recordings of other machines, with what is known of those that the stores of media
    /// servers have, and without those of this node.
    fn locate(&self, recordings: Vec<Recording>) -> Reply<'_, Vec<Recording>>;

    /// A part of the SIP messages of this node that are wanted.
    fn traced(&self, query: TraceQuery) -> Reply<'_, TracePart>;

    /// One SIP message, if it is still kept.
    fn traced_message(&self, id: TraceId) -> Reply<'_, Option<Seen>>;

    /// What this node is called in CDRs.
    fn node(&self) -> String;

    /// What is kept of SIP messages, and what was lost.
    fn trace_status(&self) -> Reply<'_, TraceStatus>;

    /// Lifts a ban; false if there is none.
    fn remove_ban(&self, address: IpAddr) -> Reply<'_, bool>;

    /// Takes over a newer configuration; an older one is ignored. Returns when calls that begin
    /// from now on see it.
    fn apply(&self, snapshot: Snapshot) -> Reply<'_, ()>;

    /// Everything that happens from now on.
    fn subscribe(&self) -> broadcast::Receiver<PlatformEvent>;
}

/// Why the node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// The wish cannot be fulfilled: `field` of it is at fault.
    #[error("{field}: {message}")]
    Refused {
        /// The field, as in JSON.
        field: String,
        /// What is wrong and what would be accepted.
        message: String,
    },
    /// The node is starting, stopping or overloaded.
    #[error("the node does not answer: {0}")]
    Unavailable(String),
}

/// What is kept of SIP messages, and what was lost since the node started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TraceStatus {
    /// What is kept of a message.
    pub mode: TraceMode,
    /// Messages that were kept.
    pub kept: u64,
    /// Messages that were not, because too many waited to be written.
    pub dropped: u64,
    /// Messages that were not, because the disk took none.
    pub failed: u64,
    /// Messages that other systems have told of.
    pub heard: u64,
    /// What traces take on the disk, in bytes.
    pub bytes: u64,
    /// When the oldest message was seen; microseconds since the Unix epoch.
    pub oldest_us: Option<u64>,
}

/// Calls in progress that were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallsFound {
    /// A page of them, in ascending order of their ids.
    pub items: Vec<CallView>,
    /// How many there are on all pages.
    pub total: usize,
}

/// Which calls are wanted; an empty filter matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFilter {
    /// Calls of this tenant.
    pub account: Option<AccountId>,
    /// Calls in this state.
    pub state: Option<CallState>,
    /// Calls whose caller is exactly this.
    pub caller: Option<String>,
    /// Calls whose called party is exactly this.
    pub called: Option<String>,
}

/// Which registrations are wanted; an empty filter matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationFilter {
    /// Contacts of this user.
    pub user: Option<UserId>,
    /// Contacts of this address of record, `name` or `name@domain`.
    pub aor: Option<String>,
    /// Contacts with this in address of record, URI or User-Agent, whatever its case.
    pub text: Option<String>,
}

/// A call that is only thought of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteQuery {
    /// The called number or name, as in the request URI.
    pub called: String,
    /// The caller's number or name, as in From.
    #[serde(default)]
    pub caller: String,
    /// The calling user.
    #[serde(default)]
    pub user: Option<UserId>,
    /// The customer who sends the call, known as it is configured: by its address, or by digest.
    #[serde(default)]
    pub customer: Option<CustomerId>,
    /// The address the call comes from, where neither user nor customer is given; a port may
    /// follow, for gateways are known by theirs.
    #[serde(default)]
    #[schema(value_type = Option<String>, examples("192.0.2.1:5080"))]
    pub source: Option<CallSource>,
    /// When; microseconds since the Unix epoch. Now if left out.
    #[serde(default)]
    pub at_us: Option<u64>,
}

/// Where a call comes from: an address, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallSource {
    /// The address.
    pub ip: IpAddr,
    /// The port; that of SIP if none was given.
    pub port: Option<u16>,
}

impl TryFrom<String> for CallSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                ip: address.ip(),
                port: Some(address.port()),
            });
        }
        text.parse()
            .map(|ip| Self { ip, port: None })
            .map_err(|_| format!("{text} is no address, nor address:port"))
    }
}

impl From<CallSource> for String {
    fn from(source: CallSource) -> Self {
        match source.port {
            Some(port) => SocketAddr::new(source.ip, port).to_string(),
            None => source.ip.to_string(),
        }
    }
}

/// What would happen to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Simulation {
    /// What would become of it.
    pub outcome: SimulationOutcome,
    /// The status the caller would get if it is not let through, else `None`.
    pub status: Option<u16>,
    /// The decision, step by step, as in the explanation of a real call.
    pub steps: Vec<String>,
    /// Where it would be sent, in the order of the attempts.
    pub targets: Vec<SimulatedTarget>,
}

/// What would become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SimulationOutcome {
    /// It rings the contacts of a user.
    User,
    /// It goes to a carrier.
    Carrier,
    /// It goes to a customer's own switch.
    Customer,
    /// An application of the platform answers it.
    Application,
    /// It is sent to another server (302).
    Redirected,
    /// It is refused.
    Refused,
}

/// One attempt of a call that is only thought of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SimulatedTarget {
    /// Where the INVITE would go: a SIP URI, or the name of an application.
    pub uri: String,
    /// The called number after rewriting.
    pub number: String,
    /// The carrier, if one takes it.
    pub carrier: Option<CarrierId>,
    /// The gateway, if one takes it.
    pub gateway: Option<GatewayId>,
    /// Whether it would be tried now: its gateway is healthy and has room.
    pub available: bool,
}

/// Use of one entity's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitUsage {
    /// What kind it is.
    pub kind: LimitedKind,
    /// Which; empty for the server.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// New calls per second allowed; `None` without limit.
    pub cps_limit: Option<u32>,
    /// What this node may use of it; `None` if it is not shared with other nodes.
    pub cps_share: Option<u32>,
    /// What the other nodes have of it.
    pub cps_elsewhere: Option<u32>,
    /// New calls in the last second, on this node.
    pub cps: u32,
    /// Calls in progress allowed; `None` without limit.
    pub channels_limit: Option<u32>,
    /// What this node may use of it; `None` if it is not shared with other nodes.
    pub channels_share: Option<u32>,
    /// What the other nodes have of it.
    pub channels_elsewhere: Option<u32>,
    /// Calls in progress, on this node.
    pub channels: u32,
}

/// The levels of the hierarchy of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitedKind {
    /// The cluster of this server.
    Cluster,
    /// This server.
    Server,
    /// A tenant.
    Account,
    /// A user.
    User,
    /// A customer.
    Customer,
    /// A carrier.
    Carrier,
    /// A gateway.
    Gateway,
    /// A number.
    Number,
}

/// Whether the node takes calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// It does.
    pub ready: bool,
    /// What stands in the way, one sentence each.
    pub problems: Vec<String>,
}

/// A socket that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerSpec {
    /// What is spoken on it.
    pub transport: TransportSpec,
    /// The local `address:port` (IPv6 in brackets).
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Whether clients are asked for a certificate; of TLS and WSS alone.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

/// Whether those who connect to a socket are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Unasked,
    /// They are, and may have none; one of no known authority is refused.
    Asked,
    /// They are, and have to have one.
    Demanded,
}

/// A socket that is open for SIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerStatus {
    /// Identifies it in the API.
    pub id: String,
    /// What is spoken on it.
    pub transport: TransportSpec,
    /// The local `address:port`.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// The address that peers are told, if another (RFC 3261 §18.1.1).
    #[schema(value_type = Option<String>)]
    pub advertised: Option<SocketAddr>,
    /// Receive buffer asked of the kernel, in bytes; 0 if the default is kept.
    pub receive_buffer_asked_bytes: u64,
    /// Receive buffer granted by the kernel, in bytes.
    pub receive_buffer_bytes: u64,
    /// Send buffer asked of the kernel, in bytes; 0 if the default is kept.
    pub send_buffer_asked_bytes: u64,
    /// Send buffer granted by the kernel, in bytes.
    pub send_buffer_bytes: u64,
    /// Open connections; 0 for UDP.
    pub connections: u32,
    /// Whether clients are asked for a certificate.
    pub client_certificates: ClientCertificates,
}

/// A source whose packets are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// Whose.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Why, in words.
    pub reason: String,
    /// Since when; microseconds since the Unix epoch.
    pub since_us: u64,
    /// Until when; microseconds since the Unix epoch.
    pub until_us: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlatformEvent {
    /// Grows with every event of the node.
    pub sequence: u64,
    /// When; microseconds since the Unix epoch.
    pub at_us: u64,
    /// What it is about, a plural noun: `calls`, `registrations`, `gateways`, `media`, `bans`.
    pub topic: String,
    /// What happened: `call.answered`.
    pub name: String,
    /// The object concerned, as the API shows it.
    pub data: serde_json::Value,
    /// The joined server that it happened at; `None`: at the node that is asked.
    #[serde(default)]
    pub server: Option<ServerId>,
    /// What people call that server; empty with `None`.
    #[serde(default)]
    pub server_name: String,
}
