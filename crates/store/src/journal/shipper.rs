//! Moves closed CDRs from a journal to a store, then lets go of what was moved.
//!
//! The place it has reached is written after the store has confirmed. A crash in between
//! repeats a batch, which the store passes over by call id; no crash skips one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use model::Cdr;

use super::open_calls::OpenCalls;
use super::segment::{
    SHIPPED_NAME, carries, carry_path, damaged_path, read_segment, replace_file, segment_path,
    segments,
};
use super::{JournalError, codec};
use crate::{CdrStore, StoreError, frame};

/// The reading end of a journal; one for each, and only while the journal is open or nobody
/// writes to it.
pub struct Shipper {
    dir: PathBuf,
    /// Where the next round begins.
    position: Position,
}

impl Shipper {
    /// Reads how far the journal in a directory was shipped. Errors: `Io`.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let position = match fs::read(dir.join(SHIPPED_NAME)) {
            // A damaged file means repeating what the store has already, nothing worse.
            Ok(bytes) => Position::decode(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Position::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            dir: dir.to_owned(),
            position,
        })
    }

    /// Moves at most [`SHIP_BATCH`] records, then deletes segments that are moved as a whole.
    /// After an error the round can be repeated.
    pub fn ship(&mut self, store: &dyn CdrStore) -> Result<Shipped, ShipError> {
        // Listed before reading: a segment that has a successor by now does not grow any more.
        let segments = segments(&self.dir).map_err(JournalError::from)?;
        let mut at = self.position;
        let mut batch = Vec::new();
        for (index, &number) in segments.iter().enumerate() {
            if number < at.segment {
                continue;
            }
            if number > at.segment {
                at = Position {
                    segment: number,
                    offset: 0,
                };
            }
            at.offset = self.read(at, &mut batch)?;
            if batch.len() >= SHIP_BATCH {
                break;
            }
            if index + 1 < segments.len() {
                at = Position {
                    segment: number + 1,
                    offset: 0,
                };
            }
        }
        let added = if batch.is_empty() {
            0
        } else {
            store.insert_batch(&batch)?
        };
        if at != self.position {
            replace_file(&self.dir.join(SHIPPED_NAME), &at.encode()).map_err(JournalError::from)?;
            self.position = at;
        }
        self.retire(&segments)?;
        Ok(Shipped {
            read: batch.len(),
            added,
        })
    }

    /// Ships every `interval`, and at once while there is more than a batch, until the returned
    /// handle is dropped. Errors are logged and the round is repeated.
    pub fn spawn(
        mut self,
        store: Arc<dyn CdrStore>,
        interval: Duration,
    ) -> io::Result<ShipperThread> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("journal-ship".into())
            .spawn(move || {
                // Said once: the store may be away for a day.
                let mut is_failing = false;
                loop {
                    let last = matches!(
                        stopped.recv_timeout(interval),
                        Err(RecvTimeoutError::Disconnected)
                    );
                    loop {
                        match self.ship(&*store) {
                            Ok(shipped) => {
                                if std::mem::take(&mut is_failing) {
                                    tracing::info!("CDRs leave the journal again");
                                }
                                if shipped.read < SHIP_BATCH {
                                    break;
                                }
                            }
                            Err(error) => {
                                if !std::mem::replace(&mut is_failing, true) {
                                    tracing::warn!(%error, "CDRs stay in the journal");
                                }
                                break;
                            }
                        }
                    }
                    if last {
                        return;
                    }
                }
            })?;
        Ok(ShipperThread {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Reads closed records from a place on into the batch until that is full; returns where
    /// to go on in the same segment.
    fn read(&self, at: Position, batch: &mut Vec<Cdr>) -> Result<u64, JournalError> {
        let Some(mut reader) = read_segment(&self.dir, at.segment, at.offset)? else {
            return Ok(at.offset);
        };
        while batch.len() < SHIP_BATCH {
            let Some((_, payload)) = reader.next()? else {
                break;
            };
            if codec::is_closed(payload) {
                let unknown = JournalError::UnknownFormat {
                    segment: at.segment,
                };
                batch.push(codec::decode_closed(payload).ok_or(unknown)?);
            }
        }
        Ok(reader.offset())
    }

    /// Deletes segments that are shipped as a whole, after their state is carried over. The
    /// last segment is never one of them.
    fn retire(&self, segments: &[u64]) -> Result<(), JournalError> {
        let mut carried = carries(&self.dir)?.pop();
        for &number in segments.iter().take_while(|&&n| n < self.position.segment) {
            let path = segment_path(&self.dir, number);
            if carried.is_none_or(|carried| carried < number) {
                let mut state = match carried {
                    Some(carried) => OpenCalls::load(&self.dir, carried)?,
                    None => OpenCalls::default(),
                };
                let end = state.apply_segment(&self.dir, number)?;
                state.save(&self.dir, number)?;
                carried = Some(number);
                if fs::metadata(&path)?.len() > end {
                    tracing::error!(segment = number, end, "the CDR journal is damaged");
                    fs::rename(&path, damaged_path(&self.dir, number))?;
                    continue;
                }
            }
            fs::remove_file(&path)?;
        }
        if let Some(carried) = carried {
            drop_carries_before(&self.dir, carried)?;
        }
        Ok(())
    }
}

/// A running shipper. Dropping it ships what there is and waits for that.
pub struct ShipperThread {
    /// Present until dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ShipperThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a round of shipping did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Records read; [`SHIP_BATCH`] means that there may be more.
    pub read: usize,
    /// Those among them that the store did not have.
    pub added: usize,
}

/// Why a round of shipping failed.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The journal cannot be read, or its place not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store takes nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A place in a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    segment: u64,
    /// Where a frame begins; 0 means the first.
    offset: u64,
}

impl Position {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, |out| {
            out.extend_from_slice(&self.segment.to_le_bytes());
            out.extend_from_slice(&self.offset.to_le_bytes());
        });
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (payload, _) = frame::split(bytes)?;
        let (segment, offset) = payload.split_first_chunk()?;
        Some(Self {
            segment: u64::from_le_bytes(*segment),
            offset: u64::from_le_bytes(offset.try_into().ok()?),
        })
    }
}

/// Deletes carried states that a later one replaces.
fn drop_carries_before(dir: &Path, number: u64) -> Result<(), JournalError> {
    for old in carries(dir)? {
        if old < number {
            fs::remove_file(carry_path(dir, old))?;
        }
    }
    Ok(())
}

/// Records that are moved to the store at once.
pub const SHIP_BATCH: usize = 500;
