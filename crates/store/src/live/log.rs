//! Bindings on the disk of one machine: an append-only log, written by a thread of its own.
//!
//! The owner's side only gathers: a save is the bytes of the frame that will stand in the file,
//! appended to a batch. A flush hands the batch over if the thread is idle, and else lets it
//! gather on, up to a bound; beyond it the owner keeps its changes to itself.
//!
//! A killed process loses what it had not flushed; bindings are refreshed by their devices.

mod batch;
mod codec;
mod file;
mod names;

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use self::batch::Batch;
use self::codec::PAYLOAD_MAX;
use self::file::LogFile;
use self::names::NameHasher;
use super::{BindingRecord, BindingState, LiveStore};
use crate::StoreError;

/// Bindings in a log file; fills [`LiveStore`]. One process at a time.
pub struct LiveLog {
    names: NameHasher,
    /// What changed since the last batch was handed over; behind what that batch did not bring
    /// to the file.
    pending: Batch,
    /// The memory of a batch that was written, for the next.
    spare: Batch,
    /// Whether the thread has a batch whose outcome was not taken yet.
    in_flight: bool,
    /// Whether the last batch whose outcome is known was not stored.
    failing: bool,
    /// Bindings that were too large to be stored since the last flush.
    oversized: usize,
    /// Present until dropped.
    work: Option<Sender<Work>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

impl LiveLog {
    /// Opens a log, which is made if need be; what a crash left half-written is cut off.
    /// Errors: `Corrupt` if the file is none of ours, `Unavailable`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let names = NameHasher::default();
        let file = LogFile::open(path, names.clone())?;
        let (work, orders) = channel();
        let (report, outcomes) = channel();
        let thread = std::thread::Builder::new()
            .name("live-log".into())
            .spawn(move || run(file, &orders, &report))?;
        Ok(Self {
            names,
            pending: Batch::default(),
            spare: Batch::default(),
            in_flight: false,
            failing: false,
            oversized: 0,
            work: Some(work),
            outcomes,
            thread: Some(thread),
        })
    }

    fn hand_over(&mut self, durability: Durability) -> Result<(), StoreError> {
        let spare = core::mem::take(&mut self.spare);
        let batch = core::mem::replace(&mut self.pending, spare);
        let work = self.work.as_ref().ok_or_else(thread_died)?;
        work.send(Work::Write(batch, durability))
            .map_err(|_| thread_died())?;
        self.in_flight = true;
        Ok(())
    }

    /// Puts what was not stored before what has changed since.
    fn settle(&mut self, outcome: Outcome) -> Result<(), StoreError> {
        self.in_flight = false;
        self.failing = outcome.error.is_some();
        let mut batch = outcome.batch;
        let Some(error) = outcome.error else {
            batch.clear();
            self.spare = batch;
            return Ok(());
        };
        batch.extend(&self.pending);
        self.pending = batch;
        Err(error)
    }

    fn wait(&mut self) -> Result<(), StoreError> {
        if !self.in_flight {
            return Ok(());
        }
        let outcome = self.outcomes.recv().map_err(|_| thread_died())?;
        self.settle(outcome)
    }

    fn report_oversized(&mut self) -> Result<(), StoreError> {
        match core::mem::take(&mut self.oversized) {
            0 => Ok(()),
            n => Err(StoreError::Unavailable(format!(
                "{n} bindings were too large to be stored"
            ))),
        }
    }
}

impl LiveStore for LiveLog {
    fn has_room(&self) -> bool {
        !self.failing && self.pending.bytes().len() < PENDING_BYTES_MAX
    }

    fn save(&mut self, record: BindingState<'_>) {
        if record.aor.len() + record.key.len() + record.body.len() > PAYLOAD_MAX {
            self.oversized += 1;
            return;
        }
        let name = self.names.hash(record.aor, record.key);
        self.pending.save(name, &record);
    }

    fn remove(&mut self, aor: &str, key: &[u8]) {
        if aor.len() + key.len() > PAYLOAD_MAX {
            return;
        }
        self.pending.remove(self.names.hash(aor, key), aor, key);
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let earlier = match self.outcomes.try_recv() {
            Ok(outcome) => self.settle(outcome),
            Err(_) => Ok(()),
        };
        if !self.in_flight {
            if self.pending.is_empty() {
                // A quiet time: memory is for others.
                (self.pending, self.spare) = Default::default();
            } else {
                self.hand_over(Durability::Process)?;
            }
        }
        earlier.and(self.report_oversized())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        // A failure of the batch before is no failure of this: it goes out again here.
        let _ = self.wait();
        self.hand_over(Durability::Machine)?;
        self.wait().and(self.report_oversized())
    }

    fn load_all(&mut self, now_us: u64) -> Result<Vec<BindingRecord>, StoreError> {
        self.wait()?;
        let (reply, loaded) = channel();
        let work = self.work.as_ref().ok_or_else(thread_died)?;
        work.send(Work::Load { now_us, reply })
            .map_err(|_| thread_died())?;
        loaded.recv().map_err(|_| thread_died())?
    }
}

impl Drop for LiveLog {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::error!(%error, "the last changes of bindings could not be stored");
        }
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a batch must survive before it counts as stored.
#[derive(Clone, Copy)]
enum Durability {
    /// The end of the process.
    Process,
    /// The end of the machine's power.
    Machine,
}

enum Work {
    Write(Batch, Durability),
    Load {
        now_us: u64,
        reply: Sender<Result<Vec<BindingRecord>, StoreError>>,
    },
}

/// A batch that was written; with an error, one that was not, or perhaps in part.
struct Outcome {
    batch: Batch,
    error: Option<StoreError>,
}

fn run(mut file: LogFile, orders: &Receiver<Work>, report: &Sender<Outcome>) {
    while let Ok(order) = orders.recv() {
        let heard = match order {
            Work::Write(batch, durability) => {
                let error = file.write(&batch, durability).err().map(StoreError::from);
                report.send(Outcome { batch, error }).is_ok()
            }
            Work::Load { now_us, reply } => reply.send(file.load(now_us)).is_ok(),
        };
        if !heard {
            return;
        }
    }
}

fn thread_died() -> StoreError {
    StoreError::Unavailable("the thread that stores bindings has died".into())
}

/// Changes that wait for the thread, in bytes. Beyond it, owners keep theirs.
const PENDING_BYTES_MAX: usize = 64 * 1_024 * 1_024;

#[cfg(test)]
mod tests;
