//! How good a stream is: round trips, what the peer says of it, and MOS over the call.
//!
//! Packets touch nothing here. Reports of RTCP, one every few seconds, leave their figures in
//! atomics; a sample every [`SAMPLE_S`] takes a lock that only the engine's reports contend for.
//! MOS needs no RTCP: without it the delay of the network counts as none.

use std::sync::atomic::{AtomicI32, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rtp::{
    Compound, ExtendedBlock, Impairment, ReportBlock, ReportTime, RtcpPacket, Sample, Timeline,
    mos_centi, r_factor, round_trip_us,
};

use crate::report::{LegReport, PeerReport};
use crate::tally::StreamReading;

/// What is known of one peer's stream and of its reports. Written by one worker.
#[derive(Debug, Default)]
pub(crate) struct Quality {
    /// SRs of the peer that passed: the middle of their NTP time above, when they passed below.
    passed: [AtomicU64; SR_MEMORY],
    /// How many passed.
    passed_count: AtomicU32,
    /// The round trip between us and the peer: the last, all together, and how many.
    rtt_us: AtomicU32,
    rtt_sum_us: AtomicU64,
    rtt_count: AtomicU32,
    /// What the peer said last of the stream that is sent to it: if it did, packets lost, jitter
    /// in units of that stream's clock, and its MOS in hundredths (0 if it gave none).
    told: AtomicU32,
    told_lost: AtomicI32,
    told_jitter: AtomicU32,
    told_mos_centi: AtomicU16,
    /// The clock of the stream of our own making that is sent to the peer; 0 if there is none.
    own_clock_rate_hz: AtomicU32,
    history: Mutex<History>,
}

/// What is made of a stream that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// In 256ths.
    pub(crate) loss_rate: u8,
    /// 0 if unknown.
    pub(crate) rtt_us: u32,
    pub(crate) r_factor: u8,
    /// As heard, and as talked: with the delay.
    pub(crate) mos_lq_centi: u16,
    pub(crate) mos_cq_centi: u16,
}

/// What the samples leave.
#[derive(Debug, Default)]
struct History {
    codecs: Vec<CodecNote>,
    timeline: Timeline,
    /// The totals at the last sample.
    packets: u64,
    lost: u64,
}

/// What quality depends on in a codec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodecNote {
    pub(crate) payload_type: u8,
    pub(crate) clock_rate_hz: u32,
    pub(crate) impairment: Impairment,
}

