//! Another codec, another packet time, or keys in another form for the other side.
//!
//! Each direction is decoded into samples by [`audio::Playout`] and coded anew at our own pace:
//! the stream that leaves has an SSRC, sequence numbers and timestamps of its own, and each packet
//! leaves at its time whatever the network did to those that came. RTCP of the peers ends here, as
//! it speaks of streams that the other side does not see; each gets reports of ours instead.

mod direction;
mod keys;
mod plan;

use audio::{CodecError, Key};

use crate::engine::{MediaEvent, Side};
use crate::full::{Outbox, Packet, Part, Stage};
pub(crate) use direction::Origin;
use direction::{Direction, Pressed};
pub(crate) use plan::{DirectionPlan, EventFormat, KeysIn, KeysOut, Plan};

/// Transcodes one medium, both ways.
#[derive(Debug)]
pub(crate) struct Transcoder {
    session: u64,
    /// By the side that the media comes from.
    directions: [Direction; 2],
}

impl Transcoder {
    /// For a session; `origins` are of the streams made of what sides A and B send.
    pub(crate) fn new(session: u64, plan: Plan, origins: [Origin; 2]) -> Result<Self, CodecError> {
        let [a, b] = plan.directions;
        let [a_origin, b_origin] = origins;
        Ok(Self {
            session,
            directions: [Direction::new(a, a_origin)?, Direction::new(b, b_origin)?],
        })
    }
}

impl Stage for Transcoder {
    fn handle_packet(&mut self, packet: Packet<'_>, now_us: u64, out: &mut Outbox) {
        if packet.part == Part::Rtcp {
            return;
        }
        let direction = &mut self.directions[packet.from as usize];
        direction.handle_packet(packet.bytes, now_us, |pressed| {
            out.report(key_event(self.session, packet.from, pressed));
        });
        // A packet that is due leaves with the one that came, without an alarm of its own.
        self.handle_timeout(now_us, out);
    }

    fn source(&self, to: Side) -> Option<u32> {
        Some(self.directions[to.other() as usize].ssrc())
    }

    fn handle_timeout(&mut self, now_us: u64, out: &mut Outbox) {
        for from in [Side::A, Side::B] {
            let mut events = [None; EVENTS_AT_ONCE];
            let mut count = 0;
            let direction = &mut self.directions[from as usize];
            direction.handle_timeout(
                now_us,
                |header, payload| {
                    out.push_with(from, Part::Rtp, |room| {
                        let (head, body) = room.split_first_chunk_mut()?;
                        *head = header.encode();
                        body.get_mut(..payload.len())?.copy_from_slice(payload);
                        Some(head.len() + payload.len())
                    });
                },
                |pressed| {
                    if let Some(free) = events.get_mut(count) {
                        *free = Some(pressed);
                        count += 1;
                    }
                },
            );
            for pressed in events.into_iter().flatten() {
                out.report(key_event(self.session, from, pressed));
            }
        }
    }

    fn handle_key(&mut self, to: Side, key: Key, duration_ms: u32, now_us: u64) {
        self.directions[to.other() as usize].press(key, duration_ms, now_us);
    }

    fn poll_timeout(&self) -> Option<u64> {
        let directions = self.directions.iter();
        directions.filter_map(Direction::poll_timeout).min()
    }
}

fn key_event(session: u64, side: Side, pressed: Pressed) -> MediaEvent {
    MediaEvent::Key {
        session,
        side,
        key: pressed.key,
        duration_ms: pressed.duration_ms,
    }
}

/// Keys that can end within the time that is made up for at once.
const EVENTS_AT_ONCE: usize = 8;

#[cfg(test)]
mod tests;
