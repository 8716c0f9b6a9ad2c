//! Ogg pages (RFC 3533 §6) of one stream whose packets never span two of them.

use std::iter;

/// The fields of a page's header that are not counted from its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// [`FIRST`], [`LAST`] or none.
    pub(super) flags: u8,
    /// Where the stream is at the end of the page's last packet.
    pub(super) granule: u64,
    pub(super) serial: u32,
    pub(super) sequence: u32,
}

/// A page that was found, whole and as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) head: Head,
    /// The lengths of its packets' segments.
    pub(super) lacing: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The segment lengths of a packet.
pub(super) fn lacing(packet_bytes: usize) -> impl Iterator<Item = u8> {
    let whole = iter::repeat_n(u8::MAX, packet_bytes / 255);
    whole.chain([(packet_bytes % 255) as u8])
}

impl Head {
    /// Appends a page; `lacing` has at most 255 values.
    pub(super) fn write(self, lacing: &[u8], body: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(CAPTURE);
        out.extend([VERSION, self.flags]);
        out.extend(self.granule.to_le_bytes());
        out.extend(self.serial.to_le_bytes());
        out.extend(self.sequence.to_le_bytes());
        out.extend([0; 4]);
        out.push(lacing.len() as u8);
        out.extend_from_slice(lacing);
        out.extend_from_slice(body);
        let sum = checksum(&[&out[start..]]);
        out[start + SUM_AT..start + SUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

impl<'a> Page<'a> {
    /// The page that bytes begin with, if all of it is there.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        if !head.starts_with(&CAPTURE) || head[4] != VERSION {
            return None;
        }
        let lacing = bytes.get(HEAD_BYTES..HEAD_BYTES + usize::from(head[26]))?;
        let body_at = HEAD_BYTES + lacing.len();
        let body_bytes: usize = lacing.iter().map(|value| usize::from(*value)).sum();
        let body = bytes.get(body_at..body_at + body_bytes)?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let page = Self {
            head: Head {
                flags: head[5],
                granule: (u64::from(word(10)) << 32) | u64::from(word(6)),
                serial: word(14),
                sequence: word(18),
            },
            lacing,
            body,
        };
        let sum = checksum(&[&head[..SUM_AT], &[0; 4], &head[SUM_AT + 4..], lacing, body]);
        (sum == word(SUM_AT)).then_some(page)
    }

    /// Bytes of it in the file.
    pub(super) fn bytes(&self) -> usize {
        HEAD_BYTES + self.lacing.len() + self.body.len()
    }
}

/// The CRC of RFC 3533 §6: 32 bits of 0x04c11db7, from 0, no bit turned round.
fn checksum(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| *part);
    bytes.fold(0, |sum: u32, byte| {
        (sum << 8) ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)]
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut sum = (at as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            let carry = sum >> 31;
            sum = (sum << 1) ^ (carry * 0x04c1_1db7);
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
}

static TABLE: [u32; 256] = table();

/// The flag of the first page of a stream.
pub(super) const FIRST: u8 = 2;
/// The flag of the last.
pub(super) const LAST: u8 = 4;
/// What each page begins with.
pub(super) const CAPTURE: [u8; 4] = *b"OggS";
/// Bytes of a header before its segment lengths.
pub(super) const HEAD_BYTES: usize = 27;
/// Segments of a page.
pub(super) const SEGMENTS_MAX: usize = 255;
const VERSION: u8 = 0;
const SUM_AT: usize = 22;
