//! Frames of the files that are only ever appended to: length, CRC-32, payload.
//!
//! A process can die between any two bytes of a write, and a machine can lose pages that were
//! never synced. So a reader takes frames from the front and stops at the first that is not
//! whole: what stands behind it was never promised to anybody.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Appends a frame whose payload is what `payload` appends.
pub(crate) fn append(buffer: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_LEN]);
    payload(buffer);
    let body = &buffer[start + HEADER_LEN..];
    debug_assert!(
        (1..=PAYLOAD_MAX).contains(&body.len()),
        "codecs bound what they write"
    );
    let (len, crc) = (body.len() as u32, crc32fast::hash(body));
    buffer[start..start + 4].copy_from_slice(&len.to_le_bytes());
    buffer[start + 4..start + HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
}

/// The payload of the frame at the front of `bytes` and the length of the frame; `None` if
/// there is no whole one.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let len = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let crc = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    if !(1..=PAYLOAD_MAX).contains(&len) {
        return None;
    }
    let payload = bytes.get(HEADER_LEN..HEADER_LEN + len)?;
    (crc32fast::hash(payload) == crc).then_some((payload, HEADER_LEN + len))
}

/// Reads frames of a file one after the other, without holding the file in memory.
pub(crate) struct FrameReader {
    file: File,
    /// Where `chunk` begins in the file.
    chunk_at: u64,
    chunk: Vec<u8>,
    /// What of `chunk` was handed out.
    used: usize,
}

impl FrameReader {
    /// Reads from `offset` on, where a frame begins.
    pub(crate) fn new(file: File, offset: u64) -> Self {
        Self {
            file,
            chunk_at: offset,
            chunk: Vec::new(),
            used: 0,
        }
    }

    /// The next payload and where its frame begins; `None` at the end, or at what is no whole
    /// frame. May be called again when the file has grown.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let frame = self.next_frame()?;
        Ok(frame.map(|(offset, frame)| (offset, &frame[HEADER_LEN..])))
    }

    /// The same with the frame's header before the payload.
    pub(crate) fn next_frame(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let mut len = self.whole_frame();
        if len.is_none() {
            self.refill()?;
            len = self.whole_frame();
        }
        let Some(len) = len else {
            return Ok(None);
        };
        let start = self.used;
        self.used = start + len;
        let frame = &self.chunk[start..self.used];
        Ok(Some((self.chunk_at + start as u64, frame)))
    }

    /// The length of the next frame, if it is whole in the chunk.
    fn whole_frame(&self) -> Option<usize> {
        split(&self.chunk[self.used..]).map(|(_, len)| len)
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.chunk_at + self.used as u64
    }

    fn refill(&mut self) -> io::Result<()> {
        self.chunk_at = self.offset();
        self.used = 0;
        self.chunk.clear();
        self.file.seek(SeekFrom::Start(self.chunk_at))?;
        (&mut self.file)
            .take(CHUNK_LEN as u64)
            .read_to_end(&mut self.chunk)?;
        Ok(())
    }
}

/// Length and CRC of a frame.
pub(crate) const HEADER_LEN: usize = 8;
/// The longest payload that is written, and believed when read.
pub(crate) const PAYLOAD_MAX: usize = 256 * 1_024;
/// Read at once; longer than any frame.
const CHUNK_LEN: usize = 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_any_byte_changed_or_missing_is_none() {
        let mut bytes = Vec::new();
        append(&mut bytes, |b| b.extend_from_slice(b"payload"));
        assert_eq!(split(&bytes), Some((&b"payload"[..], HEADER_LEN + 7)));
        for at in 0..bytes.len() {
            assert_eq!(split(&bytes[..at]), None, "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert_eq!(split(&changed), None, "changed at {at}");
        }
        assert_eq!(
            split(&[0; 64]),
            None,
            "zeros, as after a lost page, are no frame"
        );
    }

    #[test]
    fn a_reader_goes_on_where_a_file_grows() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut bytes = Vec::new();
        append(&mut bytes, |b| b.push(1));
        append(&mut bytes, |b| b.push(2));
        let (head, tail) = bytes.split_at(12);
        file.write_all(head).unwrap();
        let mut reader = FrameReader::new(File::open(&path).unwrap(), 0);
        assert_eq!(reader.next().unwrap(), Some((0, &[1][..])));
        assert_eq!(reader.next().unwrap(), None);
        file.write_all(tail).unwrap();
        assert_eq!(reader.next().unwrap(), Some((9, &[2][..])));
        assert_eq!(reader.offset(), 18);
    }
}
