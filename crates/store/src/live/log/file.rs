//! The log file: frames at its end, an index of the newest frame of each binding, and
//! compaction when three quarters of it are out of date.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Durability;
use super::batch::{Batch, EntryKind};
use super::codec::{self, Change};
use super::names::{ByName, Name, NameHasher};
use crate::StoreError;
use crate::frame::{self, FrameReader};
use crate::live::BindingRecord;

/// A log and where in it each binding stands.
pub(super) struct LogFile {
    path: PathBuf,
    names: NameHasher,
    file: File,
    /// Where the next frame goes. The file is longer only after a write that failed.
    end: u64,
    /// The newest frame of each binding that is saved, by the hash of its name.
    index: ByName<Slot>,
    /// Bytes of the frames in `index`.
    live_bytes: u64,
    /// A log that is not longer is left as it is.
    compact_beyond: u64,
}

/// A frame in the file.
#[derive(Clone, Copy)]
struct Slot {
    offset: u64,
    len: u32,
}

impl LogFile {
    /// Opens a log and finds its bindings. Errors: `Corrupt`, `Unavailable`.
    pub(super) fn open(path: &Path, names: NameHasher) -> Result<Self, StoreError> {
        let file = open(path, OpenOptions::new().truncate(false))?;
        let mut log = Self {
            path: path.to_owned(),
            names,
            file,
            end: 0,
            index: ByName::default(),
            live_bytes: 0,
            compact_beyond: COMPACT_MIN,
        };
        log.read_index()?;
        Ok(log)
    }

    /// Appends the changes of a batch, then compacts if that pays.
    pub(super) fn write(&mut self, batch: &Batch, durability: Durability) -> io::Result<()> {
        // A longer batch that failed may have left whole frames behind the end.
        if self.file.metadata()?.len() > self.end {
            self.file.set_len(self.end)?;
        }
        self.file.write_all_at(batch.bytes(), self.end)?;
        for entry in batch.entries() {
            let slot = Slot {
                offset: self.end,
                len: entry.len,
            };
            self.end += u64::from(entry.len);
            self.point(entry.name, (entry.kind == EntryKind::Saved).then_some(slot));
        }
        if self.end > self.compact_beyond && self.live_bytes < self.end / OUTDATED_FACTOR {
            // What was written stands in the log all the same, so this is not the batch's failure.
            if let Err(error) = self.compact() {
                tracing::warn!(%error, "the log of bindings could not be compacted");
                self.compact_beyond = self.end + self.end / 4;
            }
        }
        if let Durability::Machine = durability {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// All bindings that are not expired; the others are forgotten.
    pub(super) fn load(&mut self, now_us: u64) -> Result<Vec<BindingRecord>, StoreError> {
        let mut records = Vec::with_capacity(self.index.len());
        let mut expired = Vec::new();
        let mut reader = self.reader()?;
        while let Some((offset, payload)) = reader.next()? {
            let change = codec::decode(payload).ok_or_else(|| unreadable(&self.path))?;
            let Change::Save(record) = change else {
                continue;
            };
            let name = self.names.hash(&record.aor, &record.key);
            if self
                .index
                .get(&name)
                .is_none_or(|slot| slot.offset != offset)
            {
                continue;
            }
            if record.expires_us > now_us {
                records.push(record);
            } else {
                expired.push(name);
            }
        }
        for name in expired {
            self.point(name, None);
        }
        Ok(records)
    }

    fn read_index(&mut self) -> Result<(), StoreError> {
        let mut magic = [0; MAGIC.len()];
        let len = self.file.metadata()?.len();
        if len < MAGIC.len() as u64 {
            self.file.set_len(0)?;
            self.file.write_all_at(&MAGIC, 0)?;
            self.end = MAGIC.len() as u64;
            return Ok(());
        }
        self.file.read_exact_at(&mut magic, 0)?;
        if magic != MAGIC {
            return Err(unreadable(&self.path));
        }
        let mut reader = self.reader()?;
        loop {
            let offset = reader.offset();
            self.end = offset;
            let Some((_, payload)) = reader.next()? else {
                break;
            };
            let len = (frame::HEADER_LEN + payload.len()) as u32;
            let change = codec::decode(payload).ok_or_else(|| unreadable(&self.path))?;
            let (name, slot) = match &change {
                Change::Save(r) => (self.names.hash(&r.aor, &r.key), Some(Slot { offset, len })),
                Change::Remove { aor, key } => (self.names.hash(aor, key), None),
            };
            self.point(name, slot);
        }
        self.file.set_len(self.end)?;
        Ok(())
    }

    /// Notes where a binding stands now.
    fn point(&mut self, name: Name, slot: Option<Slot>) {
        let old = match slot {
            Some(slot) => {
                self.live_bytes += u64::from(slot.len);
                self.index.insert(name, slot)
            }
            None => self.index.remove(&name),
        };
        self.live_bytes -= old.map_or(0, |slot| u64::from(slot.len));
    }

    /// Writes the newest frames to another file and puts that in the place of this.
    fn compact(&mut self) -> io::Result<()> {
        let mut live: Vec<_> = self
            .index
            .iter()
            .map(|(name, slot)| (slot.offset, *name))
            .collect();
        live.sort_unstable();
        let temporary = self.path.with_extension("new");
        let file = open(&temporary, OpenOptions::new().truncate(true))?;
        let mut out = io::BufWriter::with_capacity(COPY_BUFFER, &file);
        out.write_all(&MAGIC)?;
        let mut end = MAGIC.len() as u64;
        let mut index = ByName::with_capacity_and_hasher(live.len(), Default::default());
        let mut live = live.into_iter().peekable();
        let mut reader = self.reader()?;
        while let Some((offset, frame)) = reader.next_frame()? {
            let Some((_, name)) = live.next_if(|(wanted, _)| *wanted == offset) else {
                continue;
            };
            out.write_all(frame)?;
            let len = frame.len() as u32;
            index.insert(name, Slot { offset: end, len });
            end += u64::from(len);
        }
        if live.next().is_some() {
            return Err(io::Error::other("the log of bindings is damaged"));
        }
        out.flush()?;
        drop(out);
        file.sync_data()?;
        fs::rename(&temporary, &self.path)?;
        self.live_bytes = end - MAGIC.len() as u64;
        (self.file, self.end, self.index) = (file, end, index);
        self.compact_beyond = COMPACT_MIN;
        Ok(())
    }

    fn reader(&self) -> io::Result<FrameReader> {
        Ok(FrameReader::new(self.file.try_clone()?, MAGIC.len() as u64))
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options
        .read(true)
        .write(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn unreadable(path: &Path) -> StoreError {
    StoreError::Corrupt(format!(
        "{} is no log of bindings this program knows",
        path.display()
    ))
}

/// What a log begins with: the format and its version.
const MAGIC: [u8; 8] = *b"TDMLIVE1";
/// How many times longer than its live frames a log may become.
const OUTDATED_FACTOR: u64 = 4;
/// Smaller logs are left as they are.
const COMPACT_MIN: u64 = 1_024 * 1_024;
/// Compaction writes so much at once.
const COPY_BUFFER: usize = 1_024 * 1_024;
