//! Barriers on the way from one side to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use audio::{Codec, g711};

use super::{Barrier, Passage};
use crate::engine::Side;
use crate::full::{Outbox, Packet, Part, Stage};
use crate::recording::Codecs;

/// Which barriers stand, by the side whose packets they hold up. The engine sets them, the
/// worker looks.
#[derive(Debug, Default)]
pub(crate) struct Gate([AtomicU8; 2]);

/// Holds up what the gate says.
#[derive(Debug)]
pub(crate) struct GateStage {
    gate: Arc<Gate>,
    codecs: Codecs,
    /// Payload types of RFC 4733, of each side.
    events: [Vec<u8>; 2],
}

impl Gate {
    pub(crate) fn set(&self, side: Side, barrier: Barrier, passage: Passage) {
        let flags = &self.0[side as usize];
        let bit = bit(barrier);
        match passage {
            Passage::Closed => flags.fetch_or(bit, Relaxed),
            Passage::Open => flags.fetch_and(!bit, Relaxed),
        };
    }

    /// Whether nothing is held up.
    pub(crate) fn is_open(&self) -> bool {
        self.0.iter().all(|flags| flags.load(Relaxed) == 0)
    }

    fn holds(&self, side: Side, barrier: Barrier) -> bool {
        self.0[side as usize].load(Relaxed) & bit(barrier) != 0
    }
}

impl GateStage {
    pub(crate) fn new(gate: Arc<Gate>, codecs: Codecs, events: [Vec<u8>; 2]) -> Self {
        Self {
            gate,
            codecs,
            events,
        }
    }

    /// Sends on the packet with silence in it.
    fn silence(&self, packet: Packet<'_>, payload_type: u8, out: &mut Outbox) {
        let Ok(rtp) = rtp::Packet::parse(packet.bytes) else {
            return;
        };
        let side = packet.from as usize;
        let mut codecs = self.codecs[side].iter();
        let codec = codecs.find(|(pt, _)| *pt == payload_type);
        let header = packet.bytes.len() - rtp.payload.len();
        if packet.bytes[0] & PADDED != 0 {
            // Padding hides where the payload ends; nobody pads what can be silenced.
            return;
        }
        out.push_with(packet.from, Part::Rtp, |room| {
            let room = room.get_mut(..packet.bytes.len())?;
            room.copy_from_slice(packet.bytes);
            let payload = &mut room[header..];
            match codec?.1 {
                Codec::Pcma => payload.fill(g711::ALAW_SILENCE),
                Codec::Pcmu => payload.fill(g711::ULAW_SILENCE),
                Codec::Opus => {
                    let silence = payload.get_mut(..OPUS_SILENCE.len())?;
                    silence.copy_from_slice(&OPUS_SILENCE);
                    return Some(header + OPUS_SILENCE.len());
                }
                Codec::G722 => return None,
            }
            Some(packet.bytes.len())
        });
    }
}

impl Stage for GateStage {
    fn handle_packet(&mut self, packet: Packet<'_>, _now_us: u64, out: &mut Outbox) {
        let holds = |barrier| self.gate.holds(packet.from, barrier);
        let Some(second) = packet.bytes.get(1).filter(|_| packet.part == Part::Rtp) else {
            return out.push(packet);
        };
        let payload_type = second & 0x7f;
        let is_event = self.events[packet.from as usize].contains(&payload_type);
        match is_event {
            true if holds(Barrier::Dtmf) => {}
            false if holds(Barrier::Media) => {}
            false if holds(Barrier::Voice) => self.silence(packet, payload_type, out),
            _ => out.push(packet),
        }
    }
}

fn bit(barrier: Barrier) -> u8 {
    match barrier {
        Barrier::Media => 1,
        Barrier::Dtmf => 2,
        Barrier::Voice => 4,
    }
}

/// A frame of 20 ms without sound: CELT, full band, one frame (RFC 6716 §3.1).
const OPUS_SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// The bit of the first byte that says there is padding.
const PADDED: u8 = 0x20;
