//! What a server has done within a minute: what history is made of.

use serde::{Deserialize, Serialize};

/// A minute of a server, as far as it was there. Counts are of this minute alone, and add up with those
/// of other minutes and servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The beginning of the minute; microseconds since the Unix epoch.
    pub at_us: u64,
    /// For how long of it the server has looked at itself.
    pub covered_ms: u64,
    /// The machine's own name.
    #[serde(default)]
    pub host: String,
    /// New calls.
    pub attempts: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls that ended without an answer.
    pub failed: u64,
    /// The sum of the times of its channels.
    pub channel_ms: u64,
    /// The most channels at once, as looked at once a second.
    pub channels_peak: u32,
    /// The most new calls within a second.
    pub cps_peak: u32,
    /// Answered calls that ended.
    pub talks: u64,
    /// For how long they were answered, together.
    pub talk_ms: u64,
    /// How many post-dial delays fell in each of [`DELAY_BUCKETS_MS`], and last how many beyond.
    #[serde(default)]
    pub delays: Vec<u64>,
    /// Legs of which the quality is known.
    pub mos_legs: u64,
    /// The sum of their MOS, in hundredths.
    pub mos_centi: u64,
    /// Registered contacts, at the end.
    pub registrations: u32,
    /// Processor time of the process; `None` if not known.
    #[serde(default)]
    pub cpu_ms: Option<u64>,
    /// Memory of the process, at the end; `None` if not known.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

/// How long a sample is, in microseconds.
pub const SAMPLE_US: u64 = 60_000_000;
/// For how long samples are kept: seven days, in microseconds.
pub const HISTORY_US: u64 = 7 * 86_400_000_000;
/// Upper bounds of the buckets of delays and durations, in milliseconds.
pub const DELAY_BUCKETS_MS: [u64; 12] = [
    5, 20, 100, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 600_000, 3_600_000,
];
