//! DTLS in descriptions: `a=fingerprint` (RFC 8122 §5) and `a=setup` (RFC 4145 §4).

use crate::line::words;

/// The hash of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint<'a> {
    /// The hash function, as written: `sha-256`.
    pub hash: &'a [u8],
    /// The digits, as written: `4A:AD:...`.
    digits: &'a [u8],
}

impl<'a> Fingerprint<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = words(value);
        Some(Self {
            hash: words.next()?,
            digits: words.next()?,
        })
    }

    /// The hash itself; `None` if it is not written as pairs of digits with colons between, or
    /// longer than any hash in use.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let pairs = self.digits.split(|b| *b == b':');
        let bytes = pairs.take(BYTES_MAX + 1).map(|pair| {
            let [high, low] = pair else { return None };
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            Some((digit(high)? << 4 | digit(low)?) as u8)
        });
        let bytes: Option<Vec<u8>> = bytes.collect();
        bytes.filter(|bytes| bytes.len() <= BYTES_MAX)
    }
}

/// Who begins the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The author does.
    Active,
    /// The other side does.
    Passive,
    /// Whichever the other side chooses.
    ActPass,
    /// Nobody yet.
    HoldConn,
}

impl Setup {
    /// As written in `a=setup`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }

    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| value.eq_ignore_ascii_case(setup.name().as_bytes()))
    }
}

/// SHA-512 makes the longest.
const BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fingerprints() {
        let fingerprint = Fingerprint::parse(b"sha-256 4A:ad:B9").expect("a fingerprint");
        assert_eq!(fingerprint.hash, b"sha-256");
        assert_eq!(fingerprint.bytes(), Some(vec![0x4a, 0xad, 0xb9]));
        for broken in [
            "sha-256 4AAD",
            "sha-256 4:AD",
            "sha-256 +A:00",
            "sha-256 zz",
        ] {
            let bytes = Fingerprint::parse(broken.as_bytes()).and_then(|f| f.bytes());
            assert_eq!(bytes, None, "{broken}");
        }
        let long = format!("sha-256 {}", vec!["00"; 65].join(":"));
        let long = Fingerprint::parse(long.as_bytes());
        assert_eq!(long.and_then(|long| long.bytes()), None);
    }
}
