//! What the workers counted, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::tally::Absorbed;

/// Packets since the engine started, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sent on, echoed ones included, and those that the kernel then refused
    /// ([`DropReason::SendFailed`]).
    pub relayed_packets: u64,
    /// Their bytes, headers of IP and UDP excluded.
    pub relayed_bytes: u64,
    /// Packets among them that the kernel relayed by itself.
    pub kernel_packets: u64,
    /// RFC 4733 packets among them.
    pub telephone_events: u64,
    /// Packets dropped, by [`DropReason`] as index; see [`Counters::dropped`].
    dropped: [u64; REASONS],
}

impl Counters {
    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}

/// The counters of one worker, which alone writes them: a plain load and store are enough.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    relayed_packets: AtomicU64,
    relayed_bytes: AtomicU64,
    kernel_packets: AtomicU64,
    telephone_events: AtomicU64,
    dropped: [AtomicU64; REASONS],
}

impl WorkerCounters {
    pub(crate) fn count_relayed(&self, packets: u64, bytes: u64) {
        add(&self.relayed_packets, packets);
        add(&self.relayed_bytes, bytes);
    }

    /// What the kernel has relayed by itself.
    pub(crate) fn count_relayed_in_kernel(&self, absorbed: Absorbed) {
        self.count_relayed(absorbed.packets, absorbed.bytes);
        add(&self.kernel_packets, absorbed.packets);
        add(&self.telephone_events, absorbed.telephone_events);
    }

    pub(crate) fn count_telephone_event(&self) {
        add(&self.telephone_events, 1);
    }

    pub(crate) fn count_dropped(&self, reason: DropReason, packets: u64) {
        add(&self.dropped[reason as usize], packets);
    }

    pub(crate) fn add_to(&self, total: &mut Counters) {
        total.relayed_packets += self.relayed_packets.load(Relaxed);
        total.relayed_bytes += self.relayed_bytes.load(Relaxed);
        total.kernel_packets += self.kernel_packets.load(Relaxed);
        total.telephone_events += self.telephone_events.load(Relaxed);
        for (total, count) in total.dropped.iter_mut().zip(&self.dropped) {
            *total += count.load(Relaxed);
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed) + count, Relaxed);
}

/// Why a packet was not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It came from an address that is not the peer's.
    UnknownSource,
    /// It is neither RTP nor RTCP.
    NotRtp,
    /// It ends before its header does.
    Truncated,
    /// It is longer than any media packet should be.
    Oversized,
    /// Its payload type was not negotiated, and its source is not known yet.
    PayloadType,
    /// The other side has no address yet.
    NoDestination,
    /// The other side is on hold.
    Held,
    /// It was asked for that what its sender sends goes nowhere.
    Discarded,
    /// The kernel refused to send it.
    SendFailed,
    /// More packets were made of one round than a worker keeps.
    Overflow,
    /// It is encrypted or signed with another key than agreed on, or not at all.
    NotAuthentic,
    /// It was seen before, or is too old to tell.
    Replayed,
    /// The keys for it are not there yet, or used up.
    NoKey,
    /// It is a STUN message that is broken, not authentic or not asked for.
    Stun,
    /// It is part of a DTLS handshake that is broken or not expected.
    Dtls,
    /// It is part of a DTLS handshake in a version that nobody should use any more (RFC 8996).
    DtlsVersion,
    /// A DTLS certificate was not the announced one.
    Fingerprint,
    /// It cannot be told which of the media that share a transport it is of.
    Unnamed,
    /// Another of the media that share a transport sends as the same source.
    Collision,
}

impl DropReason {
    /// Each reason once, in the order of declaration.
    pub const ALL: [Self; 19] = [
        Self::UnknownSource,
        Self::NotRtp,
        Self::Truncated,
        Self::Oversized,
        Self::PayloadType,
        Self::NoDestination,
        Self::Held,
        Self::Discarded,
        Self::SendFailed,
        Self::Overflow,
        Self::NotAuthentic,
        Self::Replayed,
        Self::NoKey,
        Self::Stun,
        Self::Dtls,
        Self::DtlsVersion,
        Self::Fingerprint,
        Self::Unnamed,
        Self::Collision,
    ];

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown_source",
            Self::NotRtp => "not_rtp",
            Self::Truncated => "truncated",
            Self::Oversized => "oversized",
            Self::PayloadType => "payload_type",
            Self::NoDestination => "no_destination",
            Self::Held => "held",
            Self::Discarded => "discarded",
            Self::SendFailed => "send_failed",
            Self::Overflow => "overflow",
            Self::NotAuthentic => "not_authentic",
            Self::Replayed => "replayed",
            Self::NoKey => "no_key",
            Self::Stun => "stun",
            Self::Dtls => "dtls",
            Self::DtlsVersion => "dtls_version",
            Self::Fingerprint => "fingerprint",
            Self::Unnamed => "unnamed",
            Self::Collision => "collision",
        }
    }
}

/// How many reasons there are.
const REASONS: usize = DropReason::ALL.len();
