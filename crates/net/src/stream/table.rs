//! The open connections, as the shard knows them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use sip::{ConnId, Destination, Flow, ListenerId, Transmit, Transport};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;

use super::connect::Dial;
use super::{Context, Link, Queued, StreamEvent, link};
use crate::counters::DropReason;
use crate::drive::{CloseReason, Input, TransmitError};

/// The connections of one shard: those open, and those being opened.
#[derive(Debug)]
pub(crate) struct Connections {
    open: HashMap<ConnId, Open>,
    /// The latest connection to each peer.
    by_peer: HashMap<Peer, ConnId>,
    context: Arc<Context>,
    runtime: Handle,
}

/// One connection.
#[derive(Debug)]
struct Open {
    link: Link,
    peer: Peer,
}

/// Whom a connection leads to: a message for the same peer goes over the same connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    transport: Transport,
    remote: SocketAddr,
    /// The name its certificate was verified against; empty if none was.
    name: Box<str>,
}

impl Connections {
    pub(crate) fn new(context: Arc<Context>, runtime: Handle) -> Self {
        Self {
            open: HashMap::new(),
            by_peer: HashMap::new(),
            context,
            runtime,
        }
    }

    /// Takes note of an event; what the machine is to be told of it.
    pub(crate) fn handle_event(&mut self, event: StreamEvent) -> Option<Input<'static>> {
        match event {
            StreamEvent::Opened { flow, link, names } => {
                if let (Some(conn), Some(link)) = (flow.conn, link) {
                    let peer = Peer {
                        transport: flow.transport,
                        remote: flow.remote,
                        name: Box::default(),
                    };
                    self.insert(conn, link, peer);
                }
                Some(Input::Opened { flow, names })
            }
            StreamEvent::Message { flow, bytes } => Some(Input::Message { flow, bytes }),
            StreamEvent::Closed { conn, flow, why } => {
                self.remove(conn);
                flow.map(|flow| Input::Closed { flow, why })
            }
            StreamEvent::Failed { key, error } => Some(Input::TransmitFailed { key, error }),
            StreamEvent::Resolved { id, targets } => Some(Input::Resolved { id, targets }),
        }
    }

    /// Queues a message for its connection; opens one if it is for an address and none is open.
    pub(crate) fn transmit(&mut self, transmit: Transmit) -> Result<(), TransmitError> {
        let Transmit { to, bytes, key } = transmit;
        let message = Queued { bytes, key };
        match to {
            Destination::Flow(flow) => {
                let conn = flow.conn.ok_or(TransmitError::NoConnection)?;
                self.queue(conn, message)
            }
            Destination::Address {
                transport,
                listener,
                remote,
                name,
            } => {
                // Only certificates are verified against a name.
                let name = if transport.is_secure() {
                    name
                } else {
                    Box::default()
                };
                let peer = Peer {
                    transport,
                    remote,
                    name,
                };
                self.transmit_to(peer, listener, message)
            }
        }
    }

    /// Closes a connection once what is queued is written.
    pub(crate) fn close(&mut self, flow: Flow) {
        if let Some(conn) = flow.conn {
            self.remove(conn);
        }
    }

    fn transmit_to(
        &mut self,
        peer: Peer,
        listener: ListenerId,
        message: Queued,
    ) -> Result<(), TransmitError> {
        let open = self.by_peer.get(&peer).copied().filter(|conn| {
            self.open
                .get(conn)
                .is_some_and(|open| !open.link.queue.is_closed())
        });
        match open {
            Some(conn) => self.queue(conn, message),
            None => self.dial(peer, listener, message),
        }
    }

    /// Starts to open a connection, with its first message in the queue.
    fn dial(
        &mut self,
        peer: Peer,
        listener: ListenerId,
        message: Queued,
    ) -> Result<(), TransmitError> {
        let limits = &self.context.limits;
        let permit = self
            .context
            .admission
            .connect(peer.transport, limits)
            .map_err(|reason| {
                self.context.counters.count_dropped(reason, 1);
                TransmitError::TooManyConnections
            })?;
        let conn = self.context.next_conn();
        let (link, inbox) = link(limits);
        let dial = Dial {
            conn,
            transport: peer.transport,
            listener,
            remote: peer.remote,
            name: peer.name.clone(),
            inbox,
            permit,
        };
        // Queued before the task starts, since the task reports what it finds queued when it fails.
        let queued = link.queue.try_send(message);
        self.runtime.spawn(dial.run(self.context.clone()));
        self.insert(conn, link, peer);
        queued.map_err(|_| TransmitError::BufferFull)
    }

    fn queue(&mut self, conn: ConnId, message: Queued) -> Result<(), TransmitError> {
        let open = self.open.get(&conn).ok_or(TransmitError::NoConnection)?;
        match open.link.queue.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(TransmitError::Closed),
            Err(TrySendError::Full(_)) => {
                let counters = &self.context.counters;
                counters.count_dropped(DropReason::WriteQueueFull, 1);
                if let Some(open) = self.remove(conn) {
                    // The task may be about to end for another reason.
                    let _ = open.link.kill.send(CloseReason::WriteQueueFull);
                }
                Err(TransmitError::BufferFull)
            }
        }
    }

    fn insert(&mut self, conn: ConnId, link: Link, peer: Peer) {
        self.by_peer.insert(peer.clone(), conn);
        self.open.insert(conn, Open { link, peer });
    }

    fn remove(&mut self, conn: ConnId) -> Option<Open> {
        let open = self.open.remove(&conn)?;
        if self.by_peer.get(&open.peer) == Some(&conn) {
            self.by_peer.remove(&open.peer);
        }
        Some(open)
    }
}
