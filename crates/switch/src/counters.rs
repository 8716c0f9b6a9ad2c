//! What the switch counts, for `/metrics`.

use limits::{EntityKind, LimitKind, Refused};
use sip::Method;

/// Requests by method, responses by class, and what was dropped, by reason.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Requests received, by [`METHODS`].
    pub requests: [u64; METHODS.len()],
    /// Responses received, by class 1 to 6.
    pub responses: [u64; 7],
    /// Final responses sent to new INVITEs, by class.
    pub invite_answers: [u64; 7],
    /// Bytes that were no message, by [`sip::ParseError::label`].
    pub malformed: Vec<(&'static str, u64)>,
    /// Messages that broke a rule (400 and its like).
    pub violations: u64,
    /// Messages of banned sources.
    pub banned: u64,
    /// Requests of known scanners.
    pub scanners: u64,
    /// Requests beyond a source's rate.
    pub flooded: u64,
    /// Credentials refused, by [`sip::digest::Refusal::label`].
    pub auth_failures: Vec<(&'static str, u64)>,
    /// Calls and attempts refused by a limit, by whose and which.
    pub limited: Vec<((EntityKind, LimitKind), u64)>,
    /// Calls whose media was lost and moved to another media server.
    pub media_moved: u64,
    /// Messages passed on between other nodes and phones that are registered here.
    pub passed_on: u64,
    /// Bindings of other nodes for which there was no room, or that were damaged.
    pub locations_refused: u64,
    /// Calls of dead nodes that go on here.
    pub taken_over: u64,
    /// Calls that others have taken over while this node was taken for dead.
    pub lost_to_others: u64,
    /// Calls that were handed over to another node that had a request for them.
    pub handed_over: u64,
    /// New calls.
    pub attempts: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls that ended without an answer.
    pub failed: u64,
    /// Post-dial delay: from INVITE to the first 18x or 2xx towards the caller.
    pub pdd: Histogram,
    /// Durations of answered calls.
    pub duration: Histogram,
}

/// The methods counted apart; the last stands for all others.
pub const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "UPDATE",
    "INFO",
    "MESSAGE",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "PUBLISH",
    "other",
];

impl Counters {
    /// Counts a request.
    pub fn request(&mut self, method: Method) {
        self.requests[method as usize] += 1;
    }

    /// Counts a refusal.
    pub fn limited(&mut self, refused: &Refused) {
        let limit = (refused.entity.kind, refused.kind);
        match self.limited.iter_mut().find(|(l, _)| *l == limit) {
            Some((_, n)) => *n += 1,
            None => self.limited.push((limit, 1)),
        }
    }

    /// Counts under a word.
    pub fn by_label(list: &mut Vec<(&'static str, u64)>, label: &'static str) {
        match list.iter_mut().find(|(l, _)| *l == label) {
            Some((_, n)) => *n += 1,
            None => list.push((label, 1)),
        }
    }
}

/// Upper bounds of the buckets, in milliseconds; one more bucket holds the rest.
pub const BUCKETS_MS: [u64; 12] = model::DELAY_BUCKETS_MS;

/// A histogram over [`BUCKETS_MS`].
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// How many fell in each bucket.
    pub counts: [u64; BUCKETS_MS.len() + 1],
    /// The sum of all, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Adds one value.
    pub fn add(&mut self, value: core::time::Duration) {
        let ms = value.as_millis() as u64;
        let at = BUCKETS_MS
            .iter()
            .position(|bound| ms <= *bound)
            .unwrap_or(BUCKETS_MS.len());
        self.counts[at] += 1;
        self.sum_us = self.sum_us.saturating_add(value.as_micros() as u64);
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}
