//! Media of one transport: what the one that carries it does for the others, and they by it.

use std::net::SocketAddr;

use rtp::{Header, Packet as Rtp};

use super::bundle::{Bundle, Shared};
use super::stage::TRAILER_BYTES;
use super::{Boxes, Channels, Full, Leaves, Outward, Packet, Part};
use crate::channel::Passed;
use crate::counters::DropReason;
use crate::engine::Side;
use crate::worker::MediumId;

impl Full {
    /// Has it share the transport of a side that `carrier` has, or no longer. `id` is this medium;
    /// the carrier takes the bundle, which must come to it last.
    pub(crate) fn share(
        &mut self,
        side: Side,
        id: MediumId,
        carrier: MediumId,
        bundle: &mut Option<Box<Bundle>>,
    ) {
        let shared = &mut self.shared[side as usize];
        let is_member = bundle.as_ref().is_some_and(|b| b.media().any(|m| m == id));
        *shared = match (shared.take(), bundle) {
            (Some(Shared::Carrier(mut known)), fresh) if id == carrier && fresh.is_some() => {
                if let Some(fresh) = fresh.take() {
                    known.update(*fresh);
                }
                Some(Shared::Carrier(known))
            }
            (_, fresh) if id == carrier => fresh.take().map(Shared::Carrier),
            _ => is_member.then_some(Shared::Guest(carrier)),
        };
    }

    /// Whether another medium has the transport of a side.
    pub(super) fn is_guest(&self, side: Side) -> bool {
        matches!(self.shared[side as usize], Some(Shared::Guest(_)))
    }

    /// Takes a packet, in the clear, that came by the shared port: to whom it is of.
    pub(super) fn carry_in(
        &mut self,
        channels: &mut Channels,
        (side, from): (Side, SocketAddr),
        bytes: &mut [u8],
        now_us: u64,
        boxes: &mut Boxes,
    ) -> Result<Passed, DropReason> {
        let Some(Shared::Carrier(bundle)) = &mut self.shared[side as usize] else {
            return Err(DropReason::UnknownSource);
        };
        let channel = &mut channels[Part::Rtp as usize];
        let shared = &mut boxes.shared;
        if rtp::is_rtcp(bytes) {
            channel.admit_shared(side, from, None, now_us)?;
            bundle.of_rtcp(bytes, |medium, bytes| {
                shared.push_as(Leaves::Inward(medium, side), bytes);
            });
            return Ok(Passed::Media);
        }
        let packet = Rtp::parse(bytes).map_err(|error| match error {
            rtp::HeaderError::Truncated => DropReason::Truncated,
            _ => DropReason::NotRtp,
        })?;
        let medium = bundle.of_rtp(&packet).ok_or(DropReason::Unnamed)?;
        channel.admit_shared(side, from, Some(&packet.header), now_us)?;
        // Not before: a stranger's packets must not say whose a source is.
        bundle.note_received(packet.header.ssrc, medium);
        let len = bundle.unmark(bytes);
        shared.push_as(Leaves::Inward(medium, side), &bytes[..len]);
        // It counts where it is taken.
        Ok(Passed::Control)
    }

    /// Takes a packet of a side that the medium whose transport this one shares let in.
    ///
    /// # Errors
    /// Why it must not pass.
    pub(crate) fn handle_shared(
        &mut self,
        channels: &mut Channels,
        side: Side,
        bytes: &[u8],
        now_us: u64,
        boxes: &mut Boxes,
    ) -> Result<Passed, DropReason> {
        let passed = channels[Part::Rtp as usize].inspect_shared(side, bytes, now_us)?;
        let packet = Packet {
            from: side,
            part: match rtp::is_rtcp(bytes) {
                true => Part::Rtcp,
                false => Part::Rtp,
            },
            bytes,
        };
        self.take_in(channels, Part::Rtp, packet, now_us, boxes);
        Ok(passed)
    }

    /// Sees to what waits for a side whose transport is shared: it is handed to the medium that
    /// carries it, or, if that is this one, marked.
    pub(super) fn carry_out(&mut self, id: MediumId, channels: &Channels, boxes: &mut Boxes) {
        for index in 0..boxes.out.len() {
            let leaves = boxes.out.leaves(index);
            let Some((to, part)) = Self::destination(channels, leaves) else {
                continue;
            };
            match &mut self.shared[to as usize] {
                None => {}
                Some(Shared::Carrier(bundle)) => {
                    let marked = boxes
                        .out
                        .change(index, |room, len| mark(bundle, id, part, room, len));
                    boxes.refused.extend(marked.err());
                }
                Some(Shared::Guest(carrier)) => {
                    match channels[Part::Rtp as usize].may_pass(leaves) {
                        Ok(()) => {
                            let outward = Outward { by: id, to, part };
                            let bytes = boxes.out.bytes(index);
                            boxes
                                .shared
                                .push_as(Leaves::Outward(*carrier, outward), bytes);
                        }
                        Err(reason) => boxes.refused.push(reason),
                    }
                    boxes.out.refuse(index);
                }
            }
        }
    }

    /// Sends what another medium says by the transport that this one carries.
    pub(crate) fn handle_outward(&mut self, outward: Outward, bytes: &[u8], boxes: &mut Boxes) {
        let Outward { by, to, part } = outward;
        let Some(Shared::Carrier(bundle)) = &mut self.shared[to as usize] else {
            return;
        };
        boxes.out.push_as(Leaves::Carried(to, part), bytes);
        let Some(index) = boxes.out.len().checked_sub(1) else {
            return;
        };
        let marked = boxes
            .out
            .change(index, |room, len| mark(bundle, by, part, room, len));
        boxes.refused.extend(marked.err());
    }
}

/// Says in a packet of which medium it is, and takes note of its source; its new length.
fn mark(
    bundle: &mut Bundle,
    by: MediumId,
    part: Part,
    room: &mut [u8],
    len: usize,
) -> Result<usize, DropReason> {
    if part == Part::Rtcp {
        return Ok(len);
    }
    let header = Header::parse(&room[..len]).map_err(|_| DropReason::NotRtp)?;
    if !bundle.note_sent(by, header.ssrc) {
        return Err(DropReason::Collision);
    }
    let usable = room.len() - TRAILER_BYTES;
    let marked = bundle
        .mark(by)
        .and_then(|(id, mid)| rtp::insert_element(&mut room[..usable], len, id, mid));
    // What is too long to be marked is told by its source or payload type.
    Ok(marked.unwrap_or(len))
}
