//! What the registrar wants done, and what it tells.

use sip::{Flow, Transport};

use crate::binding::BindingId;
use crate::contact::Contact;

/// What the registrar wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send OPTIONS and report with [`crate::Registrar::handle_pong`] or
    /// [`crate::Registrar::handle_ping_failed`].
    Ping(Ping),
    /// Send an empty datagram, which holds a NAT mapping open.
    Datagram(Flow),
    /// Forget a saved binding.
    Remove {
        /// Its address of record.
        aor: Box<str>,
        /// Its key, as in [`crate::Record`].
        key: [u8; 8],
    },
    /// Tell whoever wants to know.
    Event(Event),
}

/// An OPTIONS to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Comes back with the outcome.
    pub id: PingId,
    /// Where to.
    pub contact: Contact,
    /// Why.
    pub reason: PingReason,
}

/// Tells the OPTIONS of a binding apart; an outcome that comes too late is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PingId {
    /// Whose.
    pub binding: BindingId,
    /// Which of them.
    pub serial: u8,
}

/// Why OPTIONS is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PingReason {
    /// The contact is new, or at a new place: nobody calls it before it answers.
    Verify,
    /// To hold the NAT mapping, measure latency, and find dead contacts.
    KeepAlive,
}

/// Why an OPTIONS got no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PingFailure {
    /// Nothing came in time.
    NoAnswer,
    /// It could not be sent.
    Unsendable,
    /// The answer says that the contact is not there (see [`crate::answers_ping`]).
    Status(u16),
}

/// A fact about a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To which binding; it can be viewed unless it is gone.
    pub binding: BindingId,
    /// Whose it is.
    pub aor: Box<str>,
    /// Its transport.
    pub transport: Transport,
}

/// What happened to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It is new.
    Registered,
    /// It was registered again, from the same place or another.
    Refreshed,
    /// Its path is verified: calls go to it.
    Verified,
    /// It did not answer a keep-alive. Calls still go to it.
    Unreachable(PingFailure),
    /// It answers again.
    Reachable,
    /// It is gone.
    Unregistered(Removal),
}

/// Why a binding is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// Its client said so.
    Asked,
    /// Its time ran out.
    Expired,
    /// Its connection ended, or did not outlast a restart.
    ConnectionLost,
    /// It never answered: nobody is there, or somebody gave another's address.
    Unverified,
    /// It stopped answering.
    Unreachable,
    /// An operator removed it.
    Operator,
    /// Another node holds it now.
    Moved,
}

impl Removal {
    /// In a word, for labels and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Expired => "expired",
            Self::ConnectionLost => "connection-lost",
            Self::Unverified => "unverified",
            Self::Unreachable => "unreachable",
            Self::Operator => "operator",
            Self::Moved => "moved",
        }
    }
}
