//! What a journal is made of.

use clock::Time;
use model::{AccountId, CallId, CarrierId, Cdr, CustomerId, UserId};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made on the stack and encoded at once"
)]
pub enum JournalEntry {
    /// A call began.
    Opened(OpenCdr),
    /// It was answered.
    Answered {
        /// Which.
        call: CallId,
        /// When.
        at: Time,
    },
    /// It ended; its record is complete.
    Closed(Cdr),
    /// Another node goes on with it, and closes it.
    Left(CallId),
    /// The node is alive; bounds the length of calls that a crash ends. Once a second is usual.
    Heartbeat(Time),
}

impl JournalEntry {
    /// The moment it tells of.
    #[must_use]
    pub const fn time(&self) -> Time {
        match self {
            Self::Opened(open) => Time::from_micros(open.start_us),
            Self::Answered { at, .. } | Self::Heartbeat(at) => *at,
            Self::Closed(cdr) => Time::from_micros(cdr.end_us),
            Self::Left(_) => Time::ZERO,
        }
    }
}

/// What must be known of a call to close it after a crash; see [`Cdr`] for the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCdr {
    /// The call.
    pub call: CallId,
    /// Who pays.
    pub account: Option<AccountId>,
    /// The user who called.
    pub from_user: Option<UserId>,
    /// The customer who sent the call.
    pub customer: Option<CustomerId>,
    /// The carrier it came from.
    pub carrier: Option<CarrierId>,
    /// The INVITE arrived; microseconds since the Unix epoch.
    pub start_us: u64,
    /// The caller as sent in From (user part).
    pub caller: String,
    /// The called party as sent in the request URI (user part).
    pub called: String,
    /// Where the INVITE came from, `transport:address:port`.
    pub source: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
}
