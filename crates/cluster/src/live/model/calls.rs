//! The calls of nodes: `keep.lua`, `claim.lua`, `find.lua`, `hand.lua`, `stand.lua` and `earlier.lua`.

use std::time::Duration;

use clock::Time;

use super::{Late, LiveModel};
use crate::live::{Change, Found, Kept, NOBODY, Word};

impl LiveModel {
    /// Writes what has changed of a node's calls. `spared` is how long a call that was given away is
    /// left to who has asked for it, `grace` how long a store that may have lost something does not know
    /// all: in that time who tells of a call has it, and nobody else.
    ///
    /// # Errors
    /// If it comes late; then nothing has changed.
    pub fn keep(
        &mut self,
        now: Time,
        word: &Word<'_>,
        changes: &[Change],
        (spared, grace): (Duration, Duration),
    ) -> Result<Kept, Late> {
        let node = word.node;
        if self.buried.contains(node) {
            return Ok(Kept::Buried);
        }
        self.hear(now, word)?;
        let knows_all = self.knows_all(now, grace);
        for (call, record) in changes {
            match record {
                Some(record) => {
                    // A store that has lost who took it gives it to nobody else.
                    self.take_out(NOBODY, *call);
                    if !knows_all {
                        self.take_from_others(node, *call);
                    }
                    self.put(node, *call, record.clone());
                }
                None => self.take_out(node, *call),
            };
        }
        let count = self.calls_of(node).count();
        match count {
            0 => self.call_owners.remove(node),
            _ => self.call_owners.insert(node.to_owned()),
        };
        let (buried, calls) = (&self.buried, &self.calls);
        self.call_owners
            .retain(|owner| !buried.contains(owner) || calls.contains_key(owner));
        let is_left = self.given.values().any(|at| now.since(*at) >= spared);
        let orphaned = self.call_owners.iter();
        let orphaned =
            orphaned.filter(|owner| buried.contains(*owner) && (*owner != NOBODY || is_left));
        let orphaned = orphaned.cloned().collect();
        let wanted = self.wanted.remove(node);
        let wanted = wanted.filter(|(_, until)| now < *until);
        Ok(Kept::Done {
            count,
            orphaned,
            wanted: wanted.map_or_else(Vec::new, |(calls, _)| calls.into_iter().collect()),
        })
    }

    /// A node speaks of its calls, after all that it has said before, and while it waits for what comes
    /// of it.
    fn hear(&mut self, now: Time, word: &Word<'_>) -> Result<(), Late> {
        let last = self.told.entry(word.node.to_owned()).or_default();
        if *last >= word.number || now > word.until {
            return Err(Late);
        }
        *last = word.number;
        Ok(())
    }

    /// Whoever else a call is told to be with, it is not.
    fn take_from_others(&mut self, node: &str, call: u64) {
        let owners = self.call_owners.iter().filter(|owner| *owner != node);
        let others: Vec<String> = owners.cloned().collect();
        for other in others {
            self.take_out(&other, call);
        }
    }

    /// The calls of a node.
    pub fn calls_of(&self, node: &str) -> impl Iterator<Item = u64> {
        self.calls.get(node).into_iter().flatten().map(|(k, _)| *k)
    }

    /// The records of a node's calls; those it does not have are left out.
    #[must_use]
    pub fn read(&self, node: &str, calls: &[u64]) -> Vec<(u64, Vec<u8>)> {
        let known = self.calls.get(node);
        let record = |call: &u64| Some((*call, known?.get(call)?.clone()));
        calls.iter().filter_map(record).collect()
    }

    /// Takes nodes out that were started before in the place of one that was started now, and were not
    /// heard for `silence`; those that were.
    pub fn bury_earlier(&mut self, now: Time, ids: &[String], silence: Duration) -> Vec<String> {
        let mut alive = Vec::new();
        for id in ids {
            let heard = self.members.get(id).map(|entry| now.since(entry.beat));
            if heard.is_some_and(|time| time < silence) {
                alive.push(id.clone());
            } else {
                self.bury(id, None);
            }
        }
        alive
    }

    /// Takes over at most `max` calls of a dead node whose records begin with `format`; `pick` says
    /// which of so many is the next to look at. For `spared` and `grace` see [`LiveModel::keep`]: whose
    /// calls are, a store that does not know all does not know, and `None` says so.
    pub fn claim(
        &mut self,
        (now, spared, grace): (Time, Duration, Duration),
        (node, dead): (&str, &str),
        (format, max): (u8, usize),
        mut pick: impl FnMut(usize) -> usize,
    ) -> Option<Vec<(u64, Vec<u8>)>> {
        if self.buried.contains(node) || !self.buried.contains(dead) {
            return Some(Vec::new());
        }
        if !self.knows_all(now, grace) {
            return None;
        }
        let mut left: Vec<u64> = self.calls_of(dead).collect();
        if dead == NOBODY {
            let is_left = |at: &Time| now.since(*at) >= spared;
            left.retain(|call| self.given.get(call).is_some_and(is_left));
        }
        let mut moved = Vec::new();
        for _ in 0..max.min(left.len()) {
            let call = left.swap_remove(pick(left.len()));
            let record = self.calls.get(dead).and_then(|calls| calls.get(&call));
            let Some(record) = record.filter(|r| r.first() == Some(&format)).cloned() else {
                continue;
            };
            self.take_out(dead, call);
            self.take(node, (call, dead), &record);
            moved.push((call, record));
        }
        if !self.calls.contains_key(dead) {
            self.call_owners.remove(dead);
        }
        Some(moved)
    }

