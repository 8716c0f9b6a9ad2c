//! The keys of both directions of one side.

use rtp::srtp::{MasterKey, Protector, SrtpError, Unprotector};

use super::Part;
use crate::counters::DropReason;

/// What protects packets for a side and unprotects those of it.
#[derive(Debug)]
pub(super) struct Keys {
    inbound: Unprotector,
    outbound: Protector,
}

impl Keys {
    pub(super) fn new(inbound: &MasterKey, outbound: &MasterKey) -> Self {
        Self {
            inbound: Unprotector::new(inbound),
            outbound: Protector::new(outbound),
        }
    }

    /// Takes the keys of a new negotiation. One that is the same goes on as if nothing had
    /// happened: its indices must not come twice.
    pub(super) fn update(&mut self, inbound: &MasterKey, outbound: &MasterKey) {
        if self.inbound.master() != inbound {
            self.inbound.rekey(inbound);
        }
        if self.outbound.master() != outbound {
            self.outbound.rekey(outbound);
        }
    }

    /// Unprotects a packet; its new length.
    #[inline]
    pub(super) fn open(&mut self, part: Part, packet: &mut [u8]) -> Result<usize, DropReason> {
        let opened = match part {
            Part::Rtp => self.inbound.unprotect_rtp(packet),
            Part::Rtcp => self.inbound.unprotect_rtcp(packet),
        };
        opened.map_err(reason)
    }

    /// Protects the packet of `len` bytes at the beginning of `room`; its new length.
    #[inline]
    pub(super) fn seal(
        &mut self,
        part: Part,
        room: &mut [u8],
        len: usize,
    ) -> Result<usize, DropReason> {
        let sealed = match part {
            Part::Rtp => self.outbound.protect_rtp(room, len),
            Part::Rtcp => self.outbound.protect_rtcp(room, len),
        };
        sealed.map_err(reason)
    }
}

fn reason(error: SrtpError) -> DropReason {
    match error {
        SrtpError::Truncated => DropReason::Truncated,
        SrtpError::NotRtp => DropReason::NotRtp,
        SrtpError::NotAuthentic => DropReason::NotAuthentic,
        SrtpError::Replayed => DropReason::Replayed,
        SrtpError::NoRoom => DropReason::Oversized,
        SrtpError::TooManySources | SrtpError::Exhausted => DropReason::NoKey,
    }
}
