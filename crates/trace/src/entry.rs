//! What a message is found by: a line of 64 bytes in an index.
//!
//! Texts are there as prints (hashes of 64 or 32 bits) that tell most strangers apart; who looks
//! for something compares the texts themselves once it has found a message.

use std::net::IpAddr;

use call::Call;

use crate::{Direction, Head, Passage};

/// An entry of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// When the message was seen, in microseconds since 1970.
    pub at_us: u64,
    /// Where it stands.
    pub offset: u32,
    /// How many bytes it is.
    pub length: u32,
    /// The print of its Call-ID.
    pub call_id: u64,
    /// The key of the call of ours that our tag names; of a message seen elsewhere the print of the
    /// Call-ID it belongs to; 0 if there is none.
    pub key: u64,
    /// The print of the user in From.
    pub from_user: u32,
    /// The print of the user in To.
    pub to_user: u32,
    /// The print of the user in the URI of a request.
    pub request_user: u32,
    /// The print of the address it came from.
    pub from_address: u32,
    /// The print of the address it went to.
    pub to_address: u32,
    /// The status of a response; 0: a request.
    pub status: u16,
    /// The first letters of its method.
    pub method: [u8; 4],
    /// Whether another system has seen it.
    pub elsewhere: bool,
}

impl Entry {
    /// The entry of a message; where it stands is not known yet.
    #[must_use]
    pub fn of(passage: &Passage<'_>, head: &Head<'_>) -> Self {
        let mut method = [0; 4];
        for (to, from) in method.iter_mut().zip(head.method()) {
            *to = from.to_ascii_uppercase();
        }
        Self {
            at_us: passage.at_us,
            offset: 0,
            length: 0,
            call_id: call_id_print(head.call_id),
            key: key_of(passage, head),
            from_user: party_print(head.from.user),
            to_user: party_print(head.to.user),
            request_user: party_print(head.request_user()),
            from_address: address_print(passage.from.ip()),
            to_address: address_print(passage.to.ip()),
            status: head.status(),
            method,
            elsewhere: passage.direction == Direction::Elsewhere,
        }
    }

    /// As it stands in an index.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.at_us.to_le_bytes());
        put(&self.offset.to_le_bytes());
        put(&self.length.to_le_bytes());
        put(&self.call_id.to_le_bytes());
        put(&self.key.to_le_bytes());
        for print in self.prints() {
            put(&print.to_le_bytes());
        }
        put(&self.status.to_le_bytes());
        put(&self.method);
        put(&[u8::from(self.elsewhere)]);
        out
    }

    /// Reads an entry; any 64 bytes are one.
    #[must_use]
    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let long = |at: usize| u64::from_le_bytes(part(bytes, at));
        let word = |at: usize| u32::from_le_bytes(part(bytes, at));
        Self {
            at_us: long(0),
            offset: word(8),
            length: word(12),
            call_id: long(16),
            key: long(24),
            from_user: word(32),
            to_user: word(36),
            request_user: word(40),
            from_address: word(44),
            to_address: word(48),
            status: u16::from_le_bytes(part(bytes, 52)),
            method: part(bytes, 54),
            elsewhere: bytes[58] == 1,
        }
    }

    const fn prints(&self) -> [u32; 5] {
        [
            self.from_user,
            self.to_user,
            self.request_user,
            self.from_address,
            self.to_address,
        ]
    }
}

fn part<const N: usize>(bytes: &[u8; ENTRY_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// The key of the call: our own tag carries it. It is that of From in what we ask and are answered,
/// that of To in what we are asked and answer.
fn key_of(passage: &Passage<'_>, head: &Head<'_>) -> u64 {
    let is_request = head.status() == 0;
    let tag = match (passage.direction, is_request) {
        (Direction::Elsewhere, _) => {
            return match passage.correlation.is_empty() {
                true => 0,
                false => call_id_print(passage.correlation),
            };
        }
        (Direction::Sent, true) | (Direction::Received, false) => head.from.tag,
        (Direction::Sent, false) | (Direction::Received, true) => head.to.tag,
    };
    Call::key_of_tag(tag).unwrap_or(0)
}

/// The print of a Call-ID.
#[must_use]
pub fn call_id_print(call_id: &[u8]) -> u64 {
    print(call_id.iter().copied())
}

/// The print of a user or number: a plus before it and the case of letters do not count.
#[must_use]
pub fn party_print(user: &[u8]) -> u32 {
    let user = user.strip_prefix(b"+").unwrap_or(user);
    fold(print(user.iter().map(u8::to_ascii_lowercase)))
}

/// The print of an address.
#[must_use]
pub fn address_print(address: IpAddr) -> u32 {
    match address.to_canonical() {
        IpAddr::V4(ip) => fold(print(ip.octets().into_iter())),
        IpAddr::V6(ip) => fold(print(ip.octets().into_iter())),
    }
}

/// FNV-1a: who forges a Call-ID that has the print of another is found out when texts are compared.
fn print(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |print, byte| {
        (print ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

const fn fold(print: u64) -> u32 {
    (print ^ (print >> 32)) as u32
}

/// How long an entry is.
pub const ENTRY_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::seen;

    const ENDS: (&str, &str) = ("192.0.2.1:5060", "192.0.2.2:5060");

    #[test]
    fn an_entry_reads_back() {
        let message = "INVITE sip:bob@b SIP/2.0\r\nFrom: <sip:+49301@a>;tag=1\r\nTo: <sip:Bob@b>\r\n\
            Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
        let seen = seen(Direction::Received, ENDS, message);
        let entry = Entry {
            offset: 7,
            length: 9,
            ..Entry::of(&seen.passage(), &Head::read(&seen.payload))
        };
        assert_eq!(Entry::decode(&entry.encode()), entry);
        assert_eq!(
            entry.from_user,
            party_print(b"49301"),
            "the plus does not count"
        );
        assert_eq!(entry.to_user, party_print(b"bob"));
        assert_eq!(&entry.method, b"INVI");
        assert_eq!(entry.key, 0, "no tag of ours is in it");
    }

    #[test]
    fn our_own_tag_names_the_call_whoever_asks() {
        // Random, sealed, and then the key.
        let tag = |key: &str| format!("00000001{:016x}{key}", 0x5ea1);
        let text = |start: &str| {
            let (from, to) = (tag("7f"), tag("ab"));
            format!("{start}\r\nFrom: <sip:a@a>;tag={from}\r\nTo: <sip:b@b>;tag={to}\r\n\r\n")
        };
        let key = |direction, start: &str| {
            let seen = seen(direction, ENDS, &text(start));
            Entry::of(&seen.passage(), &Head::read(&seen.payload)).key
        };
        let (asks, answers) = ("BYE sip:b SIP/2.0", "SIP/2.0 200 OK");
        assert_eq!(key(Direction::Sent, asks), 0x7f);
        assert_eq!(key(Direction::Received, answers), 0x7f);
        assert_eq!(key(Direction::Received, asks), 0xab);
        assert_eq!(key(Direction::Sent, answers), 0xab);
    }
}
