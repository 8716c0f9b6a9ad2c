//! Who this node and the others are at present, by the word of the live store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::Member;

/// Kept by the thread of the permits, read by that of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster(Arc<Mutex<Present>>);

#[derive(Debug, Default)]
struct Present {
    own: String,
    members: Vec<Heard>,
}

#[derive(Clone, Debug)]
struct Heard {
    member: Member,
    since: Instant,
}

impl Roster {
    /// With this node's name.
    pub(crate) fn of(own: &str) -> Self {
        let roster = Self::default();
        roster.rename(own);
        roster
    }

    /// This node's name.
    pub(crate) fn own(&self) -> String {
        self.lock().own.clone()
    }

    /// This node has joined anew.
    pub(crate) fn rename(&self, own: &str) {
        own.clone_into(&mut self.lock().own);
    }

    /// What the store has just said.
    pub(crate) fn update(&self, members: &[Member]) {
        let now = Instant::now();
        let mut present = self.lock();
        let heard = members.iter().map(|member| {
            let before = present.members.iter().find(|h| h.member.id == member.id);
            let same = before.filter(|h| h.member.beat == member.beat);
            Heard {
                member: member.clone(),
                since: same.map_or(now, |h| h.since),
            }
        });
        present.members = heard.collect();
    }

    /// A node, and how long it has not been heard; `None` if it is no member.
    pub(crate) fn find(&self, id: &str) -> Option<(Member, Duration)> {
        let present = self.lock();
        let heard = present.members.iter().find(|h| h.member.id == id)?;
        Some((heard.member.clone(), heard.since.elapsed()))
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
