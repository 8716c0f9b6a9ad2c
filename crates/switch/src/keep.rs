//! What other nodes are told of our calls, so that they can go on with them when we die.
//!
//! After each step of a call it is looked whether what matters of it has changed: once when it rings,
//! once when it is answered, once when the caller has acknowledged that, once when it has ended, and with each change of what
//! was agreed between. What was told is remembered by its hash alone.

mod record;

use ahash::RandomState;
use call::{Phase, Snapshot};
use clock::Ahead;
use sip::transaction::ServerId;

use self::record::Open;
pub(crate) use self::record::{Answered, Kept, Sent, read};
use crate::Switch;
use crate::facts::Facts;
use crate::media_servers::Anchor;
use crate::output::{CallKey, Output};

/// What records of calls begin with; those that begin otherwise are of another version.
pub const RECORD_FORMAT: u8 = call::FORMAT << 4 | 3;

/// What another node needs to go on with a call in which nothing is under way.
pub(crate) fn record_of(facts: &Facts, snapshot: &Snapshot, ahead: Option<Ahead>) -> Vec<u8> {
    record::write(facts, snapshot, &Open::default(), ahead).0
}

impl Switch {
    /// From now on other nodes are told of calls ([`Output::Keep`]), and asked for those that are
    /// not here ([`Output::Seek`]).
    pub const fn share_calls(&mut self) {
        self.shares_calls = true;
    }

    /// Our clock is so far ahead of the one that all nodes of the cluster can read: what is written
    /// of calls by one is understood by another.
    pub const fn set_clock_ahead(&mut self, ahead: Option<Ahead>) {
        self.clock_ahead = ahead;
    }

    /// How far our clock is ahead of the one that all nodes can read; `None` while nobody has said.
    #[must_use]
    pub const fn clock_ahead(&self) -> Option<Ahead> {
        self.clock_ahead
    }

    /// The calls that others were told of.
    #[must_use]
    pub fn kept_calls(&self) -> Vec<CallKey> {
        let told = self.calls.iter().filter(|(_, entry)| entry.kept != 0);
        told.map(|(key, _)| key).collect()
    }

    /// Tells of a call again: what was told may be lost.
    pub fn keep_again(&mut self, key: CallKey) {
        if let Some(entry) = self.calls.entry_mut(key) {
            // Others may know of it, though not as it is now.
            entry.kept = 1;
            self.keep(key);
        }
    }

    /// Tells of a call if what matters of it has changed.
    pub(crate) fn keep(&mut self, key: CallKey) {
        if !self.shares_calls {
            return;
        }
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        if entry.call.phase() == Phase::Over {
            if std::mem::take(&mut entry.kept) != 0 {
                self.outputs.push_back(Output::Unkeep { call: key });
            }
            return;
        }
        let Some(snapshot) = entry.call.snapshot() else {
            return;
        };
        let mut open = Open::default();
        for request in entry.call.open_invites() {
            let client = entry.client_of(request);
            let sent = client.and_then(|client| self.transactions.invite_as_sent(client));
            let invite = sent.map(|(to, bytes)| Sent { request, to, bytes });
            open.invites.extend(invite);
        }
        for server in entry.call.unacknowledged().filter_map(ServerId::from_u64) {
            let sent = self.transactions.success_as_sent(server);
            let answered = sent.map(|(flow, bytes)| Answered { flow, bytes });
            open.answers.extend(answered);
        }
        let (record, matters) = record::write(&entry.facts, &snapshot, &open, self.clock_ahead);
        // Nobody chooses what is hashed here but the parties of one call, about that call.
        let hash = RandomState::with_seeds(1, 2, 3, 4).hash_one(&record[..matters]) | 1;
        if std::mem::replace(&mut entry.kept, hash) != hash {
            self.outputs.push_back(Output::Keep { call: key, record });
        }
    }

    /// Where the media of a call is, by the servers' word.
    pub fn note_anchor(&mut self, key: CallKey, anchor: Anchor) {
        if let Some(entry) = self.calls.entry_mut(key) {
            entry.facts.anchor = Some(anchor);
        }
    }
}
