//! STUN (RFC 8489) as headers and attributes: what SIP's ports and ICE's agents both read and
//! write. What attributes mean, and who may ask what, is the business of either.
//!
//! Pure. Left out: RFC 3489, whose messages have no magic cookie.

use core::net::{IpAddr, SocketAddr};

/// A whole message over the bytes it came in.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Method and class, such as [`BINDING_REQUEST`].
    pub kind: u16,
    /// Names a request in its response.
    pub transaction: Transaction,
}

/// Names a request in its response.
pub type Transaction = [u8; 12];

/// An attribute of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// What it is.
    pub kind: u16,
    /// Its value, without what fills it up to 32 bits.
    pub value: &'a [u8],
    /// Where it begins in the message.
    pub at: usize,
}

/// An attribute reaches beyond the end of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Whether bytes are STUN and nothing else that shares a port with it (RFC 7983 §7).
#[inline]
#[must_use]
pub fn is_stun(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=3, _, _, _, cookie @ ..] if cookie.starts_with(&COOKIE))
}

impl<'a> Message<'a> {
    /// Reads a header; `None` if the bytes are no whole message.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let [kind_high, kind_low, high, low, ..] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let is_whole = length + HEADER_BYTES == bytes.len() && length % 4 == 0;
        let message = Self {
            bytes,
            kind: u16::from_be_bytes([kind_high, kind_low]),
            transaction: *header.last_chunk()?,
        };
        (header[4..8] == COOKIE && is_whole).then_some(message)
    }

    /// The attributes in their order, up to the first that is broken.
    pub fn attributes(&self) -> impl Iterator<Item = Result<Attribute<'a>, Broken>> + use<'a> {
        let bytes = self.bytes;
        let mut at = HEADER_BYTES;
        core::iter::from_fn(move || {
            if at >= bytes.len() {
                return None;
            }
            let attribute = attribute_at(bytes, at);
            at = match attribute {
                Ok(Attribute { value, .. }) => at + 4 + value.len().next_multiple_of(4),
                Err(Broken) => bytes.len(),
            };
            Some(attribute)
        })
    }
}

fn attribute_at(bytes: &[u8], at: usize) -> Result<Attribute<'_>, Broken> {
    let head = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    let [kind_high, kind_low, high, low] = *head.ok_or(Broken)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let value = bytes.get(at + 4..at + 4 + length).ok_or(Broken)?;
    let kind = u16::from_be_bytes([kind_high, kind_low]);
    Ok(Attribute { kind, value, at })
}

/// The value of XOR-MAPPED-ADDRESS (RFC 8489 §14.2), and how much of it there is: where a request
/// came from, masked, so that no NAT on the way mends it.
#[must_use]
pub fn mapped_address(from: SocketAddr, transaction: &Transaction) -> ([u8; 20], usize) {
    let mut value = [0; 20];
    let mask = COOKIE.iter().chain(transaction);
    let port = from.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    value[2..4].copy_from_slice(&port.to_be_bytes());
    let length = match from.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&ip.octets());
            20
        }
    };
    let masked = value[4..length].iter_mut().zip(mask);
    masked.for_each(|(byte, mask)| *byte ^= mask);
    (value, length)
}

/// The value of ERROR-CODE (RFC 8489 §14.8), without a phrase.
#[must_use]
pub const fn error_code(code: u16) -> [u8; 4] {
    [0, 0, (code / 100) as u8, (code % 100) as u8]
}

/// Of a header.
pub const HEADER_BYTES: usize = 20;
/// What tells STUN from all else.
pub const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A Binding request.
pub const BINDING_REQUEST: u16 = 0x0001;
/// A Binding indication, which nobody answers.
pub const BINDING_INDICATION: u16 = 0x0011;
/// The success response to a Binding request.
pub const BINDING_SUCCESS: u16 = 0x0101;
/// The error response to a Binding request.
pub const BINDING_ERROR: u16 = 0x0111;

/// Who asks (RFC 8489 §14.3).
pub const USERNAME: u16 = 0x0006;
/// An HMAC of all before it (RFC 8489 §14.5).
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
/// Why a request is refused (RFC 8489 §14.8).
pub const ERROR_CODE: u16 = 0x0009;
/// What of a request was not understood (RFC 8489 §14.13).
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// Where a request came from (RFC 8489 §14.2).
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// A checksum of all before it (RFC 8489 §14.7).
pub const FINGERPRINT: u16 = 0x8028;
/// Attributes from here on may be passed over by who does not understand them.
pub const OPTIONAL_FROM: u16 = 0x8000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The transaction of RFC 5769.
    const TRANSACTION: Transaction = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];

    fn message(attributes: &[u8]) -> Vec<u8> {
        let length = (attributes.len() as u16).to_be_bytes();
        [&[0, 1][..], &length, &COOKIE, &TRANSACTION, attributes].concat()
    }

    #[test]
    fn attributes_come_with_their_places_and_without_their_filling() {
        let bytes = message(&[0x80, 0x22, 0, 3, b'x', b'y', b'z', 0, 0, 6, 0, 0]);
        let read = Message::parse(&bytes).expect("a message");
        assert_eq!(
            (read.kind, read.transaction),
            (BINDING_REQUEST, TRANSACTION)
        );
        let found: Vec<_> = read.attributes().map(Result::unwrap).collect();
        let attribute = |kind, value, at| Attribute { kind, value, at };
        assert_eq!(
            found,
            [
                attribute(0x8022, &b"xyz"[..], 20),
                attribute(USERNAME, b"", 28)
            ]
        );
    }

    #[test]
    fn addresses_are_masked_as_in_rfc_5769() {
        let v4 = mapped_address("192.0.2.1:32853".parse().expect("v4"), &TRANSACTION);
        assert_eq!(v4.0[..v4.1], [0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let v6 = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        let (value, length) = mapped_address(v6.parse().expect("v6"), &TRANSACTION);
        assert_eq!(length, 20);
        assert_eq!(value[..8], [0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa]);
    }

    #[test]
    fn a_part_is_no_message_and_a_long_attribute_is_broken() {
        let whole = message(&[0, 6, 0, 4, b'u', b's', b'e', b'r']);
        for length in 0..whole.len() {
            assert!(Message::parse(&whole[..length]).is_none(), "{length} bytes");
        }
        let mut broken = whole;
        broken[23] = 200;
        let read = Message::parse(&broken).expect("a message");
        let found: Vec<_> = read.attributes().collect();
        assert_eq!(found, [Err(Broken)]);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_is_fatal(attributes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let bytes = message(&attributes);
            if let Some(message) = Message::parse(&bytes) {
                prop_assert!(message.attributes().count() <= 16);
            }
        }
    }
}
