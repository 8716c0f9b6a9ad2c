//! How a balancer chooses, and what it thinks of silence and errors.

use core::time::Duration;

/// How the choice is made among targets of one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// One after the other, whatever their weights.
    RoundRobin,
    /// One after the other, in proportion to their weights, evenly interleaved.
    Weighted,
    /// The one with the fewest calls for its weight.
    LeastCalls,
    /// The less loaded of two drawn at random: nearly as even as [`Algorithm::LeastCalls`], and
    /// several dispatchers that know only their own calls do not all run to the same one.
    TwoChoices,
    /// By the key of the request: equal keys go to the same target. When a target goes, its keys
    /// spread over all that stay, and no other key moves (weighted rendezvous hashing).
    Hash,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How the choice is made.
    pub algorithm: Algorithm,
    /// Active probing.
    pub probing: Probing,
    /// Judging by live traffic.
    pub passive: Passive,
    /// How long a target that came back, or was added, takes to get its full share; it begins
    /// with a tenth. Does not apply to [`Algorithm::Hash`], whose keys would move twice.
    pub slow_start: Duration,
}

/// Active probing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probing {
    /// Between two probes of a target; zero: no probing.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many probes missed in a row, and it is down.
    pub down_after: u32,
    /// So many answered in a row, and it is up again.
    pub up_after: u32,
}

/// Judging by what becomes of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passive {
    /// So many attempts without any answer in a row, and it is down.
    pub silences: u32,
    /// So many of 1,000 answers may be server failures (500, 502, 503, 504) before it is set
    /// aside; 0: any number.
    pub errors_permille: u32,
    /// Judged only over at least so many answers.
    pub answers_min: u32,
    /// How long it is set aside; also how long a target that fell silent rests if it is not
    /// probed.
    pub rest: Duration,
    /// The first response may take so long on average; a target that takes longer gets fewer
    /// new calls in proportion, down to a tenth. Zero: any time.
    pub latency_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::RoundRobin,
            probing: Probing {
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                down_after: 3,
                up_after: 2,
            },
            passive: Passive {
                silences: 2,
                errors_permille: 500,
                answers_min: 20,
                rest: Duration::from_secs(30),
                latency_max: Duration::ZERO,
            },
            slow_start: Duration::from_secs(30),
        }
    }
}
