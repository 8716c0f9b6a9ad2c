//! Any bytes as RTP and as RTCP.

use rtp::{Compound, Header, Packet, Reception, RtcpPacket, TelephoneEvent};

pub(crate) fn run(input: &[u8]) {
    if let Ok(packet) = Packet::parse(input) {
        let _ = packet.csrcs().count();
    }
    if let Ok(header) = Header::parse(input) {
        assert_eq!(Header::parse(&header.encode()), Ok(header));
        let mut reception = Reception::new(&header, 0, 8_000);
        for (at, window) in input.windows(12).enumerate() {
            if let Ok(next) = Header::parse(window) {
                reception.record(&next, at as u64 * 20_000, 8_000);
            }
        }
        let _ = reception.snapshot();
    }
    if let Some(event) = TelephoneEvent::parse(input) {
        let _ = (event.digit(), event.encode());
    }
    let _ = rtp::is_rtcp(input);
    if let Ok(compound) = Compound::parse(input) {
        let packets = compound.packets().inspect(|packet| {
            if let RtcpPacket::SenderReport { blocks, .. }
            | RtcpPacket::ReceiverReport { blocks, .. } = packet
            {
                assert!(blocks.iter().count() <= 31);
            }
        });
        assert!(packets.count() <= input.len() / 4);
    }
}