    /// Where a call is; from a dead node it moves to the one that asks, and one that lives is asked for
    /// it. `grace` is how long a store that may have lost something does not know all.
    pub fn find(
        &mut self,
        now: Time,
        node: &str,
        (call, format): (u64, u8),
        grace: Duration,
    ) -> Found {
        let found = self.look_for(now, node, (call, format), grace);
        if let Found::Held(owner) = &found {
            let (calls, until) = self.wanted.entry(owner.clone()).or_default();
            if *until <= now {
                calls.clear();
            }
            calls.insert(call);
            *until = now + WANTED;
        }
        found
    }

    /// The same; who lives is not asked for it.
    pub fn look_for(
        &mut self,
        now: Time,
        node: &str,
        (call, format): (u64, u8),
        grace: Duration,
    ) -> Found {
        if self.buried.contains(node) {
            return Found::Unknown;
        }
        let has = |owner: &&String| {
            self.calls
                .get(*owner)
                .is_some_and(|c| c.contains_key(&call))
        };
        let Some(owner) = self.call_owners.iter().find(has).cloned() else {
            return match self.knows_all(now, grace) {
                true => Found::Nowhere,
                false => Found::Unknown,
            };
        };
        if owner == node {
            return Found::Own;
        }
        if !self.buried.contains(&owner) {
            return Found::Held(owner);
        }
        // Another may have taken it already, and not have had the time to say so.
        if !self.knows_all(now, grace) {
            return Found::Unknown;
        }
        let record = self.calls[&owner][&call].clone();
        if record.first() != Some(&format) {
            return Found::Unreadable;
        }
        self.take_out(&owner, call);
        self.take(node, (call, &owner), &record);
        Found::Taken(record)
    }

    /// Gives a call of a node away, to whoever has asked for it, and after a while to anybody; false if
    /// the node was taken out.
    ///
    /// # Errors
    /// If it comes late; then nothing has changed.
    pub fn hand_over(
        &mut self,
        now: Time,
        word: &Word<'_>,
        (call, record): (u64, &[u8]),
    ) -> Result<bool, Late> {
        let node = word.node;
        if self.buried.contains(node) {
            return Ok(false);
        }
        self.hear(now, word)?;
        self.take_out(node, call);
        self.put(NOBODY, call, record.to_vec());
        self.given.insert(call, now);
        self.call_owners.insert(NOBODY.to_owned());
        self.buried.insert(NOBODY.to_owned());
        Ok(true)
    }

    /// Says again who was taken out.
    pub fn remember(&mut self, buried: &[String]) {
        self.buried.extend(buried.iter().cloned());
        self.members.retain(|id, _| !buried.contains(id));
    }

    /// Whether a node is still a member after a pause, for certain; if so it counts as heard.
    pub fn still_stands(&mut self, now: Time, node: &str, grace: Duration) -> bool {
        if self.buried.contains(node) || !self.knows_all(now, grace) {
            return false;
        }
        if let Some(entry) = self.members.get_mut(node) {
            entry.beat = now;
        }
        true
    }

    /// Which of these calls, by their identities, were taken over from one of these nodes.
    #[must_use]
    pub fn were_taken(&self, calls: &[u128], from: &[String]) -> Vec<bool> {
        let was = |call: &u128| {
            let key = |node: &String| (call.to_be_bytes(), node.clone());
            from.iter().any(|node| self.taken.contains(&key(node)))
        };
        calls.iter().map(was).collect()
    }

    fn take(&mut self, node: &str, (call, from): (u64, &str), record: &[u8]) {
        self.put(node, call, record.to_vec());
        self.call_owners.insert(node.to_owned());
        let identity: Option<[u8; 16]> = record.get(1..17).and_then(|bytes| bytes.try_into().ok());
        let taken = identity.map(|identity| (identity, from.to_owned()));
        self.taken.extend(taken);
    }

    fn put(&mut self, node: &str, call: u64, record: Vec<u8>) {
        let calls = self.calls.entry(node.to_owned()).or_default();
        calls.insert(call, record);
    }

    /// A hash without fields is none.
    fn take_out(&mut self, node: &str, call: u64) {
        if node == NOBODY {
            self.given.remove(&call);
        }
        if let Some(calls) = self.calls.get_mut(node) {
            calls.remove(&call);
            if calls.is_empty() {
                self.calls.remove(node);
            }
        }
    }
}

/// How long a node is asked for a call.
const WANTED: Duration = Duration::from_secs(10);
