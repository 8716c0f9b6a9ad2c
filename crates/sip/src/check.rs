//! What a message must contain before anybody acts on it (RFC 3261 §8.1.1, §16.3).

use crate::uri::{Scheme, Uri};
use crate::{HeaderName, Message, Method, Via};

/// A rule a peer broke, and so the answer it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A mandatory header is missing (RFC 3261 §8.1.1).
    #[error("a mandatory header is missing")]
    Missing(HeaderName),
    /// A header that may stand once stands more than once with different values.
    #[error("a header stands more than once")]
    Repeated(HeaderName),
    /// A header is malformed.
    #[error("a header is malformed")]
    Header(HeaderName),
    /// The request URI is malformed.
    #[error("the request URI is malformed")]
    RequestUri,
    /// The request URI has a scheme we do not route (RFC 3261 §8.2.2.1).
    #[error("the scheme of the request URI is not supported")]
    Scheme,
    /// The method in CSeq is not that of the request line (RFC 3261 §8.1.1.5).
    #[error("CSeq names another method than the request line")]
    CSeqMethod,
    /// Max-Forwards has come down to zero (RFC 3261 §16.3).
    #[error("Max-Forwards is used up")]
    TooManyHops,
}

impl Violation {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Scheme => 416,
            Self::TooManyHops => 483,
            _ => 400,
        }
    }

    /// What the answer's reason phrase says.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Missing(HeaderName::Via) => "Missing Via",
            Self::Missing(HeaderName::From) => "Missing From",
            Self::Missing(HeaderName::To) => "Missing To",
            Self::Missing(HeaderName::CallId) => "Missing Call-ID",
            Self::Missing(HeaderName::CSeq) => "Missing CSeq",
            Self::Missing(_) => "Missing Header",
            Self::Repeated(_) => "Repeated Header",
            Self::Header(HeaderName::From) => "Malformed From",
            Self::Header(HeaderName::To) => "Malformed To",
            Self::Header(HeaderName::Via) => "Malformed Via",
            Self::Header(HeaderName::CSeq) => "Malformed CSeq",
            Self::Header(HeaderName::Contact) => "Malformed Contact",
            Self::Header(_) => "Malformed Header",
            Self::RequestUri => "Malformed Request-URI",
            Self::Scheme => "Unsupported URI Scheme",
            Self::CSeqMethod => "CSeq Method Mismatch",
            Self::TooManyHops => "Too Many Hops",
        }
    }
}

