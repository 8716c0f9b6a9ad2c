//! Where messages come from and go to, as values: the words that machines and sockets share.

use core::fmt;
use std::net::SocketAddr;

use smallvec::SmallVec;

/// A SIP transport (RFC 3261 §18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself delivers or fails, so that timers A, E and G stay off.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether it is encrypted.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The port used when a URI names none (RFC 3261 §18.1.1; WebSocket ports as in RFC 6455 §3).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// As written in Via: `UDP`.
    #[must_use]
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// As written in a `transport` parameter: `udp`. TLS is `tls`, WSS is `wss`.
    #[must_use]
    pub const fn param_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// From a Via or parameter name, whatever its case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|t| name.eq_ignore_ascii_case(t.via_name().as_bytes()))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.param_name())
    }
}

/// One of our listening sockets; an index into the node's list of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// One connection of a stream transport, unique within a process and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// The path a message arrived by, and by which an answer goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// The listener it arrived at, or whose address an outgoing connection speaks for.
    pub listener: ListenerId,
    /// The connection; `None` for UDP.
    pub conn: Option<ConnId>,
    /// The peer's address, as seen by the socket.
    pub remote: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.remote)
    }
}

/// Where bytes are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Back along a path: the same UDP socket, or the same connection. If the connection is
    /// gone the send fails; no new one is opened.
    Flow(Flow),
    /// To an address: for UDP from the given listener's socket, for streams over an open
    /// connection to the same address and name, else over a new one.
    Address {
        /// The transport.
        transport: Transport,
        /// Whose socket sends, and whose address we give as ours.
        listener: ListenerId,
        /// Where to.
        remote: SocketAddr,
        /// The host name to verify (TLS, WSS) and to send in SNI and Host; empty for UDP and TCP.
        name: Box<str>,
    },
}

impl Destination {
    /// The transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Flow(flow) => flow.transport,
            Self::Address { transport, .. } => *transport,
        }
    }

    /// The peer's address.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.remote,
            Self::Address { remote, .. } => *remote,
        }
    }

    /// The listener that speaks.
    #[must_use]
    pub const fn listener(&self) -> ListenerId {
        match self {
            Self::Flow(flow) => flow.listener,
            Self::Address { listener, .. } => *listener,
        }
    }
}

/// Bytes to send. `key` comes back with the report of a failure; 0 asks for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// One message, complete.
    pub bytes: Payload,
    /// Names the sender's interest in a failure.
    pub key: u64,
}

/// The bytes of one message; a retransmission shares them.
pub type Payload = bytes::Bytes;

/// The targets RFC 3263 gives for one URI, best first.
pub type Targets = SmallVec<[Target; 2]>;

/// One target of RFC 3263 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The transport.
    pub transport: Transport,
    /// The address.
    pub remote: SocketAddr,
}
