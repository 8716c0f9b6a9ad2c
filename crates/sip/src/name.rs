//! Header field names, long and compact.

use crate::scan::is_same;

/// A header field name we know; others keep their text in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the header of that name")]
pub enum HeaderName {
    Accept,
    Allow,
    AllowEvents,
    Authorization,
    CallId,
    Contact,
    ContentDisposition,
    ContentEncoding,
    ContentLength,
    ContentType,
    CSeq,
    Date,
    Diversion,
    Event,
    Expires,
    FlowTimer,
    From,
    HistoryInfo,
    MaxForwards,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    PPreferredIdentity,
    Path,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    Reason,
    RecordRoute,
    ReferSub,
    ReferTo,
    ReferredBy,
    Replaces,
    Require,
    RetryAfter,
    Route,
    RSeq,
    ServiceRoute,
    SessionExpires,
    SubscriptionState,
    Supported,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
    /// A header we do not know.
    Other,
}

use HeaderName as N;

/// Long names; where a compact form exists (RFC 3261 §7.3.3 and later), its letter.
const NAMES: [(HeaderName, &str, u8); 49] = [
    (N::Accept, "Accept", 0),
    (N::Allow, "Allow", 0),
    (N::AllowEvents, "Allow-Events", b'u'),
    (N::Authorization, "Authorization", 0),
    (N::CallId, "Call-ID", b'i'),
    (N::Contact, "Contact", b'm'),
    (N::ContentDisposition, "Content-Disposition", 0),
    (N::ContentEncoding, "Content-Encoding", b'e'),
    (N::ContentLength, "Content-Length", b'l'),
    (N::ContentType, "Content-Type", b'c'),
    (N::CSeq, "CSeq", 0),
    (N::Date, "Date", 0),
    (N::Diversion, "Diversion", 0),
    (N::Event, "Event", b'o'),
    (N::Expires, "Expires", 0),
    (N::FlowTimer, "Flow-Timer", 0),
    (N::From, "From", b'f'),
    (N::HistoryInfo, "History-Info", 0),
    (N::MaxForwards, "Max-Forwards", 0),
    (N::MinExpires, "Min-Expires", 0),
    (N::MinSe, "Min-SE", 0),
    (N::PAssertedIdentity, "P-Asserted-Identity", 0),
    (N::PPreferredIdentity, "P-Preferred-Identity", 0),
    (N::Path, "Path", 0),
    (N::Privacy, "Privacy", 0),
    (N::ProxyAuthenticate, "Proxy-Authenticate", 0),
    (N::ProxyAuthorization, "Proxy-Authorization", 0),
    (N::ProxyRequire, "Proxy-Require", 0),
    (N::RAck, "RAck", 0),
    (N::Reason, "Reason", 0),
    (N::RecordRoute, "Record-Route", 0),
    (N::ReferSub, "Refer-Sub", 0),
    (N::ReferTo, "Refer-To", b'r'),
    (N::ReferredBy, "Referred-By", b'b'),
    (N::Replaces, "Replaces", 0),
    (N::Require, "Require", 0),
    (N::RetryAfter, "Retry-After", 0),
    (N::Route, "Route", 0),
    (N::RSeq, "RSeq", 0),
    (N::ServiceRoute, "Service-Route", 0),
    (N::SessionExpires, "Session-Expires", b'x'),
    (N::SubscriptionState, "Subscription-State", 0),
    (N::Supported, "Supported", b'k'),
    (N::To, "To", b't'),
    (N::Unsupported, "Unsupported", 0),
    (N::UserAgent, "User-Agent", 0),
    (N::Via, "Via", b'v'),
    (N::Warning, "Warning", 0),
    (N::WwwAuthenticate, "WWW-Authenticate", 0),
];

/// For each hash of a name, where it stands in [`NAMES`]; [`NO_NAME`] for none.
const BY_HASH: [u8; 1 << HASH_BITS] = by_hash();
/// Found by trial: no two names share a hash, which [`by_hash`] makes sure of.
const HASH_BITS: u32 = 8;
const HASH_FACTOR: u32 = 0xD8A0_64DF;
const NO_NAME: u8 = u8::MAX;

/// Of the length and three letters, whatever their case; of a text that is not empty.
const fn hash(text: &[u8]) -> usize {
    let last = text.len() - 1;
    let first = (text[0] | 0x20) as u32;
    let middle = (text[text.len() / 2] | 0x20) as u32;
    let end = (text[last] | 0x20) as u32;
    let mixed = first << 24 | middle << 16 | end << 8 | (text.len() as u32 & 0xff);
    (mixed.wrapping_mul(HASH_FACTOR) >> (32 - HASH_BITS)) as usize
}

const fn by_hash() -> [u8; 1 << HASH_BITS] {
    let mut table = [NO_NAME; 1 << HASH_BITS];
    let mut at = 0;
    while at < NAMES.len() {
        let slot = &mut table[hash(NAMES[at].1.as_bytes())];
        assert!(*slot == NO_NAME, "two names share a hash");
        *slot = at as u8;
        at += 1;
    }
    table
}

impl HeaderName {
    /// From a name as written, in any case and either form.
    #[must_use]
    pub fn from_bytes(text: &[u8]) -> Self {
        if let [letter] = text {
            let letter = letter.to_ascii_lowercase();
            return NAMES
                .iter()
                .find(|(_, _, c)| *c == letter)
                .map_or(N::Other, |(n, _, _)| *n);
        }
        if text.is_empty() {
            return N::Other;
        }
        NAMES
            .get(usize::from(BY_HASH[hash(text)]))
            .filter(|(_, n, _)| {
                is_same(n.as_bytes(), text) || n.as_bytes().eq_ignore_ascii_case(text)
            })
            .map_or(N::Other, |(n, _, _)| *n)
    }

    /// The long form; empty for `Other`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(_, n, _)| n)
    }

    /// Whether a message may carry it once only (RFC 3261 §20 and §7.3.1).
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            N::CallId
                | N::CSeq
                | N::From
                | N::To
                | N::MaxForwards
                | N::ContentLength
                | N::ContentType
                | N::Expires
                | N::Event
                | N::ReferTo
                | N::Replaces
                | N::RSeq
                | N::RAck
                | N::SessionExpires
                | N::MinSe
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_variants() {
        for (at, (name, text, letter)) in NAMES.iter().enumerate() {
            assert_eq!(*name as usize, at);
            assert_eq!(name.as_str(), *text);
            assert_eq!(
                HeaderName::from_bytes(text.to_ascii_uppercase().as_bytes()),
                *name
            );
            if *letter != 0 {
                assert_eq!(HeaderName::from_bytes(&[*letter]), *name);
            }
        }
    }
}
