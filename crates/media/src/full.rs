//! The full path of one medium: what does more with packets than hand them on.
//!
//! Receive, let in, pass the stages, send. A medium is on this path only as long as something
//! asks for it; all others take the plain one, which knows nothing of this.
//!
//! To put something between the two sides of a call, implement [`Stage`] and have the engine
//! install it: [`crate::Engine::set_stage`]. The stage gets RTP and RTCP in the clear, whatever
//! each side speaks, with a time; it answers by putting packets into the outbox, and asks to be
//! called again by [`Stage::poll_timeout`]. Facts for the switch leave by [`Outbox::report`].

mod stage;

use std::mem;
use std::net::SocketAddr;

pub(crate) use stage::{Outbox, Packet, Part, Place, Stage};

use crate::channel::{Channel, Passed, RtcpPort};
use crate::counters::DropReason;
use crate::engine::Side;

/// The full path of one medium.
#[derive(Debug, Default)]
pub(crate) struct Full {
    /// In the order of their places.
    stages: Vec<(Place, Box<dyn Stage>)>,
    /// The alarm that is set for it; `None`: none.
    armed_us: Option<u64>,
}

/// A packet as it came from the network.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) side: Side,
    /// By which of the medium's ports.
    pub(crate) port: Part,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: &'a mut [u8],
}

/// The channels of a medium, RTP first.
pub(crate) type Channels = [Channel];

impl Full {
    /// Puts a stage in its place, or empties the place.
    pub(crate) fn set_stage(&mut self, place: Place, stage: Option<Box<dyn Stage>>) {
        self.stages.retain(|(taken, _)| *taken != place);
        if let Some(stage) = stage {
            self.stages.push((place, stage));
            self.stages.sort_by_key(|(place, _)| *place);
        }
    }

    /// Whether nothing asks for the full path any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.stages.is_empty()
    }

    /// The channel that a packet of `from` leaves by.
    pub(crate) fn exit(channels: &Channels, from: Side, part: Part) -> &Channel {
        let rtp = &channels[Part::Rtp as usize];
        let shared = rtp.rtcp_port(rtp.destination_side(from)) == RtcpPort::Shared;
        match part {
            Part::Rtcp if !shared => &channels[Part::Rtcp as usize],
            Part::Rtp | Part::Rtcp => rtp,
        }
    }

    /// Takes a packet from the network. What leaves for it is in `boxes` afterwards.
    ///
    /// # Errors
    /// Why it was not let in.
    pub(crate) fn handle_input(
        &mut self,
        channels: &mut Channels,
        input: Input<'_>,
        now_us: u64,
        boxes: &mut Boxes,
    ) -> Result<Passed, DropReason> {
        let channel = &mut channels[input.port as usize];
        let passed = channel.inspect(input.side, input.from, input.bytes, now_us)?;
        let part = match input.port {
            Part::Rtp if rtp::is_rtcp(input.bytes) => Part::Rtcp,
            port => port,
        };
        let packet = Packet {
            from: input.side,
            part,
            bytes: input.bytes,
        };
        if channel.is_opaque() {
            boxes.out.push(packet);
        } else {
            self.forward(0, packet, now_us, boxes);
        }
        Ok(passed)
    }

    /// Calls the stages whose time has come.
    pub(crate) fn handle_timeout(&mut self, now_us: u64, boxes: &mut Boxes) {
        for index in 0..self.stages.len() {
            let stage = &mut self.stages[index].1;
            if stage.poll_timeout().is_none_or(|at_us| at_us > now_us) {
                continue;
            }
            let mut made = mem::take(&mut boxes.spare);
            made.clear();
            stage.handle_timeout(now_us, &mut made);
            self.drain(index + 1, made, now_us, boxes);
        }
    }

    /// When [`Full::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<u64> {
        let stages = self.stages.iter();
        stages.filter_map(|(_, stage)| stage.poll_timeout()).min()
    }

    /// Takes note that an alarm was set; `None` if the one that is set comes no later.
    pub(crate) fn arm(&mut self) -> Option<u64> {
        let due_us = self.poll_timeout()?;
        if self.armed_us.is_some_and(|armed_us| armed_us <= due_us) {
            return None;
        }
        self.armed_us = Some(due_us);
        Some(due_us)
    }

    /// Takes note that an alarm went off; whether it was the one that is set.
    pub(crate) fn disarm(&mut self, at_us: u64) -> bool {
        let set = self.armed_us == Some(at_us);
        if set {
            self.armed_us = None;
        }
        set
    }

    /// Hands a packet to the stages from `first` on, and what is left of it to the outbox.
    fn forward(&mut self, first: usize, packet: Packet<'_>, now_us: u64, boxes: &mut Boxes) {
        let Some((_, stage)) = self.stages.get_mut(first) else {
            return boxes.out.push(packet);
        };
        let mut made = mem::take(&mut boxes.spare);
        made.clear();
        stage.handle_packet(packet, now_us, &mut made);
        self.drain(first + 1, made, now_us, boxes);
    }

    /// Hands what a stage made to the stages from `first` on. At most as deep as there are places.
    fn drain(&mut self, first: usize, mut made: Outbox, now_us: u64, boxes: &mut Boxes) {
        for index in 0..made.len() {
            self.forward(first, made.packet(index), now_us, boxes);
        }
        for event in made.drain_events() {
            boxes.out.report(event);
        }
        boxes.overflowed += made.take_overflowed();
        boxes.spare = made;
    }
}

/// The outboxes of a worker.
#[derive(Debug, Default)]
pub(crate) struct Boxes {
    /// What leaves.
    pub(crate) out: Outbox,
    /// What a stage makes for the next.
    spare: Outbox,
    overflowed: u64,
}

impl Boxes {
    /// How many packets found no room since this was asked last.
    pub(crate) fn take_overflowed(&mut self) -> u64 {
        mem::take(&mut self.overflowed) + self.out.take_overflowed()
    }
}

#[cfg(test)]
mod tests;
