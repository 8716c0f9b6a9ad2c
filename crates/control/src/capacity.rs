//! What servers together can carry, what is in use of it, and what remains when one of them dies.
//!
//! Servers are planned at half of what they can carry. What was not heard of a server is not known, and
//! is no 0: it carries nothing as far as anybody can rely on it.

use model::{ServerId, ServerRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::servers::{ServerHealth, ServerState};

/// Servers of a zone or cluster together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Capacity {
    /// How it stands.
    standing: Headroom,
    /// The same in a sentence.
    cause: String,
    /// Those that take calls now.
    taking: u32,
    /// Calls in progress on all that were heard of; `None`: none was.
    channels: Option<u32>,
    /// Calls in progress that those allow that take calls; `None`: not known, or one has no limit.
    channels_allowed: Option<u32>,
    /// What they allow when the one that allows most dies.
    channels_allowed_after_loss: Option<u32>,
    /// New calls in the last second.
    cps: Option<u32>,
    /// New calls per second that those allow that take calls.
    cps_allowed: Option<u32>,
    /// What they allow when the one that allows most dies.
    cps_allowed_after_loss: Option<u32>,
    /// What is in use of what is allowed, of channels or of CPS, whichever is more.
    used_percent: Option<u32>,
    /// The same when the largest dies.
    used_after_loss_percent: Option<u32>,
    /// The servers, by name.
    members: Vec<Member>,
}

/// A server of a zone or cluster.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Member {
    /// Which.
    server: ServerId,
    /// What people call it.
    name: String,
    /// Whether it takes calls.
    state: ServerState,
    /// Calls in progress; `None`: not known now.
    channels: Option<u32>,
    /// Calls in progress that it allows.
    channels_allowed: Option<u32>,
    /// What it may use now of the calls in progress that its cluster allows.
    channels_share: Option<u32>,
    /// New calls in the last second.
    cps: Option<u32>,
    /// New calls per second that it allows.
    cps_allowed: Option<u32>,
    /// What it may use now of the new calls per second that its cluster allows.
    cps_share: Option<u32>,
}

/// Whether there is room.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Headroom {
    /// Nobody knows.
    #[default]
    Unknown,
    /// There is no server.
    Empty,
    /// No server takes calls.
    Down,
    /// When the largest server dies, the others cannot carry what there is.
    Short,
    /// There is one server that takes calls.
    Single,
    /// More than half is in use.
    Tight,
    /// Half is free, and the others can carry what there is when one dies.
    Good,
}

impl Capacity {
    /// Of these servers, as far as they take calls.
    pub(crate) fn of(servers: &[ServerHealth]) -> Self {
        let switches = servers.iter().filter(|s| s.role == ServerRole::Switch);
        let members: Vec<Member> = switches.map(Member::of).collect();
        let taking: Vec<&Member> = members.iter().filter(|member| member.takes()).collect();
        let channels = used(&members, |member| member.channels);
        let cps = used(&members, |member| member.cps);
        let (channels_allowed, channels_after) = allowed(&taking, |m| m.channels_allowed);
        let (cps_allowed, cps_after) = allowed(&taking, |member| member.cps_allowed);
        let more = |one: Option<u32>, other: Option<u32>| one.max(other);
        let mut capacity = Self {
            taking: taking.len() as u32,
            channels,
            channels_allowed,
            channels_allowed_after_loss: channels_after,
            cps,
            cps_allowed,
            cps_allowed_after_loss: cps_after,
            used_percent: more(
                percent(channels, channels_allowed),
                percent(cps, cps_allowed),
            ),
            used_after_loss_percent: more(
                percent(channels, channels_after),
                percent(cps, cps_after),
            ),
            ..Self::default()
        };
        capacity.members = members;
        (capacity.standing, capacity.cause) = capacity.judge();
        capacity
    }

    /// What is in use of what is allowed, in per cent; `None`: nobody knows.
    pub(crate) const fn used_percent(&self) -> Option<u32> {
        self.used_percent
    }

    /// The same when the largest server dies.
    pub(crate) const fn used_after_loss_percent(&self) -> Option<u32> {
        self.used_after_loss_percent
    }

    fn judge(&self) -> (Headroom, String) {
        let heard = self.channels.is_some();
        match (self.members.len(), self.taking) {
            (0, _) => return (Headroom::Empty, "there is no server".into()),
            (_, 0) if !heard => return (Headroom::Unknown, "no server was heard of".into()),
            (_, 0) => return (Headroom::Down, "no server takes calls".into()),
            (_, 1) => {
                let cause = "one server takes calls: nothing remains when it dies";
                return (Headroom::Single, cause.into());
            }
            _ => {}
        }
        let (Some(used), Some(after)) = (self.used_percent, self.used_after_loss_percent) else {
            let cause = "a server has no limit, so nobody knows how much there is";
            return (Headroom::Unknown, cause.into());
        };
        let both = format!("{used} % is in use, {after} % when the largest server dies");
        match (used, after) {
            (_, after) if after > 100 => (Headroom::Short, both),
            (used, _) if used > PLANNED_PERCENT => (Headroom::Tight, both),
            _ => (Headroom::Good, both),
        }
    }
}

impl Member {
    fn of(health: &ServerHealth) -> Self {
        let is_known = !matches!(
            health.state,
            ServerState::Unreachable | ServerState::Planned | ServerState::Revoked
        );
        let report = health.report.as_ref().filter(|_| is_known);
        Self {
            server: health.server,
            name: health.name.clone(),
            state: health.state,
            channels: report.map(|report| report.channels),
            channels_allowed: report.and_then(|report| report.channels_limit),
            channels_share: report.and_then(|report| report.cluster_channels_share),
            cps: report.map(|report| report.cps),
            cps_allowed: report.and_then(|report| report.cps_limit),
            cps_share: report.and_then(|report| report.cluster_cps_share),
        }
    }

    const fn takes(&self) -> bool {
        matches!(self.state, ServerState::Up | ServerState::Full)
    }
}

/// The sum of what is known.
fn used(members: &[Member], of: impl Fn(&Member) -> Option<u32>) -> Option<u32> {
    members.iter().filter_map(of).reduce(u32::saturating_add)
}

/// What members allow together, and without the one that allows most.
fn allowed(taking: &[&Member], of: impl Fn(&Member) -> Option<u32>) -> (Option<u32>, Option<u32>) {
    let each: Option<Vec<u32>> = taking.iter().map(|member| of(member)).collect();
    let Some(each) = each.filter(|each| !each.is_empty()) else {
        return (None, None);
    };
    let all = each
        .iter()
        .fold(0, |sum: u32, one| sum.saturating_add(*one));
    let most = each.iter().max().copied().unwrap_or(0);
    (Some(all), Some(all - most))
}

/// In per cent; what is used of nothing counts as all of it ten times over.
fn percent(used: Option<u32>, allowed: Option<u32>) -> Option<u32> {
    let (used, allowed) = (u64::from(used?), u64::from(allowed?));
    let percent = match (used, allowed) {
        (0, 0) => 0,
        (_, 0) => u64::from(PERCENT_MAX),
        _ => (used * 100).div_ceil(allowed),
    };
    Some(
        u32::try_from(percent)
            .unwrap_or(PERCENT_MAX)
            .min(PERCENT_MAX),
    )
}

/// What servers are planned for: more is to be seen.
const PLANNED_PERCENT: u32 = 50;
/// More is not told apart.
const PERCENT_MAX: u32 = 1_000;

#[cfg(test)]
mod tests;
