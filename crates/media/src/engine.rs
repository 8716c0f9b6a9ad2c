//! The engine: sessions as the switch sees them.

use std::net::IpAddr;

use crate::config::{AddressFamily, EngineConfig};
use crate::counters::Counters;
use crate::error::{MediaError, StartError};
use crate::report::SessionReport;

/// Relays the media of sessions. Owned by one thread; packets are handled by workers of its own,
/// which end when it is dropped.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
}

impl Engine {
    /// Starts the workers. `wake` is called on a worker's thread whenever
    /// [`Engine::poll_event`] has something new; it must not block.
    ///
    /// # Errors
    /// If the configuration is unusable or the kernel refuses a thread or an address.
    pub fn new(
        config: EngineConfig,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let _ = wake;
        Ok(Self { config })
    }

    /// Takes an offer that `negotiation.from` made and returns the one to send to the other
    /// side: our address of family `to` and our ports in it, nothing else changed. Opens the
    /// session if it is new. Ports once given to a side stay, so the same call serves a
    /// re-INVITE. Nothing about the media already flowing changes before the answer.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn offer(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
        to: AddressFamily,
    ) -> Result<Vec<u8>, MediaError> {
        let _ = (session, negotiation);
        Err(MediaError::NoInterface(to))
    }

    /// Takes an answer that `negotiation.from` gave to the last offer and returns the one to
    /// send to the offerer, in the address family that it offered. From then on media flows.
    /// Several answers to one offer (forking, early media) replace each other.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn answer(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        let _ = (session, negotiation, &self.config);
        Err(MediaError::NoOffer)
    }

    /// Answers an offer ourselves: each packet goes back to where it came from. Repeated calls
    /// keep the ports. `negotiation.from` is the side whose figures [`Engine::report`] fills.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn echo(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        let _ = (session, negotiation);
        Err(MediaError::NoOffer)
    }

    /// What came from both sides so far; `None` for an unknown session.
    #[must_use]
    pub fn report(&self, session: u64) -> Option<SessionReport> {
        let _ = session;
        None
    }

    /// Ends a session: its ports go to rest. The last report; `None` for an unknown session.
    pub fn delete(&mut self, session: u64) -> Option<SessionReport> {
        let _ = session;
        None
    }

    /// The next thing that happened, if any.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        None
    }

    /// What the workers counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Ports in use, and ports that could be given out, resting ones excluded, over both families.
    #[must_use]
    pub fn ports(&self) -> PortUsage {
        PortUsage::default()
    }

    /// Sessions open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        0
    }

    /// The receive buffer that the kernel granted to the last socket opened, in bytes as
    /// `SO_RCVBUF` counts them; 0 before the first.
    #[must_use]
    pub fn receive_buffer_bytes(&self) -> usize {
        0
    }
}

/// A description that came from one side.
#[derive(Clone, Copy, Debug)]
pub struct Negotiation<'a> {
    /// Who sent it.
    pub from: Side,
    /// The description.
    pub sdp: &'a [u8],
    /// Where the message that carried it came from. Lets the media of a peer behind a NAT be
    /// told from a stranger's.
    pub signalling: Option<IpAddr>,
}

/// One side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Usually the caller.
    A,
    /// Usually the callee.
    B,
}

impl Side {
    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Something the switch should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A side that should send was silent for the configured time. Said once per silence: it is
    /// said again only after the side was heard or negotiated anew.
    Silent {
        /// The session.
        session: u64,
        /// Who is silent.
        side: Side,
    },
}

/// How many ports there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUsage {
    /// Bound by sessions.
    pub used: usize,
    /// Free to be bound now.
    pub free: usize,
    /// Resting after use.
    pub quarantined: usize,
}
