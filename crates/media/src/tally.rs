//! Reception figures of one peer's RTP stream: counted by the worker, read by the engine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rtp::{Header, Progress, Reception};

use crate::formats::Format;
use crate::full::Part;
use crate::kernel::SlotId;
use crate::quality::Quality;
use crate::sys::bpf::SlotReading;

/// What the engine may read at any time. Written by one worker alone; figures read together may
/// be one packet apart.
#[derive(Debug, Default)]
pub(crate) struct StreamStats {
    latest: Latest,
    rtcp_packets: AtomicU64,
    rtcp_bytes: AtomicU64,
    rtcp_last_us: AtomicU64,
    /// Where RTP and RTCP for the peer go; written when that changes.
    endpoints: [Mutex<Option<SocketAddr>>; 2],
    pub(crate) quality: Quality,
    /// Where the kernel counts what it relays: not among the above but for `lost`, `jitter_us`
    /// and `payload_type`, which the worker keeps up with.
    slot: OnceLock<SlotId>,
    /// Whether that slot was given back.
    slot_left: AtomicBool,
}

/// What each packet writes: one line of the processor's caches.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Latest {
    packets: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    telephone_events: AtomicU64,
    /// When the last packet came, in the time of the worker; 0: never.
    last_us: AtomicU64,
    /// In units of the clock of the payload type.
    jitter: AtomicU32,
    clock_rate_hz: AtomicU32,
    /// The source that sends now; 0 before the first packet, and for one that is 0.
    ssrc: AtomicU32,
    /// Of the last packet.
    timestamp: AtomicU32,
    sequence: AtomicU16,
    payload_type: AtomicU8,
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

/// What else came, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    /// `None` before the first packet.
    pub(crate) ssrc: Option<u32>,
    /// In the time of the worker; 0: never.
    pub(crate) last_us: u64,
    pub(crate) rtcp_packets: u64,
    pub(crate) rtcp_bytes: u64,
    pub(crate) rtcp_last_us: u64,
}

impl StreamStats {
    pub(crate) fn read(&self) -> StreamReading {
        let kernel = self.slot.get().map(SlotId::read).unwrap_or_default();
        let latest = &self.latest;
        StreamReading {
            packets: latest.packets.load(Relaxed) + kernel.packets,
            bytes: latest.bytes.load(Relaxed) + kernel.bytes,
            lost: latest.lost.load(Relaxed),
            jitter_us: rtp::ticks_us(
                latest.jitter.load(Relaxed),
                latest.clock_rate_hz.load(Relaxed),
            ),
            telephone_events: latest.telephone_events.load(Relaxed) + kernel.events,
            payload_type: latest.payload_type.load(Relaxed),
        }
    }

    pub(crate) fn arrivals(&self) -> Arrivals {
        let last_us = self.latest.last_us.load(Relaxed);
        Arrivals {
            ssrc: (last_us > 0).then(|| self.latest.ssrc.load(Relaxed)),
            last_us,
            rtcp_packets: self.rtcp_packets.load(Relaxed),
            rtcp_bytes: self.rtcp_bytes.load(Relaxed),
            rtcp_last_us: self.rtcp_last_us.load(Relaxed),
        }
    }

    /// Packets have come.
    pub(crate) fn note_heard(&self, now_us: u64) {
        self.latest.last_us.store(now_us, Relaxed);
    }

    /// Reports have come.
    pub(crate) fn note_rtcp(&self, bytes: usize, now_us: u64) {
        let packets = self.rtcp_packets.load(Relaxed) + 1;
        let bytes = self.rtcp_bytes.load(Relaxed) + bytes as u64;
        self.rtcp_packets.store(packets, Relaxed);
        self.rtcp_bytes.store(bytes, Relaxed);
        self.rtcp_last_us.store(now_us, Relaxed);
    }

    /// Packets for the peer go there from now on.
    pub(crate) fn note_endpoint(&self, part: Part, endpoint: Option<SocketAddr>) {
        let known = self.endpoints[part as usize].lock();
        *known.unwrap_or_else(PoisonError::into_inner) = endpoint;
    }

    /// Where packets for the peer go.
    pub(crate) fn endpoint(&self, part: Part) -> Option<SocketAddr> {
        let known = self.endpoints[part as usize].lock();
        *known.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel relays it, or has.
    pub(crate) fn was_in_kernel(&self) -> bool {
        self.slot.get().is_some()
    }

    /// The timestamp of the last packet, as of the worker's last look at what the kernel relays.
    pub(crate) fn timestamp(&self) -> u32 {
        self.latest.timestamp.load(Relaxed)
    }

    /// The sequence number of the last packet, as of the same look.
    pub(crate) fn sequence(&self) -> u16 {
        self.latest.sequence.load(Relaxed)
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
    /// What the kernel had counted when it was asked last.
    absorbed: SlotReading,
}

/// What the kernel has relayed in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Absorbed {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) telephone_events: u64,
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
            absorbed: SlotReading::default(),
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
        self.packets += 1;
        let latest = &self.shared.latest;
        latest.timestamp.store(header.timestamp, Relaxed);
        latest.sequence.store(header.sequence, Relaxed);
        latest.ssrc.store(header.ssrc, Relaxed);
        self.vote(header.payload_type, 1);
        self.bytes += bytes as u64;
        self.update_reception(header, clock_rate_hz, now_us);
        if format == Format::Event {
            self.telephone_events += 1;
        }
        self.shared.note_heard(now_us);
        self.publish();
    }

