//! The full path of one medium: what does more with packets than hand them on.
//!
//! Receive, let in, unprotect, pass the stages, protect, send. A medium is on this path only as long as something
//! asks for it; all others take the plain one, which knows nothing of this.
//!
//! To put something between the two sides of a call, implement [`Stage`] and have the engine
//! install it: [`crate::Engine::set_stage`]. The stage gets RTP and RTCP in the clear, whatever
//! each side speaks, with a time; it answers by putting packets into the outbox, and asks to be
//! called again by [`Stage::poll_timeout`]. Facts for the switch leave by [`Outbox::report`].

mod boxes;
mod bundle;
mod echo;
mod end;
mod handshake;
mod ice;
mod keys;
mod reports;
pub(crate) mod security;
mod shared;
mod splice;
mod stage;
mod stun;

use std::mem;
use std::net::SocketAddr;

use audio::Key;
pub(crate) use boxes::Boxes;
pub(crate) use bundle::{Bundle, Member, Shared};
pub(crate) use echo::Echo;
use end::{End, Now};
use reports::Reports;
use security::Security;
use splice::Splice;
pub(crate) use stage::{Leaves, Outbox, Outward, Packet, Part, Place, Raw, Stage};

use crate::channel::{Channel, Passed, RtcpPort};
use crate::counters::DropReason;
use crate::engine::Side;
use crate::worker::MediumId;

/// The full path of one medium.
#[derive(Debug)]
pub(crate) struct Full {
    session: u64,
    ends: [End; 2],
    /// In the order of their places.
    stages: Vec<(Place, Box<dyn Stage>)>,
    reports: Reports,
    /// The alarm that is set for it; `None`: none.
    armed_us: Option<u64>,
    /// When it was called last.
    rung_us: Option<u64>,
    /// To whom what comes from sides A and B is copied, in the clear and as it came.
    copies: [Vec<MediumId>; 2],
    /// Of a subscription: to which medium, and which side of it, RTCP of side B goes.
    mirror: Option<(MediumId, Side)>,
    /// How it shares the transport of sides A and B with other media; `None`: it does not.
    shared: [Option<Shared>; 2],
    /// The streams that sides A and B hear, if they are browsers.
    splices: [Splice; 2],
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
    /// Of a medium of this session.
    pub(crate) fn new(session: u64) -> Self {
        Self {
            session,
            ends: [End::default(), End::default()],
            stages: Vec::new(),
            reports: Reports::default(),
            armed_us: None,
            rung_us: None,
            copies: [Vec::new(), Vec::new()],
            mirror: None,
            shared: [None, None],
            splices: [Splice::default(), Splice::default()],
        }
    }

    /// Puts a stage in its place, or empties the place.
    pub(crate) fn set_stage(&mut self, place: Place, stage: Option<Box<dyn Stage>>, now_us: u64) {
        self.stages.retain(|(taken, _)| *taken != place);
        if let Some(stage) = stage {
            self.stages.push((place, stage));
            self.stages.sort_by_key(|(place, _)| *place);
        }
        self.reports.update(&self.stages, now_us);
    }

