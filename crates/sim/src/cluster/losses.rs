//! What may be lost with a process, because two things go wrong at once.
//!
//! A call that a switch could not tell the store of, because that was away, is lost with the switch: its
//! caller is told nothing more and gives up some day. Of a call that has changed, and the store was not
//! told, another goes on with what was before: it says again that it rings, or how it ends, to a caller
//! who has heard so; and one that was answered it takes for one that rings, and closes it as that. One that has ended it finds to be over from its parties, and writes a second record;
//! control keeps that of who has ended it (decision 0077). And a refusal that its caller has not heard is not said again, for a call that is over nobody
//! takes over: this is a gap, for a caller that has heard a 18x waits and repeats nothing. A 200 is said
//! again by whoever takes the call over, if the store knows of it.
//! A dispatcher that is killed forgets which switch had an INVITE, so the CANCEL may miss it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use model::CallId;
use sip::{Framing, Message};

use super::journal::What;
use super::node::State;
use super::world::World;
use crate::live::Health;

/// Calls of which not everything has to be right.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Callers, by their Call-IDs, who may never hear how their call ended.
    pub(super) unheard: BTreeSet<String>,
    /// Calls that had ended, and of which the store still had a record.
    pub(super) ghosts: BTreeSet<CallId>,
    /// Whether a dispatcher was killed.
    pub(super) front: bool,
}

impl World {
    /// A process is killed, or stopped so that others may take it for dead.
    pub(super) fn note_losses(&mut self, at: usize) {
        let id = self.nodes[at].calls.id.clone();
        let keys: Vec<u64> = self.live.model.calls_of(&id).collect();
        let records = self.live.model.read(&id, &keys);
        let identity = |record: &[u8]| {
            let bytes: [u8; 16] = record.get(1..17)?.try_into().ok()?;
            Some(CallId::from_bits(u128::from_be_bytes(bytes)))
        };
        let told = records.iter().filter_map(|(_, record)| identity(record));
        let told: BTreeSet<CallId> = told.collect();
        let repeated = records.iter().filter(|(_, record)| has_answer(record));
        let repeated: BTreeSet<CallId> = repeated
            .filter_map(|(_, record)| identity(record))
            .collect();
        let open = self.journal.open(at);
        self.losses.ghosts.extend(told.difference(&open));
        if self.is_store_away(at) {
            self.losses.ghosts.extend(&told);
        }
        let ghosts = self.losses.ghosts.clone();
        let mut unheard = Vec::new();
        for line in &self.journal.lines {
            let What::Opened { call, sip_call_id } = &line.what else {
                continue;
            };
            if ghosts.contains(call) {
                self.losses.unheard.insert(sip_call_id.clone());
            } else if open.contains(call) && (!told.contains(call) || !self.has_heard(sip_call_id))
            {
                unheard.push((*call, sip_call_id.clone()));
            } else if line.node == at && !open.contains(call) && !self.has_heard(sip_call_id) {
                self.losses.unheard.insert(sip_call_id.clone());
            }
        }
        let answered = self.journal.answered();
        for (call, sip_call_id) in unheard {
            let is_lost = answered.contains(&call) && !repeated.contains(&call);
            if !told.contains(&call) || is_lost {
                self.losses.unheard.insert(sip_call_id);
            }
        }
    }

    /// The store forgets everything: calls of switches that do not run, and that nobody has taken over
    /// yet, are lost.
    pub(super) fn note_emptied(&mut self) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].state == State::Up {
                continue;
            }
            let open = self.journal.open(at);
            for line in &self.journal.lines {
                if let What::Opened { call, sip_call_id } = &line.what
                    && open.contains(call)
                {
                    self.losses.unheard.insert(sip_call_id.clone());
                }
            }
        }
    }

    /// A switch that was stopped goes on without a word of the store, which was away for too long: others
    /// may have ended its calls.
    pub(super) fn note_unsure(&mut self, at: usize) {
        let open = self.journal.open(at);
        self.losses.ghosts.extend(open);
    }

    /// Whether the store may not have heard of a switch's last changes.
    fn is_store_away(&self, at: usize) -> bool {
        let away_until = self.cuts[at].max(self.away_until);
        self.live.health != Health::Good || self.now < away_until + CATCHING_UP
    }

    /// Whether a final response may be another one than the first that was heard.
    pub(super) fn may_differ(&self, bytes: &Bytes) -> bool {
        let Ok(message) = Message::parse(bytes.clone(), Framing::Datagram) else {
            return false;
        };
        // A dispatcher asks another switch when it hears nothing, and passes on what each answers
        // (RFC 3261 §16.7 point 5). One that was killed knows nothing of what it has passed on.
        if self.losses.front || (200..300).contains(&message.status()) {
            return true;
        }
        let call_id = String::from_utf8_lossy(message.call_id().unwrap_or_default());
        self.losses.unheard.contains(&*call_id)
    }

    /// Whether a caller has a final response.
    fn has_heard(&self, sip_call_id: &str) -> bool {
        let number = sip_call_id.split('@').next().and_then(|n| n.parse().ok());
        let notes = number.and_then(|number: u32| self.ledger.calls.get(&number));
        notes.is_some_and(|notes| notes.final_status.is_some())
    }
}

/// Whether the record of a call has a 200 that waits for its ACK, as it was sent.
fn has_answer(record: &[u8]) -> bool {
    let start = b"SIP/2.0 200 ";
    record.windows(start.len()).any(|part| part == start)
}

/// How long a switch takes to tell everything to a store that is back: the patience of a question that
/// was under way, and two rounds.
const CATCHING_UP: Duration = Duration::from_millis(2_500);
