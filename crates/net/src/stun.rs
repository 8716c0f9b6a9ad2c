//! Answers to STUN on SIP's UDP ports: how phones keep their flows open and learn that their
//! address has changed (RFC 5626 §4.4.2, §8; RFC 8489).
//!
//! Binding requests are answered with where they came from, without authentication, as RFC 5626
//! has it. The answer is little longer than the shortest request, and no packet causes more than
//! one. Left out: RFC 3489 without the magic cookie, which nobody is promised an answer to, and
//! FINGERPRINT in answers, as SIP and STUN cannot be mistaken for each other here.

use std::net::SocketAddr;

use bytes::Bytes;
use stun::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, COOKIE, ERROR_CODE, HEADER_BYTES, Message,
    OPTIONAL_FROM, Transaction, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS,
};

/// What is to be done with a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is no STUN.
    Sip,
    /// Send this back.
    Answer(Bytes),
    /// It is STUN that gets no answer.
    Drop,
}

/// Judges a datagram. SIP costs a look at its first byte.
#[inline]
pub(crate) fn judge(datagram: &[u8], from: SocketAddr) -> Verdict {
    if stun::is_stun(datagram) {
        return answer(datagram, from);
    }
    Verdict::Sip
}

#[cold]
fn answer(request: &[u8], from: SocketAddr) -> Verdict {
    let Some((transaction, unknown)) = parse(request) else {
        return Verdict::Drop;
    };
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    let kind = if unknown.is_empty() {
        BINDING_SUCCESS
    } else {
        BINDING_ERROR
    };
    answer.extend(kind.to_be_bytes());
    answer.extend([0; 2]);
    answer.extend(COOKIE);
    answer.extend(transaction);
    if unknown.is_empty() {
        let (value, length) = stun::mapped_address(from, &transaction);
        attribute(&mut answer, XOR_MAPPED_ADDRESS, &value[..length]);
    } else {
        attribute(
            &mut answer,
            ERROR_CODE,
            &stun::error_code(UNKNOWN_ATTRIBUTE),
        );
        let kinds: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        attribute(&mut answer, UNKNOWN_ATTRIBUTES, &kinds);
    }
    let length = (answer.len() - HEADER_BYTES) as u16;
    answer[2..4].copy_from_slice(&length.to_be_bytes());
    Verdict::Answer(answer.into())
}

/// The transaction of a Binding request, and what it wants understood that is not, at most
/// [`UNKNOWN_MAX`]; `None` for anything else.
fn parse(bytes: &[u8]) -> Option<(Transaction, Vec<u16>)> {
    let request = Message::parse(bytes).filter(|message| message.kind == BINDING_REQUEST)?;
    let mut unknown = Vec::new();
    for attribute in request.attributes() {
        let kind = attribute.ok()?.kind;
        let is_required = kind < OPTIONAL_FROM && !UNDERSTOOD.contains(&kind);
        if is_required && unknown.len() < UNKNOWN_MAX {
            unknown.push(kind);
        }
    }
    Some((request.transaction, unknown))
}

fn attribute(answer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    answer.extend(kind.to_be_bytes());
    answer.extend((value.len() as u16).to_be_bytes());
    answer.extend(value);
    answer.resize(answer.len().next_multiple_of(4), 0);
}

/// RFC 8489 §14.8.
const UNKNOWN_ATTRIBUTE: u16 = 420;
/// Those of credentials (nobody has to have any) and the priority of ICE, which some send always.
const UNDERSTOOD: [u16; 9] = [
    0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0024, 0x0025,
];
/// As many are named in an answer, so that it is no longer than its request.
const UNKNOWN_MAX: usize = 4;
const ANSWER_BYTES_MAX: usize = HEADER_BYTES + 8 + 12;

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "192.0.2.1:32853";
    /// The transaction of RFC 5769.
    const TRANSACTION: [u8; 12] = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = (attributes.len() as u16).to_be_bytes();
        [&[0, 1][..], &length, &COOKIE, &TRANSACTION, attributes].concat()
    }

    fn judged(bytes: &[u8]) -> Verdict {
        judge(bytes, FROM.parse().expect("an address"))
    }

    #[test]
    fn a_request_is_answered_with_the_address_of_rfc_5769() {
        let Verdict::Answer(answer) = judged(&request(&[])) else {
            panic!("no answer");
        };
        assert_eq!(answer[..4], [1, 1, 0, 12]);
        assert_eq!(answer[4..20], request(&[])[4..20]);
        assert_eq!(
            answer[20..],
            [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let optional = [0x80, 0x22, 0, 3, b'x', b'y', b'z', 0];
        assert!(matches!(judged(&request(&optional)), Verdict::Answer(a) if a[..2] == [1, 1]));
        let Verdict::Answer(answer) = judged(&request(&[0, 3, 0, 4, 0, 0, 0, 6])) else {
            panic!("no answer");
        };
        assert_eq!(answer[..4], [1, 0x11, 0, 16]);
        assert_eq!(answer[20..28], [0, 9, 0, 4, 0, 0, 4, 20]);
        assert_eq!(answer[28..], [0, 10, 0, 2, 0, 3, 0, 0]);
        let many: Vec<u8> = (1..100).flat_map(|kind| [0x10, kind, 0, 0]).collect();
        assert!(matches!(judged(&request(&many)), Verdict::Answer(a) if a.len() <= 40));
    }

    #[test]
    fn anything_else_is_dropped_or_is_sip() {
        let whole = request(&[0, 6, 0, 4, b'u', b's', b'e', b'r']);
        for length in 8..whole.len() {
            assert_eq!(judged(&whole[..length]), Verdict::Drop, "{length} bytes");
        }
        for length in 0..8 {
            assert_eq!(judged(&whole[..length]), Verdict::Sip, "{length} bytes");
        }
        // A response, an indication, attributes that go beyond the end.
        for (at, byte) in [(0, 1), (1, 0x11), (23, 200), (22, 255)] {
            let mut changed = whole.clone();
            changed[at] = byte;
            assert_eq!(judged(&changed), Verdict::Drop, "byte {at}");
        }
        for sip in [
            &b"OPTIONS sip:a SIP/2.0\r\n\r\n"[..],
            b"\r\n\r\n",
            b"",
            &[0; 100],
        ] {
            assert_eq!(judged(sip), Verdict::Sip);
        }
    }
}