    /// Of most packets; meaningless before the first.
    pub(crate) fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// The source that sends now.
    pub(crate) fn reception(&self) -> Option<&Reception> {
        self.reception.as_ref()
    }

    /// Where the kernel counts, once it has.
    pub(crate) fn slot(&self) -> Option<&SlotId> {
        self.shared.slot.get()
    }

    /// Where the kernel has counted, to be given back: once, though two channels share the figures.
    pub(crate) fn leave_slot(&self) -> Option<SlotId> {
        let slot = self.shared.slot.get()?;
        let is_first = !self.shared.slot_left.swap(true, Relaxed);
        is_first.then(|| slot.clone())
    }

    /// Has the kernel count in `slot`, for good.
    pub(crate) fn take_slot(&self, slot: SlotId) {
        // There is one already only by mistake; then that one stays.
        let _ = self.shared.slot.set(slot);
    }

    /// Where the kernel has to go on counting; `None` before the first packet.
    pub(crate) fn seed(&self) -> Option<SlotReading> {
        let reception = self.reception.as_ref()?;
        let Progress { highest, jitter_q4 } = reception.progress();
        Some(SlotReading {
            ssrc: reception.ssrc().to_be(),
            highest,
            timestamp: self.shared.timestamp(),
            jitter_q4,
            payload_type: self.payload_type,
            ..self.absorbed
        })
    }

    /// Whether the source goes on where the kernel does not expect it.
    pub(crate) fn has_moved_on(&self) -> bool {
        let (Some(seed), Some(slot)) = (self.seed(), self.slot()) else {
            return false;
        };
        let kernel = slot.read();
        let apart = seed.highest.wrapping_sub(kernel.highest) as i32;
        seed.ssrc != kernel.ssrc || apart.unsigned_abs() > FAR_APART
    }

    /// Takes over what the kernel has counted since the last call.
    pub(crate) fn absorb(&mut self) -> Absorbed {
        let Some(kernel) = self.shared.slot.get().map(SlotId::read) else {
            return Absorbed::default();
        };
        let before = std::mem::replace(&mut self.absorbed, kernel);
        let absorbed = Absorbed {
            packets: kernel.packets.wrapping_sub(before.packets),
            bytes: kernel.bytes.wrapping_sub(before.bytes),
            telephone_events: kernel.events.wrapping_sub(before.events),
        };
        if absorbed.packets == 0 {
            return absorbed;
        }
        let media = absorbed.packets.saturating_sub(absorbed.telephone_events);
        self.vote(kernel.payload_type, media);
        let reception = self.reception.as_mut();
        if let Some(reception) = reception.filter(|r| r.ssrc().to_be() == kernel.ssrc) {
            let progress = Progress {
                highest: kernel.highest,
                jitter_q4: kernel.jitter_q4,
            };
            reception.absorb(progress, absorbed.packets);
            let latest = &self.shared.latest;
            latest.sequence.store(kernel.highest as u16, Relaxed);
            latest.timestamp.store(kernel.timestamp, Relaxed);
        }
        self.publish();
        absorbed
    }

    fn vote(&mut self, payload_type: u8, packets: u64) {
        if self.payload_type == payload_type {
            self.lead += packets;
        } else if packets > self.lead {
            self.payload_type = payload_type;
            self.lead = packets - self.lead;
        } else {
            self.lead -= packets;
        }
    }

    fn update_reception(&mut self, header: &Header, clock_rate_hz: u32, now_us: u64) {
        match &mut self.reception {
            Some(reception) if reception.ssrc() == header.ssrc => {
                reception.record(header, now_us, clock_rate_hz);
            }
            reception => {
                self.earlier_lost += reception.map_or(0, |r| r.lost());
                *reception = Some(Reception::new(header, now_us, clock_rate_hz));
            }
        }
    }

    fn publish(&self) {
        let latest = &self.shared.latest;
        latest.packets.store(self.packets, Relaxed);
        latest.bytes.store(self.bytes, Relaxed);
        latest
            .telephone_events
            .store(self.telephone_events, Relaxed);
        latest.payload_type.store(self.payload_type, Relaxed);
        if let Some(reception) = &self.reception {
            let lost = self.earlier_lost + reception.lost();
            let (jitter, clock_rate_hz) = reception.jitter();
            latest.lost.store(lost, Relaxed);
            latest.jitter.store(jitter, Relaxed);
            latest.clock_rate_hz.store(clock_rate_hz, Relaxed);
        }
    }
}

/// By how many packets user space may be ahead of the kernel with what did not fit a flow.
const FAR_APART: u32 = 1_000;
