//! Two files: messages, and the entries by which they are found.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use trace::{Batch, Bodies, ENTRY_BYTES, Entry, SeenFromTo};

/// A segment that is written.
#[derive(Debug)]
pub(super) struct Segment {
    messages: File,
    index: File,
    summary: Summary,
    /// Bytes of messages.
    length: u32,
    /// What is written next, and its entries.
    buffer: Vec<u8>,
    entries: Vec<u8>,
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) number: u32,
    /// Of both files.
    pub(super) bytes: u64,
    /// When the first of its messages was written, and the last.
    pub(super) first_us: u64,
    pub(super) last_us: u64,
}

impl Segment {
    pub(super) fn create(dir: &Path, number: u32) -> io::Result<Self> {
        let open = |path: PathBuf| {
            let mut options = OpenOptions::new();
            options.create_new(true).append(true).mode(0o600).open(path)
        };
        let files = open(messages_path(dir, number))
            .and_then(|messages| Ok((messages, open(index_path(dir, number))?)));
        let (messages, index) = files.inspect_err(|_| remove(dir, number))?;
        Ok(Self {
            messages,
            index,
            summary: Summary {
                number,
                bytes: 0,
                first_us: 0,
                last_us: 0,
            },
            length: 0,
            buffer: Vec::new(),
            entries: Vec::new(),
        })
    }

    pub(super) fn append(&mut self, batch: &mut Batch, bodies: Bodies) -> io::Result<()> {
        self.buffer.clear();
        self.entries.clear();
        let span = batch.encode(bodies, self.length, &mut self.buffer, &mut self.entries);
        let Some(SeenFromTo { first_us, last_us }) = span else {
            return Ok(());
        };
        self.messages.write_all(&self.buffer)?;
        self.index.write_all(&self.entries)?;
        if self.summary.bytes == 0 {
            self.summary.first_us = first_us;
        }
        self.summary.last_us = self.summary.last_us.max(last_us);
        self.length += self.buffer.len() as u32;
        self.summary.bytes += (self.buffer.len() + self.entries.len()) as u64;
        Ok(())
    }

    /// Whether the next begins.
    pub(super) fn is_full(&self, bytes_max: u64, now_us: u64) -> bool {
        let age_us = now_us.saturating_sub(self.summary.first_us);
        self.summary.bytes >= bytes_max || age_us >= SEGMENT_AGE_MAX_US
    }

    pub(super) const fn summary(&self) -> Summary {
        self.summary
    }
}

impl Summary {
    /// Cuts off what a crash has left half-written; `None` if nothing is left.
    pub(super) fn mend(dir: &Path, number: u32) -> io::Result<Option<Self>> {
        let length = fs::metadata(messages_path(dir, number))?.len();
        let path = index_path(dir, number);
        let mut index = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(index) => index,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut entries = index.metadata()?.len() / ENTRY_BYTES as u64;
        let last = loop {
            let Some(at) = entries.checked_sub(1) else {
                return Ok(None);
            };
            let entry = read_entry(&mut index, at)?;
            if u64::from(entry.offset) + u64::from(entry.length) <= length {
                break entry;
            }
            entries -= 1;
        };
        index.set_len(entries * ENTRY_BYTES as u64)?;
        let first = read_entry(&mut index, 0)?;
        Ok(Some(Self {
            number,
            bytes: length + entries * ENTRY_BYTES as u64,
            first_us: first.at_us,
            last_us: last.at_us,
        }))
    }
}

fn read_entry(index: &mut File, at: u64) -> io::Result<Entry> {
    let mut bytes = [0; ENTRY_BYTES];
    index.seek(SeekFrom::Start(at * ENTRY_BYTES as u64))?;
    index.read_exact(&mut bytes)?;
    Ok(Entry::decode(&bytes))
}

/// The numbers of the segments of a directory, the oldest first.
pub(super) fn numbers(dir: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let name = file?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(MESSAGES));
        found.extend(number.and_then(|hex| u32::from_str_radix(hex, 16).ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes a segment as far as it is there.
pub(super) fn remove(dir: &Path, number: u32) {
    for path in [messages_path(dir, number), index_path(dir, number)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "old traces stay");
            }
            _ => {}
        }
    }
}

pub(super) fn messages_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08x}{MESSAGES}"))
}

pub(super) fn index_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08x}.index"))
}

const MESSAGES: &str = ".trace";
/// So that old messages go even where few come.
const SEGMENT_AGE_MAX_US: u64 = 6 * 3_600 * 1_000_000;
