//! Keys in descriptions: `a=crypto` (RFC 4568 §9.1).

use crate::line::{number, words};

/// One key that is offered or chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// What an answer names it by.
    pub tag: u32,
    /// The suite, as written: `AES_CM_128_HMAC_SHA1_80`.
    pub suite: &'a [u8],
    /// Key and salt in Base64, of the first `inline:`.
    pub key: &'a [u8],
    /// Whether packets carry a key identifier, or a session parameter changes what they look
    /// like: nothing that we do.
    pub is_special: bool,
}

impl<'a> Crypto<'a> {
    /// Reads `1 AES_CM_128_HMAC_SHA1_80 inline:key[|lifetime][|mki:length][;...] [parameters]`.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = words(value);
        let tag = number(words.next()?)?;
        let suite = words.next()?;
        let keys = words.next()?;
        let first = keys.split(|b| *b == b';').next()?;
        let mut parts = strip_method(first)?.split(|b| *b == b'|');
        let key = parts.next().filter(|key| !key.is_empty())?;
        let has_mki = parts.any(|part| part.contains(&b':'));
        let changes = |word: &[u8]| {
            CHANGING
                .iter()
                .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        Some(Self {
            tag,
            suite,
            key,
            is_special: has_mki || words.any(changes),
        })
    }
}

fn strip_method(parameter: &[u8]) -> Option<&[u8]> {
    let (method, key) = parameter.split_at_checked(METHOD.len())?;
    method.eq_ignore_ascii_case(METHOD).then_some(key)
}

/// The only method of giving a key.
const METHOD: &[u8] = b"inline:";
/// Session parameters that leave something unencrypted or unauthenticated (RFC 4568 §6.3.2).
const CHANGING: [&str; 3] = [
    "UNENCRYPTED_SRTP",
    "UNENCRYPTED_SRTCP",
    "UNAUTHENTICATED_SRTP",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_field_writes() {
        let value =
            b"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4";
        let crypto = Crypto::parse(value).expect("a key");
        assert_eq!((crypto.tag, crypto.is_special), (1, true));
        assert_eq!(crypto.suite, b"AES_CM_128_HMAC_SHA1_80");
        assert_eq!(crypto.key, b"d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj");
        let plain = Crypto::parse(b"2 AEAD_AES_128_GCM inline:abc|2^31 WSH=64");
        assert!(plain.is_some_and(|plain| !plain.is_special && plain.key == b"abc"));
        let weak = Crypto::parse(b"3 X inline:abc UNENCRYPTED_SRTP");
        assert!(weak.is_some_and(|weak| weak.is_special));
        for broken in [
            "",
            "1",
            "1 X",
            "1 X inline:",
            "x X inline:abc",
            "1 X uri:abc",
        ] {
            assert_eq!(Crypto::parse(broken.as_bytes()), None, "{broken}");
        }
    }
}
