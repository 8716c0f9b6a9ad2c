//! Requests wait for calls that are not here: whose are they, and does that node live?

use std::time::{Duration, Instant};

use cluster::Door;
use store::Found;
use switch::{CallKey, Whereabouts};

use super::Keeper;
use crate::permits::knock;

/// The calls that are looked for.
#[derive(Debug, Default)]
pub(super) struct Seeking(Vec<(u64, Instant)>);

impl Seeking {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn begin(&mut self, call: u64) {
        if self.0.len() < SEEKING_MAX {
            self.0.push((call, Instant::now()));
        }
    }
}

impl Keeper {
    /// Looks for each once more.
    pub(super) fn seek_on(&mut self) {
        for (call, since) in std::mem::take(&mut self.seeking.0) {
            match self.look_for(call) {
                Some(whereabouts) => self.answer(call, whereabouts),
                None if since.elapsed() >= SEEK_MAX => self.answer(call, Whereabouts::Elsewhere),
                None => self.seeking.0.push((call, since)),
            }
        }
    }

    /// `None` if its node may be dead, and it is not known yet.
    fn look_for(&mut self, call: u64) -> Option<Whereabouts> {
        for _ in 0..2 {
            let found = match self.store.find(call) {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "a call is looked for, and the live store is away");
                    return Some(Whereabouts::Elsewhere);
                }
            };
            match found {
                Found::Taken(record) => {
                    tracing::info!(call, "a call of a dead node goes on here");
                    self.take_up(vec![(call, record)]);
                    return Some(Whereabouts::Nowhere);
                }
                Found::Own | Found::Nowhere | Found::Unreadable => {
                    return Some(Whereabouts::Nowhere);
                }
                Found::Held(node) => {
                    let (member, silent) = self.roster.find(&node)?;
                    // Of one that only does not answer, the thread of the permits makes sure.
                    let is_dead = silent >= STALE && knock(member.address) == Door::Nobody;
                    if !is_dead {
                        return None;
                    }
                    tracing::warn!(node, "is dead, and a request for a call of it is here");
                    self.store.bury(&member).ok()?;
                }
            }
        }
        None
    }

    fn answer(&self, call: u64, whereabouts: Whereabouts) {
        self.visit(move |now, machine, _| {
            machine
                .switch
                .handle_sought(now, CallKey(call), whereabouts);
        });
    }
}

/// Calls that are looked for at a time.
const SEEKING_MAX: usize = 1_000;
/// How long a call is looked for whose node may be dead, or does not hand it over.
const SEEK_MAX: Duration = Duration::from_secs(6);
/// How long a node has not been heard that may be dead: three renewals that did not come.
const STALE: Duration = Duration::from_millis(650);
