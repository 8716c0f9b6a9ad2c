//! RTCP, RFC 3550 §6: sender and receiver reports, SDES and BYE in compound packets, and the
//! extended reports of RFC 3611.
//!
//! Packets of other types (APP, feedback of RFC 4585) are walked over and named by their type.

mod extended;
mod shift;
mod write;

use core::str;

pub use extended::{ExtendedBlock, ExtendedBlocks, VoipMetrics};
pub use shift::{shift_heard, shift_sent};
pub use write::CompoundWriter;

use crate::header::VERSION;

/// A datagram of RTCP packets, checked by RFC 3550 §A.2 as far as §6.1 and RFC 5506 allow: each
/// packet has version 2 and its length stays inside, and the first is of a known range.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks the frame of every packet.
    ///
    /// # Errors
    /// See [`RtcpError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        let mut first = true;
        while first || !rest.is_empty() {
            first = false;
            rest = split(rest)?.1;
        }
        Ok(Self { bytes })
    }

    /// The packets in their order, with their bytes.
    pub fn frames(&self) -> impl Iterator<Item = (RtcpPacket<'a>, &'a [u8])> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (packet, after) = split(rest).ok()?;
            rest = after;
            Some((RtcpPacket::read(packet), packet))
        })
    }

    /// The packets in their order.
    pub fn packets(&self) -> impl Iterator<Item = RtcpPacket<'a>> + use<'a> {
        self.frames().map(|(packet, _)| packet)
    }
}

/// One RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// SR, §6.4.1.
    SenderReport {
        /// Who sends it.
        ssrc: u32,
        /// What it has sent.
        report: SenderReport,
        /// What it has received.
        blocks: ReportBlocks<'a>,
    },
    /// RR, §6.4.2.
    ReceiverReport {
        /// Who sends it.
        ssrc: u32,
        /// What it has received.
        blocks: ReportBlocks<'a>,
    },
    /// SDES, §6.5: the CNAME of the first source that gives one.
    SourceDescription {
        /// `user@host`; empty if there is none.
        cname: &'a [u8],
    },
    /// BYE, §6.6.
    Bye {
        /// The first source that leaves, if any is named.
        ssrc: Option<u32>,
    },
    /// XR, RFC 3611 §2.
    ExtendedReport {
        /// Who sends it.
        ssrc: u32,
        /// What it says.
        blocks: ExtendedBlocks<'a>,
    },
    /// Any other type, or one of the above too short for its kind.
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

impl<'a> RtcpPacket<'a> {
    /// `packet` is framed: four bytes at least, its length a multiple of four.
    fn read(packet: &'a [u8]) -> Self {
        let count = usize::from(packet[0] & 0x1f);
        let packet_type = packet[1];
        let body = &packet[HEADER_BYTES..];
        let read = match packet_type {
            SR => Self::read_sender_report(body, count),
            RR => Self::read_receiver_report(body, count),
            SDES => Some(Self::SourceDescription {
                cname: cname(body).unwrap_or_default(),
            }),
            BYE => Some(Self::Bye {
                ssrc: (count > 0).then(|| word(body, 0)).flatten(),
            }),
            XR => word(body, 0).map(|ssrc| Self::ExtendedReport {
                ssrc,
                blocks: ExtendedBlocks(&body[4..]),
            }),
            _ => None,
        };
        read.unwrap_or(Self::Other { packet_type })
    }

    fn read_sender_report(body: &'a [u8], count: usize) -> Option<Self> {
        let ntp = u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?);
        Some(Self::SenderReport {
            ssrc: word(body, 0)?,
            report: SenderReport {
                ntp,
                timestamp: word(body, 12)?,
                packets: word(body, 16)?,
                bytes: word(body, 20)?,
            },
            blocks: ReportBlocks(body.get(24..24 + count * BLOCK_BYTES)?),
        })
    }

    fn read_receiver_report(body: &'a [u8], count: usize) -> Option<Self> {
        Some(Self::ReceiverReport {
            ssrc: word(body, 0)?,
            blocks: ReportBlocks(body.get(4..4 + count * BLOCK_BYTES)?),
        })
    }
}

/// What a sender says it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Wall clock, NTP format: seconds since 1900 in units of 2^-32.
    pub ntp: u64,
    /// The same instant in RTP timestamp units.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub bytes: u32,
}

/// The report blocks of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl ReportBlocks<'_> {
    /// The blocks in their order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + '_ {
        self.0
            .chunks_exact(BLOCK_BYTES)
            .filter_map(ReportBlock::read)
    }
}

/// What a receiver says of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative with duplicates. 24 bits.
    pub lost: i32,
    /// Highest sequence number received, with its cycles above.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP time; 0 if none came.
    pub last_sr: u32,
    /// Delay since then in units of 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn read(block: &[u8]) -> Option<Self> {
        let loss = word(block, 4)?;
        Some(Self {
            ssrc: word(block, 0)?,
            fraction_lost: (loss >> 24) as u8,
            lost: (loss << 8).cast_signed() >> 8,
            highest_sequence: word(block, 8)?,
            jitter: word(block, 12)?,
            last_sr: word(block, 16)?,
            delay_since_last_sr: word(block, 20)?,
        })
    }
}

/// Why bytes are no RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// A packet's length goes beyond the datagram.
    #[error("an RTCP packet ends before its length says")]
    Truncated,
    /// A version other than 2.
    #[error("the version is not 2")]
    Version,
    /// A type outside 192 to 223 (RFC 5761 §4).
    #[error("{0} is no RTCP packet type")]
    PacketType(u8),
}

/// The first packet and what follows it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), RtcpError> {
    let [first, packet_type, high, low] = *bytes
        .first_chunk::<HEADER_BYTES>()
        .ok_or(RtcpError::Truncated)?;
    if first >> 6 != VERSION {
        return Err(RtcpError::Version);
    }
    if !(192..=223).contains(&packet_type) {
        return Err(RtcpError::PacketType(packet_type));
    }
    let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
    bytes.split_at_checked(length).ok_or(RtcpError::Truncated)
}

/// The CNAME of an SDES body. Chunks are walked item by item (§6.5).
fn cname(mut chunk: &[u8]) -> Option<&[u8]> {
    while chunk.len() > 4 {
        let mut at = 4;
        while let Some(kind) = chunk.get(at).copied().filter(|kind| *kind != 0) {
            let length = usize::from(*chunk.get(at + 1)?);
            let value = chunk.get(at + 2..at + 2 + length)?;
            if kind == CNAME && str::from_utf8(value).is_ok() {
                return Some(value);
            }
            at += 2 + length;
        }
        // At least one zero ends the items, then zeros up to a multiple of four.
        chunk = chunk.get((at / 4 + 1) * 4..)?;
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

const HEADER_BYTES: usize = 4;
const BLOCK_BYTES: usize = 24;
const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const XR: u8 = 207;
/// The SDES item that names a participant.
const CNAME: u8 = 1;

#[cfg(test)]
mod tests;
