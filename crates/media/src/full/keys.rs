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

    /// Those of descriptions; `retired` has what protected by keys of ours before.
    pub(super) fn described(
        inbound: &MasterKey,
        outbound: &MasterKey,
        retired: &mut Retired,
    ) -> Self {
        Self {
            inbound: Unprotector::new(inbound),
            outbound: retired.take(outbound),
        }
    }

    /// Takes the keys of a new negotiation. One that is the same goes on as if nothing had
    /// happened: its indices must not come twice.
    pub(super) fn update(
        &mut self,
        inbound: &MasterKey,
        outbound: &MasterKey,
        retired: &mut Retired,
    ) {
        if self.inbound.master() != inbound {
            self.inbound.rekey(inbound);
        }
        if self.outbound.master() != outbound {
            let before = std::mem::replace(&mut self.outbound, retired.take(outbound));
            retired.keep(before);
        }
    }

    /// They are used no more.
    pub(super) fn retire(self, retired: &mut Retired) {
        retired.keep(self.outbound);
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

/// What protected by keys of ours that are not used now, and how far each was used: a phone that was
/// offered one may take it up again, after another has answered in its place.
#[derive(Debug, Default)]
pub(super) struct Retired(Vec<Protector>);

impl Retired {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn keep(&mut self, protector: Protector) {
        if self.0.len() == RETIRED_MAX {
            self.0.remove(0);
        }
        self.0.push(protector);
    }

    fn take(&mut self, master: &MasterKey) -> Protector {
        let known = self.0.iter().position(|known| known.master() == master);
        known.map_or_else(|| Protector::new(master), |at| self.0.remove(at))
    }
}

/// More than there are suites, for each of which a side is offered one key.
const RETIRED_MAX: usize = 16;

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
