//! Traced SIP messages on disk: segments that are only appended to, each with an index beside it.
//!
//! Layout: `NNNNNNNN.trace` holds messages one after the other ([`trace::Seen::encode`]), and
//! `NNNNNNNN.index` one [`trace::Entry`] of 64 bytes for each. Messages are written before their
//! entries, so that an entry that is there is true; what a crash has left half-written is cut off
//! at the next start. Nothing is synced: a trace may lose its last seconds with the machine.
//!
//! What is too old or too much goes segment by segment, the oldest first. Readers
//! ([`TraceReader`]) share nothing with the writer but the files.

mod part;
mod reader;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trace::{Batch, Bodies};

pub use self::part::{TraceLegs, TracePart, TracePlace, TraceQuery};
pub use self::reader::{BadTraceId, TraceId, TraceOrder, TraceReader};
use self::segment::{Segment, Summary, remove};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceLimits {
    /// Bytes on disk, indices included; a segment more may be there for a moment.
    pub bytes_max: u64,
    /// How long a message is kept; with its segment, up to six hours longer.
    pub age_max: Duration,
}

/// What is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceStats {
    /// Bytes on disk.
    pub bytes: u64,
    /// When the oldest message was seen, in microseconds since 1970; `None` without any.
    pub oldest_us: Option<u64>,
}

/// The writing end; there is one.
#[derive(Debug)]
pub struct TraceLog {
    dir: PathBuf,
    limits: TraceLimits,
    /// Those that are full, the oldest first.
    full: VecDeque<Summary>,
    /// The one that is written; `None` before the first message.
    current: Option<Segment>,
    next: u32,
}

impl TraceLog {
    /// Opens a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If the directory cannot be made or read.
    pub fn open(dir: &Path, limits: TraceLimits) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let mut full = VecDeque::new();
        let mut next = 0;
        for number in segment::numbers(dir)? {
            next = number + 1;
            match Summary::mend(dir, number)? {
                Some(summary) => full.push_back(summary),
                None => remove(dir, number),
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            limits,
            full,
            current: None,
            next,
        })
    }

    /// Keeps more or less from now on.
    pub fn configure(&mut self, limits: TraceLimits) {
        self.limits = limits;
    }

    /// Appends messages without their secrets, and removes what is too much or, at `now_us`
    /// (microseconds since 1970), too old.
    ///
    /// # Errors
    /// If the disk takes them not; some may have been taken.
    pub fn append(&mut self, batch: &mut Batch, bodies: Bodies, now_us: u64) -> io::Result<()> {
        let written = self.write(batch, bodies, now_us);
        // Also where the disk takes none: that may be for what is too old.
        self.prune(now_us);
        written
    }

    fn write(&mut self, batch: &mut Batch, bodies: Bodies, now_us: u64) -> io::Result<()> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => {
                let number = self.next;
                self.next += 1;
                Segment::create(&self.dir, number)?
            }
        };
        let written = current.append(batch, bodies);
        let summary = current.summary();
        if written.is_err() {
            // Where the files end is looked up; the next begins anew.
            drop(current);
            match Summary::mend(&self.dir, summary.number) {
                Ok(Some(left)) => self.full.push_back(left),
                _ => remove(&self.dir, summary.number),
            }
        } else if current.is_full(self.limits.segment_bytes(), now_us) {
            self.full.push_back(summary);
        } else {
            self.current = Some(current);
        }
        written
    }

    /// Removes what is too much, or too old.
    pub fn prune(&mut self, now_us: u64) {
        let age_us = self.limits.age_max.as_micros() as u64;
        let current = self.current.as_ref();
        if current.is_some_and(|segment| segment.summary().last_us.saturating_add(age_us) < now_us)
        {
            let summary = self.current.take().map(|segment| segment.summary());
            self.full.extend(summary);
        }
        let mut bytes = self.stats().bytes;
        while let Some(oldest) = self.full.front() {
            let is_old = oldest.last_us.saturating_add(age_us) < now_us;
            if !is_old && bytes <= self.limits.bytes_max {
                return;
            }
            bytes -= oldest.bytes;
            remove(&self.dir, oldest.number);
            self.full.pop_front();
        }
    }

    /// What is there.
    #[must_use]
    pub fn stats(&self) -> TraceStats {
        let current = self.current.as_ref().map(Segment::summary);
        let current = current.filter(|summary| summary.bytes > 0);
        let all = || self.full.iter().chain(&current);
        TraceStats {
            bytes: all().map(|summary| summary.bytes).sum(),
            oldest_us: all().next().map(|summary| summary.first_us),
        }
    }
}

impl TraceLimits {
    /// Small enough that what goes with the oldest segment is a small part of all.
    fn segment_bytes(&self) -> u64 {
        (self.bytes_max / SEGMENTS).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
    }
}

/// How many segments are about all that is kept.
const SEGMENTS: u64 = 16;
const SEGMENT_BYTES_MIN: u64 = 256 * 1_024;
const SEGMENT_BYTES_MAX: u64 = 64 * 1_024 * 1_024;
