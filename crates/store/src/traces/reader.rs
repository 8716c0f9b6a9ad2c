//! Looking for messages, beside the one who writes.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use trace::{ENTRY_BYTES, Entry, Head, Seen, Wanted};

use super::segment::{index_path, messages_path, numbers};

/// The reading end; there may be many.
#[derive(Clone, Debug)]
pub struct TraceReader {
    pub(super) dir: PathBuf,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId {
    pub(super) segment: u32,
    pub(super) offset: u32,
}

impl TraceId {
    /// Before all that there are.
    pub const FIRST: Self = Self {
        segment: 0,
        offset: 0,
    };
    /// Behind all that there are.
    pub const LAST: Self = Self {
        segment: u32::MAX,
        offset: u32::MAX,
    };
}

/// In which order messages are looked for: that in which they were written, or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceOrder {
    /// The first come first.
    OldestFirst,
    /// The last come first.
    NewestFirst,
}

impl TraceReader {
    /// Reads what a [`TraceLog`](super::TraceLog) writes there.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// At most `limit` messages that are wanted, of 64 MiB together, those beyond `after` only.
    ///
    /// # Errors
    /// If the disk cannot be read. What is removed meanwhile is no error.
    pub fn find(
        &self,
        wanted: &Wanted,
        order: TraceOrder,
        after: Option<TraceId>,
        limit: usize,
    ) -> io::Result<Vec<(TraceId, Seen)>> {
        let prints = wanted.prints();
        let mut numbers = gone_is_empty(numbers(&self.dir))?;
        if order == TraceOrder::NewestFirst {
            numbers.reverse();
        }
        let mut found = Vec::new();
        let mut room = FOUND_BYTES_MAX;
        for number in numbers {
            let is_past = after.is_some_and(|after| match order {
                TraceOrder::OldestFirst => number < after.segment,
                TraceOrder::NewestFirst => number > after.segment,
            });
            if is_past {
                continue;
            }
            let index = gone_is_empty(fs::read(index_path(&self.dir, number)))?;
            let (entries, _) = index.as_chunks::<ENTRY_BYTES>();
            let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
                continue;
            };
            // What others tell may be late, or of another clock.
            let (first_us, last_us) = (Entry::decode(first).at_us, Entry::decode(last).at_us);
            let (first_us, last_us) = (first_us.min(last_us), first_us.max(last_us));
            if !prints.covers(first_us.saturating_sub(SLACK_US), last_us + SLACK_US) {
                continue;
            }
            let Some(file) = open(&messages_path(&self.dir, number))? else {
                continue;
            };
            let look = |bytes: &[u8; ENTRY_BYTES]| -> io::Result<Option<(TraceId, Seen)>> {
                let entry = Entry::decode(bytes);
                let id = TraceId {
                    segment: number,
                    offset: entry.offset,
                };
                let is_beyond = after.is_none_or(|after| match order {
                    TraceOrder::OldestFirst => id > after,
                    TraceOrder::NewestFirst => id < after,
                });
                if !is_beyond || !prints.take(&entry) {
                    return Ok(None);
                }
                let seen = read(&file, &entry)?.filter(|seen| wanted.takes(seen, &entry));
                Ok(seen.map(|seen| (id, seen)))
            };
            let places = 0..entries.len();
            let in_order = places.map(|at| match order {
                TraceOrder::OldestFirst => at,
                TraceOrder::NewestFirst => entries.len() - 1 - at,
            });
            for at in in_order {
                if found.len() == limit {
                    return Ok(found);
                }
                let Some((id, seen)) = look(&entries[at])? else {
                    continue;
                };
                let Some(left) = room.checked_sub(seen.payload.len()) else {
                    return Ok(found);
                };
                room = left;
                found.push((id, seen));
            }
        }
        Ok(found)
    }

    /// The keys of calls of ours that messages bear.
    #[must_use]
    pub fn keys_of(found: &[(TraceId, Seen)]) -> Vec<u64> {
        let mut keys: Vec<u64> = Vec::new();
        for (_, seen) in found {
            let entry = Entry::of(&seen.passage(), &Head::read(&seen.payload));
            if !entry.elsewhere && entry.key != 0 && !keys.contains(&entry.key) {
                keys.push(entry.key);
            }
        }
        keys
    }

    /// The keys of calls of ours that the first of the messages bear that are wanted.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn keys(&self, wanted: &Wanted) -> io::Result<Vec<u64>> {
        let first = self.find(wanted, TraceOrder::OldestFirst, None, KEYS_LOOK_MAX)?;
        Ok(Self::keys_of(&first))
    }

    /// One message, if it is still there.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn message(&self, id: TraceId) -> io::Result<Option<Seen>> {
        let index = gone_is_empty(fs::read(index_path(&self.dir, id.segment)))?;
        let (entries, _) = index.as_chunks::<ENTRY_BYTES>();
        let entry = entries.binary_search_by_key(&id.offset, |bytes| Entry::decode(bytes).offset);
        let Ok(at) = entry else {
            return Ok(None);
        };
        match open(&messages_path(&self.dir, id.segment))? {
            Some(file) => read(&file, &Entry::decode(&entries[at])),
            None => Ok(None),
        }
    }
}

pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn read(file: &File, entry: &Entry) -> io::Result<Option<Seen>> {
    if entry.length > MESSAGE_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; entry.length as usize];
    match file.read_exact_at(&mut bytes, entry.offset.into()) {
        Ok(()) => Ok(Seen::decode(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn gone_is_empty<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        result => result,
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.segment, self.offset)
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TraceId {
    type Error = BadTraceId;

    fn try_from(text: String) -> Result<Self, BadTraceId> {
        text.parse()
    }
}

impl FromStr for TraceId {
    type Err = BadTraceId;

    fn from_str(text: &str) -> Result<Self, BadTraceId> {
        let number = |hex| u32::from_str_radix(hex, 16).map_err(|_| BadTraceId);
        let (segment, offset) = text.split_once('-').ok_or(BadTraceId)?;
        Ok(Self {
            segment: number(segment)?,
            offset: number(offset)?,
        })
    }
}

/// A text that names no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two hexadecimal numbers with a hyphen between them name a message")]
pub struct BadTraceId;

/// How far the times of messages of one segment may be beside those of its first and last.
pub(super) const SLACK_US: u64 = 3_600 * 1_000_000;
/// Longer entries are none of ours.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// Bytes of messages of one answer: of a page and of a ladder even the longest fit.
const FOUND_BYTES_MAX: usize = 64 << 20;
/// Messages that are looked at for the key of their call: the first few bear it.
const KEYS_LOOK_MAX: usize = 64;