/// Learns from a datagram of RTCP that came `from` one peer and reports on the stream of the peer
/// that it goes `toward`.
pub(crate) fn observe(bytes: &[u8], from: &Quality, toward: &Quality, now_us: u64) {
    let Ok(compound) = Compound::parse(bytes) else {
        return;
    };
    let now = ReportTime::from_us(now_us);
    for packet in compound.packets() {
        match packet {
            RtcpPacket::SenderReport { report, blocks, .. } => {
                from.note_passed(ReportTime::of_ntp(report.ntp), now);
                blocks
                    .iter()
                    .for_each(|block| from.note_block(&block, toward, now));
            }
            RtcpPacket::ReceiverReport { blocks, .. } => {
                blocks
                    .iter()
                    .for_each(|block| from.note_block(&block, toward, now));
            }
            RtcpPacket::ExtendedReport { blocks, .. } => {
                for block in blocks.iter() {
                    if let ExtendedBlock::VoipMetrics(metrics) = block {
                        let mos = metrics.mos_cq_centi.or(metrics.mos_lq_centi);
                        from.told_mos_centi.store(mos.unwrap_or(0), Relaxed);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Quality {
    fn note_passed(&self, sent: ReportTime, now: ReportTime) {
        let count = self.passed_count.load(Relaxed);
        let entry = u64::from(sent.0) << 32 | u64::from(now.0);
        self.passed[count as usize % SR_MEMORY].store(entry, Relaxed);
        self.passed_count.store(count.wrapping_add(1), Relaxed);
    }

    /// An SR of our own, of the stream made of what this peer sends, went to the other.
    pub(crate) fn note_own_report(&self, ntp: u64, now_us: u64) {
        self.note_passed(ReportTime::of_ntp(ntp), ReportTime::from_us(now_us));
    }

    /// The clock of the stream that this peer's reports speak of.
    pub(crate) fn note_own_clock(&self, clock_rate_hz: u32) {
        self.own_clock_rate_hz.store(clock_rate_hz, Relaxed);
    }

    /// When an SR of this peer passed.
    fn passed(&self, sent: u32) -> Option<ReportTime> {
        let mut entries = self.passed.iter().map(|entry| entry.load(Relaxed));
        let found = entries.find(|entry| *entry != 0 && (entry >> 32) as u32 == sent)?;
        Some(ReportTime(found as u32))
    }

    fn note_block(&self, block: &ReportBlock, toward: &Self, now: ReportTime) {
        self.told_lost.store(block.lost, Relaxed);
        self.told_jitter.store(block.jitter, Relaxed);
        self.told.store(1, Relaxed);
        let answered = (block.last_sr != 0).then(|| toward.passed(block.last_sr));
        let trip_us = answered
            .flatten()
            .and_then(|passed| round_trip_us(passed, now, block.delay_since_last_sr));
        if let Some(trip_us) = trip_us {
            self.note_round_trip(trip_us);
        }
    }

    fn note_round_trip(&self, trip_us: u32) {
        self.rtt_us.store(trip_us, Relaxed);
        let sum_us = self.rtt_sum_us.load(Relaxed) + u64::from(trip_us);
        self.rtt_sum_us.store(sum_us, Relaxed);
        self.rtt_count
            .store(self.rtt_count.load(Relaxed) + 1, Relaxed);
    }

    /// The codecs of the negotiation in force.
    pub(crate) fn note_codecs(&self, codecs: &[CodecNote]) {
        let mut history = self.history();
        history.codecs.clear();
        history.codecs.extend_from_slice(codecs);
    }

    /// Takes a sample: what came since the last.
    pub(crate) fn sample(&self, reading: &StreamReading) {
        if reading.packets == 0 {
            return;
        }
        let rtt_us = self.rtt_us.load(Relaxed);
        self.history().take(reading, rtt_us);
    }

    /// The mean round trip; `None` if none was measured.
    pub(crate) fn round_trip_us(&self) -> Option<u32> {
        let count = u64::from(self.rtt_count.load(Relaxed));
        let mean_us = self.rtt_sum_us.load(Relaxed).checked_div(count)?;
        u32::try_from(mean_us).ok()
    }

    /// MOS of the whole stream so far in hundredths, 0 if nothing came.
    pub(crate) fn mos_centi(&self, reading: &StreamReading) -> u16 {
        let trip_us = self.round_trip_us().unwrap_or(0);
        self.history().mos_centi(
            reading.payload_type,
            (reading.packets, reading.lost),
            reading.jitter_us,
            trip_us,
        )
    }

    /// What an extended report says of the stream; `None` before anything came.
    pub(crate) fn found(&self, reading: &StreamReading) -> Option<Found> {
        let expected = reading.packets + reading.lost;
        let lost_fraction = reading.lost as f32 / expected.max(1) as f32;
        let trip_us = self.round_trip_us().unwrap_or(0);
        let impairment = self.history().impairment(reading.payload_type);
        let mos = |delay_us| mos_centi(impairment, lost_fraction, reading.jitter_us, delay_us);
        let delay_us = PACKET_US.saturating_add(trip_us / 2);
        let r = r_factor(impairment, lost_fraction, reading.jitter_us, delay_us);
        (reading.packets > 0).then(|| Found {
            loss_rate: (lost_fraction * 256.0).min(255.0) as u8,
            rtt_us: trip_us,
            r_factor: r.round() as u8,
            mos_lq_centi: mos(0),
            mos_cq_centi: mos(delay_us),
        })
    }

    /// The course of the stream, what came since the last sample included.
    pub(crate) fn fill(&self, reading: &StreamReading, leg: &mut LegReport) {
        let history = self.history();
        let mut now = History {
            codecs: history.codecs.clone(),
            timeline: history.timeline.clone(),
            ..*history
        };
        drop(history);
        if reading.packets > now.packets {
            now.take(reading, self.rtt_us.load(Relaxed));
        }
        let timeline = now.timeline;
        leg.mos_min_centi = timeline.mos_min_centi();
        leg.mos_avg_centi = timeline.mos_avg_centi();
        leg.slice_s = SAMPLE_S * timeline.samples_per_slice();
        leg.slices = timeline.slices().collect();
    }

    /// What this peer said of the stream sent to it: `sent` came from the other peer, and
    /// `other` knows its codecs. `trip_us` is the round trip from peer to peer.
    pub(crate) fn peer_report(
        &self,
        sent: &StreamReading,
        other: &Self,
        trip_us: u32,
    ) -> Option<PeerReport> {
        let told_mos_centi = self.told_mos_centi.load(Relaxed);
        if self.told.load(Relaxed) == 0 && told_mos_centi == 0 {
            return None;
        }
        let lost = u64::try_from(self.told_lost.load(Relaxed)).unwrap_or(0);
        let history = other.history();
        let clock_rate_hz = match self.own_clock_rate_hz.load(Relaxed) {
            0 => history.clock_rate_hz(sent.payload_type),
            own => own,
        };
        let ticks = u64::from(self.told_jitter.load(Relaxed));
        let jitter_us = (ticks * 1_000_000).checked_div(u64::from(clock_rate_hz));
        let jitter_us = u32::try_from(jitter_us.unwrap_or(0)).unwrap_or(u32::MAX);
        // What was lost before us is in the peer's figure too.
        let arrived = (sent.packets + sent.lost).saturating_sub(lost);
        let mos_centi = match told_mos_centi {
            0 => history.mos_centi(sent.payload_type, (arrived, lost), jitter_us, trip_us),
            told => told,
        };
        Some(PeerReport {
            lost,
            jitter_us,
            mos_centi,
        })
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // A panic elsewhere leaves figures that are at worst one sample old.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn take(&mut self, reading: &StreamReading, rtt_us: u32) {
        let packets = reading.packets.saturating_sub(self.packets);
        let lost = reading.lost.saturating_sub(self.lost);
        let counts = (packets, lost);
        let mos_centi = match packets {
            0 => 0,
            _ => self.mos_centi(reading.payload_type, counts, reading.jitter_us, rtt_us),
        };
        self.timeline.record(Sample {
            packets: u32::try_from(packets).unwrap_or(u32::MAX),
            lost: u32::try_from(lost).unwrap_or(u32::MAX),
            jitter_us: reading.jitter_us,
            rtt_us,
            mos_centi,
        });
        self.packets = reading.packets;
        self.lost = reading.lost;
    }

    fn mos_centi(
        &self,
        payload_type: u8,
        (packets, lost): (u64, u64),
        jitter_us: u32,
        trip_us: u32,
    ) -> u16 {
        if packets + lost == 0 {
            return 0;
        }
        let impairment = self.impairment(payload_type);
        let lost_fraction = lost as f32 / (packets + lost) as f32;
        let delay_us = PACKET_US.saturating_add(trip_us / 2);
        mos_centi(impairment, lost_fraction, jitter_us, delay_us)
    }

    fn impairment(&self, payload_type: u8) -> Impairment {
        let codec = self.codec(payload_type);
        codec.map_or_else(|| Impairment::of_codec(""), |codec| codec.impairment)
    }

    fn clock_rate_hz(&self, payload_type: u8) -> u32 {
        self.codec(payload_type)
            .map_or(8_000, |codec| codec.clock_rate_hz)
    }

    fn codec(&self, payload_type: u8) -> Option<&CodecNote> {
        let mut codecs = self.codecs.iter();
        codecs.find(|codec| codec.payload_type == payload_type)
    }
}

/// Seconds from one sample to the next.
pub(crate) const SAMPLE_S: u32 = 5;
/// SRs remembered: those of half a minute at the usual interval.
const SR_MEMORY: usize = 6;
/// A phone speaks a packet only when it is full: the usual 20 ms.
const PACKET_US: u32 = 20_000;

#[cfg(test)]
mod tests;
