//! Connections of TCP, TLS, WS and WSS.
//!
//! Each connection is one task on the tokio runtime. It frames what it reads and passes whole
//! messages to the shard over one bounded channel; while that is full the task does not read, so
//! that TCP holds the peer back. What is to be written waits in a bounded queue per connection;
//! a peer that lets it fill up, or that does not take a write in time, loses its connection.
//!
//! The table of open connections belongs to the shard's thread, so that sending takes no lock.

mod accept;
mod admission;
mod bytes;
mod connect;
mod context;
mod limits;
mod metered;
mod outbox;
mod session;
mod table;
mod websocket;

use ::bytes::Bytes;
use sip::{ConnId, Flow, Targets};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::accept::Acceptor;
pub(crate) use self::admission::Admission;
pub(crate) use self::context::Context;
pub use self::limits::StreamLimits;
pub(crate) use self::table::Connections;
use crate::drive::{CloseReason, TransmitError};
use crate::resolve::ResolveError;
use crate::tls::ClientNames;

/// What tasks tell the shard.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// A connection is open. `link` leads to one that was accepted; the shard has that of one it
    /// asked for. `names` are those of the certificate that a client has shown.
    Opened {
        flow: Flow,
        link: Option<Link>,
        names: ClientNames,
    },
    /// A message arrived.
    Message { flow: Flow, bytes: Bytes },
    /// A connection is gone; `flow` is that of one that was opened.
    Closed {
        conn: ConnId,
        flow: Option<Flow>,
        why: CloseReason,
    },
    /// A transmission with a key failed.
    Failed { key: u64, error: TransmitError },
    /// The resolver has an answer.
    Resolved {
        id: u64,
        targets: Result<Targets, ResolveError>,
    },
}

/// The shard's end of one connection. Dropping it closes the connection once its queue is
/// written.
#[derive(Debug)]
pub(crate) struct Link {
    /// Messages to write.
    pub(crate) queue: mpsc::Sender<Queued>,
    /// Closes at once, whatever is queued.
    pub(crate) kill: oneshot::Sender<CloseReason>,
}

/// The task's end of one connection.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) queue: mpsc::Receiver<Queued>,
    pub(crate) kill: oneshot::Receiver<CloseReason>,
}

/// A message waiting to be written.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) bytes: Bytes,
    pub(crate) key: u64,
}

/// The two ends of a new connection.
pub(crate) fn link(limits: &StreamLimits) -> (Link, Inbox) {
    let (queue, queued) = mpsc::channel(limits.write_queue_max);
    let (kill, killed) = oneshot::channel();
    let link = Link { queue, kill };
    let inbox = Inbox {
        queue: queued,
        kill: killed,
    };
    (link, inbox)
}
