//! What was received from one source: RFC 3550 §A.1 (sequence), §A.3 (loss), §A.8 (jitter).

use crate::Header;

/// Statistics of one SSRC.
///
/// Unlike RFC 3550 §A.1, a source is counted from its first packet and needs no probation: whether
/// it may send at all is decided before.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    ssrc: u32,
    /// Highest sequence number seen, and how often it has wrapped, in units of 2^16.
    highest: u16,
    cycles: u32,
    /// The sequence number counting starts at.
    base: u32,
    /// What must come next for a jump to be taken as a restart.
    after_jump: Option<u16>,
    /// Packets since `base`.
    received: u64,
    /// Totals of before the last restart.
    earlier_received: u64,
    earlier_lost: u64,
    /// Arrival less timestamp of the last packet, in timestamp units.
    transit: Option<u32>,
    /// The jitter estimate times 16, in timestamp units.
    jitter_q4: u32,
    clock_rate_hz: u32,
}

/// What [`Reception`] has found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Packets received, duplicates and late ones included.
    pub received: u64,
    /// Packets expected less received, 0 if duplicates outweigh losses.
    pub lost: u64,
    /// Interarrival jitter in microseconds.
    pub jitter_us: u32,
}

/// How far a [`Reception`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The highest sequence number, with its wraps above the lower 16 bits.
    pub highest: u32,
    /// Jitter in timestamp units, times 16 (RFC 3550 §A.8).
    pub jitter_q4: u32,
}

impl Reception {
    /// Starts with a source's first packet.
    #[must_use]
    pub fn new(header: &Header, arrival_us: u64, clock_rate_hz: u32) -> Self {
        let mut new = Self {
            ssrc: header.ssrc,
            highest: header.sequence,
            cycles: 0,
            base: u32::from(header.sequence),
            after_jump: None,
            received: 1,
            earlier_received: 0,
            earlier_lost: 0,
            transit: None,
            jitter_q4: 0,
            clock_rate_hz,
        };
        new.update_jitter(header.timestamp, arrival_us, clock_rate_hz);
        new
    }

    /// Takes a packet of the same source. `clock_rate_hz` is that of its payload type; 0 leaves
    /// the jitter alone.
    #[inline]
    pub fn record(&mut self, header: &Header, arrival_us: u64, clock_rate_hz: u32) {
        if !self.update_sequence(header.sequence) {
            return;
        }
        self.update_jitter(header.timestamp, arrival_us, clock_rate_hz);
    }

    /// Whose packets these are.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The highest sequence number, with its wraps above the lower 16 bits, and 16 times the
    /// jitter in timestamp units: where another relay may go on counting.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            highest: self.cycles.wrapping_add(u32::from(self.highest)),
            jitter_q4: self.jitter_q4,
        }
    }

    /// Takes over what another relay has counted since [`Reception::progress`] or the last call
    /// of this: `received` packets of this source, all within the sequence.
    pub fn absorb(&mut self, progress: Progress, received: u64) {
        if received == 0 {
            return;
        }
        let highest = self.progress().highest;
        if progress.highest.wrapping_sub(highest) < 1 << 31 {
            self.highest = progress.highest as u16;
            self.cycles = progress.highest & 0xffff_0000;
        }
        self.received += received;
        self.jitter_q4 = progress.jitter_q4;
        self.after_jump = None;
        // Its clock is not ours.
        self.transit = None;
    }

    /// The figures so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (jitter, clock_rate_hz) = self.jitter();
        Snapshot {
            received: self.earlier_received + self.received,
            lost: self.lost(),
            jitter_us: ticks_us(jitter, clock_rate_hz),
        }
    }

    /// Packets expected less received, 0 if duplicates outweigh losses.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.earlier_lost + self.lost_since_base()
    }

    /// Interarrival jitter in timestamp units, and their rate.
    #[must_use]
    pub fn jitter(&self) -> (u32, u32) {
        (self.jitter_q4 >> 4, self.clock_rate_hz)
    }

    /// RFC 3550 §A.1. Whether the packet fits the sequence.
    fn update_sequence(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < MAX_DROPOUT {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
        } else if ahead <= u16::MAX - MAX_MISORDER {
            // A jump: two packets in sequence prove that the sender has restarted.
            if self.after_jump != Some(sequence) {
                self.after_jump = Some(sequence.wrapping_add(1));
                self.received += 1;
                return false;
            }
            self.restart(sequence);
            return true;
        }
        self.after_jump = None;
        self.received += 1;
        true
    }

    fn restart(&mut self, sequence: u16) {
        // The first packet after the jump was counted before it was known to belong here.
        self.received -= 1;
        self.earlier_lost += self.lost_since_base();
        self.earlier_received += self.received;
        self.base = u32::from(sequence.wrapping_sub(1));
        self.cycles = if sequence == 0 { 1 << 16 } else { 0 };
        self.highest = sequence;
        self.received = 2;
        self.after_jump = None;
        self.transit = None;
    }

    fn lost_since_base(&self) -> u64 {
        let highest = u64::from(self.cycles) + u64::from(self.highest);
        let expected = (highest + 1).saturating_sub(u64::from(self.base));
        expected.saturating_sub(self.received)
    }

    /// RFC 3550 §A.8, in integers as there.
    fn update_jitter(&mut self, timestamp: u32, arrival_us: u64, clock_rate_hz: u32) {
        if clock_rate_hz == 0 {
            return;
        }
        if clock_rate_hz != self.clock_rate_hz {
            self.clock_rate_hz = clock_rate_hz;
            self.transit = None;
            self.jitter_q4 = 0;
        }
        let transit = ticks(arrival_us, clock_rate_hz).wrapping_sub(timestamp);
        if let Some(previous) = self.transit.replace(transit) {
            let d = (transit.wrapping_sub(previous) as i32).unsigned_abs();
            // A step of more than a second is a new timestamp base, not jitter.
            if d < clock_rate_hz {
                self.jitter_q4 += d;
                self.jitter_q4 -= (self.jitter_q4 - d + 8) >> 4;
            }
        }
    }
}

/// A span in timestamp units as microseconds; 0 if their rate is not known.
#[must_use]
pub fn ticks_us(ticks: u32, clock_rate_hz: u32) -> u32 {
    let span_us = (u64::from(ticks) * 1_000_000).checked_div(u64::from(clock_rate_hz));
    u32::try_from(span_us.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// A time in timestamp units, modulo 2^32. The seconds go apart, so that 64 bits hold the product.
fn ticks(time_us: u64, clock_rate_hz: u32) -> u32 {
    let rate = u64::from(clock_rate_hz);
    let (seconds, rest_us) = (time_us / 1_000_000, time_us % 1_000_000);
    (seconds.wrapping_mul(rate)).wrapping_add(rest_us * rate / 1_000_000) as u32
}

/// A gap up to this many packets is loss; beyond it, a restart is suspected.
const MAX_DROPOUT: u16 = 3_000;
/// A packet up to this far behind is late; beyond it, a restart is suspected.
const MAX_MISORDER: u16 = 100;

#[cfg(test)]
mod tests;
