//! The drive loop: runs a pure machine on real sockets.
//!
//! A round of the loop waits for sockets, other threads or the machine's next timeout; passes all
//! that came to the machine; collects what the machine wants; lets the host write its journal
//! ([`Host::flush`]); and only then sends. So whatever a message promises is on disk before the
//! message leaves, at one write per batch.

mod clock;
mod pace;
mod round;
mod shard;
mod waker;

use std::io;

use ::clock::Time;
use bytes::Bytes;
use sip::{Flow, Targets, Transmit, Transport};

pub use self::clock::Clock;
pub(crate) use self::shard::{Command, Parts};
pub use self::shard::{EXIT_PANIC, Shard};
pub use self::waker::Waker;
use crate::resolve::ResolveError;
use crate::tls::ClientNames;

/// Protocol logic as a value: no sockets, no clock.
pub trait Machine {
    /// What it wants that is not the network's business, such as a journal entry.
    type Effect;

    /// Takes what came from the network at `now`.
    fn handle_input(&mut self, now: Time, input: Input<'_>);

    /// Called once [`Machine::poll_timeout`] is due, perhaps a little late.
    fn handle_timeout(&mut self, now: Time);

    /// When it next wants [`Machine::handle_timeout`], if ever.
    fn poll_timeout(&self) -> Option<Time>;

    /// The next thing it wants; called until `None`.
    fn poll_output(&mut self) -> Option<Output<Self::Effect>>;
}

/// What the network brings.
#[derive(Debug)]
pub enum Input<'a> {
    /// A UDP datagram, of 0 to 65,535 bytes of whatever content.
    Datagram {
        /// The path it came by.
        flow: Flow,
        /// Its payload, gone after the call.
        bytes: &'a [u8],
    },
    /// One framed message of a stream, or one WebSocket message.
    Message {
        /// The path it came by.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A connection is open, its handshakes done: accepted, or connected for a transmission.
    Opened {
        /// Its path.
        flow: Flow,
        /// Whom the certificate is for that an accepted one has shown; empty without any.
        names: ClientNames,
    },
    /// An opened connection is gone. Comes once for each [`Input::Opened`], and last of its flow.
    Closed {
        /// Its path.
        flow: Flow,
        /// Why.
        why: CloseReason,
    },
    /// A transmission with a key other than 0 is known to have failed.
    TransmitFailed {
        /// The transmission's key.
        key: u64,
        /// Why.
        error: TransmitError,
    },
    /// The answer to an [`Output::Resolve`].
    Resolved {
        /// The question's number.
        id: u64,
        /// Targets, best first and at least one.
        targets: Result<Targets, ResolveError>,
    },
}

/// What a machine wants.
#[derive(Debug)]
pub enum Output<E> {
    /// Send this.
    Transmit(Transmit),
    /// Find the targets of a host; answered by [`Input::Resolved`] with the same number.
    Resolve {
        /// Chosen by the machine.
        id: u64,
        /// The question.
        query: ResolveQuery,
    },
    /// Close a connection once what was handed over for it is written.
    Close(Flow),
    /// For the [`Host`].
    Effect(E),
}

/// What RFC 3263 §4 needs to know of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveQuery {
    /// The host name or address (an IPv6 address with or without brackets): `maddr` if present.
    pub host: Box<str>,
    /// The port, if the URI has one.
    pub port: Option<u16>,
    /// The transport, if the URI has one.
    pub transport: Option<Transport>,
    /// Whether the URI allows unencrypted transports.
    pub security: Security,
}

/// Which transports a URI scheme allows (RFC 3261 §26.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `sip`: any.
    Any,
    /// `sips`: TLS and WSS only.
    Sips,
}

/// The world around the machine on its own thread: journal, command channels, effects.
pub trait Host<M: Machine> {
    /// Carries out an effect; may pass an answer to the machine at once.
    fn handle_effect(&mut self, now: Time, effect: M::Effect, machine: &mut M);

    /// Called after a [`Waker::wake`]: the place to drain the host's own command channels. Wakes
    /// coalesce, and some come without a cause.
    fn handle_wake(&mut self, now: Time, machine: &mut M);

    /// Called once per round after the last effect and before the first byte of the round is
    /// sent, if the round had outputs: the place to write the journal.
    fn flush(&mut self, now: Time);
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed or reset it.
    Peer,
    /// The machine asked for it.
    Requested,
    /// Its listener was removed, or the process is ending.
    Shutdown,
    /// Nothing came for too long.
    Idle,
    /// A message once begun did not end in time, or none ever began.
    SlowMessage,
    /// What it sent could not be framed.
    Framing,
    /// A write did not finish in time: the peer is slow or gone.
    WriteTimeout,
    /// Too much waited to be written: the peer is slow or gone.
    WriteQueueFull,
}

/// Why bytes could not be sent, by culprit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransmitError {
    /// The message is too large for the transport.
    #[error("too large for one datagram")]
    TooLarge,
    /// The listener named as sender is not open, or is of another transport.
    #[error("no such listener")]
    NoListener,
    /// The connection named is gone.
    #[error("no such connection")]
    NoConnection,
    /// The peer refused.
    #[error("refused by the peer")]
    Refused,
    /// There is no way to the address.
    #[error("no route to the peer")]
    Unreachable,
    /// The peer did not answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The TLS handshake failed: the certificate does not fit the name, is not trusted, ...
    #[error("the TLS handshake failed")]
    Tls,
    /// The WebSocket handshake failed.
    #[error("the WebSocket handshake failed")]
    WebSocket,
    /// The connection ended before the message was written.
    #[error("the connection was closed")]
    Closed,
    /// The socket's or the connection's queue is full.
    #[error("the send buffer is full")]
    BufferFull,
    /// As many connections as allowed are open.
    #[error("too many connections")]
    TooManyConnections,
    /// The kernel refused for another reason: its error number.
    #[error("system error {0}")]
    System(i32),
}

impl TransmitError {
    pub(crate) fn from_io(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMSGSIZE) => Self::TooLarge,
            Some(libc::ECONNREFUSED | libc::ECONNRESET) => Self::Refused,
            Some(
                libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::EADDRNOTAVAIL
                | libc::EAFNOSUPPORT
                | libc::EINVAL
                | libc::EPERM
                | libc::EACCES,
            ) => Self::Unreachable,
            Some(libc::ETIMEDOUT) => Self::TimedOut,
            Some(number) => Self::System(number),
            None => Self::Closed,
        }
    }
}
