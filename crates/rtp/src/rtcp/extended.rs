//! Extended reports, RFC 3611: the VoIP metrics block (§4.7) and the two blocks that let a
//! receiver measure a round trip (§4.4, §4.5). Other blocks are walked over.

use super::word;

/// The report blocks of one XR packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedBlocks<'a>(pub(super) &'a [u8]);

impl<'a> ExtendedBlocks<'a> {
    /// The blocks in their order, as far as they are whole.
    pub fn iter(&self) -> impl Iterator<Item = ExtendedBlock> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let [block_type, _, high, low] = *rest.first_chunk::<HEADER_BYTES>()?;
            let length = usize::from(u16::from_be_bytes([high, low])) * 4;
            let body = rest.get(HEADER_BYTES..HEADER_BYTES + length)?;
            rest = &rest[HEADER_BYTES + length..];
            Some(ExtendedBlock::read(block_type, body))
        })
    }
}

/// One block of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedBlock {
    /// What a receiver makes of a call.
    VoipMetrics(VoipMetrics),
    /// The time of a receiver that sends no SR: middle 32 bits are what comes back (§4.4).
    ReceiverTime {
        /// Wall clock, NTP format.
        ntp: u64,
    },
    /// The first answer to such a time (§4.5).
    ReceiverTimeAnswer {
        /// Whose time it was.
        ssrc: u32,
        /// Its middle 32 bits.
        last_rr: u32,
        /// How long ago it came, in units of 1/65536 s.
        delay_since_last_rr: u32,
    },
    /// Another, or one of the above too short for its kind.
    Other {
        /// The block type.
        block_type: u8,
    },
}

impl ExtendedBlock {
    fn read(block_type: u8, body: &[u8]) -> Self {
        let read = match block_type {
            VOIP_METRICS => VoipMetrics::read(body).map(Self::VoipMetrics),
            RECEIVER_TIME => receiver_time(body),
            RECEIVER_TIME_ANSWER => receiver_time_answer(body),
            _ => None,
        };
        read.unwrap_or(Self::Other { block_type })
    }
}

/// The VoIP metrics of one source, RFC 3611 §4.7.
///
/// Rates and densities are 256ths; levels are dBm and dB; R factors 0 to 100; `None` stands for
/// "unavailable" on the wire (127).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The source.
    pub ssrc: u32,
    /// Part of the packets that was lost.
    pub loss_rate: u8,
    /// Part of the packets that came too late to be played.
    pub discard_rate: u8,
    /// Loss and discards within bursts.
    pub burst_density: u8,
    /// Loss and discards between bursts.
    pub gap_density: u8,
    /// Mean length of bursts in milliseconds.
    pub burst_ms: u16,
    /// Mean length of the gaps between them in milliseconds.
    pub gap_ms: u16,
    /// Between the RTP interfaces, in milliseconds.
    pub round_trip_ms: u16,
    /// Of the reporter's own equipment, in milliseconds.
    pub end_system_ms: u16,
    /// Level of speech, relative to 0 dBm.
    pub signal_dbm: Option<i8>,
    /// Level of silence, relative to 0 dBm.
    pub noise_dbm: Option<i8>,
    /// Echo return loss in dB.
    pub echo_loss_db: Option<u8>,
    /// Gmin: how many packets in a row must arrive between two losses to end a burst.
    pub gap_threshold: u8,
    /// R of the connection.
    pub r_factor: Option<u8>,
    /// R of another segment.
    pub external_r_factor: Option<u8>,
    /// Listening quality in hundredths.
    pub mos_lq_centi: Option<u16>,
    /// Conversational quality in hundredths.
    pub mos_cq_centi: Option<u16>,
    /// Concealment, and how the jitter buffer behaves (§4.7.6).
    pub receiver_config: u8,
    /// Nominal delay of the jitter buffer in milliseconds.
    pub buffer_nominal_ms: u16,
    /// Its largest delay so far.
    pub buffer_maximum_ms: u16,
    /// The largest it can grow to.
    pub buffer_absolute_ms: u16,
}

impl VoipMetrics {
    fn read(body: &[u8]) -> Option<Self> {
        let body = body.first_chunk::<BODY_BYTES>()?;
        let half = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        Some(Self {
            ssrc: word(body, 0)?,
            loss_rate: body[4],
            discard_rate: body[5],
            burst_density: body[6],
            gap_density: body[7],
            burst_ms: half(8),
            gap_ms: half(10),
            round_trip_ms: half(12),
            end_system_ms: half(14),
            signal_dbm: known(body[16]).map(u8::cast_signed),
            noise_dbm: known(body[17]).map(u8::cast_signed),
            echo_loss_db: known(body[18]),
            gap_threshold: body[19],
            r_factor: known(body[20]),
            external_r_factor: known(body[21]),
            mos_lq_centi: known(body[22]).map(|tenths| u16::from(tenths) * 10),
            mos_cq_centi: known(body[23]).map(|tenths| u16::from(tenths) * 10),
            receiver_config: body[24],
            buffer_nominal_ms: half(26),
            buffer_maximum_ms: half(28),
            buffer_absolute_ms: half(30),
        })
    }

