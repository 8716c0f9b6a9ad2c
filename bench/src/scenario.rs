//! What is measured: each scenario runs the peer and us in turn and gives a table.

pub(crate) mod call;
pub(crate) mod cluster_call;
pub(crate) mod control;
pub(crate) mod kernel;
pub(crate) mod locations;
pub(crate) mod media;
pub(crate) mod memory;
pub(crate) mod ng;
pub(crate) mod rate;
pub(crate) mod register;
pub(crate) mod relay;
pub(crate) mod soak;
pub(crate) mod takeover;
pub(crate) mod transcode;

use std::time::Duration;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Peer,
    Ours,
}

/// What calls are between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Family {
    /// IPv4 on both sides.
    Ipv4,
    /// IPv4 on the caller's side, IPv6 on the callee's.
    Mixed,
}

/// What our side keeps of SIP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Trace {
    /// Nothing, as the peers.
    Off,
    /// All but bodies.
    Headers,
    /// All of them.
    Full,
}

impl Trace {
    /// In the words of the settings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Headers => "headers",
            Self::Full => "full",
        }
    }
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Runs of each side, one after the other in turn.
    pub(crate) runs: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// Which sides run.
    pub(crate) sides: &'static [Side],
    /// Users of the register scenario and bindings of the memory scenario.
    pub(crate) users: usize,
    /// Bindings of the locations scenario.
    pub(crate) bindings: usize,
    /// Calls held in the memory scenario.
    pub(crate) held_calls: u64,
    /// Calls of the media scenario, point by point.
    pub(crate) media_calls: &'static [usize],
    /// Calls of the last point of the kernel scenario.
    pub(crate) kernel_calls: usize,
    /// What those calls are between.
    pub(crate) family: Family,
    /// How long the soak lasts.
    pub(crate) soak: Duration,
    /// New calls per second of the rate scenario, and how long it lasts.
    pub(crate) rate: u32,
    pub(crate) rate_time: Duration,
    /// What our side keeps of SIP messages in the scenarios call, register and soak.
    pub(crate) trace: Trace,
    /// How often a switch is killed in the takeover scenario.
    pub(crate) kills: usize,
    /// CDRs and servers of the control scenario.
    pub(crate) cdrs: u64,
    pub(crate) servers: usize,
    /// Until nothing is left of ended transactions (32 s, RFC 3261 §17.1.1.2, and a margin).
    pub(crate) settle: Duration,
}

impl Effort {
    /// For loads of audio, which settle at once and have many points.
    fn for_media(&self) -> Self {
        Self {
            warm_up: self.warm_up.min(MEDIA_WARM_UP),
            window: self.window.min(MEDIA_WINDOW),
            ..*self
        }
    }
}

/// Microseconds of processor time per unit.
fn us_per_unit(cpu: Duration, units: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / (units.max(1) as f64)
}

const MEDIA_WARM_UP: Duration = Duration::from_secs(1);
const MEDIA_WINDOW: Duration = Duration::from_secs(4);
