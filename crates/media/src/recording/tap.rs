//! The worker's end of a recording: copies payloads into chunks and hands them to the writer.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender};

use super::writer::Message;
use crate::engine::Side;
use crate::full::{Outbox, Packet, Part, Stage};

/// Copies what passes. Its end is the end of the recording.
pub(crate) struct Tap {
    id: u64,
    queue: Queue,
    switch: Arc<Switch>,
    chunk: Vec<u8>,
    /// The last time it was called; 0: never.
    now_us: u64,
    /// When the chunk is handed over at the latest.
    due_us: u64,
    missing_packets: u64,
}

/// What the engine may change while it records.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    /// Nothing is recorded while this is set.
    pub(crate) paused: AtomicBool,
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(super) messages: Sender<Message>,
    /// Chunks that came back empty.
    pub(super) spare: Receiver<Vec<u8>>,
    /// Chunks on their way.
    pub(super) waiting: Arc<AtomicUsize>,
}

/// A packet in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) side: Side,
    pub(super) payload_type: u8,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) arrival_us: u64,
    pub(super) payload: &'a [u8],
}

impl Tap {
    pub(crate) fn new(id: u64, queue: Queue, switch: Arc<Switch>) -> Self {
        Self {
            id,
            queue,
            switch,
            chunk: Vec::new(),
            now_us: 0,
            due_us: 0,
            missing_packets: 0,
        }
    }

    fn record(&mut self, packet: Packet<'_>, now_us: u64) {
        let Ok(rtp) = rtp::Packet::parse(packet.bytes) else {
            return;
        };
        let frame = Frame {
            side: packet.from,
            payload_type: rtp.header.payload_type,
            timestamp: rtp.header.timestamp,
            ssrc: rtp.header.ssrc,
            arrival_us: now_us,
            payload: rtp.payload,
        };
        if self.chunk.len() + FRAME_BYTES + rtp.payload.len() > CHUNK_BYTES {
            self.hand_over();
        }
        frame.write(&mut self.chunk);
    }

    /// Sends the chunk, unless too many wait already: then its packets are missing.
    fn hand_over(&mut self) {
        if self.queue.waiting.load(Relaxed) >= WAITING_MAX {
            self.missing_packets += frames(&self.chunk).count() as u64;
            self.chunk.clear();
            return;
        }
        let next = self.queue.spare.try_recv();
        let next = next.unwrap_or_else(|_| Vec::with_capacity(CHUNK_BYTES));
        let bytes = mem::replace(&mut self.chunk, next);
        self.queue.waiting.fetch_add(1, Relaxed);
        // Without a writer there is nobody to tell.
        let _ = self.queue.messages.send(Message::Chunk {
            id: self.id,
            now_us: self.now_us,
            bytes,
        });
    }
}

impl Stage for Tap {
    fn handle_packet(&mut self, packet: Packet<'_>, now_us: u64, out: &mut Outbox) {
        out.push(packet);
        self.now_us = now_us;
        if packet.part == Part::Rtp && !self.switch.paused.load(Relaxed) {
            self.record(packet, now_us);
        }
    }

    fn handle_timeout(&mut self, now_us: u64, _out: &mut Outbox) {
        self.now_us = now_us;
        self.due_us = now_us + HAND_OVER_US;
        // Also without packets: the writer learns what time it is.
        self.hand_over();
    }

    /// At once for the first time: it tells when the recording began.
    fn poll_timeout(&self) -> Option<u64> {
        Some(self.due_us)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.chunk.is_empty() {
            self.hand_over();
        }
        let _ = self.queue.messages.send(Message::End {
            id: self.id,
            missing_packets: self.missing_packets,
        });
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Frame<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend([self.side as u8, self.payload_type]);
        out.extend((self.payload.len() as u16).to_le_bytes());
        out.extend(self.timestamp.to_le_bytes());
        out.extend(self.ssrc.to_le_bytes());
        out.extend(self.arrival_us.to_le_bytes());
        out.extend_from_slice(self.payload);
    }
}

/// The packets in a chunk.
pub(super) fn frames(chunk: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        let head = *rest.first_chunk::<FRAME_BYTES>()?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let payload = rest.get(FRAME_BYTES..FRAME_BYTES + len)?;
        rest = &rest[FRAME_BYTES + len..];
        Some(Frame {
            side: if head[0] == 0 { Side::A } else { Side::B },
            payload_type: head[1],
            timestamp: word(4),
            ssrc: word(8),
            arrival_us: u64::from(word(16)) << 32 | u64::from(word(12)),
            payload,
        })
    })
}

/// Bytes of a packet in a chunk beside its payload.
const FRAME_BYTES: usize = 20;
/// Bytes of a chunk: a call of G.711 fills one in half a second.
const CHUNK_BYTES: usize = 10 * 1_024;
/// The longest time a packet waits in a chunk.
const HAND_OVER_US: u64 = 500_000;
/// Chunks that wait for the writer, 40 MB: 4,000 half seconds of calls. Beyond, packets go
/// missing.
const WAITING_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back() {
        let frame = Frame {
            side: Side::B,
            payload_type: 8,
            timestamp: 0xdead_beef,
            ssrc: 7,
            arrival_us: 1 << 40 | 5,
            payload: &[1, 2, 3],
        };
        let mut chunk = Vec::new();
        frame.write(&mut chunk);
        frame.write(&mut chunk);
        assert_eq!(frames(&chunk).collect::<Vec<_>>(), [frame, frame]);
    }
}
