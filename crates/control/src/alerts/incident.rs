//! Something that went wrong, from its beginning to its end.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Grows with each; of none that another control tells of.
    pub id: u64,
    /// Which rule says so: `gateway-down`, `media-server-down`, `headroom`,
    /// `zone-headroom`, `cluster-headroom`, `certificate`, `carrier-asr`, `media-loss`.
    pub rule: String,
    /// What it is about: a name.
    pub subject: String,
    /// It in a sentence.
    pub text: String,
    /// When it began; microseconds since the Unix epoch.
    pub begun_us: u64,
    /// When it was over; `None`: it is not.
    pub ended_us: Option<u64>,
    /// Who was told.
    pub deliveries: Vec<Delivery>,
}

/// How somebody was told of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Of which moment.
    pub moment: Moment,
    /// By `email` or `webhook`.
    pub way: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The last attempt; microseconds since the Unix epoch.
    pub at_us: u64,
    /// Why that failed; `None`: it was taken.
    pub error: Option<String>,
}

/// A moment of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// It has begun.
    Begun,
    /// It is over.
    Ended,
}
