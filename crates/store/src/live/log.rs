//! Bindings on the disk of one machine: an append-only log, written by a thread of its own.
//!
//! The owner's side only gathers: a save is a hash of the binding's name and an entry in a map,
//! however large the log is. A flush hands the map over if the thread is idle, and else lets it
//! gather on, so what is in memory is bounded by the number of bindings, not by the rate of
//! their refreshes or the speed of the disk.
//!
//! A killed process loses what it had not flushed; bindings are refreshed by their devices.

mod codec;
mod file;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use self::codec::PAYLOAD_MAX;
use self::file::LogFile;
use super::{BindingRecord, LiveStore};
use crate::StoreError;

/// Bindings in a log file; fills [`LiveStore`]. One process at a time.
pub struct LiveLog {
    names: NameHasher,
    /// What changed since the last batch was handed over.
    pending: Batch,
    /// Whether the thread has a batch whose outcome was not taken yet.
    in_flight: bool,
    /// Bindings that were too large to be stored since the last flush.
    oversized: usize,
    /// Present until dropped.
    work: Option<Sender<Work>>,
    outcomes: Receiver<Result<(), Failure>>,
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
            in_flight: false,
            oversized: 0,
            work: Some(work),
            outcomes,
            thread: Some(thread),
        })
    }

    fn hand_over(&mut self, durability: Durability) -> Result<(), StoreError> {
        let batch = core::mem::take(&mut self.pending);
        let work = self.work.as_ref().ok_or_else(thread_died)?;
        work.send(Work::Write(batch, durability))
            .map_err(|_| thread_died())?;
        self.in_flight = true;
        Ok(())
    }

    /// Takes what failed back, unless it changed again meanwhile.
    fn settle(&mut self, outcome: Result<(), Failure>) -> Result<(), StoreError> {
        self.in_flight = false;
        let Err(Failure { batch, error }) = outcome else {
            return Ok(());
        };
        for (name, change) in batch {
            if let Entry::Vacant(entry) = self.pending.entry(name) {
                entry.insert(change);
            }
        }
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
    fn save(&mut self, record: BindingRecord) {
        if record.aor.len() + record.key.len() + record.body.len() > PAYLOAD_MAX {
            self.oversized += 1;
            return;
        }
        let name = self.names.hash(&record.aor, &record.key);
        self.pending.insert(name, Change::Save(record));
    }

    fn remove(&mut self, aor: &str, key: &[u8]) {
        if aor.len() + key.len() > PAYLOAD_MAX {
            return;
        }
        let name = self.names.hash(aor, key);
        let gone = Change::Remove {
            aor: aor.to_owned(),
            key: key.to_vec(),
        };
        self.pending.insert(name, gone);
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let earlier = match self.outcomes.try_recv() {
            Ok(outcome) => self.settle(outcome),
            Err(_) => Ok(()),
        };
        if !self.in_flight && !self.pending.is_empty() {
            self.hand_over(Durability::Process)?;
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

/// The newest state of bindings that changed, by the hash of their names.
type Batch = ByName<Change>;

/// A map by the hashes of names, which need no hashing again.
type ByName<V> = HashMap<u128, V, BuildHasherDefault<NameIsHash>>;

/// The low half of a name's hash.
#[derive(Default)]
struct NameIsHash(u64);

impl Hasher for NameIsHash {
    fn write_u128(&mut self, name: u128) {
        self.0 = name as u64;
    }

    /// Not used: names are numbers.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The newest state of a binding.
enum Change {
    Save(BindingRecord),
    Remove { aor: String, key: Vec<u8> },
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

/// A batch that was not stored, or perhaps in part.
struct Failure {
    batch: Batch,
    error: StoreError,
}

fn run(mut file: LogFile, orders: &Receiver<Work>, report: &Sender<Result<(), Failure>>) {
    while let Ok(order) = orders.recv() {
        let heard = match order {
            Work::Write(batch, durability) => {
                let outcome = file.write(&batch, durability);
                report
                    .send(outcome.map_err(|error| Failure {
                        batch,
                        error: error.into(),
                    }))
                    .is_ok()
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

/// Names as 128 bits under a key of this process: nobody outside can make two collide.
#[derive(Clone, Default)]
struct NameHasher {
    low: RandomState,
    high: RandomState,
}

impl NameHasher {
    fn hash(&self, aor: &str, key: &[u8]) -> u128 {
        let name = (aor, key);
        u128::from(self.high.hash_one(name)) << 64 | u128::from(self.low.hash_one(name))
    }
}

#[cfg(test)]
mod tests;
