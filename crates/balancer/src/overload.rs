//! What an overloaded target asks for (RFC 7339): the loss algorithm, and 503 with Retry-After.

use core::time::Duration;

use clock::Time;

use crate::Draw;

/// A wish of a target, as its Via parameters say it (RFC 7339 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Of 100 new requests it wants to be spared so many; 0 lifts the restriction.
    pub percent: u8,
    /// How long this holds.
    pub validity: Duration,
    /// `oc-seq` in thousandths: a wish of a lower number than the last is old (RFC 7339 §4.3).
    pub sequence: u64,
}

/// How long a wish holds if it does not say (RFC 7339 §4.3).
pub const OVERLOAD_VALIDITY: Duration = Duration::from_millis(500);

/// The wish in force.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overload {
    percent: u8,
    until: Time,
    sequence: u64,
    /// Nothing at all before this (503 with Retry-After, RFC 3261 §21.5.4).
    closed_until: Time,
}

impl Overload {
    pub(crate) fn note(&mut self, now: Time, loss: Loss) {
        // What ran out counts no more: a target that was started anew begins with low numbers.
        if self.until > now && loss.sequence < self.sequence {
            return;
        }
        self.sequence = loss.sequence;
        self.percent = loss.percent.min(100);
        self.until = now + loss.validity.min(CLOSED_MAX);
    }

    pub(crate) fn close(&mut self, now: Time, time: Duration) {
        self.closed_until = self.closed_until.max(now + time.min(CLOSED_MAX));
    }

    pub(crate) fn open(&mut self) {
        self.closed_until = Time::ZERO;
    }

    /// When it may be asked again, if not now.
    pub(crate) fn closed_until(&self, now: Time) -> Option<Time> {
        (self.closed_until > now).then_some(self.closed_until)
    }

    /// The percentage it wants to be spared now.
    pub(crate) fn percent(&self, now: Time) -> u8 {
        if self.until > now { self.percent } else { 0 }
    }

    /// Whether this one request is to be spared it.
    pub(crate) fn spares(&self, now: Time, draw: &mut Draw) -> bool {
        let percent = self.percent(now);
        percent > 0 && draw.below(100) < u64::from(percent)
    }
}

/// The longest Retry-After or validity that is believed: a typing error must not close a target for a day.
const CLOSED_MAX: Duration = Duration::from_secs(300);
