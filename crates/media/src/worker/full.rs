//! The worker's part of the full path: sockets and alarms around [`Full`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;

use super::session::Medium;
use super::{Token, Worker};
use crate::channel::Passed;
use crate::counters::{DropReason, WorkerCounters};
use crate::engine::Side;
use crate::full::{Boxes, Channels, Full, Input, Leaves, Outbox, Outward, Packet, Part, Raw};
use crate::sys::mmsg::{self, BATCH};

/// When media on the full path want to be called, earliest first. An alarm that was overtaken by
/// an earlier one, or whose session is gone, goes off for nothing.
#[derive(Debug, Default)]
pub(super) struct Alarms(BinaryHeap<Reverse<(u64, MediumId)>>);

/// Names a medium of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MediumId {
    pub(crate) slot: usize,
    /// Of the medium in its session.
    pub(crate) stream: usize,
}

impl Alarms {
    /// Sets an alarm if the medium asks for one.
    fn set(&mut self, id: MediumId, full: &mut Full, now_us: u64, boxes: &Boxes) {
        if let Some(due_us) = full.arm(now_us, boxes) {
            self.0.push(Reverse((due_us, id)));
        }
    }

    /// The next that is due.
    fn due(&mut self, now_us: u64) -> Option<(u64, MediumId)> {
        let Reverse((due_us, _)) = self.0.peek()?;
        if *due_us > now_us {
            return None;
        }
        self.0.pop().map(|Reverse(alarm)| alarm)
    }

    /// How long to wait for packets, in milliseconds, at most `longest_ms`.
    pub(super) fn timeout_ms(&self, now_us: u64, longest_ms: i32) -> i32 {
        let Some(Reverse((due_us, _))) = self.0.peek() else {
            return longest_ms;
        };
        let wait_ms = due_us.saturating_sub(now_us).div_ceil(1_000);
        i32::try_from(wait_ms).map_or(longest_ms, |wait_ms| wait_ms.min(longest_ms))
    }
}

impl Worker {
    /// One read of a socket on the full path: how many came.
    pub(super) fn receive_full(&mut self, token: Token, limit: usize, now_us: u64) -> usize {
        let counters = &self.setup.counters;
        let id = token.channel.medium();
        let Some(medium) = self.sessions.medium(id) else {
            return 0;
        };
        let port = token.channel.part();
        let channel = &medium.channels[port as usize];
        let Some(socket) = channel.socket(token.side, token.family) else {
            return 0;
        };
        let count = match self.batch.receive(socket, limit) {
            Ok(count) => count,
            Err(error) => {
                tracing::debug!(%error, "receiving media failed");
                return 0;
            }
        };
        for packet in self.batch.iter_mut() {
            let verdict = match packet.from {
                _ if packet.oversized => Err(DropReason::Oversized),
                None => Err(DropReason::UnknownSource),
                Some(from) => {
                    let mut input = Input {
                        side: token.side,
                        port,
                        from,
                        bytes: packet.bytes,
                    };
                    let (full, channels) = (&mut *medium.full, &mut *medium.channels);
                    full.handle_input(channels, &mut input, now_us, &mut self.boxes)
                }
            };
            match verdict {
                Ok(Passed::Control) => {}
                Ok(kind) => {
                    if kind == Passed::TelephoneEvent {
                        counters.count_telephone_event();
                    }
                    medium.session.heard(token.side, now_us);
                }
                Err(reason) => counters.count_dropped(reason, 1),
            }
        }
        self.flush(id, now_us);
        count
    }

    /// Calls the media whose time has come.
    pub(super) fn ring_alarms(&mut self, now_us: u64) {
        while let Some((due_us, id)) = self.alarms.due(now_us) {
            let Some(medium) = self.sessions.medium(id) else {
                continue;
            };
            if medium.full.disarm(due_us) {
                let Medium {
                    session,
                    channels,
                    full,
                } = medium;
                full.handle_timeout(channels, now_us, &mut self.boxes);
                for side in full.take_consent_lost() {
                    self.boxes.out.report(session.lost_consent(side));
                }
                self.flush(id, now_us);
            }
        }
    }

