//! Compound packets of our own: SR or RR first, then SDES, then what else is said (RFC 3550 §6.1).

use super::{BYE, CNAME, RR, ReportBlock, SDES, SR, SenderReport, XR};
use crate::header::VERSION;
use crate::rtcp::VoipMetrics;

/// Builds one compound packet in a buffer of the caller's, which it clears first.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> CompoundWriter<'a> {
    /// Begins with the report of `ssrc`: an SR if it sends, an RR if not. Of more than 31
    /// `blocks` the first 31 are taken.
    pub fn new(
        out: &'a mut Vec<u8>,
        ssrc: u32,
        sender: Option<&SenderReport>,
        blocks: &[ReportBlock],
    ) -> Self {
        out.clear();
        let blocks = &blocks[..blocks.len().min(MAX_BLOCKS)];
        let mut writer = Self { out };
        let packet_type = if sender.is_some() { SR } else { RR };
        writer.packet(packet_type, blocks.len() as u8, |out| {
            out.extend(ssrc.to_be_bytes());
            if let Some(sender) = sender {
                out.extend(sender.ntp.to_be_bytes());
                out.extend(sender.timestamp.to_be_bytes());
                out.extend(sender.packets.to_be_bytes());
                out.extend(sender.bytes.to_be_bytes());
            }
            blocks.iter().for_each(|block| block.write(out));
        });
        writer
    }

    /// Says who `ssrc` is. A CNAME beyond 255 bytes is cut off.
    #[must_use]
    pub fn cname(mut self, ssrc: u32, cname: &[u8]) -> Self {
        let cname = &cname[..cname.len().min(255)];
        self.packet(SDES, 1, |out| {
            out.extend(ssrc.to_be_bytes());
            out.extend([CNAME, cname.len() as u8]);
            out.extend_from_slice(cname);
            // At least one zero ends the items.
            let padded = (out.len() / 4 + 1) * 4;
            out.resize(padded, 0);
        });
        self
    }

    /// Adds what `ssrc` makes of the call.
    #[must_use]
    pub fn voip_metrics(mut self, ssrc: u32, metrics: &VoipMetrics) -> Self {
        self.packet(XR, 0, |out| {
            out.extend(ssrc.to_be_bytes());
            out.extend(metrics.encode());
        });
        self
    }

    /// Says that `ssrc` leaves.
    #[must_use]
    pub fn bye(mut self, ssrc: u32) -> Self {
        self.packet(BYE, 1, |out| out.extend(ssrc.to_be_bytes()));
        self
    }

    /// The bytes, which are in the caller's buffer too.
    pub fn finish(self) -> &'a [u8] {
        self.out
    }

    /// One packet. Each begins at a multiple of four bytes, as all are padded to that.
    fn packet(&mut self, packet_type: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        self.out
            .extend([VERSION << 6 | count & 0x1f, packet_type, 0, 0]);
        body(self.out);
        let words = (self.out.len() - start) / 4 - 1;
        self.out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
    }
}

impl ReportBlock {
    fn write(&self, out: &mut Vec<u8>) {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        out.extend(self.ssrc.to_be_bytes());
        out.extend((u32::from(self.fraction_lost) << 24 | lost).to_be_bytes());
        out.extend(self.highest_sequence.to_be_bytes());
        out.extend(self.jitter.to_be_bytes());
        out.extend(self.last_sr.to_be_bytes());
        out.extend(self.delay_since_last_sr.to_be_bytes());
    }
}

/// What the count of a packet's header can say.
const MAX_BLOCKS: usize = 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compound, ExtendedBlock, RtcpPacket};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            ssrc: u32, ntp: u64, timestamp: u32, sends: bool, lost in -0x80_0000_i32..0x80_0000,
            fraction_lost: u8, highest_sequence: u32, jitter: u32, last_sr: u32,
            cname in prop::collection::vec(0x20_u8..0x7f, 0..40),
        ) {
            let sender = SenderReport { ntp, timestamp, packets: 5, bytes: 800 };
            let block = ReportBlock {
                ssrc: 7, fraction_lost, lost, highest_sequence, jitter, last_sr,
                delay_since_last_sr: 9,
            };
            let metrics = VoipMetrics { ssrc: 7, mos_cq_centi: Some(410), ..VoipMetrics::default() };
            let mut out = vec![1, 2, 3];
            let bytes = CompoundWriter::new(&mut out, ssrc, sends.then_some(&sender), &[block])
                .cname(ssrc, &cname)
                .voip_metrics(ssrc, &metrics)
                .bye(ssrc)
                .finish();
            let packets: Vec<_> = Compound::parse(bytes).expect("well framed").packets().collect();
            let blocks = match packets[0] {
                RtcpPacket::SenderReport { ssrc: from, report, blocks } if sends => {
                    prop_assert_eq!((from, report), (ssrc, sender));
                    blocks
                }
                RtcpPacket::ReceiverReport { ssrc: from, blocks } if !sends => {
                    prop_assert_eq!(from, ssrc);
                    blocks
                }
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(blocks.iter().collect::<Vec<_>>(), [block]);
            prop_assert_eq!(packets[1], RtcpPacket::SourceDescription { cname: &cname });
            let RtcpPacket::ExtendedReport { blocks, .. } = packets[2] else { panic!() };
            prop_assert_eq!(blocks.iter().next(), Some(ExtendedBlock::VoipMetrics(metrics)));
            prop_assert_eq!(packets[3], RtcpPacket::Bye { ssrc: Some(ssrc) });
            prop_assert_eq!(packets.len(), 4);
        }
    }
}
