//! Where incidents are: those of the machine with it, those of the platform in the store, as the note
//! of whoever has the duty.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::watch::Watch;
use super::{Alerts, Incident, rules};
use crate::Control;
use crate::duties::Duty;

/// What an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// This machine alone: each control tells of its own.
    Machine,
    /// What all controls see: one of them tells of it.
    Platform,
}

/// Whether this control has the duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It has it since this moment.
    Now,
    /// It had it before.
    Before,
    /// It has not.
    Not,
}

/// Our time at the duty.
#[derive(Clone, Copy, Default)]
struct Fence {
    /// What the store knows it by; `None`: it is not ours now.
    now: Option<u64>,
    /// The same of the last time.
    last: Option<u64>,
    /// How often it has become ours.
    turn: u64,
}

/// Incidents by what they are about.
pub(super) struct Keeping {
    machine: Mutex<Watch>,
    platform: Mutex<Watch>,
    fence: Mutex<Fence>,
    /// Those of the platform that were kept on this machine, until somebody has left a note.
    before: Vec<Incident>,
}

impl Keeping {
    /// Goes on with what was kept on this machine.
    pub(super) fn new(kept: Vec<Incident>) -> Self {
        let (machine, before) = kept
            .into_iter()
            .partition(|one| rules::is_about_machine(&one.rule, &one.subject));
        Self {
            machine: Mutex::new(Watch::new(machine)),
            platform: Mutex::new(Watch::new(Vec::new())),
            fence: Mutex::default(),
            before,
        }
    }

    pub(super) const fn watch(&self, scope: Scope) -> &Mutex<Watch> {
        match scope {
            Scope::Machine => &self.machine,
            Scope::Platform => &self.platform,
        }
    }

    /// Which time at the duty this is; who began to tell in an earlier one leaves it to the next.
    pub(super) fn turn(&self) -> u64 {
        self.fence().turn
    }

    /// Whether what was begun in a turn is still ours to tell.
    pub(super) fn is_ours(&self, control: &Control, turn: u64) -> bool {
        let fence = self.fence();
        let held = control.fence(Duty::Alerts);
        held.is_some() && held == fence.now && turn == fence.turn
    }

    fn fence(&self) -> MutexGuard<'_, Fence> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self) {
        self.fence().now = None;
    }

    fn begin(&self, held: u64) {
        let mut fence = self.fence();
        fence.now = Some(held);
        fence.last = Some(held);
        fence.turn += 1;
    }

    /// Whether nobody else has had the duty since it was ours: then we know more than our note says,
    /// which the store may have been away for.
    fn nobody_since(&self, held: u64) -> bool {
        self.fence().last.is_some_and(|last| held <= last + 1)
    }
}

/// Goes on with what the control before has left, where the duty has become ours.
pub(super) async fn take_over(alerts: &Alerts, control: &Control) -> Taken {
    let keeping = &alerts.0.keeping;
    let before = keeping.fence().now;
    let Some(held) = control.fence(Duty::Alerts) else {
        keeping.rest();
        return Taken::Not;
    };
    if before == Some(held) {
        return Taken::Before;
    }
    keeping.rest();
    if !keeping.nobody_since(held) {
        // Nothing is told before it is known what was told.
        let Some(left) = left(control).await else {
            return Taken::Not;
        };
        let incidents = left.unwrap_or_else(|| keeping.before.clone());
        alerts.with(Scope::Platform, |watch| *watch = Watch::new(incidents));
    }
    keeping.begin(held);
    alerts.save(control, Scope::Platform).await;
    Taken::Now
}

/// Leaves the incidents of the platform for the next control.
pub(super) async fn leave(alerts: &Alerts, control: &Control, incidents: &[Incident]) {
    let Some(fence) = alerts.0.keeping.fence().now else {
        return;
    };
    let note = match serde_json::to_string(incidents) {
        Ok(note) => note,
        Err(error) => {
            tracing::error!(%error, "the log of alerts was not written");
            return;
        }
    };
    let duty = Duty::Alerts;
    let left = control.records(move |records| records.leave_note(duty.name(), fence, &note));
    match left.await {
        Ok(true) => {}
        Ok(false) => control.lose_duty(duty),
        Err(problem) => tracing::error!(?problem, "the log of alerts was not written"),
    }
}

/// The incidents of the platform, whichever control tells of them.
pub(super) async fn of_platform(alerts: &Alerts, control: &Control) -> Vec<Incident> {
    if alerts.0.keeping.fence().now.is_some() {
        return alerts.with(Scope::Platform, |watch| watch.incidents().to_vec());
    }
    let left = left(control).await.flatten();
    left.unwrap_or_else(|| alerts.0.keeping.before.clone())
}

/// What was left; `None`: the store does not say.
async fn left(control: &Control) -> Option<Option<Vec<Incident>>> {
    let note = control.records(|records| records.note(Duty::Alerts.name()));
    let note = match note.await {
        Ok(note) => note,
        Err(problem) => {
            tracing::warn!(?problem, "the log of alerts is not known yet");
            return None;
        }
    };
    let Some(note) = note else {
        return Some(None);
    };
    match serde_json::from_str(&note) {
        Ok(incidents) => Some(Some(incidents)),
        Err(error) => {
            tracing::error!(%error, "the log of alerts in the store is not understood: it begins anew");
            Some(Some(Vec::new()))
        }
    }
}
