//! The CDR journal of a node: an append-only log in a directory of its own.
//!
//! The call path appends entries to memory ([`Journal::append`]) and writes them with one
//! write(2) per batch ([`Journal::write`]) before it sends the SIP messages of that batch. So a
//! process that is killed has told nobody of a call that the journal does not know. A thread
//! syncs the file every [`JournalConfig::sync_interval`]: a machine that loses power loses at
//! most that much. A [`Shipper`], on a thread of its own, moves closed CDRs to a
//! [`CdrStore`](crate::CdrStore) by call id, so that repeating itself after a crash does no harm,
//! and deletes segments that are shipped.
//!
//! Layout: `segment-N` holds frames (length, CRC-32, payload) behind an eight-byte mark of
//! format; `carry-N` is the state up to and with segment N, kept when that is deleted;
//! `shipped` says how far the shipper is; `lock` keeps a second process out.
//!
//! Full disk: what cannot be written stays in memory and is tried again by each
//! [`Journal::write`], from the very byte where it stopped. Beyond half of
//! [`JournalConfig::buffer_max`] new calls are refused ([`JournalError::Full`]: answer 503), so
//! that calls that were accepted keep room for their records; beyond all of it every entry is.
//! [`JournalStats`] counts each of these.

mod codec;
mod disk;
mod entry;
mod open_calls;
mod recordings;
mod recovery;
mod segment;
mod shipper;
mod syncer;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Time;

pub use self::disk::{Disk, DiskFile};
pub use self::entry::{JournalEntry, OpenCdr};
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::open_calls::RESTART_REASON;
pub use self::recovery::Recovery;
use self::recovery::recover;
use self::segment::{LOCK_NAME, MAGIC, segment_path, sync_directory};
pub use self::shipper::{SHIP_BATCH, ShipError, Shipped, Shipper, ShipperThread};
use self::syncer::Syncer;
use crate::frame;

/// The writing end of a journal, owned by the thread of the call path.
pub struct Journal {
    dir: PathBuf,
    config: JournalConfig,
    disk: Box<dyn Disk>,
    file: Box<dyn DiskFile>,
    /// The number of the segment that `file` is.
    segment: u64,
    /// Bytes of the segment, those in `buffer` included.
    segment_len: u64,
    /// Entries that are not written yet, the first `written` bytes excepted.
    buffer: Vec<u8>,
    /// How much of `buffer` is in the file: above 0 only after a write stopped half-way.
    written: usize,
    stats: JournalStats,
    syncer: Syncer,
    /// Held for the lock on it.
    _lock: File,
}

impl Journal {
    /// Opens the journal in a directory, which is made if need be, and closes the calls that a
    /// crash left open: their records are in the journal, durably, when this returns.
    ///
    /// `now` is the node's first sign of life. Errors: `Locked`, `UnknownFormat`, `Io`.
    pub fn open(
        dir: &Path,
        config: JournalConfig,
        now: Time,
    ) -> Result<(Self, Recovery), JournalError> {
        Self::open_on(Box::new(disk::LocalDisk), dir, config, now)
    }

    /// [`Journal::open`] on a disk of the caller's.
    pub fn open_on(
        mut disk: Box<dyn Disk>,
        dir: &Path,
        config: JournalConfig,
        now: Time,
    ) -> Result<(Self, Recovery), JournalError> {
        private_directory(dir)?;
        let lock = lock(dir)?;
        let (mut state, segment, torn_bytes) = recover(dir)?;
        let last = state.last;
        let mut ended = state.close_all(&config.node);
        if let Some(dir) = &config.recordings {
            recordings::name(dir, &mut ended);
        }
        let (closed, unsettled) = match config.left_open {
            LeftOpen::Ended => (ended, Vec::new()),
            LeftOpen::Unsettled => (Vec::new(), ended),
        };

        let file = disk.create(&segment_path(dir, segment))?;
        let syncer = Syncer::start(dir.to_owned(), file.file()?, config.sync_interval)?;
        let mut journal = Self {
            dir: dir.to_owned(),
            config,
            disk,
            file,
            segment,
            segment_len: 0,
            buffer: Vec::new(),
            written: 0,
            stats: JournalStats::default(),
            syncer,
            _lock: lock,
        };
        for cdr in &closed {
            journal.append_entry(&JournalEntry::Closed(cdr.clone()));
        }
        journal.append_entry(&JournalEntry::Heartbeat(now));
        journal.write()?;
        journal.file.file()?.sync_data()?;
        sync_directory(dir)?;
        let next_sequence = state.next_sequence;
        Ok((
            journal,
            Recovery {
                closed,
                unsettled,
                last,
                next_sequence,
                torn_bytes,
            },
        ))
    }

    /// Appends an entry to memory. Errors: `Full`, and the entry is not in the journal.
    pub fn append(&mut self, entry: &JournalEntry) -> Result<(), JournalError> {
        let pending = self.buffer.len() - self.written;
        let bound = match entry {
            JournalEntry::Opened(_) | JournalEntry::Heartbeat(_) => self.config.buffer_max / 2,
            JournalEntry::Answered { .. } | JournalEntry::Closed(_) | JournalEntry::Left(_) => {
                self.config.buffer_max
            }
        };
        if pending >= bound {
            self.stats.refused += 1;
            return Err(JournalError::Full);
        }
        self.append_entry(entry);
        Ok(())
    }

