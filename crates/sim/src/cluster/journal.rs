//! What the switches have written down, each on a disk of its own that outlives its process.

use std::collections::{BTreeMap, BTreeSet};

use model::{CallId, Cdr};
use switch::JournalEvent;

/// All journals, in the order in which it was written.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) lines: Vec<Line>,
}

/// An entry.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) node: usize,
    pub(super) what: What,
}

/// What is written.
#[derive(Debug)]
pub(super) enum What {
    Opened {
        call: CallId,
        sip_call_id: String,
    },
    Answered {
        call: CallId,
    },
    Closed(Box<Cdr>),
    /// Closed by a start of its node, which does not know how the call ended: another's record counts.
    Guessed {
        call: CallId,
    },
    Left {
        call: CallId,
    },
}

impl What {
    const fn call(&self) -> CallId {
        match self {
            Self::Opened { call, .. }
            | Self::Answered { call }
            | Self::Guessed { call }
            | Self::Left { call } => *call,
            Self::Closed(cdr) => cdr.call,
        }
    }
}

impl Journal {
    /// Takes what a switch says.
    pub(super) fn write(&mut self, node: usize, event: JournalEvent) {
        let what = match event {
            JournalEvent::Opened(opening) => What::Opened {
                call: opening.call,
                sip_call_id: opening.sip_call_id.into(),
            },
            JournalEvent::Answered { call, .. } => What::Answered { call },
            JournalEvent::Closed(cdr) => What::Closed(cdr),
            JournalEvent::Left { call } => What::Left { call },
        };
        self.lines.push(Line { node, what });
    }

    /// The calls that a node has left open.
    pub(super) fn open(&self, node: usize) -> BTreeSet<CallId> {
        let mut open = BTreeSet::new();
        for line in self.lines.iter().filter(|line| line.node == node) {
            match &line.what {
                What::Opened { call, .. } => {
                    open.insert(*call);
                }
                What::Answered { .. } => {}
                What::Closed(cdr) => {
                    open.remove(&cdr.call);
                }
                What::Guessed { call } | What::Left { call } => {
                    open.remove(call);
                }
            }
        }
        open
    }

    /// The calls that were answered.
    pub(super) fn answered(&self) -> BTreeSet<CallId> {
        let answered = |line: &Line| match line.what {
            What::Answered { call } => Some(call),
            _ => None,
        };
        self.lines.iter().filter_map(answered).collect()
    }

    /// How many records a node has written.
    pub(super) fn sequence(&self, node: usize) -> u64 {
        let own = self.lines.iter().filter(|line| line.node == node);
        let closed = own.filter(|l| matches!(l.what, What::Closed(_) | What::Guessed { .. }));
        closed.count() as u64
    }

    /// Records, and calls that were answered.
    pub(super) fn counts(&self) -> (usize, usize) {
        let calls = self.by_call();
        let answered = calls.values().filter(|c| c.was_answered).count();
        (calls.len(), answered)
    }

    /// What control makes of it all: the records of each call.
    pub(super) fn by_call(&self) -> BTreeMap<CallId, Records> {
        let mut calls: BTreeMap<CallId, Records> = BTreeMap::new();
        for line in &self.lines {
            let records = calls.entry(line.what.call()).or_default();
            match &line.what {
                What::Opened { sip_call_id, .. } => {
                    records.sip_call_id.clone_from(sip_call_id);
                    records.open.insert(line.node);
                }
                What::Answered { .. } => records.was_answered = true,
                What::Closed(cdr) => {
                    records.sip_call_id.clone_from(&cdr.sip_call_id);
                    records.open.remove(&line.node);
                    records.closed.push((line.node, cdr.clone()));
                }
                What::Guessed { .. } => {
                    records.open.remove(&line.node);
                    records.guesses += 1;
                }
                What::Left { .. } => {
                    records.open.remove(&line.node);
                }
            }
        }
        calls
    }
}

/// The records of a call.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) sip_call_id: String,
    /// Nodes in whose journal it is open.
    pub(super) open: BTreeSet<usize>,
    pub(super) closed: Vec<(usize, Box<Cdr>)>,
    pub(super) guesses: usize,
    pub(super) was_answered: bool,
}
