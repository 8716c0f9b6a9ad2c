//! Where a file breaks off, and how it ends properly.

use super::GRANULES_HZ;
use super::page::{CAPTURE, HEAD_BYTES, LAST, Page};

/// What makes a proper end of a file whose writer died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OggRepair {
    /// Bytes of the tail that stay; the file is cut off behind them.
    pub kept_bytes: usize,
    /// Where its last page begins, in the tail.
    pub page_at: usize,
    /// What the last page's header becomes: it says that it is the last.
    pub header: [u8; HEAD_BYTES],
}

/// How a file that broke off ends properly. `tail` is all of it, or its last [`OGG_TAIL_BYTES`].
/// `None`: there is no sound in it.
#[must_use]
pub fn ogg_repair(tail: &[u8]) -> Option<OggRepair> {
    let (page_at, page) = last_page(tail)?;
    let mut head = page.head;
    head.flags |= LAST;
    let mut written = Vec::with_capacity(page.bytes());
    head.write(page.lacing, page.body, &mut written);
    Some(OggRepair {
        kept_bytes: page_at + page.bytes(),
        page_at,
        header: *written.first_chunk()?,
    })
}

/// How long the sound of a file is, in milliseconds, finished or not: from its beginning, of which
/// 100 bytes are enough, and its tail.
#[must_use]
pub fn ogg_length_ms(beginning: &[u8], tail: &[u8]) -> Option<u64> {
    let first = beginning.get(HEAD_BYTES + 1..)?;
    let pre_skip = first.strip_prefix(b"OpusHead")?.get(2..4)?;
    let pre_skip = u64::from(u16::from_le_bytes([pre_skip[0], pre_skip[1]]));
    let (_, page) = last_page(tail)?;
    Some(page.head.granule.saturating_sub(pre_skip) * 1_000 / GRANULES_HZ)
}

/// The last whole page of sound, and where it begins.
fn last_page(tail: &[u8]) -> Option<(usize, Page<'_>)> {
    let mut end = tail.len();
    loop {
        let at = tail[..end]
            .windows(CAPTURE.len())
            .rposition(|bytes| bytes == CAPTURE)?;
        match Page::parse(&tail[at..]) {
            // The first two are no sound.
            Some(page) if page.head.sequence < HEADER_PAGES => return None,
            Some(page) => return Some((at, page)),
            None => end = at + CAPTURE.len() - 1,
        }
    }
}

/// The longest page, and the rest of another behind it.
pub const OGG_TAIL_BYTES: usize = 2 * (HEAD_BYTES + 255 + 255 * 255);
/// Pages before the sound begins (RFC 7845 §3).
const HEADER_PAGES: u32 = 2;
