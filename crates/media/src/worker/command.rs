//! What the engine wants of a worker.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use audio::Key;

use super::MediumId;
use crate::channel::{Channel, Terms};
use crate::config::AddressFamily;
use crate::engine::Side;
use crate::full::security::Security;
use crate::full::{Bundle, Part, Place, Stage};
use crate::options::Way;

/// Names a channel of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelId {
    /// Of the session; chosen by the engine, small and reused.
    pub(crate) slot: usize,
    /// Of the channel in its session, below 2^14.
    pub(crate) index: usize,
}

impl ChannelId {
    /// The medium it belongs to.
    pub(crate) fn medium(self) -> MediumId {
        MediumId {
            slot: self.slot,
            stream: self.index / 2,
        }
    }

    /// Which of the medium's ports it is.
    pub(crate) fn part(self) -> Part {
        match self.index % 2 {
            0 => Part::Rtp,
            _ => Part::Rtcp,
        }
    }
}

/// What the engine wants. Commands are carried out in their order.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new session in a free slot.
    Open { slot: usize, session: u64 },
    /// One more channel of a session, the next by index.
    Extend { slot: usize, channel: Box<Channel> },
    /// A socket of a channel.
    Bind {
        channel: ChannelId,
        side: Side,
        family: AddressFamily,
        socket: UdpSocket,
    },
    /// No socket of a channel faces a side any more.
    Unbind { channel: ChannelId, side: Side },
    /// The outcome of a negotiation for one side of a channel.
    Negotiate {
        channel: ChannelId,
        side: Side,
        terms: Terms,
    },
    /// A step of the full path, or none in that place.
    Stage {
        medium: MediumId,
        place: Place,
        stage: Option<Box<dyn Stage>>,
    },
    /// How a side of a medium is protected, and how its address is found out.
    Secure {
        medium: MediumId,
        side: Side,
        security: Box<Security>,
    },
    /// Which media share the transport of `carrier` towards a side from now on; none without a
    /// bundle. `touched` are all that do or did.
    Bundle {
        side: Side,
        carrier: MediumId,
        bundle: Option<Box<Bundle>>,
        touched: Vec<MediumId>,
    },
    /// To whom what comes from a side of a medium is copied from now on, all on this worker.
    Copy {
        medium: MediumId,
        from: Side,
        to: Vec<MediumId>,
    },
    /// To which medium, and to which side of it, RTCP of side B of a subscription goes from now on.
    Mirror {
        medium: MediumId,
        to: Option<(MediumId, Side)>,
    },
    /// The traffic class of what a session sends.
    Classify { slot: usize, traffic_class: u8 },
    /// Other ways for what sides A and B of a session send.
    Turn { slot: usize, ways: [Way; 2] },
    /// A key for side `to` of a medium on the full path.
    Press {
        medium: MediumId,
        to: Side,
        key: Key,
        duration_ms: u32,
    },
    /// Addresses of a side's ICE agent.
    Trickle {
        medium: MediumId,
        side: Side,
        candidates: Vec<(Part, SocketAddr)>,
    },
    /// Which of the sides A and B should send from now on.
    Expect { slot: usize, sides: [bool; 2] },
    /// The end of a session; its slot is free.
    Close { slot: usize },
    /// How long a side may be silent, in all sessions.
    Inactivity { inactivity: Option<Duration> },
}

impl Command {
    /// The slot of the session that it is about, if it is about one.
    pub(super) fn slot(&self) -> Option<usize> {
        match self {
            Self::Open { slot, .. }
            | Self::Extend { slot, .. }
            | Self::Expect { slot, .. }
            | Self::Turn { slot, .. }
            | Self::Classify { slot, .. }
            | Self::Close { slot } => Some(*slot),
            Self::Bind { channel, .. }
            | Self::Unbind { channel, .. }
            | Self::Negotiate { channel, .. } => Some(channel.slot),
            Self::Stage { medium, .. }
            | Self::Secure { medium, .. }
            | Self::Copy { medium, .. }
            | Self::Mirror { medium, .. }
            | Self::Press { medium, .. }
            | Self::Trickle { medium, .. } => Some(medium.slot),
            Self::Bundle { carrier, .. } => Some(carrier.slot),
            Self::Inactivity { .. } => None,
        }
    }

    /// The medium on the full path that it may have set going.
    pub(super) fn medium(&self) -> Option<MediumId> {
        match self {
            Self::Stage { medium, .. }
            | Self::Secure { medium, .. }
            | Self::Press { medium, .. }
            | Self::Trickle { medium, .. } => Some(*medium),
            _ => None,
        }
    }
}
