//! What the engine tells.

use std::net::SocketAddr;

use super::Side;
use crate::recording::Recorded;

/// Something the switch should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A side that should send was silent for the configured time. Said once per silence: it is
    /// said again only after the side was heard or negotiated anew.
    Silent {
        /// The session.
        session: u64,
        /// Who is silent.
        side: Side,
    },
    /// A side has pressed a key, in whatever form. Said of media that is transcoded, when the
    /// key is released.
    Key {
        /// The session.
        session: u64,
        /// Who pressed it.
        side: Side,
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        key: char,
        /// For how long.
        duration_ms: u32,
    },
    /// A side has not answered our questions for its consent for half a minute (RFC 7675), and is
    /// sent nothing any more until it does.
    ConsentLost {
        /// The session.
        session: u64,
        /// Who.
        side: Side,
    },
    /// What was played to a side is over. Not said of what was stopped or replaced.
    Played {
        /// The session.
        session: u64,
        /// Who heard it.
        side: Side,
    },
    /// A recording has ended, well or badly.
    Recorded(Recorded),
    /// RTCP was seen: of a peer, or of our own. Said while [`super::Engine::tell_rtcp`] asks for
    /// it.
    Rtcp(SeenReport),
}

/// A datagram of RTCP, in the clear where we have the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenReport {
    /// The session.
    pub session: u64,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// What of RTCP is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Everything.
    All,
    /// Nothing.
    Nothing,
}
