//! The bounds of stream connections.

use std::time::Duration;

/// Bounds and patience. The defaults suit a node with phones behind NATs and a few trunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections open at once, in and out; one more is refused.
    pub connections_max: usize,
    /// Accepted connections from one IPv4 address or IPv6 /64; one more is refused.
    pub connections_per_source_max: usize,
    /// Messages waiting to be written to one connection; one more closes it.
    pub write_queue_max: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the TLS and WebSocket handshakes may take together, and then the first byte.
    pub handshake_timeout: Duration,
    /// How long a message may take from its first byte to its last.
    pub message_timeout: Duration,
    /// How long the peer may take to make room for a write.
    pub write_timeout: Duration,
    /// How long a connection may bring nothing. Longer than the longest registration we grant,
    /// since a client may rely on the connection for as long as that.
    pub idle_timeout: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_source_max: CONNECTIONS_PER_SOURCE_MAX,
            write_queue_max: WRITE_QUEUE_MAX,
            connect_timeout: CONNECT_TIMEOUT,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            message_timeout: MESSAGE_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
        }
    }
}

/// Default of [`StreamLimits::connections_max`].
const CONNECTIONS_MAX: usize = 50_000;
/// Default of [`StreamLimits::connections_per_source_max`]: an office of a thousand phones behind
/// one address still fits.
const CONNECTIONS_PER_SOURCE_MAX: usize = 1_024;
/// Default of [`StreamLimits::write_queue_max`]: a second's worth on a busy trunk.
const WRITE_QUEUE_MAX: usize = 1_024;
/// Default of [`StreamLimits::connect_timeout`]: well before the 32 s of timer B, so that the
/// next target still has its turn.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Default of [`StreamLimits::handshake_timeout`].
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Default of [`StreamLimits::message_timeout`].
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Default of [`StreamLimits::write_timeout`].
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Default of [`StreamLimits::idle_timeout`].
const IDLE_TIMEOUT: Duration = Duration::from_secs(2 * 3_600 + 300);
