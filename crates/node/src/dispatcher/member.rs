//! The dispatcher as a node of a platform: what it tells control, and what control tells it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use balancer::{Admission, State as Health, TargetStatus};
use clock::Time;
use control::{DispatcherReport, Report, TargetReport, TargetState};
use dispatcher::{Dispatcher, Target};
use model::{DispatchTarget, Dispatching, Server, TraceSettings};
use store::TraceReader;

use super::settings;
use super::state::State;
use super::turns::Turns;
use crate::joined::Work;
use crate::signals::Restart;
use crate::telemetry::sockets;
use crate::up;

/// A dispatcher that has joined.
pub(super) struct Member {
    state: Arc<State>,
    restart: Restart,
    /// How often each target had been chosen for a call, at each look of the last minute.
    chosen: VecDeque<BTreeMap<String, u64>>,
    /// Calls in progress and new ones at each look of the last five minutes.
    loads: VecDeque<(u32, u32)>,
}

/// What one look at the machine brings.
struct Seen {
    targets: Vec<TargetReport>,
    /// How often each was chosen for a call since the start.
    chosen: BTreeMap<String, u64>,
    calls: usize,
    admission: Admission,
    report: DispatcherReport,
}

/// What control says of new calls.
pub(super) const fn admission(server: &Server) -> Admission {
    match server.draining {
        true => Admission::Draining,
        false => Admission::Open,
    }
}

impl Member {
    pub(super) const fn new(state: Arc<State>, restart: Restart) -> Self {
        Self {
            state,
            restart,
            chosen: VecDeque::new(),
            loads: VecDeque::new(),
        }
    }

    /// The set as it works by it, and what became of control's.
    async fn set(&self) -> (Dispatching, bool, Option<String>) {
        let desired = self.state.desired.lock().await;
        let targets = desired.records.iter().take(TARGETS_TOLD_MAX);
        let targets = targets.map(DispatchTarget::from).collect();
        drop(desired);
        let wish = self.state.wish();
        let algorithm = wish.algorithm;
        let set = Dispatching { algorithm, targets };
        let by_control = wish.set.is_some() && wish.refused.is_none();
        (set, by_control, wish.refused.clone())
    }

    /// Notes how often targets were chosen; new calls since the last look.
    fn note(&mut self, chosen: BTreeMap<String, u64>) -> u32 {
        let new = self.chosen.back().map_or(0, |last| grown(last, &chosen));
        self.chosen.push_back(chosen);
        if self.chosen.len() > LOOKS_A_MINUTE {
            self.chosen.pop_front();
        }
        u32::try_from(new).unwrap_or(u32::MAX)
    }

    /// What a target got of all calls of the last minute.
    fn share_percent(&self, target: &str) -> Option<f64> {
        let (first, last) = (self.chosen.front()?, self.chosen.back()?);
        let all = grown(first, last);
        let own = since(first, target, *last.get(target)?);
        (all > 0).then(|| (own as f64 / all as f64 * 1_000.0).round() / 10.0)
    }

    /// The highest of the last minutes.
    fn peaks(&mut self, calls: u32, new: u32) -> (u32, u32) {
        self.loads.push_back((calls, new));
        if self.loads.len() > LOOKS_OF_PEAKS {
            self.loads.pop_front();
        }
        let highest =
            |(calls, new): (u32, u32), one: &(u32, u32)| (calls.max(one.0), new.max(one.1));
        self.loads.iter().fold((0, 0), highest)
    }
}

impl Work for Member {
    async fn apply(&mut self, server: Arc<Server>) {
        let admission = admission(&server);
        match self.state.admit(admission).await {
            Ok(()) => tracing::info!(?admission, "control's word on new calls was taken"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "it is not known whether control's word was taken");
            }
        }
        // What else is in the record is none of the targets: they are not touched for it. A set that was
        // refused may be taken now.
        let is_other = {
            let wish = self.state.wish();
            wish.set != server.dispatching || wish.refused.is_some()
        };
        if is_other {
            self.state.obey(server.dispatching.clone()).await;
        }
    }

    fn keep_traces(&mut self, settings: &TraceSettings) {
        if let Some(trace) = &self.state.trace {
            trace.configure(settings);
        }
    }

    fn traces(&self) -> Option<TraceReader> {
        let traces = self.state.data.path(up::TRACES);
        self.state
            .trace
            .is_some()
            .then(|| TraceReader::new(&traces))
    }

    async fn look(&mut self) -> Option<Report> {
        let turns = self.state.turns.clone();
        let seen = self.state.desk.ask(move |now, d| see(now, d, &turns));
        let seen = seen.await.ok()?;
        let (set, set_by_control, set_refused) = self.set().await;
        let cps = self.note(seen.chosen);
        let calls = u32::try_from(seen.calls).unwrap_or(u32::MAX);
        let (channels_peak, cps_peak) = self.peaks(calls, cps);
        let shared = |target: TargetReport| TargetReport {
            share_percent: self.share_percent(&target.name),
            ..target
        };
        Some(Report {
            draining: seen.admission == Admission::Draining,
            channels: calls,
            channels_peak,
            cps,
            cps_peak,
            listeners: sockets(&self.state.net),
            dispatcher: Some(DispatcherReport {
                set,
                set_by_control,
                set_refused,
                targets: seen.targets.into_iter().map(shared).collect(),
                ..seen.report
            }),
            ..Report::default()
        })
    }

    fn begin_anew(&mut self) {
        self.restart.order();
    }
}

