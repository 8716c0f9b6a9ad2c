//! Why a registration is refused.

use crate::policy;

/// Why a REGISTER is refused; nothing of it has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Call-ID or CSeq is missing or malformed.
    #[error("Call-ID or CSeq is missing or malformed")]
    Sequence,
    /// A Contact is malformed, or too long.
    #[error("a Contact is malformed or too long")]
    Contact,
    /// A Path value is malformed, or there is too much of it.
    #[error("the Path is malformed or too long")]
    Path,
    /// The address of record is empty or too long.
    #[error("the address of record is empty or too long")]
    AddressOfRecord,
    /// `*` stands beside other contacts or without `Expires: 0` (RFC 3261 §10.3 step 6).
    #[error("Contact: * stands alone and with Expires: 0")]
    BadWildcard,
    /// More than one flow in one request (RFC 5626 §6).
    #[error("one request registers one flow")]
    SeveralFlows,
    /// A Contact that is no SIP or SIPS URI.
    ///
    /// Deviation from RFC 3261 §10.2.1, which allows any URI: calls could not go there.
    #[error("a Contact is a sip or sips URI")]
    Scheme,
    /// An expiry is shorter than allowed (RFC 3261 §10.2.8).
    #[error("registrations of less than {min_expires_s} s are not accepted")]
    TooBrief {
        /// For Min-Expires, in seconds.
        min_expires_s: u32,
    },
    /// The Call-ID is known and its CSeq has not grown (RFC 3261 §10.3 step 7).
    #[error("a later request of this Call-ID was here before")]
    OutOfOrder,
    /// The client wants outbound, but the proxy it came through does not do it (RFC 5626 §6).
    #[error("the first proxy does not support outbound")]
    FirstHopLacksOutbound,
    /// The address of record has its number of contacts.
    #[error("too many contacts")]
    TooManyContacts,
    /// The registrar has its number of bindings.
    #[error("no room for another binding")]
    Full,
}

impl RegisterError {
    /// The status code to answer with.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Sequence
            | Self::Contact
            | Self::Path
            | Self::AddressOfRecord
            | Self::BadWildcard
            | Self::SeveralFlows => 400,
            Self::Scheme => 416,
            Self::TooBrief { .. } => 423,
            Self::OutOfOrder => 500,
            Self::FirstHopLacksOutbound => 439,
            Self::TooManyContacts => 403,
            Self::Full => 503,
        }
    }

    /// The value of Min-Expires (423), in seconds.
    #[must_use]
    pub const fn min_expires_s(&self) -> Option<u32> {
        match self {
            Self::TooBrief { min_expires_s } => Some(*min_expires_s),
            _ => None,
        }
    }

    /// The value of Retry-After (500 and 503), in seconds.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Full => Some(policy::FULL_RETRY_AFTER_S),
            _ => None,
        }
    }
}
