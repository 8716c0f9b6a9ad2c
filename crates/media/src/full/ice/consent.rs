//! Whether the peer still wants our packets (RFC 7675).

use std::net::SocketAddr;

use super::Transaction;

/// The consent of the peer at one address.
#[derive(Debug)]
pub(super) struct Consent {
    pub(super) from: SocketAddr,
    /// When it is to be asked again, or runs out.
    pub(super) due_us: u64,
    /// When it runs out.
    until_us: u64,
    /// Questions that it may still answer, the oldest first, at most [`ASKED_MAX`].
    asked: Vec<Transaction>,
}

/// Whether to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// By this name.
    Now(Transaction),
    Later,
}

impl Consent {
    /// Given at `now_us` by the answer to a check.
    pub(super) fn new(from: SocketAddr, now_us: u64) -> Self {
        Self {
            from,
            due_us: now_us + INTERVAL_US,
            until_us: now_us + LIFE_US,
            asked: Vec::new(),
        }
    }

    /// Asks if it is time to.
    pub(super) fn ask(&mut self, now_us: u64) -> Asking {
        if self.due_us > now_us {
            return Asking::Later;
        }
        let mut transaction = Transaction::default();
        // Without randomness nothing is asked, as anybody could answer for the peer.
        let asks = getrandom::fill(&mut transaction).is_ok();
        // Between 0.8 and 1.2 of the interval, so that many sessions do not ask at once (§5.1).
        let jitter_us = u64::from(transaction[0]) * (INTERVAL_US * 2 / 5) / 255;
        let next_us = now_us + INTERVAL_US * 4 / 5 + jitter_us;
        self.due_us = next_us.min(self.until_us).max(now_us + 1);
        if !asks {
            return Asking::Later;
        }
        if self.asked.len() == ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push(transaction);
        Asking::Now(transaction)
    }

    /// Whether an answer is one to a question for consent.
    pub(super) fn has_asked(&self, from: SocketAddr, transaction: &Transaction) -> bool {
        self.from == from && self.asked.contains(transaction)
    }

    /// It was given anew.
    pub(super) fn grant(&mut self, now_us: u64) {
        self.until_us = now_us + LIFE_US;
        self.asked.clear();
    }

    /// Whether it has run out.
    pub(super) fn is_over(&self, now_us: u64) -> bool {
        now_us >= self.until_us
    }
}

/// Between two questions, on average (RFC 7675 §5.1).
const INTERVAL_US: u64 = 5_000_000;
/// How long an answer holds (RFC 7675 §5.1).
const LIFE_US: u64 = 30_000_000;
/// As many as fit into the life of an answer.
const ASKED_MAX: usize = 8;
