//! Requests wait for calls that are not here: whose are they, and does that node live?

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cluster::Door;
use store::Found;
use switch::{CallKey, Whereabouts};

use super::Keeper;
use crate::permits::knock;

/// The calls that are looked for.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    calls: Vec<(u64, Instant)>,
    /// What was found at the doors of nodes, and when: to knock takes a while.
    doors: HashMap<String, (Instant, Door)>,
}

impl Seeking {
    pub(super) const fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn begin(&mut self, call: u64) {
        if self.calls.len() < SEEKING_MAX {
            self.calls.push((call, Instant::now()));
        }
    }

    /// What is found at a node's door, at most a moment ago.
    fn door_of(&mut self, node: &str, address: SocketAddr) -> Door {
        self.doors
            .retain(|_, (at, _)| at.elapsed() < KNOCK_INTERVAL);
        if let Some((_, door)) = self.doors.get(node) {
            return *door;
        }
        let door = knock(address);
        self.doors.insert(node.to_owned(), (Instant::now(), door));
        door
    }
}

impl Keeper {
    /// Looks for each once more.
    pub(super) fn seek_on(&mut self) {
        for (call, since) in std::mem::take(&mut self.seeking.calls) {
            match self.look_for(call) {
                Some(whereabouts) => self.answer(call, whereabouts),
                None if since.elapsed() >= SEEK_MAX => self.answer(call, Whereabouts::Elsewhere),
                None => self.seeking.calls.push((call, since)),
            }
        }
    }

    /// `None` if its node may be dead, or the store may have lost whose it is, and it is not known yet.
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
                // The word that it was given to this node was lost.
                Found::Own if !self.shelf.contains(call) => {
                    self.forget_what_was_told();
                    return Some(Whereabouts::Nowhere);
                }
                Found::Own | Found::Nowhere | Found::Unreadable => {
                    return Some(Whereabouts::Nowhere);
                }
                Found::Unknown => return None,
                Found::Held(node) => {
                    let (member, silent) = self.roster.find(&node)?;
                    // Of one that only does not answer, the thread of the permits makes sure.
                    let is_dead = silent >= STALE
                        && self.seeking.door_of(&node, member.address) == Door::Nobody;
                    if !is_dead {
                        return None;
                    }
                    tracing::warn!(node, "is dead, and a request for a call of it is here");
                    if self.store.bury(&member).ok()? {
                        self.roster.note_buried([&member.id]);
                    }
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
/// Between two knocks at one door.
const KNOCK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a call is looked for whose node may be dead, or does not hand it over.
const SEEK_MAX: Duration = Duration::from_secs(6);
/// How long a node has not been heard that may be dead: three renewals that did not come.
const STALE: Duration = Duration::from_millis(650);
