//! Why a call ended, in the words of Reason (RFC 3326) and of the CDR.

use std::borrow::Cow;

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The caller.
    Caller,
    /// The callee.
    Callee,
    /// We ourselves.
    Platform,
}

/// Why a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// BYE from a side.
    HungUp(EndedBy),
    /// The caller gave up before an answer.
    Cancelled,
    /// A switch died, and of the INVITE there are two calls, of which another goes on.
    BegunAnew,
    /// The callee refused: the status sent to the caller.
    Refused(u16),
    /// We refused, or nobody could be asked: the status sent to the caller.
    RefusedByUs {
        /// The status.
        status: u16,
        /// In a few words.
        why: Why,
    },
    /// Somebody rang, and nobody answered in time.
    NoAnswer,
    /// No refresh of the session came from a side (RFC 4028 §10).
    SessionExpired(EndedBy),
    /// The call reached its longest duration.
    DurationLimit,
    /// No media arrived for too long.
    MediaSilent,
    /// A side has not said for too long that it still wants media (RFC 7675 §5.1).
    ConsentExpired(EndedBy),
    /// The media relay could not serve it.
    MediaFailed,
    /// An operator ended it.
    Operator,
    /// The platform was told to stop.
    Stopping,
    /// The ACK never came (RFC 3261 §13.3.1.4).
    NoAck,
    /// A side no longer knows the dialog (RFC 3261 §12.2.1.2).
    PeerGone(EndedBy),
    /// The parties were joined to others.
    Transferred,
    /// Who referred the other side had left when the target refused: the target's status.
    TransferFailed(u16),
}

/// Why we refused a call ourselves, in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// May be told to the caller.
    Open(Cow<'static, str>),
    /// For the record; the caller is told the phrase of the status.
    Internal(Box<str>),
}

impl From<&'static str> for Why {
    fn from(text: &'static str) -> Self {
        Self::Open(text.into())
    }
}

impl Cause {
    /// Who ended it.
    #[must_use]
    pub const fn ended_by(&self) -> EndedBy {
        match self {
            Self::HungUp(who) | Self::PeerGone(who) => *who,
            Self::Cancelled | Self::NoAck => EndedBy::Caller,
            Self::Refused(_) => EndedBy::Callee,
            _ => EndedBy::Platform,
        }
    }

    /// In a few words.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::RefusedByUs {
                why: Why::Open(text),
                ..
            } => text,
            Self::RefusedByUs {
                why: Why::Internal(text),
                ..
            } => text,
            Self::HungUp(EndedBy::Caller) => "caller hung up",
            Self::HungUp(EndedBy::Callee) => "callee hung up",
            Self::HungUp(EndedBy::Platform) => "ended by the platform",
            Self::Cancelled => "caller gave up",
            Self::BegunAnew => "begun anew after a switch died",
            Self::Refused(status) => sip::status::phrase(*status),
            Self::NoAnswer => "no answer",
            Self::SessionExpired(EndedBy::Caller) => "session expired: caller silent",
            Self::SessionExpired(_) => "session expired: callee silent",
            Self::DurationLimit => "maximum call duration reached",
            Self::MediaSilent => "no media received",
            Self::ConsentExpired(EndedBy::Caller) => "media consent expired: caller silent",
            Self::ConsentExpired(_) => "media consent expired: callee silent",
            Self::MediaFailed => "media relay failed",
            Self::Operator => "ended by an operator",
            Self::Stopping => "the platform is stopping",
            Self::NoAck => "no ACK received",
            Self::PeerGone(EndedBy::Caller) => "caller lost the call",
            Self::PeerGone(_) => "callee lost the call",
            Self::Transferred => "transferred",
            Self::TransferFailed(_) => "transfer failed",
        }
    }

    /// The ISDN cause, as carriers expect it (ITU-T Q.850).
    #[must_use]
    pub const fn q850(&self) -> u8 {
        match self {
            Self::HungUp(_) | Self::Operator | Self::Cancelled | Self::Transferred => 16,
            // RFC 3398 §8.2.6.1: nobody is there to ring.
            Self::RefusedByUs { status: 480, .. } => 20,
            Self::Refused(status)
            | Self::RefusedByUs { status, .. }
            | Self::TransferFailed(status) => q850_of_status(*status),
            Self::NoAnswer => 19,
            Self::SessionExpired(_) | Self::NoAck => 102,
            Self::DurationLimit | Self::Stopping | Self::BegunAnew => 31,
            Self::MediaSilent | Self::ConsentExpired(_) | Self::MediaFailed => 41,
            Self::PeerGone(_) => 27,
        }
    }

    /// The value of a Reason header: `Q.850;cause=16;text="caller hung up"`.
    #[must_use]
    pub fn header(&self) -> String {
        let mut out = String::with_capacity(48);
        let text = match self {
            Self::RefusedByUs {
                status,
                why: Why::Internal(_),
            } => sip::status::phrase(*status),
            _ => self.text(),
        };
        out.push_str("Q.850;cause=");
        out.push_str(&self.q850().to_string());
        out.push_str(";text=\"");
        out.push_str(text);
        out.push('"');
        out
    }
}

/// The ISDN cause that carriers map a status to (RFC 3398 §8.2.6.1, reversed).
const fn q850_of_status(status: u16) -> u8 {
    match status {
        404 | 604 => 1,
        486 | 600 => 17,
        408 => 102,
        480 => 19,
        403 | 603 => 21,
        410 => 22,
        484 => 28,
        488 | 606 => 88,
        501 => 79,
        502 => 38,
        503 => 41,
        504 => 102,
        302 => 23,
        _ => 127,
    }
}
