//! Who this node and the others are at present, by the word of the live store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use store::Member;

/// Kept by the thread of the permits, read by those of calls and locations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster(Arc<Mutex<Present>>);

#[derive(Debug, Default)]
struct Present {
    own: String,
    members: Vec<Heard>,
    /// Who was taken out, by this node's own knowledge: the last ones.
    buried: VecDeque<String>,
}

#[derive(Clone, Debug)]
struct Heard {
    member: Member,
    since: Instant,
}

impl Roster {
    /// For the node of this name.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let roster = Self::default();
        roster.rename(&new_id(name)?);
        Ok(roster)
    }

    /// For a server that keeps this id through its restarts.
    pub(crate) fn fixed(id: &str) -> Self {
        let roster = Self::default();
        roster.rename(id);
        roster
    }

    /// What this node is called in its cluster: its name, and which start of it this is. Who was taken
    /// for dead takes another.
    pub(crate) fn own(&self) -> String {
        self.lock().own.clone()
    }

    /// This node joins anew, under another name.
    pub(crate) fn rejoin(&self, name: &str) -> Result<String> {
        let id = new_id(name)?;
        self.rename(&id);
        Ok(id)
    }

    fn rename(&self, own: &str) {
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

    /// Whether the store has this node among its members: only then does anybody look whether it lives.
    pub(crate) fn is_member(&self) -> bool {
        let present = self.lock();
        let mut members = present.members.iter();
        members.any(|heard| heard.member.id == present.own)
    }

    /// These were taken out, for certain.
    pub(crate) fn note_buried<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        let mut present = self.lock();
        for id in ids {
            if !present.buried.contains(id) {
                present.buried.push_back(id.clone());
            }
        }
        let surplus = present.buried.len().saturating_sub(BURIED_MAX);
        present.buried.drain(..surplus);
    }

    /// Who was taken out, by this node's own knowledge.
    pub(crate) fn buried(&self) -> Vec<String> {
        self.lock().buried.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dead nodes that are remembered; what was taken out long ago does not come back.
const BURIED_MAX: usize = 100;

fn new_id(name: &str) -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(format!("{name}-{:08x}", u32::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_member_by_the_word_of_the_store_and_under_its_present_name() {
        let roster = Roster::of("a").unwrap();
        let member = |id: String| Member {
            id,
            address: ([127, 0, 0, 1], 80).into(),
            beat: 1,
        };
        assert!(!roster.is_member());
        roster.update(&[member("b-1".into())]);
        assert!(!roster.is_member());
        roster.update(&[member("b-1".into()), member(roster.own())]);
        assert!(roster.is_member());
        roster.rejoin("a").unwrap();
        assert!(!roster.is_member());
    }
}
