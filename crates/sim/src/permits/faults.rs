//! What goes wrong.

use std::time::Duration;

use super::node::State;
use super::world::{Happening, Step, World};
use crate::live::Health;

/// Something goes wrong, or well again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// A process is killed.
    Crash { node: usize },
    /// A machine is gone.
    Dark { node: usize },
    /// A process is started, unless it runs.
    Start { node: usize },
    /// A process is stopped for a while.
    Pause { node: usize, time: Duration },
    /// It goes on.
    Resume { node: usize },
    /// A process is told to end.
    Leave { node: usize },
    /// A node does not reach the store.
    CutStore { node: usize, time: Duration },
    /// Two nodes do not reach each other.
    CutNodes {
        one: usize,
        other: usize,
        time: Duration,
    },
    /// How the store is from now on.
    Store(Health),
    /// A replica takes over.
    FailOver,
    /// The store is started again with all it had.
    Restart,
    /// The store forgets everything.
    Flush,
}

impl World {
    pub(super) fn suffer(&mut self, fault: Fault) {
        self.tell(|_| format!("{fault:?}"));
        match fault {
            Fault::Crash { node } => self.nodes[node].stop(State::Down),
            Fault::Dark { node } => self.nodes[node].stop(State::Dark),
            Fault::Start { node } => {
                if self.nodes[node].is_gone() {
                    self.start(node);
                }
            }
            Fault::Pause { node, time } => {
                if self.nodes[node].is_running() {
                    let until = self.now + time;
                    self.nodes[node].state = State::Paused { until };
                    self.push(time, Happening::Fault(Fault::Resume { node }));
                }
            }
            Fault::Resume { node } => {
                let is_due = |state| matches!(state, State::Paused { until } if until <= self.now);
                if is_due(self.nodes[node].state) {
                    self.nodes[node].state = State::Up;
                }
            }
            Fault::Leave { node } => {
                if self.nodes[node].is_running() {
                    self.nodes[node].is_leaving = true;
                    self.later(node, LAST_CALLS, Step::Leave);
                }
            }
            Fault::CutStore { node, time } => {
                let until = self.now + time;
                self.cuts.store[node] = self.cuts.store[node].max(until);
            }
            Fault::CutNodes { one, other, time } => {
                let until = self.now + time;
                let cut = &mut self.cuts.nodes[one.min(other)][one.max(other)];
                *cut = (*cut).max(until);
            }
            Fault::Store(health) => self.live.health = health,
            Fault::FailOver => self.live.fail_over(),
            Fault::Restart => self.live.restart(),
            Fault::Flush => self.live.flush(&mut self.dice),
        }
    }
}

/// How long before it leaves a process takes no new calls.
const LAST_CALLS: Duration = Duration::from_millis(1_200);
