//! What is known of each target, for the operator.

use core::time::Duration;

use clock::Time;

use super::Balancer;
use crate::{State, TargetId, TargetSpec};

/// A target as it stands.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// Which.
    pub id: TargetId,
    /// What the operator said of it.
    pub spec: TargetSpec,
    /// Whether it answers.
    pub state: State,
    /// Calls that came through us.
    pub calls: u32,
    /// Calls it has besides, by its own report.
    pub foreign_calls: u32,
    /// How often it was chosen.
    pub chosen: u64,
    /// Those times that it was for a call.
    pub chosen_calls: u64,
    /// The time to the first response, on average; zero before the first.
    pub latency: Duration,
    /// The round trip of the last probe.
    pub probe_rtt: Option<Duration>,
    /// What it gets of its share of 1,000: less than that while it warms up or is slow.
    pub share_permille: u64,
    /// How much it wants to be spared, in percent (RFC 7339).
    pub loss_percent: u8,
    /// How long it takes nothing at all (503 with Retry-After).
    pub closed_for: Option<Duration>,
}

impl Balancer {
    /// All targets, in the order they were added.
    pub fn statuses(&self, now: Time) -> impl Iterator<Item = TargetStatus> {
        let policy = &self.policy;
        self.targets.iter().map(move |target| {
            let fresh = target.health.share_permille(now, policy.slow_start);
            let quick = target.latency.share_permille(policy.passive.latency_max);
            let closed = target.overload.closed_until(now);
            TargetStatus {
                id: target.id,
                spec: target.spec.clone(),
                state: target.health.state(),
                calls: target.calls,
                foreign_calls: target.foreign_calls,
                chosen: target.chosen,
                chosen_calls: target.chosen_calls,
                latency: target.latency.average(),
                probe_rtt: target.probe_rtt,
                share_permille: fresh.min(quick),
                loss_percent: target.overload.percent(now),
                closed_for: closed.map(|until| until.since(now)),
            }
        })
    }
}
