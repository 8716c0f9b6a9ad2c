//! What became of the calls that a crash had left open: others go on with them, or they ended with it.

use std::time::{Duration, Instant};

use model::CallId;

use super::Keeper;
use crate::starts::Starts;

/// How far that is known.
#[derive(Debug)]
pub(super) struct Settling {
    starts: Starts,
    /// Since when the store could have told.
    since: Option<Instant>,
    /// Whether what this node was before is taken out, so that others go on with its calls: nobody else
    /// may notice for a minute, or ever.
    has_buried: bool,
    /// Whether all of these calls are closed, or left to others.
    is_over: bool,
}

impl Settling {
    pub(super) const fn of(starts: Starts) -> Self {
        Self {
            starts,
            since: None,
            has_buried: false,
            is_over: false,
        }
    }

    /// This node was taken for dead, and is called so from now on.
    pub(super) fn begin(&mut self, id: &str) {
        if let Err(error) = self.starts.begin(id) {
            tracing::error!(%error, "what this node is called could not be noted");
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        if let Err(error) = self.starts.settle() {
            tracing::error!(%error, "what this node was called is still noted");
        }
        tracing::info!("what became of the calls of before is known");
    }
}

impl Keeper {
    /// Finds out what became of the calls that a crash had left open.
    pub(super) fn settle(&mut self) {
        if self.settling.is_over || self.away || !self.bury_earlier() {
            return;
        }
        let since = *self.settling.since.get_or_insert_with(Instant::now);
        let is_over = since.elapsed() >= PATIENCE && self.orphaned.is_empty();
        let open = self.visit(|_, _, host| host.unsettled());
        let Some(open) = open else { return };
        if open.is_empty() {
            self.settling.end();
            return;
        }
        let bits: Vec<u128> = open.iter().map(|call| call.bits()).collect();
        let Ok(taken) = self.store.were_taken(&bits, self.settling.starts.earlier()) else {
            return;
        };
        let pairs = open.into_iter().zip(taken);
        let left: Vec<CallId> = pairs.filter(|(_, taken)| *taken).map(|(c, _)| c).collect();
        self.visit(move |_, machine, host| {
            host.leave(machine, &left);
            if is_over {
                host.close_unsettled(machine);
            }
        });
        if is_over {
            self.settling.end();
        }
    }

    /// Takes out what this node was before; whether that is done.
    fn bury_earlier(&mut self) -> bool {
        if self.settling.has_buried {
            return true;
        }
        // What it permitted last has to be over.
        if self.begun.elapsed() < cluster::DRAIN {
            return false;
        }
        let Ok(alive) = self.store.bury_earlier(self.settling.starts.earlier()) else {
            return false;
        };
        if !alive.is_empty() {
            tracing::error!(nodes = ?alive, "live, and work with a copy of this data directory");
        }
        self.settling.has_buried = true;
        true
    }
}

/// How long others have to take over what a crash has left, before the rest is closed as ended by it.
const PATIENCE: Duration = Duration::from_secs(10);
