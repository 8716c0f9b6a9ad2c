//! How a server shares registrations with others that are no cluster, as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A server's part in an array.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArrayView {
    /// Whether registrations are shared with other servers.
    pub sharing: bool,
    /// What this server is called among them; empty without sharing.
    pub id: String,
    /// Where the others listen to this server; `None` without sharing.
    pub listen: Option<String>,
    /// Registrations that the others are shown, and ends they may have missed.
    pub shelf: u64,
    /// Processor time spent on it, in microseconds.
    pub cpu_us: u64,
    /// The other servers.
    pub peers: Vec<ArrayPeerView>,
}

/// Another server of an array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArrayPeerView {
    /// What it is called; empty if it was never heard.
    pub id: String,
    /// Where this server listens to it; `None` if it only listens to this one.
    pub address: Option<String>,
    /// Whether it is heard: calls reach its phones.
    pub heard: bool,
    /// Since when that is so, in seconds; `None` if it is not listened to.
    pub since_s: Option<u64>,
    /// Why it is not heard.
    pub error: Option<String>,
    /// Connections to it that failed or broke.
    pub failures: u64,
    /// How often all its registrations had to be fetched.
    pub looks: u64,
    /// Whether it listens to this server.
    pub told: bool,
    /// From a change here until it had taken it, in microseconds, of the last portion.
    pub lag_us: Option<u64>,
    /// Portions that it has not taken yet.
    pub behind: u64,
    /// How far its clock is ahead of ours, in microseconds.
    pub clock_skew_us: Option<i64>,
    /// What came from it.
    pub received: ArrayTraffic,
    /// What it was told.
    pub sent: ArrayTraffic,
}

/// What went between two servers for registrations of one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArrayTraffic {
    /// Changes of registrations.
    pub changes: u64,
    /// Messages, answers included.
    pub messages: u64,
    /// Their bytes, without TLS.
    pub bytes: u64,
}
