//! What is agreed about a channel: what it carries, for whom, and in what way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::formats::Formats;
use crate::options::{SourcePolicy, Way};

/// Which way packets take through the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Unchanged, from socket to socket.
    Plain,
    /// By way of [`crate::full::Full`].
    Full,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Packets go to the other side.
    Relay,
    /// They go back.
    Echo,
    /// Those of A go nowhere but to whom they are copied; there is no B.
    Sink,
    /// Copies of what others send go to B; there is no A.
    Copy,
}

impl Role {
    /// The ways of packets, as long as nothing else is asked.
    pub(crate) fn ways(self) -> [Way; 2] {
        match self {
            Self::Relay => [Way::Across; 2],
            Self::Echo => [Way::Back; 2],
            Self::Sink => [Way::Nowhere; 2],
            Self::Copy => [Way::Across, Way::Nowhere],
        }
    }
}

/// What packets are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RTP, with RTCP among it if the peers multiplex them (RFC 5761).
    Rtp,
    /// RTCP.
    Rtcp,
    /// Anything: T.38 over UDPTL.
    Opaque,
}

/// What a negotiation settled for one side of a channel.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) kind: Kind,
    /// Where the peer wants packets; `None` if it named no address.
    pub(crate) described: Option<SocketAddr>,
    /// Where its signalling came from.
    pub(crate) signalling: Option<IpAddr>,
    pub(crate) policy: SourcePolicy,
    /// Whether it takes media now. RTCP flows regardless (RFC 3264 §5.1).
    pub(crate) receives: bool,
    /// By which port it takes RTCP.
    pub(crate) rtcp: RtcpPort,
    pub(crate) xr: Xr,
    pub(crate) formats: Arc<Formats>,
}

/// By which port a side takes RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RtcpPort {
    /// One of its own.
    #[default]
    Own,
    /// That of RTP (RFC 5761).
    Shared,
}

/// Whether a side wants the VoIP metrics of RFC 3611 §4.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Xr {
    /// Its description does not ask for them.
    #[default]
    Unwanted,
    /// `a=rtcp-xr` with `voip-metrics` (§5.1).
    VoipMetrics,
}
