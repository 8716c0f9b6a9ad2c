//! Reception figures of one peer's RTP stream: counted by the worker, read by the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use rtp::{Header, Reception};

use crate::formats::Format;
use crate::quality::Quality;

/// What the engine may read at any time. Written by one worker alone; figures read together may
/// be one packet apart.
#[derive(Debug, Default)]
pub(crate) struct StreamStats {
    packets: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    jitter_us: AtomicU32,
    telephone_events: AtomicU64,
    payload_type: AtomicU8,
    pub(crate) quality: Quality,
}

/// A reading of [`StreamStats`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamReading {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) jitter_us: u32,
    pub(crate) telephone_events: u64,
    /// Of most packets; meaningless if there are none.
    pub(crate) payload_type: u8,
}

impl StreamStats {
    pub(crate) fn read(&self) -> StreamReading {
        StreamReading {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            lost: self.lost.load(Relaxed),
            jitter_us: self.jitter_us.load(Relaxed),
            telephone_events: self.telephone_events.load(Relaxed),
            payload_type: self.payload_type.load(Relaxed),
        }
    }

    /// Takes the next sample of quality.
    pub(crate) fn sample(&self) {
        self.quality.sample(&self.read());
    }
}

/// The worker's side of [`StreamStats`].
#[derive(Debug)]
pub(crate) struct Tally {
    shared: Arc<StreamStats>,
    /// The source that sends now.
    reception: Option<Reception>,
    packets: u64,
    bytes: u64,
    telephone_events: u64,
    /// Losses of sources that sent before.
    earlier_lost: u64,
    /// The payload type of most packets, found by the majority vote of Boyer and Moore, and by
    /// how many packets it leads.
    payload_type: u8,
    lead: u64,
}

impl Tally {
    pub(crate) fn new(shared: Arc<StreamStats>) -> Self {
        Self {
            shared,
            reception: None,
            packets: 0,
            bytes: 0,
            telephone_events: 0,
            earlier_lost: 0,
            payload_type: 0,
            lead: 0,
        }
    }

    /// What the engine reads.
    pub(crate) fn stats(&self) -> &StreamStats {
        &self.shared
    }

    /// Counts a packet of the peer.
    pub(crate) fn record(&mut self, header: &Header, bytes: usize, format: Format, now_us: u64) {
        // An event keeps the timestamp of its start (RFC 4733 §2.5.1.2): no measure of jitter.
        let clock_rate_hz = match format {
            Format::Media { clock_rate_hz } => clock_rate_hz,
            Format::Event | Format::Unknown => 0,
        };
        self.count(header.payload_type);
        self.bytes += bytes as u64;
        self.update_reception(header, clock_rate_hz, now_us);
        if format == Format::Event {
            self.telephone_events += 1;
        }
        self.publish();
    }

    fn count(&mut self, payload_type: u8) {
        self.packets += 1;
        if self.lead == 0 {
            self.payload_type = payload_type;
        }
        if self.payload_type == payload_type {
            self.lead += 1;
        } else {
            self.lead -= 1;
        }
    }

    fn update_reception(&mut self, header: &Header, clock_rate_hz: u32, now_us: u64) {
        match &mut self.reception {
            Some(reception) if reception.ssrc() == header.ssrc => {
                reception.record(header, now_us, clock_rate_hz);
            }
            reception => {
                self.earlier_lost += reception.map_or(0, |r| r.snapshot().lost);
                *reception = Some(Reception::new(header, now_us, clock_rate_hz));
            }
        }
    }

    fn publish(&self) {
        let shared = &self.shared;
        shared.packets.store(self.packets, Relaxed);
        shared.bytes.store(self.bytes, Relaxed);
        shared
            .telephone_events
            .store(self.telephone_events, Relaxed);
        shared.payload_type.store(self.payload_type, Relaxed);
        if let Some(reception) = &self.reception {
            let snapshot = reception.snapshot();
            shared
                .lost
                .store(self.earlier_lost + snapshot.lost, Relaxed);
            shared.jitter_us.store(snapshot.jitter_us, Relaxed);
        }
    }
}
