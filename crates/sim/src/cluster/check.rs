//! The rules of a run.

use std::collections::{BTreeMap, BTreeSet};

use model::CdrOutcome;
use switch::Leftovers;

use super::journal::Records;
use super::node::State;
use super::world::World;
use crate::agent::session::{Role, Stage};

impl World {
    /// A switch has just taken calls up, or gone on: nobody else has any of its calls.
    pub(super) fn check_owners(&mut self, at: usize) {
        let speaks = |at: usize| self.is_rightful(at) && self.nodes[at].pause.until().is_none();
        if !speaks(at) {
            return;
        }
        let own: BTreeSet<_> = self.nodes[at].switch.kept_calls().into_iter().collect();
        let others = (0..self.nodes.len()).filter(|other| *other != at && speaks(*other));
        let mut both = Vec::new();
        for other in others {
            let theirs = self.nodes[other].switch.kept_calls();
            let shared = theirs.into_iter().filter(|call| own.contains(call));
            both.extend(shared.map(|call| (self.nodes[other].name, call)));
        }
        for (other, call) in both {
            let name = self.nodes[at].name;
            self.violation(format!("{name} and {other} both have {call:?}"));
        }
    }

    /// All calls are over, for switches and agents.
    pub(super) fn check_quiet(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let (name, left) = (node.name, node.switch.leftovers());
            let unsettled = node.unsettled.len();
            if left.calls > 0 || unsettled > 0 {
                let text = format!("calls do not end at {name}: {left:?}, {unsettled} unsettled");
                self.violation(text);
            }
        }
        let mut talking = Vec::new();
        for agent in &self.agents {
            let sessions = agent.sessions.iter();
            let open = sessions.filter(|session| session.stage != Stage::Down);
            talking
                .extend(open.map(|s| format!("call {}: {} is {:?}", s.call, agent.name, s.stage)));
        }
        for text in talking {
            self.violation(text);
        }
    }

    /// The store has nothing of calls that are over.
    pub(super) fn check_store(&mut self) {
        let (_, _, calls) = self.live.model.len();
        if calls > 0 {
            self.violation(format!("{calls} calls are left in the store"));
        }
    }

    /// Nothing is left at the switches.
    pub(super) fn check_emptiness(&mut self) {
        for at in 0..self.nodes.len() {
            let (name, left) = (self.nodes[at].name, self.nodes[at].switch.leftovers());
            if self.nodes[at].state == State::Up && left != Leftovers::default() {
                self.violation(format!("{name} is not empty: {left:?}"));
            }
        }
    }

    /// Dispatchers remember no requests.
    pub(super) fn check_fronts(&mut self) {
        for at in 0..self.fronts.len() {
            let pending = self.fronts[at].dispatcher.pending_count();
            if pending > 0 {
                self.violation(format!("a dispatcher still keeps {pending} requests"));
            }
        }
    }

    /// One record for each call, which says what its caller saw.
    pub(super) fn check_records(&mut self) {
        let calls = self.journal.by_call();
        let mut found = Vec::new();
        let mut of_callers: BTreeMap<&str, Vec<&Records>> = BTreeMap::new();
        for (call, records) in &calls {
            if !records.open.is_empty() {
                found.push(format!("{call} is open at {:?}", records.open));
            }
            if records.closed.len() > 1 && !self.losses.ghosts.contains(call) {
                found.push(format!("{call} has {} records", records.closed.len()));
            }
            if records.closed.is_empty() && records.guesses == 0 {
                found.push(format!("{call} has no record"));
            }
            of_callers
                .entry(&records.sip_call_id)
                .or_default()
                .push(records);
        }
        for (sip_call_id, records) in &of_callers {
            let answered = records.iter().filter(|r| is_answered(r)).count();
            // Two switches may be asked, and both answer, where the network loses what they say first.
            if answered > 1 && self.is_calm {
                found.push(format!(
                    "{sip_call_id} has {answered} records of an answered call"
                ));
            }
        }
        for agent in &self.agents {
            for session in &agent.sessions {
                let Role::Caller(_) = session.role else {
                    continue;
                };
                let sip_call_id = String::from_utf8_lossy(&session.dialog.call_id);
                let records = of_callers.get(&*sip_call_id);
                let notes = self.ledger.calls.get(&session.call);
                let status = notes.and_then(|notes| notes.final_status);
                let was_answered = records.is_some_and(|r| r.iter().any(|r| is_answered(r)));
                let is_unheard = notes.is_some_and(|notes| notes.unheard);
                let is_stale = self.losses.unheard.contains(&*sip_call_id);
                let may_be_lost = self.losses.front || is_stale;
                match status {
                    Some(_) if is_unheard && !may_be_lost => {
                        found.push(format!("{sip_call_id} heard nothing of how it ended"));
                    }
                    None => found.push(format!("{sip_call_id} never heard how it ended")),
                    Some(200) if !was_answered && !is_stale => {
                        found.push(format!("{sip_call_id} was answered, and no record says so"));
                    }
                    _ => {}
                }
            }
        }
        for text in found {
            self.violation(text);
        }
    }
}

fn is_answered(records: &Records) -> bool {
    let closed = records.closed.first();
    closed.map_or(records.was_answered, |(_, cdr)| {
        cdr.outcome == CdrOutcome::Answered
    })
}
