//! RTCP of our own towards one peer: when a report is due, and what is in it (RFC 3550 §6).
//!
//! The session has two members, us and the peer, so what keeps crowds from speaking at once is
//! left out: timer reconsideration (§6.3.3, §6.3.6) and the back-off of BYE (§6.3.7). We send one
//! stream at a time; a report is of the one sent last. No BYE is sent: the call's own signalling
//! tells its end, and a stream that pauses may go on (music between two halves of a talk).

use crate::round_trip::ReportTime;
use crate::{Compound, CompoundWriter, Reception, ReportBlock, RtcpPacket, SenderReport};
use crate::{Header, VoipMetrics};

/// One member of an RTCP session with one peer.
#[derive(Debug)]
pub struct Reporter {
    /// Who we are, `user@host` (§6.5.1).
    cname: Box<[u8]>,
    random: u64,
    /// Who speaks; the first before anything was sent.
    ssrc: u32,
    /// The streams of ours, the last one last.
    streams: Vec<Stream>,
    /// The peer's last SR: its name and when it came.
    last_sr: Option<(ReportTime, u64)>,
    /// Packets of the peer expected and lost at the last report, and whose they were.
    before: (u32, u64, u64),
    /// Mean size of compound packets with the headers of UDP and IP, in sixteenths of a byte.
    mean_bytes_q4: u32,
    due_us: u64,
    began: Began,
}

/// Whether a report was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Began {
    NotYet,
    Yes,
}

/// What was sent of one source.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    packets: u32,
    bytes: u32,
    /// The timestamp of the last packet that had one of its own, its clock, and when it left.
    timestamp: u32,
    clock_rate_hz: u32,
    sent_us: u64,
    /// Reports made since it sent last.
    reports_since: u32,
}

/// What else goes into a report.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// What came from the peer; `None` if nothing did.
    pub heard: Option<&'a Reception>,
    /// What is made of it, if the peer wants to know (RFC 3611 §5).
    pub metrics: Option<VoipMetrics>,
}

impl Reporter {
    /// A member that speaks as `ssrc` until it sends something. `seed` makes its reports fall on
    /// other times than those of others.
    #[must_use]
    pub fn new(ssrc: u32, cname: &[u8], seed: u64, now_us: u64) -> Self {
        let mut new = Self {
            cname: cname.into(),
            random: seed,
            ssrc,
            streams: Vec::new(),
            last_sr: None,
            before: (0, 0, 0),
            mean_bytes_q4: USUAL_BYTES << 4,
            due_us: 0,
            began: Began::NotYet,
        };
        new.due_us = now_us + new.interval_us();
        new
    }

    /// Takes note of a packet that left. `clock_rate_hz` is that of its timestamp; 0 for one whose
    /// timestamp is not of its own time (RFC 4733 §2.5.1.2).
    #[inline]
    pub fn record_sent(
        &mut self,
        header: &Header,
        payload_bytes: usize,
        clock_rate_hz: u32,
        now_us: u64,
    ) {
        if self.streams.last().map(|stream| stream.ssrc) != Some(header.ssrc) {
            self.switch(header.ssrc);
        }
        let Some(stream) = self.streams.last_mut() else {
            return;
        };
        stream.packets = stream.packets.wrapping_add(1);
        stream.bytes = stream.bytes.wrapping_add(payload_bytes as u32);
        stream.reports_since = 0;
        if clock_rate_hz > 0 {
            stream.timestamp = header.timestamp;
            stream.clock_rate_hz = clock_rate_hz;
            stream.sent_us = now_us;
        }
    }

    /// Takes RTCP of the peer.
    pub fn handle_rtcp(&mut self, bytes: &[u8], now_us: u64) {
        let Ok(compound) = Compound::parse(bytes) else {
            return;
        };
        self.weigh(bytes.len());
        for packet in compound.packets() {
            if let RtcpPacket::SenderReport { report, .. } = packet {
                self.last_sr = Some((ReportTime::of_ntp(report.ntp), now_us));
            }
        }
    }

