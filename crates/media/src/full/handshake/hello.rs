//! What the first packet of a handshake shows (RFC 6347 §4.2, RFC 8446 §4.2.1).

/// Whether a packet can begin a handshake: it has a ClientHello, or a part of one.
pub(in crate::full) fn is_client_hello(bytes: &[u8]) -> bool {
    bytes.first() == Some(&HANDSHAKE_RECORD) && bytes.get(RECORD_BYTES) == Some(&CLIENT_HELLO)
}

/// What tells one ClientHello from another, but not from its own repetitions.
pub(super) type Random = [u8; RANDOM_BYTES];

/// The random of a packet that begins a ClientHello; `None` of all others.
pub(super) fn random(bytes: &[u8]) -> Option<Random> {
    let mut message = Cursor(
        bytes
            .get(RECORD_BYTES..)
            .filter(|_| is_client_hello(bytes))?,
    );
    let head = message.take(HANDSHAKE_BYTES)?;
    message.take(VERSION_BYTES)?;
    let random = message.take(RANDOM_BYTES)?;
    (head[6..9] == [0; 3]).then_some(random.try_into().ok()?)
}

/// Whether a ClientHello offers DTLS 1.3, or shows only a part of what it offers.
pub(super) fn may_offer_version_13(bytes: &[u8]) -> bool {
    offers_version_13(bytes).unwrap_or(true)
}

/// `None` if it is not whole.
fn offers_version_13(bytes: &[u8]) -> Option<bool> {
    let mut message = Cursor(bytes);
    message.take(RECORD_BYTES + 1)?;
    let whole = message.take(3)?;
    message.take(2)?;
    let [offset, length] = [message.take(3)?, message.take(3)?];
    if offset != [0; 3] || length != whole {
        return None;
    }
    message.take(VERSION_BYTES + RANDOM_BYTES)?;
    // Session, cookie, cipher suites, compression methods.
    message.vector(1)?;
    message.vector(1)?;
    message.vector(2)?;
    message.vector(1)?;
    if message.0.is_empty() {
        return Some(false);
    }
    let mut extensions = Cursor(message.vector(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.take(2)?;
        let value = extensions.vector(2)?;
        if kind == SUPPORTED_VERSIONS {
            let versions = value.get(1..)?;
            return Some(versions.chunks(2).any(|version| version == DTLS_13));
        }
    }
    Some(false)
}

/// What is still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes after their number, which is written in so many bytes.
    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.take(length_bytes)?;
        let length = length
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.take(length)
    }
}

const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Before the content of a record.
const RECORD_BYTES: usize = 13;
/// Before the body of a message.
const HANDSHAKE_BYTES: usize = 12;
const VERSION_BYTES: usize = 2;
const RANDOM_BYTES: usize = 32;
const SUPPORTED_VERSIONS: [u8; 2] = [0, 43];
const DTLS_13: [u8; 2] = [0xfe, 0xfc];

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(length_bytes: usize, bytes: &[u8]) -> Vec<u8> {
        let length = (bytes.len() as u32).to_be_bytes();
        [&length[4 - length_bytes..], bytes].concat()
    }

    fn client_hello(extensions: &[u8]) -> Vec<u8> {
        let body = [
            &[0xfe, 0xfd][..],
            &[7; RANDOM_BYTES],
            &vector(1, &[]),
            &vector(1, &[]),
            &vector(2, &[0xc0, 0x2b]),
            &vector(1, &[0]),
            extensions,
        ]
        .concat();
        let length = vector(3, &body)[..3].to_vec();
        let message = [&[CLIENT_HELLO][..], &length, &[0; 5], &length, &body].concat();
        let record = [&[HANDSHAKE_RECORD, 0xfe, 0xfd][..], &[0; 8]].concat();
        [record, vector(2, &message)].concat()
    }

    fn versions(versions: &[u8]) -> Vec<u8> {
        let other = [&[0, 10][..], &vector(2, &[0, 2, 0, 23])].concat();
        let ours = [&[0, 43][..], &vector(2, &vector(1, versions))].concat();
        vector(2, &[other, ours].concat())
    }

    #[test]
    fn only_version_1_3_is_taken_for_it() {
        let both = client_hello(&versions(&[0xfe, 0xfc, 0xfe, 0xfd]));
        assert!(is_client_hello(&both));
        assert_eq!(random(&both), Some([7; RANDOM_BYTES]));
        assert_eq!(offers_version_13(&both), Some(true));
        let older = client_hello(&versions(&[0xfe, 0xfd]));
        assert_eq!(offers_version_13(&older), Some(false));
        for extensions in [Vec::new(), vector(2, &[])] {
            assert_eq!(offers_version_13(&client_hello(&extensions)), Some(false));
        }
    }

    #[test]
    fn a_part_shows_nothing() {
        let whole = client_hello(&versions(&[0xfe, 0xfc]));
        let mut rest = whole.clone();
        rest[RECORD_BYTES + 8] = 1;
        assert_eq!(random(&rest), None);
        let mut part = whole.clone();
        part[RECORD_BYTES + 3] += 1;
        assert_eq!(offers_version_13(&part), None);
        for length in 0..whole.len() {
            let shown = offers_version_13(&whole[..length]);
            assert!(shown != Some(true), "{length} bytes");
        }
    }
}