    /// The whole block, header included.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES + BODY_BYTES] {
        let mut out = [0; HEADER_BYTES + BODY_BYTES];
        out[0] = VOIP_METRICS;
        out[3] = (BODY_BYTES / 4) as u8;
        let body = &mut out[HEADER_BYTES..];
        body[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        let densities = [
            self.loss_rate,
            self.discard_rate,
            self.burst_density,
            self.gap_density,
        ];
        body[4..8].copy_from_slice(&densities);
        let mut half = |at: usize, value: u16| {
            body[at..at + 2].copy_from_slice(&value.to_be_bytes());
        };
        half(8, self.burst_ms);
        half(10, self.gap_ms);
        half(12, self.round_trip_ms);
        half(14, self.end_system_ms);
        half(26, self.buffer_nominal_ms);
        half(28, self.buffer_maximum_ms);
        half(30, self.buffer_absolute_ms);
        let tenths = |centi: Option<u16>| {
            centi.map_or(UNAVAILABLE, |centi| ((centi + 5) / 10).clamp(10, 50) as u8)
        };
        body[16] = self.signal_dbm.map_or(UNAVAILABLE, i8::cast_unsigned);
        body[17] = self.noise_dbm.map_or(UNAVAILABLE, i8::cast_unsigned);
        body[18] = self.echo_loss_db.unwrap_or(UNAVAILABLE);
        body[19] = self.gap_threshold;
        body[20] = self.r_factor.unwrap_or(UNAVAILABLE);
        body[21] = self.external_r_factor.unwrap_or(UNAVAILABLE);
        body[22] = tenths(self.mos_lq_centi);
        body[23] = tenths(self.mos_cq_centi);
        body[24] = self.receiver_config;
        out
    }
}

fn receiver_time(body: &[u8]) -> Option<ExtendedBlock> {
    let ntp = u64::from(word(body, 0)?) << 32 | u64::from(word(body, 4)?);
    Some(ExtendedBlock::ReceiverTime { ntp })
}

fn receiver_time_answer(body: &[u8]) -> Option<ExtendedBlock> {
    Some(ExtendedBlock::ReceiverTimeAnswer {
        ssrc: word(body, 0)?,
        last_rr: word(body, 4)?,
        delay_since_last_rr: word(body, 8)?,
    })
}

fn known(value: u8) -> Option<u8> {
    (value != UNAVAILABLE).then_some(value)
}

const HEADER_BYTES: usize = 4;
/// Of a VoIP metrics block without its header: eight words.
const BODY_BYTES: usize = 32;
/// "No value" in the fields that can have none.
const UNAVAILABLE: u8 = 127;
const RECEIVER_TIME: u8 = 4;
const RECEIVER_TIME_ANSWER: u8 = 5;
const VOIP_METRICS: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compound, RtcpPacket};
    use proptest::prelude::*;

    fn metrics() -> VoipMetrics {
        VoipMetrics {
            ssrc: 0xdead_beef,
            loss_rate: 5,
            discard_rate: 1,
            burst_ms: 120,
            gap_ms: 4_000,
            round_trip_ms: 84,
            end_system_ms: 60,
            signal_dbm: Some(-18),
            gap_threshold: 16,
            r_factor: Some(88),
            mos_lq_centi: Some(430),
            mos_cq_centi: Some(420),
            buffer_nominal_ms: 40,
            ..VoipMetrics::default()
        }
    }

    /// A block behind a header as RFC 3611 §2 draws it, read by hand from that picture.
    fn packet(blocks: &[u8]) -> Vec<u8> {
        let words = (4 + blocks.len()) / 4;
        let mut packet = vec![0x80, 207, 0, words as u8, 0, 0, 0, 9];
        packet.extend_from_slice(blocks);
        packet
    }

    fn read(bytes: &[u8]) -> Vec<ExtendedBlock> {
        let compound = Compound::parse(bytes).expect("well framed");
        let first = compound.packets().next().expect("a packet");
        let RtcpPacket::ExtendedReport { ssrc: 9, blocks } = first else {
            panic!("{first:?} is no extended report of source 9");
        };
        blocks.iter().collect()
    }

    #[test]
    fn voip_metrics_stand_where_the_rfc_draws_them() {
        let block = metrics().encode();
        assert_eq!(block[..4], [7, 0, 0, 8]);
        assert_eq!(block[4..8], [0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(block[16..18], [0, 84]);
        assert_eq!(block[20], (-18_i8).cast_unsigned());
        assert_eq!(block[24..28], [88, 127, 43, 42]);
        assert_eq!(
            read(&packet(&block)),
            [ExtendedBlock::VoipMetrics(metrics())]
        );
    }

    #[test]
    fn blocks_of_other_kinds_are_walked_over() {
        let mut blocks = vec![1, 0, 0, 1, 1, 2, 3, 4];
        blocks.extend([4, 0, 0, 2, 0, 0, 0, 7, 0x80, 0, 0, 0]);
        blocks.extend([5, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        let found = read(&packet(&blocks));
        assert_eq!(found[0], ExtendedBlock::Other { block_type: 1 });
        let ntp = 0x7_8000_0000;
        assert_eq!(found[1], ExtendedBlock::ReceiverTime { ntp });
        let answer = ExtendedBlock::ReceiverTimeAnswer {
            ssrc: 1,
            last_rr: 2,
            delay_since_last_rr: 3,
        };
        assert_eq!(found[2..], [answer]);
    }

    #[test]
    fn a_block_that_is_cut_off_is_not_read() {
        let short = [7, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!(
            read(&packet(&short)),
            [ExtendedBlock::Other { block_type: 7 }]
        );
        let beyond = [7, 0, 0, 8, 0, 0, 0, 9];
        assert_eq!(read(&packet(&beyond)), []);
    }

    proptest! {
        #[test]
        fn no_block_panics_and_none_is_read_twice(blocks: Vec<u8>) {
            let count = ExtendedBlocks(&blocks).iter().count();
            prop_assert!(count * 4 <= blocks.len());
        }
    }
}