impl Message {
    /// Judges what every request and response must have: one From, To, Call-ID, CSeq, a Via,
    /// each well formed; of requests also the URI, and Max-Forwards if there is one.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn check(&self) -> Result<(), Violation> {
        use HeaderName as N;
        for name in NEEDED {
            if self.header(name).is_none_or(<[u8]>::is_empty) {
                return Err(Violation::Missing(name));
            }
        }
        self.check_repeated()?;
        self.via().map_err(|_| Violation::Header(N::Via))?;
        for via in self.values(N::Via).skip(1) {
            Via::parse(via).map_err(|_| Violation::Header(N::Via))?;
        }
        let from = self.from().map_err(|_| Violation::Header(N::From))?;
        from.parsed_uri().map_err(|_| Violation::Header(N::From))?;
        let to = self.to().map_err(|_| Violation::Header(N::To))?;
        // Who registers writes the same into both.
        if to.uri != from.uri {
            to.parsed_uri().map_err(|_| Violation::Header(N::To))?;
        }
        let cseq = self.cseq().ok_or(Violation::Header(N::CSeq))?;
        if !self.is_request() {
            return Ok(());
        }
        if cseq.method_text != self.method_text() {
            return Err(Violation::CSeqMethod);
        }
        self.check_contacts()?;
        self.check_target()
    }

    /// Judges what a proxy goes by in a request that it passes on (RFC 3261 §16.3): that is there
    /// once and well formed. What only the two ends look at is theirs to judge.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn check_passing(&self) -> Result<(), Violation> {
        use HeaderName as N;
        let mut seen = 0u64;
        for field in &self.fields {
            let bit = 1u64 << (field.name as u8);
            if seen & bit == 0 {
                let is_needed = field.value_len == 0 && NEEDED.contains(&field.name);
                if is_needed {
                    return Err(Violation::Missing(field.name));
                }
            } else if field.name.is_single() {
                return Err(Violation::Repeated(field.name));
            }
            seen |= bit;
        }
        let missing = NEEDED.iter().find(|name| seen & 1 << (**name as u8) == 0);
        if let Some(name) = missing {
            return Err(Violation::Missing(*name));
        }
        self.via().map_err(|_| Violation::Header(N::Via))?;
        self.from().map_err(|_| Violation::Header(N::From))?;
        self.to().map_err(|_| Violation::Header(N::To))?;
        let cseq = self.cseq().ok_or(Violation::Header(N::CSeq))?;
        if cseq.method_text != self.method_text() {
            return Err(Violation::CSeqMethod);
        }
        self.check_target()
    }

    fn check_repeated(&self) -> Result<(), Violation> {
        let mut seen = 0u64;
        for field in &self.fields {
            if !field.name.is_single() {
                continue;
            }
            let bit = 1u64 << (field.name as u8);
            if seen & bit != 0 {
                return Err(Violation::Repeated(field.name));
            }
            seen |= bit;
        }
        Ok(())
    }

    fn check_contacts(&self) -> Result<(), Violation> {
        let broken = Violation::Header(HeaderName::Contact);
        for value in self.values(HeaderName::Contact) {
            if value != b"*" {
                let address = crate::NameAddr::parse(value).map_err(|_| broken)?;
                address.parsed_uri().map_err(|_| broken)?;
            }
        }
        Ok(())
    }

    fn check_target(&self) -> Result<(), Violation> {
        let uri = Uri::parse(self.uri()).map_err(|_| Violation::RequestUri)?;
        if uri.scheme == Scheme::Other {
            return Err(Violation::Scheme);
        }
        if !uri.headers.is_empty() {
            // They have no place here (RFC 3261 §19.1.1) and could be taken for real ones later.
            return Err(Violation::RequestUri);
        }
        match self.header(HeaderName::MaxForwards) {
            Some(_) => match self.number(HeaderName::MaxForwards) {
                None => Err(Violation::Header(HeaderName::MaxForwards)),
                Some(0) if !matches!(self.method(), Method::Options | Method::Ack) => {
                    Err(Violation::TooManyHops)
                }
                Some(_) => Ok(()),
            },
            None => Ok(()),
        }
    }
}

/// What every request and response has (RFC 3261 §8.1.1, §8.2.6.2).
const NEEDED: [HeaderName; 5] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
];

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Framing;

    fn judged(text: &str) -> Result<(), Violation> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let message = Message::parse(bytes, Framing::Datagram).expect("a message");
        message.check_passing()
    }

    #[test]
    fn a_proxy_wants_what_it_goes_by_and_leaves_the_rest_to_the_ends() {
        use HeaderName as N;
        let good = "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=b\r\n\
            From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
            Contact: <sip:a@b>\r\n\r\n";
        assert_eq!(judged(good), Ok(()));
        for (from, to, found) in [
            ("Contact: <sip:a@b>", "Contact: >", Ok(())),
            ("<sip:a@b>;tag", "<:>;tag", Ok(())),
            (
                "Via: SIP/2.0/UDP a;branch=b\r\n",
                "",
                Err(Violation::Missing(N::Via)),
            ),
            ("Call-ID: 1", "Call-ID:", Err(Violation::Missing(N::CallId))),
            (
                "Call-ID: 1",
                "i: 1\r\nCall-ID: 1",
                Err(Violation::Repeated(N::CallId)),
            ),
            (
                "To: <sip:c@d>",
                "To: <sip:c@d",
                Err(Violation::Header(N::To)),
            ),
            ("1 MESSAGE", "1 INVITE", Err(Violation::CSeqMethod)),
            ("MESSAGE sip:", "MESSAGE http:", Err(Violation::Scheme)),
            (
                "Call-ID: 1",
                "Call-ID: 1\r\nMax-Forwards: 0",
                Err(Violation::TooManyHops),
            ),
        ] {
            assert!(good.contains(from), "{from}");
            assert_eq!(judged(&good.replacen(from, to, 1)), found, "{to}");
        }
    }
}
