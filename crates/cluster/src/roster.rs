//! Who this node and the others are at present, by the word of the live store.

use std::collections::VecDeque;
use std::time::Duration;

use clock::Time;

use crate::Member;

/// The members, and how long each was not heard.
#[derive(Debug, Default)]
pub struct Roster {
    own: String,
    members: Vec<Heard>,
    /// Who was taken out, by this node's own knowledge: the last ones.
    buried: VecDeque<String>,
}

#[derive(Debug)]
struct Heard {
    member: Member,
    since: Time,
}

impl Roster {
    /// What this node is called in its cluster: its name, and which start of it this is. Who was taken
    /// for dead takes another.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// This node is called so from now on.
    pub fn rename(&mut self, own: &str) {
        own.clone_into(&mut self.own);
    }

    /// What the store has just said.
    pub fn update(&mut self, now: Time, members: &[Member]) {
        let heard = members.iter().map(|member| {
            let before = self.members.iter().find(|h| h.member.id == member.id);
            let same = before.filter(|h| h.member.beat == member.beat);
            Heard {
                member: member.clone(),
                since: same.map_or(now, |h| h.since),
            }
        });
        self.members = heard.collect();
    }

    /// A node, and how long it has not been heard; `None` if it is no member.
    #[must_use]
    pub fn find(&self, now: Time, id: &str) -> Option<(Member, Duration)> {
        let heard = self.members.iter().find(|h| h.member.id == id)?;
        Some((heard.member.clone(), now.since(heard.since)))
    }

    /// Whether the store has this node among its members: only then does anybody look whether it lives.
    #[must_use]
    pub fn is_member(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|heard| heard.member.id == self.own)
    }

    /// These were taken out, for certain.
    pub fn note_buried<'a>(&mut self, ids: impl IntoIterator<Item = &'a String>) {
        for id in ids {
            if !self.buried.contains(id) {
                self.buried.push_back(id.clone());
            }
        }
        let surplus = self.buried.len().saturating_sub(BURIED_MAX);
        self.buried.drain(..surplus);
    }

    /// Who was taken out, by this node's own knowledge.
    #[must_use]
    pub fn buried(&self) -> Vec<String> {
        self.buried.iter().cloned().collect()
    }
}

/// Dead nodes that are remembered; what was taken out long ago does not come back.
const BURIED_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_member_by_the_word_of_the_store_and_under_its_present_name() {
        let mut roster = Roster::default();
        roster.rename("a-1");
        let member = |id: &str| Member {
            id: id.into(),
            address: ([127, 0, 0, 1], 80).into(),
            beat: 1,
        };
        assert!(!roster.is_member());
        roster.update(Time::ZERO, &[member("b-1")]);
        assert!(!roster.is_member());
        roster.update(Time::ZERO, &[member("b-1"), member("a-1")]);
        assert!(roster.is_member());
        roster.rename("a-2");
        assert!(!roster.is_member());
    }

    #[test]
    fn silence_is_counted_from_the_last_beat_that_differed() {
        let mut roster = Roster::default();
        let member = |beat| Member {
            id: "b-1".into(),
            address: ([127, 0, 0, 1], 80).into(),
            beat,
        };
        for (s, beat) in [(0, 1), (1, 2), (2, 2), (3, 2)] {
            roster.update(Time::from_secs(s), &[member(beat)]);
        }
        let (_, silent) = roster.find(Time::from_secs(4), "b-1").unwrap();
        assert_eq!(silent, Duration::from_secs(3));
    }
}
