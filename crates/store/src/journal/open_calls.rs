//! What a journal says when it is read from the front: which calls are open, when the node was
//! last alive, which sequence number comes next.
//!
//! Before a segment is deleted, the state up to and with it is written to a small file of its
//! own, the carried state. So the call path never repeats an entry, and a call of a day keeps
//! no segment alive.

use std::collections::BTreeMap;
use std::path::Path;

use clock::Time;
use model::{CallId, Cdr, CdrOutcome, EndedBy};

use super::segment::{carry_path, read_segment, replace_file};
use super::{JournalEntry, JournalError, OpenCdr, codec};
use crate::frame;

/// The state of a journal up to some place in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OpenCalls {
    /// In the order of call ids, so that recovery closes them in one order. With the time of
    /// the answer.
    calls: BTreeMap<CallId, (OpenCdr, Option<Time>)>,
    /// The latest time in any entry.
    pub(super) last: Time,
    /// More than the sequence of any record.
    pub(super) next_sequence: u64,
}

impl OpenCalls {
    /// Takes the next entry in.
    pub(super) fn apply(&mut self, entry: JournalEntry) {
        self.last = self.last.max(entry.time());
        match entry {
            JournalEntry::Opened(open) => {
                self.calls.insert(open.call, (open, None));
            }
            JournalEntry::Answered { call, at } => {
                if let Some((_, answered)) = self.calls.get_mut(&call) {
                    *answered = Some(at);
                }
            }
            JournalEntry::Closed(cdr) => {
                self.calls.remove(&cdr.call);
                self.next_sequence = self.next_sequence.max(cdr.sequence + 1);
            }
            JournalEntry::Left(call) => {
                self.calls.remove(&call);
            }
            JournalEntry::Heartbeat(_) => {}
        }
    }

    /// Takes a whole segment in; returns where its last whole frame ends.
    pub(super) fn apply_segment(&mut self, dir: &Path, number: u64) -> Result<u64, JournalError> {
        let Some(mut reader) = read_segment(dir, number, 0)? else {
            return Ok(0);
        };
        loop {
            let end = reader.offset();
            let Some((_, payload)) = reader.next()? else {
                return Ok(end);
            };
            let entry =
                codec::decode(payload).ok_or(JournalError::UnknownFormat { segment: number })?;
            self.apply(entry);
        }
    }

    /// Closes all calls as ended by a crash, at the last sign of life of the node.
    pub(super) fn close_all(&mut self, node: &str) -> Vec<Cdr> {
        let calls = core::mem::take(&mut self.calls);
        calls
            .into_values()
            .map(|(open, answered)| {
                let sequence = self.next_sequence;
                self.next_sequence += 1;
                closed_by_restart(open, answered, self.last, node, sequence)
            })
            .collect()
    }

    /// Writes the state up to and with a segment to its file.
    pub(super) fn save(&self, dir: &Path, number: u64) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, |out| {
            out.extend_from_slice(&self.last.as_micros().to_le_bytes());
            out.extend_from_slice(&self.next_sequence.to_le_bytes());
        });
        for (open, answered) in self.calls.values() {
            let opened = JournalEntry::Opened(open.clone());
            frame::append(&mut bytes, |out| codec::encode(&opened, out));
            if let Some(at) = *answered {
                let answered = JournalEntry::Answered {
                    call: open.call,
                    at,
                };
                frame::append(&mut bytes, |out| codec::encode(&answered, out));
            }
        }
        Ok(replace_file(&carry_path(dir, number), &bytes)?)
    }

    /// Reads the state that [`OpenCalls::save`] wrote.
    pub(super) fn load(dir: &Path, number: u64) -> Result<Self, JournalError> {
        let bytes = std::fs::read(carry_path(dir, number))?;
        let unknown = || JournalError::UnknownFormat { segment: number };
        let (head, mut at) = frame::split(&bytes).ok_or_else(unknown)?;
        let (last, rest) = head.split_first_chunk().ok_or_else(unknown)?;
        let mut state = Self::default();
        while at < bytes.len() {
            let (payload, len) = frame::split(&bytes[at..]).ok_or_else(unknown)?;
            state.apply(codec::decode(payload).ok_or_else(unknown)?);
            at += len;
        }
        state.last = Time::from_micros(u64::from_le_bytes(*last));
        state.next_sequence = u64::from_le_bytes(rest.try_into().map_err(|_| unknown())?);
        Ok(state)
    }
}

fn closed_by_restart(
    open: OpenCdr,
    answered: Option<Time>,
    end: Time,
    node: &str,
    sequence: u64,
) -> Cdr {
    Cdr {
        call: open.call,
        node: node.to_owned(),
        sequence,
        account: open.account,
        from_user: open.from_user,
        to_user: None,
        customer: open.customer,
        number: None,
        carrier: open.carrier,
        gateway: None,
        caller: open.caller,
        called: open.called,
        destination: String::new(),
        source: open.source,
        sip_call_id: open.sip_call_id,
        sip_call_id_b: String::new(),
        start_us: open.start_us,
        ring_us: None,
        answer_us: answered.map(Time::as_micros),
        end_us: end.as_micros().max(open.start_us),
        outcome: if answered.is_some() {
            CdrOutcome::Answered
        } else {
            CdrOutcome::Failed
        },
        // Nothing final reached the caller of a call that was not answered.
        status: if answered.is_some() { 200 } else { 0 },
        reason: RESTART_REASON.to_owned(),
        ended_by: EndedBy::Platform,
        attempts: 0,
        media_a: None,
        media_b: None,
        recordings: Vec::new(),
    }
}

/// The reason in records of calls that a crash ended, as far as their node knew.
pub(crate) const RESTART_REASON: &str = "node restarted";
