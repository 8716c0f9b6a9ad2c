//! What went in, out and missing: counters for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

use sip::Transport;

/// Counters of one [`Net`](crate::Net), shared by all of its threads. Each only grows, save the
/// connections.
#[derive(Debug, Default)]
pub struct Counters {
    received: [AtomicU64; TRANSPORTS],
    sent: [AtomicU64; TRANSPORTS],
    opened: [AtomicU64; TRANSPORTS],
    closed: [AtomicU64; TRANSPORTS],
    dropped: [AtomicU64; DropReason::ALL.len()],
    stun_answered: AtomicU64,
}

impl Counters {
    /// Messages (for UDP: datagrams) received.
    #[must_use]
    pub fn received(&self, transport: Transport) -> u64 {
        self.received[index(transport)].load(Ordering::Relaxed)
    }

    /// Messages handed to the kernel.
    #[must_use]
    pub fn sent(&self, transport: Transport) -> u64 {
        self.sent[index(transport)].load(Ordering::Relaxed)
    }

    /// Connections open now, handshakes included; 0 for UDP.
    #[must_use]
    pub fn connections(&self, transport: Transport) -> u64 {
        let closed = self.closed[index(transport)].load(Ordering::Relaxed);
        self.opened[index(transport)]
            .load(Ordering::Relaxed)
            .saturating_sub(closed)
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections_opened(&self, transport: Transport) -> u64 {
        self.opened[index(transport)].load(Ordering::Relaxed)
    }

    /// What was dropped or refused for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// STUN requests that were answered.
    #[must_use]
    pub fn stun_answered(&self) -> u64 {
        self.stun_answered.load(Ordering::Relaxed)
    }

    pub(crate) fn count_stun_answered(&self) {
        self.stun_answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self, transport: Transport, n: u64) {
        self.received[index(transport)].fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn count_sent(&self, transport: Transport, n: u64) {
        self.sent[index(transport)].fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn count_opened(&self, transport: Transport) {
        self.opened[index(transport)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_closed(&self, transport: Transport) {
        self.closed[index(transport)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self, reason: DropReason, n: u64) {
        self.dropped[reason as usize].fetch_add(n, Ordering::Relaxed);
    }
}

/// Why something did not get through. What is counted stands with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Datagrams that were cut off by the receive buffer.
    Truncated,
    /// Datagrams the kernel dropped because the socket's receive buffer was full.
    ReceiveBufferFull,
    /// Datagrams not sent because the socket's send buffer stayed full.
    SendBufferFull,
    /// Messages not sent because of an error; see [`TransmitError`](crate::TransmitError).
    SendFailed,
    /// Connections closed because their peer read too slowly and the write queue filled up.
    WriteQueueFull,
    /// Connections closed because a write did not finish in time.
    WriteTimeout,
    /// Connections closed because what they sent could not be framed.
    Framing,
    /// Connections closed because a message once begun did not end in time, or none ever began.
    SlowMessage,
    /// Connections refused because too many are open.
    TooManyConnections,
    /// Connections refused because their source has too many open.
    TooManyFromSource,
    /// Connections closed in their TLS or WebSocket handshake.
    Handshake,
    /// Resolutions refused because too many were under way.
    ResolverBusy,
    /// STUN packets on a SIP port that are no requests, or broken.
    Stun,
}

impl DropReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::Truncated,
        Self::ReceiveBufferFull,
        Self::SendBufferFull,
        Self::SendFailed,
        Self::WriteQueueFull,
        Self::WriteTimeout,
        Self::Framing,
        Self::SlowMessage,
        Self::TooManyConnections,
        Self::TooManyFromSource,
        Self::Handshake,
        Self::ResolverBusy,
        Self::Stun,
    ];

    /// As a metric label: `write_queue_full`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::ReceiveBufferFull => "receive_buffer_full",
            Self::SendBufferFull => "send_buffer_full",
            Self::SendFailed => "send_failed",
            Self::WriteQueueFull => "write_queue_full",
            Self::WriteTimeout => "write_timeout",
            Self::Framing => "framing",
            Self::SlowMessage => "slow_message",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFromSource => "too_many_from_source",
            Self::Handshake => "handshake",
            Self::ResolverBusy => "resolver_busy",
            Self::Stun => "stun",
        }
    }
}

const fn index(transport: Transport) -> usize {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    }
}

const TRANSPORTS: usize = 5;