/// How often targets were chosen between two looks. One that is new was not chosen before.
fn grown(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> u64 {
    let each = now.iter();
    each.map(|(target, chosen)| since(before, target, *chosen))
        .sum()
}

/// A target that was taken out and put in again counts anew.
fn since(before: &BTreeMap<String, u64>, target: &str, chosen: u64) -> u64 {
    chosen.saturating_sub(before.get(target).copied().unwrap_or(0))
}

/// A look at the machine, on its thread.
fn see(now: Time, dispatcher: &Dispatcher, turns: &Turns) -> Seen {
    let all: Vec<_> = dispatcher.statuses(now).collect();
    turns.retain(|name| all.iter().any(|(target, _)| *target.spec.name == *name));
    let told = all.iter().take(TARGETS_TOLD_MAX);
    let counters = dispatcher.counters();
    Seen {
        targets: told.clone().map(|one| target(one, turns)).collect(),
        chosen: told
            .map(|(target, status)| (target.spec.name.to_string(), status.chosen_calls))
            .collect(),
        calls: dispatcher.call_count(),
        admission: dispatcher.admission(),
        report: DispatcherReport {
            targets_untold: all.len().saturating_sub(TARGETS_TOLD_MAX) as u32,
            flows: u32::try_from(dispatcher.flow_count()).unwrap_or(u32::MAX),
            failovers_total: counters.failovers,
            refused_down_total: counters.refused_down,
            refused_overload_total: counters.refused_overloaded,
            ..DispatcherReport::default()
        },
    }
}

fn target((target, status): &(&Target, TargetStatus), turns: &Turns) -> TargetReport {
    let us = |time: std::time::Duration| time.as_micros() as u64;
    let name = target.spec.name.to_string();
    let record = settings::record(target);
    let is_open = target.spec.admission == Admission::Open;
    let (state, cause) = match status.state {
        Health::Up if is_open => (TargetState::Up, None),
        Health::Up if status.calls == 0 => (TargetState::Drained, None),
        Health::Up => (TargetState::Draining, None),
        Health::Down(cause) => (TargetState::Down, Some(cause.name().to_owned())),
    };
    let turn = turns.of(&name);
    let failure = turn.and_then(|turn| turn.failure);
    let latency_us = us(status.latency);
    TargetReport {
        record: name.split('@').next().unwrap_or_default().to_owned(),
        address: record.address,
        weight: record.weight,
        priority: record.priority,
        state,
        cause,
        since_us: turn.map(|turn| turn.since_us),
        last_failure_us: failure.map(|(at_us, _)| at_us),
        last_failure: failure.map(|(_, cause)| cause.to_owned()),
        calls: status.calls,
        foreign_calls: status.foreign_calls,
        calls_max: record.calls_max,
        cps_max: record.cps_max,
        share_percent: None,
        chosen_total: status.chosen,
        latency_us: (latency_us > 0).then_some(latency_us),
        probe_rtt_us: status.probe_rtt.map(us),
        loss_percent: status.loss_percent,
        closed_ms: status.closed_for.map(|time| time.as_millis() as u64),
        ease_permille: u16::try_from(status.share_permille).unwrap_or(1_000),
        name,
    }
}

/// Targets that control is told of: as many as it takes in a set.
const TARGETS_TOLD_MAX: usize = 256;
/// There is a look each second.
const LOOKS_A_MINUTE: usize = 60;
/// Five minutes.
const LOOKS_OF_PEAKS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        let count = |(name, count): &(&str, u64)| ((*name).to_owned(), *count);
        counts.iter().map(count).collect()
    }

    #[test]
    fn calls_are_counted_from_one_look_to_the_next_though_targets_come_and_go() {
        let first = chosen(&[("a", 10), ("b", 5)]);
        assert_eq!(grown(&first, &chosen(&[("a", 13), ("b", 6)])), 4);
        // b was taken out; c is new.
        assert_eq!(grown(&first, &chosen(&[("a", 10), ("c", 2)])), 2);
        // a was taken out and put in again.
        assert_eq!(grown(&first, &chosen(&[("a", 1), ("b", 5)])), 0);
    }
}