    /// When [`Reporter::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> u64 {
        self.due_us
    }

    /// Writes the report that is due into `out`, which is cleared first; nothing as long as no
    /// media went either way. `ntp` is the wall clock at `now_us`, in NTP format. Says whether it
    /// is a sender's.
    pub fn handle_timeout(
        &mut self,
        now_us: u64,
        ntp: u64,
        findings: Findings<'_>,
        out: &mut Vec<u8>,
    ) -> Reported {
        out.clear();
        if self.streams.is_empty() && findings.heard.is_none() {
            self.due_us = now_us + self.interval_us();
            return Reported::Nothing;
        }
        let sender = self.sender_report(now_us, ntp);
        let block = findings.heard.map(|heard| self.block(heard, now_us));
        let writer = CompoundWriter::new(out, self.ssrc, sender.as_ref(), block.as_slice());
        let writer = writer.cname(self.ssrc, &self.cname);
        match &findings.metrics {
            Some(metrics) => writer.voip_metrics(self.ssrc, metrics).finish(),
            None => writer.finish(),
        };
        for stream in &mut self.streams {
            stream.reports_since = stream.reports_since.saturating_add(1);
        }
        self.weigh(out.len());
        self.began = Began::Yes;
        self.due_us = now_us + self.interval_us();
        match sender {
            Some(_) => Reported::Sending {
                ntp,
                clock_rate_hz: self.streams.last().map_or(0, |stream| stream.clock_rate_hz),
            },
            None => Reported::Receiving,
        }
    }

    /// §6.4: whoever sent within the last two reports makes an SR.
    fn sender_report(&self, now_us: u64, ntp: u64) -> Option<SenderReport> {
        let stream = self.streams.last()?;
        if stream.reports_since >= 2 {
            return None;
        }
        let since_us = u128::from(now_us.saturating_sub(stream.sent_us));
        let passed = since_us * u128::from(stream.clock_rate_hz) / 1_000_000;
        Some(SenderReport {
            ntp,
            timestamp: stream.timestamp.wrapping_add(passed as u32),
            packets: stream.packets,
            bytes: stream.bytes,
        })
    }

    fn block(&mut self, heard: &Reception, now_us: u64) -> ReportBlock {
        let ssrc = heard.ssrc();
        let snapshot = heard.snapshot();
        let expected = snapshot.received + snapshot.lost;
        let before = match self.before {
            (known, expected, lost) if known == ssrc => (expected, lost),
            _ => (0, 0),
        };
        self.before = (ssrc, expected, snapshot.lost);
        let expected_now = expected.saturating_sub(before.0);
        let lost_now = snapshot.lost.saturating_sub(before.1);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        let progress = heard.progress();
        let (last_sr, delay_us) = match self.last_sr {
            Some((name, came_us)) => (name.0, now_us.saturating_sub(came_us)),
            None => (0, 0),
        };
        ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: i32::try_from(snapshot.lost).unwrap_or(i32::MAX),
            highest_sequence: progress.highest,
            jitter: progress.jitter_q4 >> 4,
            last_sr,
            delay_since_last_sr: ReportTime::from_us(delay_us).0,
        }
    }

    fn switch(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
        let known = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let stream = match known {
            Some(at) => self.streams.remove(at),
            None => Stream {
                ssrc,
                packets: 0,
                bytes: 0,
                timestamp: 0,
                clock_rate_hz: 0,
                sent_us: 0,
                reports_since: 0,
            },
        };
        if self.streams.len() == STREAMS_MAX {
            self.streams.remove(0);
        }
        self.streams.push(stream);
    }

    /// §6.3.1: what both members together may send divides the time, five seconds at least, half
    /// of that before the first report; then half to one and a half of it.
    fn interval_us(&mut self) -> u64 {
        let least_us = match self.began {
            Began::NotYet => LEAST_US / 2,
            Began::Yes => LEAST_US,
        };
        let bits = u64::from(self.mean_bytes_q4 / 2) * MEMBERS;
        let interval_us = (bits * 1_000_000 / RTCP_BPS).max(least_us);
        let share = 0.5 + self.random();
        (interval_us as f64 * share / COMPENSATION) as u64
    }

    /// §6.3.3: of what comes and goes, the last packet counts a sixteenth.
    fn weigh(&mut self, bytes: usize) {
        let bytes = bytes as u32 + HEADERS_BYTES;
        self.mean_bytes_q4 = self.mean_bytes_q4 - self.mean_bytes_q4 / 16 + bytes;
    }

    /// From 0 to 1, by Vigna's splitmix64.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

/// What [`Reporter::handle_timeout`] has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// No packet.
    Nothing,
    /// An RR.
    Receiving,
    /// An SR.
    Sending {
        /// Its time.
        ntp: u64,
        /// The clock of the stream it speaks of; 0 if nothing but events was sent.
        clock_rate_hz: u32,
    },
}

/// The NTP time, 32 bits of seconds since 1900 and 32 of their fraction, of microseconds since
/// 1970 (RFC 5905 §6).
#[must_use]
pub fn ntp_of_unix_us(us: u64) -> u64 {
    let seconds = (us / 1_000_000 + SECONDS_1900_TO_1970) & 0xffff_ffff;
    let fraction = ((us % 1_000_000) << 32) / 1_000_000;
    seconds << 32 | fraction
}

/// §6.2: the interval is never shorter, but for the first.
const LEAST_US: u64 = 5_000_000;
const MEMBERS: u64 = 2;
/// §6.2: a twentieth of the session's bandwidth, which is G.711's.
const RTCP_BPS: u64 = 64_000 / 20;
/// §6.3.1: e - 3/2, as without it reports would come more often than meant.
const COMPENSATION: f64 = core::f64::consts::E - 1.5;
/// Of UDP and IPv4, which count (§6.2).
const HEADERS_BYTES: u32 = 28;
/// A guess at the first report: SR, one block, SDES, headers.
const USUAL_BYTES: u32 = 128;
/// Streams remembered; the one that was silent longest is forgotten.
const STREAMS_MAX: usize = 4;
const SECONDS_1900_TO_1970: u64 = 2_208_988_800;

#[cfg(test)]
mod tests;