    /// Sends what is in the outbox, all of one medium, says its events, and sets its next alarm.
    pub(super) fn flush(&mut self, id: MediumId, now_us: u64) {
        let mut said = 0;
        for event in self.boxes.out.drain_events() {
            said += usize::from(self.setup.teller.tell(event));
        }
        let counters = &self.setup.counters;
        if let Some(medium) = self.sessions.medium(id) {
            let Medium { channels, full, .. } = medium;
            full.dispatch(id, channels, now_us, &mut self.boxes);
            full.seal(channels, &mut self.boxes);
            send(channels, &self.boxes.out, counters);
            self.alarms.set(id, full, now_us, &self.boxes);
        }
        for reason in self.boxes.refused.drain(..) {
            counters.count_dropped(reason, 1);
        }
        self.boxes.out.clear();
        let overflowed = self.boxes.take_overflowed();
        if overflowed > 0 {
            counters.count_dropped(DropReason::Overflow, overflowed);
        }
        self.wake_for(said);
        if self.boxes.copies.len() > 0 {
            self.deliver_copies(id, now_us);
        }
        if self.boxes.shared.len() > 0 {
            self.deliver_shared(now_us);
        }
    }

    /// Hands on what belongs to media that share a transport: inward to the medium it is of,
    /// outward to the one that carries it. What goes in may come out by another, so this nests as
    /// deep as both sides of a call have bundles.
    fn deliver_shared(&mut self, now_us: u64) {
        let spare = self.boxes.spares.pop().unwrap_or_default();
        let mut shared = mem::replace(&mut self.boxes.shared, spare);
        let mut next = 0;
        while next < shared.len() {
            let leaves = shared.leaves(next);
            let first = next;
            while next < shared.len() && shared.leaves(next) == leaves {
                next += 1;
            }
            match leaves {
                Leaves::Inward(to, from) => {
                    let packets = (first..next).map(|index| shared.bytes(index));
                    self.deliver_inward(to, from, packets, now_us);
                }
                Leaves::Outward(to, outward) => {
                    let packets = (first..next).map(|index| shared.bytes(index));
                    self.deliver_outward(to, outward, packets);
                }
                Leaves::Mirrored(heard, to) => {
                    let leaves = Leaves::To(to, Part::Rtcp);
                    let packets = (first..next).map(|index| shared.bytes(index));
                    packets.for_each(|bytes| self.boxes.out.push_as(leaves, bytes));
                    self.flush(heard, now_us);
                }
                _ => {}
            }
        }
        shared.clear();
        self.boxes.spares.push(shared);
    }

