//! The open connections, as the shard knows them.

use std::collections::HashMap;
use std::sync::Arc;

use sip::{ConnId, Destination, Flow, Transmit};
use tokio::sync::mpsc::error::TrySendError;

use super::{Link, Queued, StreamEvent};
use crate::counters::{Counters, DropReason};
use crate::drive::{CloseReason, Input, TransmitError};

/// The connections of one shard.
#[derive(Debug)]
pub(crate) struct Connections {
    links: HashMap<ConnId, Link>,
    counters: Arc<Counters>,
}

impl Connections {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            links: HashMap::new(),
            counters,
        }
    }

    /// Takes note of an event; what the machine is to be told of it.
    pub(crate) fn handle_event(&mut self, event: StreamEvent) -> Option<Input<'static>> {
        match event {
            StreamEvent::Opened { flow, link } => {
                if let (Some(conn), Some(link)) = (flow.conn, link) {
                    self.links.insert(conn, link);
                }
                Some(Input::Opened { flow })
            }
            StreamEvent::Message { flow, bytes } => Some(Input::Message { flow, bytes }),
            StreamEvent::Closed { conn, flow, why } => {
                self.links.remove(&conn);
                flow.map(|flow| Input::Closed { flow, why })
            }
            StreamEvent::Failed { key, error } => Some(Input::TransmitFailed { key, error }),
            StreamEvent::Resolved { id, targets } => Some(Input::Resolved { id, targets }),
        }
    }

    /// Queues a message for its connection.
    pub(crate) fn transmit(&mut self, transmit: Transmit) -> Result<(), TransmitError> {
        let Transmit { to, bytes, key } = transmit;
        let conn = match to {
            Destination::Flow(Flow { conn, .. }) => conn.ok_or(TransmitError::NoConnection)?,
            Destination::Address { .. } => return Err(TransmitError::Unreachable),
        };
        self.queue(conn, Queued { bytes, key })
    }

    /// Closes a connection once what is queued is written.
    pub(crate) fn close(&mut self, flow: Flow) {
        if let Some(conn) = flow.conn {
            self.links.remove(&conn);
        }
    }

    fn queue(&mut self, conn: ConnId, message: Queued) -> Result<(), TransmitError> {
        let link = self.links.get(&conn).ok_or(TransmitError::NoConnection)?;
        match link.queue.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(TransmitError::Closed),
            Err(TrySendError::Full(_)) => {
                self.counters.count_dropped(DropReason::WriteQueueFull, 1);
                if let Some(link) = self.links.remove(&conn) {
                    // The task may be about to end for another reason.
                    let _ = link.kill.send(CloseReason::WriteQueueFull);
                }
                Err(TransmitError::BufferFull)
            }
        }
    }
}
