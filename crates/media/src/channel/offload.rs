//! A channel in the kernel: when it may go there, and how it comes back.
//!
//! It goes once both sides are pinned and take media, and nothing more than relaying is asked.
//! It comes back before anything about it changes. Packets that the kernel's program does not
//! take reach the socket as ever; what they change brings the channel back too.

use std::net::SocketAddr;

use super::{Channel, End, Kind, Path};
use crate::engine::Side;
use crate::kernel::{Direction, FlowKey, Flows};
use crate::options::Way;
use crate::tally::Absorbed;

/// Who relays a channel.
#[derive(Debug, Default)]
pub(super) enum Relayer {
    /// User space, until the next sweep looks again.
    #[default]
    Worker,
    /// User space, until something changes: the program cannot.
    WorkerOnly,
    /// The kernel's program.
    Kernel(Flown),
}

/// A channel in the kernel.
#[derive(Debug)]
pub(super) struct Flown {
    /// Its flows, by the side that sends.
    keys: [FlowKey; 2],
    /// Where the sides were when the flows were made.
    pinned: [Option<SocketAddr>; 2],
}

impl Channel {
    /// Whether the kernel relays it.
    #[inline]
    pub(crate) fn is_offloaded(&self) -> bool {
        matches!(self.relayer, Relayer::Kernel(_))
    }

    /// Has the kernel relay it from now on, if it may and can; whether it does.
    pub(crate) fn offload(&mut self, flows: &mut Flows) -> bool {
        if !matches!(self.relayer, Relayer::Worker) || !self.may_leave() {
            return false;
        }
        let flown = self.fly(flows);
        let flies = flown.is_some();
        self.relayer = flown.map_or(Relayer::WorkerOnly, Relayer::Kernel);
        flies
    }

    /// Something has changed: perhaps the program can now.
    pub(super) fn reconsider(&mut self) {
        if matches!(self.relayer, Relayer::WorkerOnly) {
            self.relayer = Relayer::Worker;
        }
    }

    /// Takes it back; what the kernel has relayed since it was asked last, by side. It may go
    /// again with the next sweep.
    pub(crate) fn retract(&mut self, flows: &mut Flows, now_us: u64) -> [Absorbed; 2] {
        let Relayer::Kernel(flown) = std::mem::take(&mut self.relayer) else {
            return [Absorbed::default(); 2];
        };
        flown.keys.iter().for_each(|key| flows.remove(key));
        self.absorb(now_us)
    }

    /// Gives back what it holds of the kernel's, as it will not go there again.
    pub(crate) fn release(&mut self, flows: &mut Flows) {
        let slots = self.ends.iter().filter_map(|end| end.tally.leave_slot());
        slots.for_each(|slot| flows.return_slot(slot));
    }

    /// Takes note of what the kernel has relayed since it was asked last, by side.
    pub(crate) fn absorb(&mut self, now_us: u64) -> [Absorbed; 2] {
        [Side::A, Side::B].map(|side| {
            let end = &mut self.ends[side as usize];
            let absorbed = end.tally.absorb();
            if absorbed.packets > 0 {
                end.source.heard(now_us);
                end.tally.stats().note_heard(now_us);
            }
            absorbed
        })
    }

    /// Whether its flows are no longer what user space would do.
    pub(crate) fn is_outdated(&self) -> bool {
        let Relayer::Kernel(flown) = &self.relayer else {
            return false;
        };
        flown.pinned != self.pinned() || self.ends.iter().any(|end| end.tally.has_moved_on())
    }

    fn may_leave(&self) -> bool {
        let is_settled = |end: &End| {
            end.terms.as_ref().is_some_and(|terms| terms.receives)
                && end.source.pinned().is_some()
                && end.destination.is_some()
        };
        self.ways == [Way::Across; 2]
            && self.traffic_class == 0
            && self.kind == Kind::Rtp
            && self.path == Path::Plain
            && self.ends.iter().all(is_settled)
    }

    fn fly(&mut self, flows: &mut Flows) -> Option<Flown> {
        let directions = [self.direction(Side::A)?, self.direction(Side::B)?];
        let seeds = [self.ends[0].tally.seed()?, self.ends[1].tally.seed()?];
        for end in &self.ends {
            if end.tally.slot().is_none() {
                end.tally.take_slot(flows.take_slot()?);
            }
        }
        let slots = [self.ends[0].tally.slot()?, self.ends[1].tally.slot()?];
        let (a, flow_a) = flows.plan(&directions[0], [slots[0], slots[1]])?;
        let (b, flow_b) = flows.plan(&directions[1], [slots[1], slots[0]])?;
        for (slot, seed) in slots.into_iter().zip(seeds) {
            slot.seed(seed);
        }
        let refused = |error| tracing::warn!(%error, "the kernel takes no more media flows");
        flows.insert(&a, flow_a).map_err(refused).ok()?;
        if let Err(error) = flows.insert(&b, flow_b) {
            refused(error);
            flows.remove(&a);
            return None;
        }
        Some(Flown {
            keys: [a, b],
            pinned: self.pinned(),
        })
    }

    /// What comes from `side`.
    fn direction(&self, side: Side) -> Option<Direction> {
        let (from, to) = (&self.ends[side as usize], &self.ends[side.other() as usize]);
        let (peer, destination) = (from.source.pinned()?, to.source.destination()?);
        let address = |end: &End, peer: SocketAddr| {
            let socket = end.sockets[crate::config::AddressFamily::from(peer) as usize].as_ref();
            socket?.local_addr().ok()
        };
        Some(Direction {
            local: address(from, peer)?,
            peer,
            source: address(to, destination)?,
            destination,
            formats: from.terms.as_ref()?.formats.clone(),
            payload_type: from.tally.payload_type(),
        })
    }

    fn pinned(&self) -> [Option<SocketAddr>; 2] {
        [0, 1].map(|side| self.ends[side].source.pinned())
    }
}
