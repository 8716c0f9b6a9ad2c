//! Our part in the RTCP session with a side, where the stream that it hears is of our making.
//!
//! What is only relayed is reported on by the peers themselves, whose RTCP passes. A stage that
//! speaks as a source of its own ([`super::Stage::source`]) makes us a member beside them, or the
//! only one if it keeps what the other peer says to itself.

use std::hash::{BuildHasher, RandomState};

use rtp::{Bursts, Findings, GMIN, Header, Reported, Reporter, VoipMetrics};

use super::{Boxes, Channels, Full, Leaves, Part, Place, Stage};
use crate::channel::{Channel, Xr};
use crate::engine::Side;
use crate::formats::Format;

/// Both sides of a medium.
#[derive(Debug, Default)]
pub(super) struct Reports {
    ends: [Option<Box<End>>; 2],
}

#[derive(Debug)]
struct End {
    reporter: Reporter,
    /// The sources that we are towards this side.
    sources: Vec<u32>,
    /// The holes in what comes from it, and whose stream that is.
    bursts: (u32, Bursts),
}

impl Reports {
    /// Takes note of what the stages are.
    pub(super) fn update(&mut self, stages: &[(Place, Box<dyn Stage>)], now_us: u64) {
        for side in [Side::A, Side::B] {
            let sources = stages.iter().filter_map(|(_, stage)| stage.source(side));
            let sources: Vec<u32> = sources.collect();
            let end = &mut self.ends[side as usize];
            match (end.as_mut(), sources.first()) {
                (_, None) => *end = None,
                (Some(end), Some(_)) => end.sources = sources,
                (None, Some(first)) => {
                    let random = RandomState::new();
                    // RFC 7022 §4.2: a name for this session alone, which gives no address away.
                    let cname = format!("{:016x}@tandem", random.hash_one(first));
                    let seed = random.hash_one(side as u8);
                    *end = Some(Box::new(End {
                        reporter: Reporter::new(*first, cname.as_bytes(), seed, now_us),
                        sources,
                        bursts: (0, Bursts::default()),
                    }));
                }
            }
        }
    }

    /// Takes RTCP that came from a side.
    pub(super) fn handle_rtcp(&mut self, side: Side, bytes: &[u8], now_us: u64) {
        if let Some(end) = &mut self.ends[side as usize] {
            end.reporter.handle_rtcp(bytes, now_us);
        }
    }

    /// Takes RTP that came from a side.
    pub(super) fn handle_rtp(&mut self, side: Side, bytes: &[u8]) {
        let Some(end) = &mut self.ends[side as usize] else {
            return;
        };
        if let Ok(header) = Header::parse(bytes) {
            if end.bursts.0 != header.ssrc {
                end.bursts = (header.ssrc, Bursts::default());
            }
            end.bursts.1.record(header.sequence);
        }
    }

    /// Counts what waits in the outbox and is of our making.
    pub(super) fn count(&mut self, channels: &Channels, boxes: &Boxes, now_us: u64) {
        if self.ends.iter().all(Option::is_none) {
            return;
        }
        let channel = &channels[Part::Rtp as usize];
        for index in 0..boxes.out.len() {
            let leaves = boxes.out.leaves(index);
            let Some((side, Part::Rtp)) = Full::destination(channels, leaves) else {
                continue;
            };
            let bytes = boxes.out.bytes(index);
            let (Some(end), Ok(packet)) =
                (&mut self.ends[side as usize], rtp::Packet::parse(bytes))
            else {
                continue;
            };
            let header = packet.header;
            if !end.sources.contains(&header.ssrc) {
                continue;
            }
            let clock_rate_hz = match channel.format(side, header.payload_type) {
                Format::Media { clock_rate_hz } => clock_rate_hz,
                Format::Event | Format::Unknown => 0,
            };
            let payload_bytes = packet.payload.len();
            end.reporter
                .record_sent(&header, payload_bytes, clock_rate_hz, now_us);
        }
    }

    /// Puts the reports whose time has come into the outbox.
    pub(super) fn handle_timeout(
        &mut self,
        session: u64,
        channels: &Channels,
        now_us: u64,
        boxes: &mut Boxes,
    ) {
        let channel = &channels[Part::Rtp as usize];
        let ntp = boxes.ntp(now_us);
        for side in [Side::A, Side::B] {
            let Some(end) = &mut self.ends[side as usize] else {
                continue;
            };
            if end.reporter.poll_timeout() > now_us {
                continue;
            }
            let findings = Findings {
                heard: channel.reception(side),
                metrics: end.metrics(channel, side),
            };
            let mut report = std::mem::take(&mut boxes.report);
            let made = end
                .reporter
                .handle_timeout(now_us, ntp, findings, &mut report);
            if let Reported::Sending { ntp, clock_rate_hz } = made {
                channel.note_own_report(side, ntp, clock_rate_hz, now_us);
            }
            if made != Reported::Nothing {
                boxes.out.push_as(Leaves::To(side, Part::Rtcp), &report);
            }
            if made != Reported::Nothing
                && boxes.tells_rtcp()
                && let Some(said) = channel.said(session, side, &report)
            {
                boxes.out.report(said);
            }
            boxes.report = report;
        }
    }

    /// When [`Reports::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<u64> {
        let ends = self.ends.iter().flatten();
        ends.map(|end| end.reporter.poll_timeout()).min()
    }
}

impl End {
    /// What we make of what a side sends, if it wants to know.
    fn metrics(&self, channel: &Channel, side: Side) -> Option<VoipMetrics> {
        if channel.xr(side) == Xr::Unwanted {
            return None;
        }
        let heard = channel.reception(side)?;
        let stats = channel.stats()[side as usize];
        let found = stats.quality.found(&stats.read())?;
        let figures = self.bursts.1.figures();
        let ms = |packets: u32| u16::try_from(packets * PACKET_MS).unwrap_or(u16::MAX);
        Some(VoipMetrics {
            ssrc: heard.ssrc(),
            loss_rate: found.loss_rate,
            burst_density: figures.burst_density,
            gap_density: figures.gap_density,
            burst_ms: ms(figures.burst_packets),
            gap_ms: ms(figures.gap_packets),
            round_trip_ms: u16::try_from(found.rtt_us / 1_000).unwrap_or(u16::MAX),
            gap_threshold: GMIN as u8,
            r_factor: Some(found.r_factor),
            mos_lq_centi: Some(found.mos_lq_centi),
            mos_cq_centi: Some(found.mos_cq_centi),
            ..VoipMetrics::default()
        })
    }
}

/// Bursts are counted in packets; nearly everybody's hold 20 ms.
const PACKET_MS: u32 = 20;

#[cfg(test)]
mod tests;