    /// Whether nothing asks for the full path any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.stages.is_empty()
            && self.ends.iter().all(End::is_idle)
            && self.copies.iter().all(Vec::is_empty)
            && self.mirror.is_none()
            && self.shared.iter().all(Option::is_none)
    }

    /// Copies what comes from a side to these media from now on.
    pub(crate) fn set_copies(&mut self, from: Side, to: Vec<MediumId>) {
        self.copies[from as usize] = to;
    }

    /// Sends what side B reports there from now on.
    pub(crate) fn set_mirror(&mut self, to: Option<(MediumId, Side)>) {
        self.mirror = to;
    }

    /// One of those that what comes from a side is copied to, counted from 0.
    pub(crate) fn copy(&self, from: Side, index: usize) -> Option<MediumId> {
        self.copies[from as usize].get(index).copied()
    }

    /// Takes the copy of a packet of another medium, as if side A had sent it.
    pub(crate) fn handle_copy(&mut self, packet: Packet<'_>, now_us: u64, boxes: &mut Boxes) {
        self.forward(0, packet, now_us, boxes);
    }

    /// Takes what a negotiation settled for a side.
    pub(crate) fn secure(
        &mut self,
        side: Side,
        security: Security,
        channels: &mut Channels,
        now_us: u64,
        boxes: &mut Boxes,
    ) {
        let now = boxes.now(now_us);
        let end = &mut self.ends[side as usize];
        end.update(security, now);
        end.steer(channels, side);
        self.pump(side, channels, now, boxes);
    }

    /// Takes addresses of a side's ICE agent that were named after its description.
    pub(crate) fn add_candidates(
        &mut self,
        side: Side,
        candidates: &[(Part, SocketAddr)],
        channels: &mut Channels,
        now_us: u64,
        boxes: &mut Boxes,
    ) {
        self.ends[side as usize].add_candidates(candidates, now_us);
        self.pump(side, channels, boxes.now(now_us), boxes);
    }

    /// The sides that have lost their consent to be sent to since this was asked last.
    pub(crate) fn take_consent_lost(&mut self) -> impl Iterator<Item = Side> + '_ {
        let sides = [Side::A, Side::B].into_iter();
        sides.filter(move |side| self.ends[*side as usize].take_consent_lost())
    }

    /// The side that media leaves for, and what it is.
    pub(crate) fn destination(channels: &Channels, leaves: Leaves) -> Option<(Side, Part)> {
        match leaves {
            Leaves::Media { from, part } => {
                Some((channels[Part::Rtp as usize].destination_side(from), part))
            }
            Leaves::To(to, part) | Leaves::Carried(to, part) => Some((to, part)),
            Leaves::Raw(_) | Leaves::Inward(..) | Leaves::Outward(..) | Leaves::Mirrored(..) => {
                None
            }
        }
    }

    /// The port that a packet for `to` leaves by.
    pub(crate) fn exit_port(channels: &Channels, to: Side, part: Part) -> Part {
        match channels[Part::Rtp as usize].rtcp_port(to) {
            RtcpPort::Shared => Part::Rtp,
            RtcpPort::Own => part,
        }
    }

    /// Takes a packet from the network. What leaves for it is in `boxes` afterwards.
    ///
    /// # Errors
    /// Why it was not let in.
    pub(crate) fn handle_input(
        &mut self,
        channels: &mut Channels,
        input: &mut Input<'_>,
        now_us: u64,
        boxes: &mut Boxes,
    ) -> Result<Passed, DropReason> {
        let Input {
            side, port, from, ..
        } = *input;
        if self.is_guest(side) {
            // Nobody is told of this port, and what comes by it would not be protected.
            return Err(DropReason::UnknownSource);
        }
        let end = &mut self.ends[side as usize];
        if end.wants_stun(input.bytes) || end.wants_dtls(input.bytes) {
            self.handle_control(channels, input, now_us, boxes)?;
            return Ok(Passed::Control);
        }
        let channel = &mut channels[port as usize];
        let part = match port {
            Part::Rtp if rtp::is_rtcp(input.bytes) => Part::Rtcp,
            port => port,
        };
        if end.refuses(port, from) {
            return Err(DropReason::UnknownSource);
        }
        let mut bytes = &mut *input.bytes;
        if !end.is_plain() && !channel.is_opaque() {
            // Whoever cannot be the peer costs no cryptography.
            if !channel.may_come_from(side, from) {
                return Err(DropReason::UnknownSource);
            }
            let len = end.open(port, part, bytes)?;
            bytes = &mut bytes[..len];
        }
        if self.shared[side as usize].is_some() {
            return self.carry_in(channels, (side, from), bytes, now_us, boxes);
        }
        let passed = channel.inspect(side, from, bytes, now_us)?;
        let packet = Packet {
            from: side,
            part,
            bytes,
        };
        self.take_in(channels, port, packet, now_us, boxes);
        Ok(passed)
    }

    /// Takes a packet that was let in by one of the medium's ports.
    fn take_in(
        &mut self,
        channels: &Channels,
        port: Part,
        packet: Packet<'_>,
        now_us: u64,
        boxes: &mut Boxes,
    ) {
        let (side, channel) = (packet.from, &channels[port as usize]);
        match packet.part {
            Part::Rtp => self.reports.handle_rtp(side, packet.bytes),
            Part::Rtcp => {
                self.reports.handle_rtcp(side, packet.bytes, now_us);
                if boxes.tells_rtcp()
                    && let Some(seen) = channel.seen(self.session, side, packet.bytes)
                {
                    boxes.out.report(seen);
                }
            }
        }
        if channel.is_opaque() {
            return boxes.out.push(packet);
        }
        match packet.part {
            Part::Rtp => self.pass(packet, now_us, boxes),
            Part::Rtcp => {
                let translated = self.translate_heard(side, packet.bytes, boxes);
                let bytes = translated.as_deref().unwrap_or(packet.bytes);
                self.pass(Packet { bytes, ..packet }, now_us, boxes);
                if let Some(room) = translated {
                    boxes.report = room;
                }
            }
        }
    }

    /// Takes a packet to whoever is to have it: listeners, the stages.
    fn pass(&mut self, packet: Packet<'_>, now_us: u64, boxes: &mut Boxes) {
        let side = packet.from;
        if let (Some((heard, to)), Part::Rtcp, Side::B) = (self.mirror, packet.part, side) {
            return boxes
                .shared
                .push_as(Leaves::Mirrored(heard, to), packet.bytes);
        }
        if !self.copies[side as usize].is_empty() {
            boxes.copies.push(packet);
        }
        self.forward(0, packet, now_us, boxes);
    }

    /// Has a side hear a key.
    pub(crate) fn press(&mut self, to: Side, key: Key, duration_ms: u32, now_us: u64) {
        for (_, stage) in &mut self.stages {
            stage.handle_key(to, key, duration_ms, now_us);
        }
    }

    /// Takes a packet of ICE or of a handshake.
    fn handle_control(
        &mut self,
        channels: &mut Channels,
        input: &Input<'_>,
        now_us: u64,
        boxes: &mut Boxes,
    ) -> Result<(), DropReason> {
        let Input {
            side, port, from, ..
        } = *input;
        let now = boxes.now(now_us);
        let raw = Raw {
            side,
            port,
            to: from,
        };
        let end = &mut self.ends[side as usize];
        let handled = if end.wants_stun(input.bytes) {
            let handled = end.handle_stun(raw, input.bytes, now, &mut boxes.out);
            end.steer(channels, side);
            handled
        } else if end.refuses(port, from) || !channels[port as usize].may_come_from(side, from) {
            // Anybody could begin or break a handshake: only the peer's address may.
            Err(DropReason::UnknownSource)
        } else {
            end.handle_dtls(raw, input.bytes, now, &mut boxes.out)
        };
        self.pump(side, channels, now, boxes);
        handled
    }

    /// Does what is due of checks and handshakes.
    fn pump(&mut self, side: Side, channels: &mut Channels, now: Now, boxes: &mut Boxes) {
        let Boxes { out, refused, .. } = boxes;
        self.ends[side as usize].pump(side, channels, now, out, |reason| refused.push(reason));
    }

    /// Numbers and counts what leaves, and sees to it that it leaves by the right medium. `id` is this one.
    pub(crate) fn dispatch(
        &mut self,
        id: MediumId,
        channels: &Channels,
        now_us: u64,
        boxes: &mut Boxes,
    ) {
        self.splice(channels, now_us, boxes);
        self.reports.count(channels, boxes, now_us);
        if self.shared.iter().any(Option::is_some) {
            self.carry_out(id, channels, boxes);
        }
    }

    /// Protects what leaves, in place.
    pub(crate) fn seal(&mut self, channels: &Channels, boxes: &mut Boxes) {
        if self.ends.iter().all(End::is_plain) {
            return;
        }
        for index in 0..boxes.out.len() {
            let Some((side, part)) = Self::destination(channels, boxes.out.leaves(index)) else {
                continue;
            };
            let port = Self::exit_port(channels, side, part);
            let end = &mut self.ends[side as usize];
            let sealed = boxes
                .out
                .change(index, |room, len| end.seal(port, part, room, len));
            if let Err(reason) = sealed {
                boxes.refused.push(reason);
            }
        }
    }

    /// Calls whatever has its time come.
    pub(crate) fn handle_timeout(
        &mut self,
        channels: &mut Channels,
        now_us: u64,
        boxes: &mut Boxes,
    ) {
        self.rung_us = Some(now_us);
        for side in [Side::A, Side::B] {
            self.pump(side, channels, boxes.now(now_us), boxes);
        }
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
        if self
            .reports
            .poll_timeout()
            .is_some_and(|at_us| at_us <= now_us)
        {
            // What was played may be over.
            self.reports.update(&self.stages, now_us);
            self.reports
                .handle_timeout(self.session, channels, now_us, boxes);
        }
    }

    /// When [`Full::handle_timeout`] is due.
    fn poll_timeout(&self, now: Now) -> Option<u64> {
        let stages = self.stages.iter();
        let stages = stages.filter_map(|(_, stage)| stage.poll_timeout());
        let ends = self.ends.iter().filter_map(|end| end.poll_timeout(now));
        let reports = self.reports.poll_timeout();
        stages.chain(ends).chain(reports).min()
    }

    /// Takes note that an alarm was set; `None` if the one that is set comes no later. Whatever was
    /// called a moment ago waits for a while, lest a part that asks to be called at once, again and
    /// again, keeps the worker from all others.
    pub(crate) fn arm(&mut self, now_us: u64, boxes: &Boxes) -> Option<u64> {
        let due_us = self.poll_timeout(boxes.now(now_us))?;
        let due_us = match self.rung_us == Some(now_us) {
            true => due_us.max(now_us + CALLS_APART_US),
            false => due_us,
        };
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
            let bytes = made.bytes(index);
            match made.leaves(index) {
                Leaves::Media { from, part } => {
                    self.forward(first, Packet { from, part, bytes }, now_us, boxes);
                }
                leaves @ Leaves::To(..) => boxes.out.push_as(leaves, bytes),
                // No stage makes such.
                _ => {}
            }
        }
        for event in made.drain_events() {
            boxes.out.report(event);
        }
        boxes.overflowed += made.take_overflowed();
        boxes.spare = made;
    }
}

/// The least time between two calls of a medium by the clock alone.
const CALLS_APART_US: u64 = 1_000;

#[cfg(test)]
mod tests;