    fn deliver_inward<'p>(
        &mut self,
        to: MediumId,
        from: Side,
        packets: impl Iterator<Item = &'p [u8]>,
        now_us: u64,
    ) {
        let Some(medium) = self.sessions.medium(to) else {
            return;
        };
        let counters = &self.setup.counters;
        let Medium {
            session,
            channels,
            full,
        } = medium;
        for bytes in packets {
            match full.handle_shared(channels, from, bytes, now_us, &mut self.boxes) {
                Ok(kind) => {
                    if kind == Passed::TelephoneEvent {
                        counters.count_telephone_event();
                    }
                    session.heard(from, now_us);
                }
                Err(reason) => counters.count_dropped(reason, 1),
            }
        }
        self.flush(to, now_us);
    }

    fn deliver_outward<'p>(
        &mut self,
        by: MediumId,
        outward: Outward,
        packets: impl Iterator<Item = &'p [u8]>,
    ) {
        let Some(medium) = self.sessions.medium(by) else {
            return;
        };
        let Medium { channels, full, .. } = medium;
        for bytes in packets {
            full.handle_outward(outward, bytes, &mut self.boxes);
        }
        let counters = &self.setup.counters;
        full.seal(channels, &mut self.boxes);
        send(channels, &self.boxes.out, counters);
        self.boxes.out.clear();
        for reason in self.boxes.refused.drain(..) {
            counters.count_dropped(reason, 1);
        }
    }

    /// Hands on what was copied of a medium. A medium that copies go to is copied no further.
    fn deliver_copies(&mut self, source: MediumId, now_us: u64) {
        let mut copies = mem::take(&mut self.boxes.copies);
        for from in [Side::A, Side::B] {
            for index in 0.. {
                let medium = self.sessions.medium(source);
                let Some(to) = medium.and_then(|medium| medium.full.copy(from, index)) else {
                    break;
                };
                self.copy_to(to, from, &copies, now_us);
            }
        }
        copies.clear();
        self.boxes.copies = copies;
    }

    fn copy_to(&mut self, to: MediumId, source: Side, copies: &Outbox, now_us: u64) {
        let packets = (0..copies.len()).filter_map(|index| match copies.leaves(index) {
            Leaves::Media { from, part } if from == source => Some(Packet {
                from: Side::A,
                part,
                bytes: copies.bytes(index),
            }),
            _ => None,
        });
        if let Some(medium) = self.sessions.medium(to) {
            for packet in packets {
                medium.full.handle_copy(packet, now_us, &mut self.boxes);
            }
            self.flush(to, now_us);
        } else if let Some(channels) = self.sessions.channels_of(to) {
            packets.for_each(|packet| self.boxes.out.push(packet));
            send(channels, &self.boxes.out, &self.setup.counters);
            self.boxes.out.clear();
        }
    }
}

/// Sends what is in the outbox, media in a row to one side by one call.
fn send(channels: &Channels, out: &Outbox, counters: &WorkerCounters) {
    let mut next = 0;
    while next < out.len() {
        let leaves = out.leaves(next);
        if let Leaves::Raw(raw) = leaves {
            send_raw(channels, raw, out.bytes(next), counters);
        }
        let Some((to, part)) = Full::destination(channels, leaves) else {
            next += 1;
            continue;
        };
        let mut batch: [&[u8]; BATCH] = [&[]; BATCH];
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH && next < out.len() && out.leaves(next) == leaves {
            let packet = out.bytes(next);
            next += 1;
            if !packet.is_empty() {
                batch[count] = packet;
                count += 1;
                bytes += packet.len() as u64;
            }
        }
        let port = Full::exit_port(channels, to, part);
        let channel = &channels[port as usize];
        let route = match (leaves, part) {
            (Leaves::Media { from, .. }, Part::Rtp) => channel.route(from),
            (Leaves::Media { from, .. }, Part::Rtcp) => channel.way(from),
            (Leaves::Carried(..), _) => channel.way_to(to),
            (_, Part::Rtp) => channel.route_to(to),
            (_, Part::Rtcp) => channel.way_to(to),
        };
        match route {
            _ if count == 0 => {}
            Ok((socket, to)) => {
                counters.count_relayed(count as u64, bytes);
                let sent = mmsg::send(socket, to, &batch[..count]).unwrap_or(0);
                if sent < count {
                    counters.count_dropped(DropReason::SendFailed, (count - sent) as u64);
                }
            }
            Err(reason) => counters.count_dropped(reason, count as u64),
        }
    }
}

/// Sends what is no media.
fn send_raw(channels: &Channels, raw: Raw, bytes: &[u8], counters: &WorkerCounters) {
    let Raw { side, port, to } = raw;
    let socket = channels[port as usize].socket(side, to.into());
    let sent = socket.is_some_and(|socket| socket.send_to(bytes, to).is_ok());
    if !sent {
        counters.count_dropped(DropReason::SendFailed, 1);
    }
}