    /// Writes what was appended: one write(2), none if there is nothing. Errors: `Io`, and what
    /// could not be written is kept for the next call.
    pub fn write(&mut self) -> Result<(), JournalError> {
        while self.written < self.buffer.len() {
            match self.file.write(&self.buffer[self.written..]) {
                Ok(0) => return Err(self.write_failed(io::ErrorKind::WriteZero.into())),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.write_failed(error)),
            }
        }
        if self.written == 0 {
            return Ok(());
        }
        self.written = 0;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        self.syncer.note_written();
        if self.segment_len >= self.config.segment_bytes {
            self.rotate();
        }
        Ok(())
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        JournalStats {
            pending_bytes: self.buffer.len() - self.written,
            sync_errors: self.syncer.errors(),
            ..self.stats
        }
    }

    fn append_entry(&mut self, entry: &JournalEntry) {
        let before = self.buffer.len();
        if self.segment_len == 0 {
            self.buffer.extend_from_slice(&MAGIC);
        }
        frame::append(&mut self.buffer, |out| codec::encode(entry, out));
        self.segment_len += (self.buffer.len() - before) as u64;
        self.stats.appended += 1;
    }

    fn write_failed(&mut self, error: io::Error) -> JournalError {
        self.stats.write_errors += 1;
        if self.written >= BUFFER_KEPT {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
        JournalError::Io(error)
    }

    /// Goes on in a new segment; in the old one if none can be made.
    fn rotate(&mut self) {
        let next = self.segment + 1;
        let created = self
            .disk
            .create(&segment_path(&self.dir, next))
            .and_then(|file| Ok((file.file()?, file)));
        match created {
            Ok((for_syncer, file)) => {
                self.syncer.go_on_with(for_syncer);
                self.file = file;
                self.segment = next;
                self.segment_len = 0;
            }
            Err(error) => {
                self.stats.write_errors += 1;
                tracing::error!(%error, "no new segment of the CDR journal could be made");
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Err(error) = self.write() {
            tracing::error!(%error, "the end of the CDR journal could not be written");
        }
    }
}

/// How a journal behaves.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// The name of the node in records that recovery closes.
    pub node: String,
    /// A segment that has reached this size is followed by another.
    pub segment_bytes: u64,
    /// What is kept in memory while the disk takes nothing.
    pub buffer_max: usize,
    /// The longest time between a write and its sync.
    pub sync_interval: Duration,
    /// What is to be thought of calls that a crash left open.
    pub left_open: LeftOpen,
    /// Where recordings lie: those of calls that a crash left open are named in their records.
    pub recordings: Option<PathBuf>,
}

/// What became of calls that a crash left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeftOpen {
    /// They ended with the process, and are closed when the journal is opened.
    #[default]
    Ended,
    /// Another node may go on with them: they stay open until the owner of the journal appends
    /// [`JournalEntry::Left`] or [`JournalEntry::Closed`] for each.
    Unsettled,
}

impl JournalConfig {
    /// The usual bounds for a node.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            segment_bytes: SEGMENT_BYTES,
            buffer_max: BUFFER_MAX,
            sync_interval: SYNC_INTERVAL,
            left_open: LeftOpen::Ended,
            recordings: None,
        }
    }
}

/// What happened to a journal since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Entries taken.
    pub appended: u64,
    /// Entries refused because the disk took nothing for too long.
    pub refused: u64,
    /// Writes that failed; what they held was kept and tried again.
    pub write_errors: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Bytes in memory that are not written yet.
    pub pending_bytes: usize,
}

/// Why a journal refuses or fails, ordered by culprit.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operator: another process has the directory.
    #[error("another process has this journal open")]
    Locked,
    /// The operator: the journal was written by another version of the program.
    #[error("segment {segment} of the journal is not in a format this program knows")]
    UnknownFormat {
        /// Which segment.
        segment: u64,
    },
    /// The machine: the disk has taken nothing for so long that memory is full.
    #[error("the journal's memory is full: the disk takes nothing")]
    Full,
    /// The machine: the disk failed.
    #[error("the journal's disk failed: {0}")]
    Io(#[from] io::Error),
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join(LOCK_NAME))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// See [`JournalConfig::segment_bytes`]: about 30,000 calls.
const SEGMENT_BYTES: u64 = 16 * 1_024 * 1_024;
/// See [`JournalConfig::buffer_max`].
const BUFFER_MAX: usize = 64 * 1_024 * 1_024;
/// See [`JournalConfig::sync_interval`].
const SYNC_INTERVAL: Duration = Duration::from_millis(50);
/// The buffer gives back what it has beyond this.
const BUFFER_KEPT: usize = 1_024 * 1_024;

/// Makes a directory that only its owner may look into, or makes it one.
fn private_directory(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests;
