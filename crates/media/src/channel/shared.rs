//! A channel whose transport serves several media, or is that of another.

use std::net::SocketAddr;

use rtp::Header;

use super::{Channel, Passed, check_rtcp};
use crate::counters::DropReason;
use crate::engine::Side;
use crate::full::{Leaves, Part};
use crate::options::Way;

impl Channel {
    /// Lets in what came from `side` for another medium that shares this transport.
    ///
    /// # Errors
    /// Why it must not pass.
    pub(crate) fn admit_shared(
        &mut self,
        side: Side,
        from: SocketAddr,
        header: Option<&Header>,
        now_us: u64,
    ) -> Result<(), DropReason> {
        let end = &mut self.ends[side as usize];
        match header {
            Some(header) => end.admit(from, header.ssrc, now_us).map(|_| ()),
            // RTCP on the RTP port proves nothing about where RTP comes from.
            None if end.terms.is_some() && end.source.knows(from) => Ok(()),
            None => Err(DropReason::UnknownSource),
        }
    }

    /// Judges and counts a packet of `side` that the medium whose transport is shared let in.
    ///
    /// # Errors
    /// Why it must not pass.
    pub(crate) fn inspect_shared(
        &mut self,
        side: Side,
        bytes: &[u8],
        now_us: u64,
    ) -> Result<Passed, DropReason> {
        if rtp::is_rtcp(bytes) {
            check_rtcp(bytes)?;
            self.observe(side, bytes, now_us);
            return Ok(Passed::Media);
        }
        let header = Header::parse(bytes).map_err(|_| DropReason::NotRtp)?;
        self.ends[side as usize].count(&header, bytes.len(), now_us)
    }

    /// Whether a packet may go on to where it goes, whoever sends it there.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn may_pass(&self, leaves: Leaves) -> Result<(), DropReason> {
        let (to, part) = match leaves {
            Leaves::Media { from, .. } if self.ways[from as usize] == Way::Nowhere => {
                return Err(DropReason::Discarded);
            }
            Leaves::Media { from, part } => (self.destination_side(from), part),
            Leaves::To(to, part) => (to, part),
            Leaves::Raw(_)
            | Leaves::Carried(..)
            | Leaves::Inward(..)
            | Leaves::Outward(..)
            | Leaves::Mirrored(..) => return Ok(()),
        };
        match &self.ends[to as usize].terms {
            None => Err(DropReason::NoDestination),
            Some(terms) if !terms.receives && part == Part::Rtp => Err(DropReason::Held),
            Some(_) => Ok(()),
        }
    }
}
