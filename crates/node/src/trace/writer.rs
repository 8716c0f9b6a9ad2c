//! The end of the queue: secrets are hidden, and what is left is written.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use model::{TraceMode, TraceSettings, TraceTexts};
use store::{TraceLimits, TraceLog};
use trace::{Batch, Bodies};

use super::Shared;

/// Hides secrets and writes.
#[derive(Debug)]
pub(super) struct Writer {
    log: TraceLog,
    bodies: Bodies,
    shared: Arc<Shared>,
    /// The disk takes nothing: it is said once.
    is_failing: bool,
}

impl Writer {
    pub(super) fn new(log: TraceLog, settings: &TraceSettings, shared: Arc<Shared>) -> Self {
        let writer = Self {
            log,
            bodies: bodies(settings),
            shared,
            is_failing: false,
        };
        writer.tell();
        writer
    }

    pub(super) fn configure(&mut self, settings: &TraceSettings) {
        self.bodies = bodies(settings);
        self.log.configure(limits(settings));
        self.prune();
    }

    pub(super) fn prune(&mut self) {
        self.log.prune(now_us());
        self.tell();
    }

    pub(super) fn write(&mut self, mut batch: Batch) {
        let count = batch.len() as u64;
        match self.log.append(&mut batch, self.bodies, now_us()) {
            Ok(()) => {
                self.is_failing = false;
                self.shared.kept.fetch_add(count, Relaxed);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "SIP messages are not kept: the disk takes none");
                }
                self.shared.failed.fetch_add(count, Relaxed);
            }
        }
        self.tell();
    }

    /// How much there is, to those who ask.
    fn tell(&self) {
        let stats = self.log.stats();
        self.shared.bytes.store(stats.bytes, Relaxed);
        let oldest_us = stats.oldest_us.unwrap_or(0);
        self.shared.oldest_us.store(oldest_us, Relaxed);
    }
}

const fn bodies(settings: &TraceSettings) -> Bodies {
    match (settings.mode, settings.texts) {
        (TraceMode::Full, TraceTexts::Keep) => Bodies::Kept,
        (TraceMode::Full, TraceTexts::Hide) => Bodies::WithoutTexts,
        (TraceMode::Headers | TraceMode::Off, _) => Bodies::LeftOut,
    }
}

pub(super) fn limits(settings: &TraceSettings) -> TraceLimits {
    TraceLimits {
        bytes_max: u64::from(settings.megabytes) * 1_000_000,
        age_max: Duration::from_secs(86_400) * u32::from(settings.days),
    }
}

/// Retention is by the clock of the machine.
fn now_us() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_micros() as u64)
}

/// How long the thread sleeps once it has written: whoever tells does not wake it meanwhile.
pub(super) const GATHER: Duration = Duration::from_millis(25);
/// Between two looks for what is too old while nothing comes.
pub(super) const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
