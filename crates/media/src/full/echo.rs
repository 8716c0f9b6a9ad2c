//! The echo as a party of its own.
//!
//! A packet that came back with the SSRC it left with would be a loop to its sender (RFC 3550
//! §8.2), and so would its reports. So what comes back has an SSRC of ours, and RTCP is between
//! the peer and us.

use super::stage::{Outbox, Packet, Part, Stage};
use crate::engine::Side;

/// Sends back what comes, in our name.
#[derive(Debug)]
pub(crate) struct Echo {
    ssrc: u32,
}

impl Echo {
    /// `ssrc` should be random (RFC 3550 §8.1).
    pub(crate) fn new(ssrc: u32) -> Self {
        Self { ssrc }
    }
}

impl Stage for Echo {
    fn handle_packet(&mut self, packet: Packet<'_>, _now_us: u64, out: &mut Outbox) {
        if packet.part == Part::Rtcp {
            return;
        }
        out.push_with(packet.from, packet.part, |room| {
            let bytes = packet.bytes;
            room.get_mut(..bytes.len())?.copy_from_slice(bytes);
            let ssrc = room.get_mut(SSRC)?;
            ssrc.copy_from_slice(&self.ssrc.to_be_bytes());
            Some(bytes.len())
        });
    }

    fn source(&self, _to: Side) -> Option<u32> {
        Some(self.ssrc)
    }
}

/// Where it stands in a packet (RFC 3550 §5.1).
const SSRC: core::ops::Range<usize> = 8..12;
