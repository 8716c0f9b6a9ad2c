//! What nodes say of themselves that take no calls: dispatchers and media servers.

use model::Dispatching;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a dispatcher is, by its own word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DispatcherReport {
    /// The set that it works by.
    pub set: Dispatching,
    /// Whether that set is control's; else it is that of its own file.
    pub set_by_control: bool,
    /// Why it did not take the set that control has; `None`: it did, or control has none.
    pub set_refused: Option<String>,
    /// How each of its targets is. A name that stands for several addresses is a target for each.
    pub targets: Vec<TargetReport>,
    /// Targets beyond the first 256, of which nothing is said.
    pub targets_untold: u32,
    /// Phones on UDP that are kept alive.
    pub flows: u32,
    /// Requests sent to another target after one failed, since it began.
    pub failovers_total: u64,
    /// Requests refused because no target was up, since it began.
    pub refused_down_total: u64,
    /// Requests refused because all targets were full, or it was itself, since it began.
    pub refused_overload_total: u64,
}

/// How a target of a dispatcher is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TargetReport {
    /// What it is called.
    pub name: String,
    /// The target of the set that it is, or is an address of.
    pub record: String,
    /// Where it is, as `udp:10.0.0.1:5060`.
    pub address: String,
    /// Its share among those of its priority.
    pub weight: u16,
    /// Those of the lowest number come first.
    pub priority: u16,
    /// Whether it takes calls.
    pub state: TargetState,
    /// Why it is down: `probes`, `silence`, `errors`, `refusal`.
    pub cause: Option<String>,
    /// It is up or down since then; microseconds since the Unix epoch. `None`: since the dispatcher
    /// knows it.
    pub since_us: Option<u64>,
    /// It went down last; microseconds since the Unix epoch.
    pub last_failure_us: Option<u64>,
    /// Why it did.
    pub last_failure: Option<String>,
    /// Calls of this dispatcher that it has.
    pub calls: u32,
    /// Calls that it has besides, by its own word.
    pub foreign_calls: u32,
    /// Calls at a time allowed; `None`: any number.
    pub calls_max: Option<u32>,
    /// New calls per second allowed; `None`: any number.
    pub cps_max: Option<u32>,
    /// What it got of all that was spread in the last minute; `None`: nothing was.
    pub share_percent: Option<f64>,
    /// How often it was chosen since the dispatcher began.
    pub chosen_total: u64,
    /// The time to its first response, on average; `None`: it has sent none.
    pub latency_us: Option<u64>,
    /// The round trip of the last probe.
    pub probe_rtt_us: Option<u64>,
    /// How much it wants to be spared (RFC 7339 §4.3).
    pub loss_percent: u8,
    /// How much longer it takes nothing at all, as it said by 503 with Retry-After.
    pub closed_ms: Option<u64>,
    /// What it gets of its share of 1,000 while it warms up, or is slow.
    pub ease_permille: u16,
}

/// Whether a target takes calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TargetState {
    /// It does.
    #[default]
    Up,
    /// It does not answer, or only with failures.
    Down,
    /// It takes no new ones, and still has some.
    Draining,
    /// It takes no new ones, and has none left.
    Drained,
}

impl DispatcherReport {
    /// What is wrong with its targets, or nothing to say but how many take calls.
    pub(crate) fn words(&self) -> String {
        let taking = self.taking();
        let mut words = match (taking, self.targets.len()) {
            (_, 0) => "it has no targets".to_owned(),
            (0, _) => "no target takes calls".to_owned(),
            (taking, all) => format!("{taking} of {all} targets take calls"),
        };
        for target in self.targets.iter().filter(|t| t.state != TargetState::Up) {
            if words.len() > WORDS_MAX_BYTES {
                words.push_str(" ...");
                break;
            }
            let state = match target.state {
                TargetState::Down => "down",
                TargetState::Draining => "draining",
                TargetState::Up | TargetState::Drained => "drained",
            };
            words.push_str(&format!("; {} is {state}", target.name));
            if let Some(cause) = &target.cause {
                words.push_str(&format!(" ({cause})"));
            }
        }
        if let Some(why) = &self.set_refused {
            words.push_str(&format!("; it refused the set of control: {why}"));
        }
        words
    }

    /// Targets that take calls.
    pub(crate) fn taking(&self) -> usize {
        let targets = self.targets.iter();
        targets.filter(|t| t.state == TargetState::Up).count()
    }

    /// Whether all is as it should be: what drains was told to.
    pub(crate) fn is_whole(&self) -> bool {
        self.set_refused.is_none() && self.targets.iter().all(|t| t.state != TargetState::Down)
    }
}

/// How a media server is, by its own word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MediaReport {
    /// Where it is asked for media, as `udp:10.0.0.5:2223`.
    pub control: Vec<String>,
    /// Its addresses for media, as `10.0.0.5`, or `10.0.0.5 as 203.0.113.5` behind NAT.
    pub addresses: Vec<String>,
    /// Other names and addresses it is known by.
    pub aliases: Vec<String>,
    /// The zone it says to switches.
    pub zone: String,
    /// Sessions open.
    pub sessions: u64,
    /// Sessions it takes at most; `None`: as many as its ports carry.
    pub sessions_max: Option<u64>,
    /// How busy it is: the most of its processor time, ports and sessions.
    pub load_percent: f64,
    /// Ports in use, those that rest after use among them.
    pub ports_used: u64,
    /// Ports free.
    pub ports_free: u64,
    /// Packets relayed in the last second; `None`: not known yet.
    pub packets_per_s: Option<u64>,
    /// Those of them that the kernel relayed by itself.
    pub kernel_packets_per_s: Option<u64>,
    /// Packets dropped since it began.
    pub dropped_total: u64,
    /// Where plain RTP is relayed in the kernel, as `tc on eth0`; `None`: nowhere.
    pub kernel_path: Option<String>,
    /// Why it is not relayed in the kernel.
    pub kernel_refused: Option<String>,
}

/// Of what is wrong with targets.
const WORDS_MAX_BYTES: usize = 200;
