//! What goes wrong.

use std::sync::Arc;
use std::time::Duration;

use super::node::State;
use super::world::{Happening, Step, World};
use crate::live::Health;

/// Something goes wrong, or well again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// A process is killed.
    Crash { node: usize },
    /// A process is started, unless it runs.
    Start { node: usize },
    /// A process is stopped for a while.
    Pause { node: usize, time: Duration },
    /// It goes on.
    Resume { node: usize },
    /// A switch does not reach the store.
    CutStore { node: usize, time: Duration },
    /// A dispatcher is killed.
    CrashFront { front: usize },
    /// A dispatcher is started, unless it runs.
    StartFront { front: usize },
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
            Fault::Crash { node } => {
                if self.nodes[node].state != State::Down {
                    self.note_losses(node);
                    self.nodes[node].stop();
                }
            }
            Fault::Start { node } => self.start(node),
            Fault::Pause { node, time } => {
                if self.nodes[node].state == State::Up {
                    self.note_losses(node);
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
            Fault::CutStore { node, time } => {
                let until = self.now + time;
                self.cuts[node] = self.cuts[node].max(until);
            }
            Fault::CrashFront { front } => {
                self.losses.front = true;
                self.fronts[front].is_up = false;
            }
            Fault::StartFront { front } => {
                if !self.fronts[front].is_up {
                    let seed = self.dice.below(u64::MAX);
                    self.fronts[front].start(self.now, seed);
                }
            }
            Fault::Store(health) => {
                if self.live.health != Health::Good {
                    self.away_until = self.now;
                }
                self.live.health = health;
            }
            Fault::FailOver => self.live.fail_over(),
            Fault::Restart => self.live.restart(),
            Fault::Flush => {
                self.note_emptied();
                self.live.flush(&mut self.dice);
            }
        }
    }

    /// A process is started, and its threads with it.
    fn start(&mut self, at: usize) {
        if self.nodes[at].state != State::Down {
            return;
        }
        let seed = self.dice.below(u64::MAX);
        let start = (seed, self.journal.sequence(at));
        let (open, snapshot) = (self.journal.open(at), Arc::clone(&self.snapshot));
        self.nodes[at].start(self.now, start, open, &snapshot);
        self.drain_switch(at);
        for step in [Step::Round, Step::Lease, Step::Calls { turn: 0 }] {
            let after = self.dice.millis(0, 200);
            self.later(at, after, step);
        }
    }
}
