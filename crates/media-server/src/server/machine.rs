//! How busy the process is.

use std::fs;
use std::thread;
use std::time::Instant;

/// Processor time of this process since it was last asked.
#[derive(Debug)]
pub(super) struct Processor {
    last: Option<(Instant, u64)>,
    processors: u64,
}

impl Processor {
    pub(super) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, |n| n.get() as u64);
        Self {
            last: None,
            processors,
        }
    }

    /// The share of all processors since the last call, in thousandths.
    pub(super) fn busy_permille(&mut self, now: Instant) -> u16 {
        let Some(ticks) = ticks() else {
            return 0;
        };
        let last = self.last.replace((now, ticks));
        let Some((then, before)) = last else {
            return 0;
        };
        let passed_ms = now.saturating_duration_since(then).as_millis().max(1) as u64;
        let busy_ms = ticks.saturating_sub(before) * MS_PER_TICK;
        (busy_ms * 1_000 / (passed_ms * self.processors)).min(1_000) as u16
    }
}

/// User and system time of the process (proc(5), fields 14 and 15).
fn ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold anything but ends at the last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// `USER_HZ` is 100 on every architecture we are built for.
const MS_PER_TICK: u64 = 10;
