//! What a worker's media hand over: packets that leave, copies, and why some do not leave.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::end::Now;
use super::stage::Outbox;
use crate::counters::DropReason;

/// The outboxes of a worker.
#[derive(Debug)]
pub(crate) struct Boxes {
    /// What leaves.
    pub(crate) out: Outbox,
    /// What is copied to other media.
    pub(crate) copies: Outbox,
    /// What goes to media that share a transport, and from them.
    pub(crate) shared: Outbox,
    /// Take its place while it is handed on.
    pub(crate) spares: Vec<Outbox>,
    /// What a stage makes for the next.
    pub(super) spare: Outbox,
    pub(super) overflowed: u64,
    /// Why packets do not leave after all, or what went wrong by itself.
    pub(crate) refused: Vec<DropReason>,
    /// What `now_us` counts from.
    epoch: Instant,
    /// The wall clock then, in microseconds since 1970. It is not asked again: reports want two
    /// clocks that run side by side, and one that is set in between would tear them apart.
    epoch_unix_us: u64,
    /// The room of a report in the making.
    pub(super) report: Vec<u8>,
    /// Whether RTCP is told.
    tells_rtcp: Arc<AtomicBool>,
}

impl Boxes {
    pub(crate) fn new(epoch: Instant, tells_rtcp: Arc<AtomicBool>) -> Self {
        Self {
            out: Outbox::default(),
            copies: Outbox::default(),
            shared: Outbox::default(),
            spares: Vec::new(),
            spare: Outbox::default(),
            overflowed: 0,
            refused: Vec::new(),
            epoch,
            epoch_unix_us: unix_us().saturating_sub(epoch.elapsed().as_micros() as u64),
            report: Vec::new(),
            tells_rtcp,
        }
    }

    /// How many packets found no room since this was asked last.
    pub(crate) fn take_overflowed(&mut self) -> u64 {
        let boxes = [&mut self.out, &mut self.copies, &mut self.shared];
        let overflowed: u64 = boxes.into_iter().map(Outbox::take_overflowed).sum();
        mem::take(&mut self.overflowed) + overflowed
    }

    pub(super) fn tells_rtcp(&self) -> bool {
        self.tells_rtcp.load(Relaxed)
    }

    /// The wall clock in NTP format.
    pub(super) fn ntp(&self, now_us: u64) -> u64 {
        rtp::ntp_of_unix_us(self.epoch_unix_us + now_us)
    }

    pub(super) fn now(&self, now_us: u64) -> Now {
        Now {
            us: now_us,
            epoch: self.epoch,
        }
    }
}

fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    since.map_or(0, |since| since.as_micros() as u64)
}
