//! What is known of each planned call from outside the switch, and what was found wrong.

use std::collections::BTreeMap;

use clock::Time;
use switch::JournalEvent;

/// The notes of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By the number of the planned call.
    pub(crate) calls: BTreeMap<u32, CallNotes>,
    /// The switch's journal.
    pub(crate) journal: Vec<(Time, JournalEvent)>,
    /// Rules that were broken, in the order they were.
    pub(crate) violations: Vec<String>,
    /// Whether the run comes to its end and nobody begins anything new.
    pub(crate) is_closing: bool,
}

/// What its agents saw of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallNotes {
    /// The final response to its first INVITE, as the caller saw it.
    pub(crate) final_status: Option<u16>,
    /// The caller got no response at all.
    pub(crate) unheard: bool,
    pub(crate) cancelled: bool,
    /// A 302 or REFER leads it to somebody who cannot be told to belong to it.
    pub(crate) is_rerouted: bool,
    /// An agent was rung for it.
    pub(crate) reached: bool,
    /// How many callees answered with 200.
    pub(crate) answers: u32,
    /// One of its agents crashes or is cut off in this run.
    pub(crate) is_blurred: bool,
    pub(crate) caller_bye: Option<Time>,
    pub(crate) callee_bye: Option<Time>,
}

impl Ledger {
    /// A number for a call that was not planned.
    pub(crate) fn next_number(&self) -> u32 {
        self.calls.keys().max().copied().unwrap_or(0).max(UNPLANNED) + 1
    }

    pub(crate) fn called(&mut self, number: u32) {
        self.calls.insert(number, CallNotes::default());
    }

    /// The notes of a call; those of number 0 are of all calls that cannot be told.
    pub(crate) fn note(&mut self, number: u32) -> &mut CallNotes {
        self.calls.entry(number).or_default()
    }

    pub(crate) fn said_bye(&mut self, number: u32, is_caller: bool, now: Time) {
        let notes = self.note(number);
        let bye = if is_caller {
            &mut notes.caller_bye
        } else {
            &mut notes.callee_bye
        };
        bye.get_or_insert(now);
    }

    pub(crate) fn violation(&mut self, text: String) {
        self.violations.push(text);
    }
}

/// Numbers above are of calls that agents make of their own accord.
const UNPLANNED: u32 = 1_000;
