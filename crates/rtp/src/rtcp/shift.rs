//! What a translator changes in reports that pass, if it has changed the numbers of a stream
//! (RFC 3550 §7.2).

use super::{BLOCK_BYTES, HEADER_BYTES, RR, SR, split, word};

/// Adds to the RTP timestamp of the sender reports of a source.
pub fn shift_sent(compound: &mut [u8], ssrc: u32, timestamp: u32) {
    each(compound, |packet_type, _, body| {
        if packet_type == SR && word(body, 0) == Some(ssrc) {
            change(body, SENT_TIMESTAMP, |sent| sent.wrapping_add(timestamp));
        }
    });
}

/// Takes off the highest sequence number that anybody says to have received of a source.
pub fn shift_heard(compound: &mut [u8], ssrc: u32, sequence: u16) {
    each(compound, |packet_type, count, body| {
        let start = match packet_type {
            SR => SENDER_BYTES,
            RR => RECEIVER_BYTES,
            _ => return,
        };
        let blocks = body.get_mut(start..).unwrap_or_default();
        for block in blocks.chunks_exact_mut(BLOCK_BYTES).take(count) {
            if word(block, 0) == Some(ssrc) {
                change(block, HIGHEST, |highest| before(highest, sequence));
            }
        }
    });
}

/// The number with its cycles above; there are none before the first.
fn before(highest: u32, sequence: u16) -> u32 {
    let earlier = highest.checked_sub(u32::from(sequence));
    earlier.unwrap_or_else(|| u32::from((highest as u16).wrapping_sub(sequence)))
}

/// Visits each packet: its type, its count, and what follows its header.
fn each(compound: &mut [u8], mut visit: impl FnMut(u8, usize, &mut [u8])) {
    let mut rest = compound;
    while let Ok(length) = split(rest).map(|(packet, _)| packet.len()) {
        let (packet, after) = rest.split_at_mut(length);
        let (count, packet_type) = (usize::from(packet[0] & 0x1f), packet[1]);
        visit(packet_type, count, &mut packet[HEADER_BYTES..]);
        rest = after;
    }
}

fn change(bytes: &mut [u8], at: usize, change: impl FnOnce(u32) -> u32) {
    let word = bytes
        .get_mut(at..)
        .and_then(|bytes| bytes.first_chunk_mut());
    if let Some(word) = word {
        *word = change(u32::from_be_bytes(*word)).to_be_bytes();
    }
}

/// Where the RTP timestamp stands in what follows the header of an SR.
const SENT_TIMESTAMP: usize = 12;
/// Where the highest number stands in a block.
const HIGHEST: usize = 8;
/// What stands before the blocks of an SR, and of an RR.
const SENDER_BYTES: usize = 24;
const RECEIVER_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compound, CompoundWriter, ReportBlock, RtcpPacket, SenderReport};

    fn block(ssrc: u32, highest_sequence: u32) -> ReportBlock {
        ReportBlock {
            ssrc,
            fraction_lost: 1,
            lost: 2,
            highest_sequence,
            jitter: 3,
            last_sr: 4,
            delay_since_last_sr: 5,
        }
    }

    /// Of source 1, about 2 and 3.
    fn compound(highest: u32) -> Vec<u8> {
        let sender = SenderReport {
            ntp: 7,
            timestamp: u32::MAX,
            packets: 8,
            bytes: 9,
        };
        let mut out = Vec::new();
        CompoundWriter::new(
            &mut out,
            1,
            Some(&sender),
            &[block(2, highest), block(3, 50)],
        )
        .cname(1, b"a@b")
        .finish();
        out
    }

    fn timestamp(compound: &[u8]) -> u32 {
        let compound = Compound::parse(compound).expect("RTCP");
        let Some(RtcpPacket::SenderReport { report, .. }) = compound.packets().next() else {
            panic!("no sender's report");
        };
        report.timestamp
    }

    fn highest(compound: &[u8]) -> Vec<u32> {
        let compound = Compound::parse(compound).expect("RTCP");
        let Some(RtcpPacket::SenderReport { blocks, .. }) = compound.packets().next() else {
            panic!("no sender's report");
        };
        blocks.iter().map(|block| block.highest_sequence).collect()
    }

    #[test]
    fn what_a_source_says_of_its_own_time_moves_and_nothing_else() {
        let before = compound(100);
        let mut moved = before.clone();
        shift_sent(&mut moved, 1, 161);
        assert_eq!(timestamp(&moved), 160);
        shift_sent(&mut moved, 2, 161);
        assert_eq!(timestamp(&moved), 160);
        shift_sent(&mut moved, 1, 161_u32.wrapping_neg());
        assert_eq!(moved, before);
    }

    #[test]
    fn what_is_said_of_a_source_moves_across_cycles() {
        let mut moved = compound(0x2_0005);
        shift_heard(&mut moved, 2, 6);
        assert_eq!(highest(&moved), [0x1_ffff, 50]);
        let mut moved = compound(5);
        shift_heard(&mut moved, 2, 6);
        assert_eq!(highest(&moved), [0xffff, 50]);
    }

    #[test]
    fn what_is_cut_off_is_left_as_it_is() {
        let whole = compound(100);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            shift_sent(&mut cut, 1, 1);
            shift_heard(&mut cut, 2, 1);
        }
        let mut short = vec![0x82, 201, 0, 1, 0, 0, 0, 1];
        let before = short.clone();
        shift_heard(&mut short, 2, 1);
        assert_eq!(short, before);
    }
}
