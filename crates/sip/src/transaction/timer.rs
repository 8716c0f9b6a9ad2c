//! The timers of transactions, and how long they run (RFC 3261 table 4).

use core::time::Duration;

/// A timer, by the letter RFC 3261 and RFC 6026 give it; the others carry a name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "the letters are explained by the machines that set them"
)]
pub enum Timer {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
    J,
    K,
    L,
    M,
    /// Until the transaction sends a 100 of its own.
    Trying,
    /// Until a 2xx to INVITE is sent again (RFC 3261 §13.3.1.4).
    Success,
    /// Until a reliable provisional response is sent again (RFC 3262 §3).
    Provisional,
    /// Until a reliable provisional response is given up (RFC 3262 §3).
    ProvisionalEnd,
    /// Until a cancelled INVITE is given up without final response (RFC 3261 §9.1).
    Cancelled,
}

impl Timer {
    /// A transaction has at most one timer of each kind at a time.
    pub(super) const fn kind(self) -> TimerKind {
        match self {
            Self::A | Self::E | Self::G | Self::Trying | Self::Success | Self::Provisional => {
                TimerKind::Retransmission
            }
            _ => TimerKind::Lifetime,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerKind {
    Retransmission,
    Lifetime,
}

/// The durations all timers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// An estimate of the round-trip time.
    pub t1: Duration,
    /// The longest interval between retransmissions of non-INVITE requests and final responses.
    pub t2: Duration,
    /// How long the network may hold on to a message.
    pub t4: Duration,
    /// How long an INVITE may ring before it is cancelled (RFC 3261 §16.6 point 11: more than
    /// three minutes); each provisional response but 100 starts it anew.
    pub c: Duration,
    /// How long an INVITE waits for a response of its user before the transaction sends 100;
    /// zero sends it at once. RFC 3261 §17.2.1 allows up to 200 ms.
    pub trying: Duration,
}

impl Default for Timers {
    /// The values of RFC 3261, a C of ten minutes, and 100 at once.
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(600),
            trying: Duration::ZERO,
        }
    }
}

impl Timers {
    /// How long transactions wait for what must come: B, F, H, J, L and M.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.t1 * 64
    }

    /// The next interval of a retransmission timer that stops growing at T2.
    pub(super) fn backed_off(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }

    /// When a client's timer E reaches T2: then a non-INVITE request is owed a 100 (RFC 4320
    /// §4.1).
    pub(super) fn non_invite_trying(&self) -> Duration {
        let mut at = Duration::ZERO;
        let mut interval = self.t1;
        while interval < self.t2 && !interval.is_zero() {
            at += interval;
            interval *= 2;
        }
        at
    }

    /// Timer D on UDP: at least 32 s, however short T1 is (RFC 3261 §17.1.1.2).
    pub(super) fn d(&self) -> Duration {
        self.patience().max(Duration::from_secs(32))
    }
}
