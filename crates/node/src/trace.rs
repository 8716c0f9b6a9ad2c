//! SIP messages on their way into the trace: whoever sees one copies it into a batch of its own and
//! goes on; batches go through a bounded queue to a thread that hides secrets and writes. What finds
//! no room is dropped and counted.

mod collector;
mod tap;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use model::{TraceMode, TraceSettings};
use store::TraceLog;
use trace::{Batch, Kind};

pub(crate) use collector::{Collector, CollectorLink};
pub(crate) use tap::{Teller, TraceTap};
use writer::Writer;

/// The way to the thread.
#[derive(Clone, Debug)]
pub(crate) struct TraceLink {
    shared: Arc<Shared>,
    batches: Sender<Batch>,
    orders: Sender<TraceSettings>,
}

/// What both ends look at.
#[derive(Debug, Default)]
struct Shared {
    is_on: AtomicBool,
    /// Kinds that are not wanted, as bits.
    unwanted: AtomicU8,
    kept: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    /// 0: nothing is there.
    oldest_us: AtomicU64,
}

impl TraceLink {
    /// Starts the thread; it ends when the last link is gone.
    ///
    /// # Errors
    /// If there is no directory, or no thread, to be had.
    pub(crate) fn start(dir: &Path, settings: &TraceSettings) -> Result<Self> {
        let log =
            TraceLog::open(dir, writer::limits(settings)).context("the directory of traces")?;
        let shared = Arc::<Shared>::default();
        let (batches, taken) = bounded(tap::BATCHES_MAX);
        let (orders, ordered) = unbounded();
        let link = Self {
            shared: Arc::clone(&shared),
            batches,
            orders,
        };
        link.configure(settings);
        let writer = Writer::new(log, settings, shared);
        thread::Builder::new()
            .name("trace".into())
            .spawn(move || run(writer, &taken, &ordered))
            .context("no thread for traces")?;
        Ok(link)
    }

    /// Keeps more or less from now on.
    pub(crate) fn configure(&self, settings: &TraceSettings) {
        let mut unwanted = 0;
        if !settings.registrations {
            unwanted |= bit(Kind::Registrations);
        }
        if !settings.keep_alives {
            unwanted |= bit(Kind::Options);
        }
        self.shared.unwanted.store(unwanted, Relaxed);
        self.shared
            .is_on
            .store(settings.mode != TraceMode::Off, Relaxed);
        // The thread lives as long as this.
        let _ = self.orders.send(settings.clone());
    }

    /// A place for a thread that sees messages.
    pub(crate) fn tap(&self, teller: Teller) -> TraceTap {
        TraceTap::new(self.clone(), teller)
    }

    #[inline]
    fn wants(&self, message: &[u8]) -> bool {
        let shared = &*self.shared;
        if !shared.is_on.load(Relaxed) {
            return false;
        }
        // Where every kind is wanted, nobody looks for a message's kind.
        let unwanted = shared.unwanted.load(Relaxed);
        unwanted == 0 || unwanted & bit(kind_of(message)) == 0
    }

    /// What has become of messages so far.
    pub(crate) fn counts(&self) -> TraceCounts {
        let shared = &*self.shared;
        let oldest_us = shared.oldest_us.load(Relaxed);
        TraceCounts {
            kept: shared.kept.load(Relaxed),
            dropped: shared.dropped.load(Relaxed),
            failed: shared.failed.load(Relaxed),
            bytes: shared.bytes.load(Relaxed),
            oldest_us: (oldest_us > 0).then_some(oldest_us),
        }
    }
}

/// What has become of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceCounts {
    pub(crate) kept: u64,
    /// For want of room in the queue.
    pub(crate) dropped: u64,
    /// For want of room on the disk.
    pub(crate) failed: u64,
    pub(crate) bytes: u64,
    pub(crate) oldest_us: Option<u64>,
}

/// Writes what is told, until nobody is left to tell.
fn run(mut writer: Writer, batches: &Receiver<Batch>, orders: &Receiver<TraceSettings>) {
    loop {
        crossbeam_channel::select! {
            recv(orders) -> settings => match settings {
                Ok(settings) => writer.configure(&settings),
                Err(_) => break,
            },
            recv(batches) -> batch => match batch {
                Ok(batch) => {
                    obey(&mut writer, orders);
                    writer.write(batch);
                    thread::sleep(writer::GATHER);
                    // What is told after a change is kept as it says.
                    obey(&mut writer, orders);
                    batches
                        .try_iter()
                        .take(tap::BATCHES_MAX)
                        .for_each(|batch| writer.write(batch));
                }
                Err(_) => break,
            },
            default(writer::PRUNE_INTERVAL) => writer.prune(),
        }
    }
    // The last words of those who are gone.
    batches.try_iter().for_each(|batch| writer.write(batch));
}

fn obey(writer: &mut Writer, orders: &Receiver<TraceSettings>) {
    while let Ok(settings) = orders.try_recv() {
        writer.configure(&settings);
    }
}

/// The kind of a message by its first line; answers and all else count as calls': what they answer is
/// told by CSeq, for which one would have to read them.
fn kind_of(message: &[u8]) -> Kind {
    match message.starts_with(b"SIP/2.0") {
        false => Kind::of(message),
        true => {
            // The method stands behind the number.
            let at = memchr::memmem::find(message, b"CSeq:");
            let value = at.map_or(&[][..], |at| &message[at + 5..]);
            let end = value.iter().position(|b| *b == b'\r' || *b == b'\n');
            let value = value[..end.unwrap_or(value.len())].trim_ascii();
            let method = value.iter().position(u8::is_ascii_whitespace);
            Kind::of(method.map_or(&[], |at| value[at..].trim_ascii_start()))
        }
    }
}

const fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::Calls => 1,
        Kind::Registrations => 2,
        Kind::Options => 4,
        Kind::Others => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_of_the_kind_of_what_they_answer() {
        let kinds = [
            ("REGISTER sip:a SIP/2.0\r\n", Kind::Registrations),
            (
                "SIP/2.0 401 Unauthorized\r\nVia: x\r\nCSeq: 7 REGISTER\r\n",
                Kind::Registrations,
            ),
            ("SIP/2.0 200 OK\r\nCSeq:  1   OPTIONS\r\n", Kind::Options),
            ("SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n", Kind::Calls),
            ("SIP/2.0 200 OK\r\n", Kind::Calls),
            ("MESSAGE sip:a SIP/2.0", Kind::Others),
            ("", Kind::Calls),
        ];
        for (message, kind) in kinds {
            assert_eq!(kind_of(message.as_bytes()), kind, "{message}");
        }
    }
}
