//! An open connection, whatever it speaks: what its two halves share, its opening and its end.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use sip::Flow;
use tokio::sync::{mpsc, oneshot, watch};

use super::admission::Permit;
use super::outbox::Outbox;
use super::{Context, Inbox, Link, StreamEvent};
use crate::counters::DropReason;
use crate::drive::{CloseReason, TransmitError};
use crate::tls::ClientNames;

/// One open connection, as its task sees it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) context: Arc<Context>,
    pub(crate) flow: Flow,
    pub(crate) outbox: Outbox,
    pub(crate) endings: Endings,
    /// Whom the certificate is for that a client has shown; empty without any.
    pub(crate) names: ClientNames,
    /// Held until the connection is closed.
    permit: Permit,
}

/// What ends a connection from outside.
#[derive(Debug)]
pub(crate) struct Endings {
    kill: oneshot::Receiver<CloseReason>,
    /// Its sender is dropped when the listener is removed.
    listener_open: watch::Receiver<()>,
}

/// What the reading half asks the writing half to write.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The answer to a keep-alive ping.
    Pong,
    /// The last message, if any, after which nothing more is written.
    Last(Option<Bytes>),
    /// A WebSocket close code, after which nothing more is written.
    CloseCode(u16),
}

impl Session {
    pub(crate) fn new(
        context: Arc<Context>,
        flow: Flow,
        inbox: Inbox,
        listener_open: watch::Receiver<()>,
        permit: Permit,
    ) -> Self {
        Self {
            context,
            flow,
            outbox: Outbox::new(inbox.queue),
            endings: Endings {
                kill: inbox.kill,
                listener_open,
            },
            names: ClientNames::default(),
            permit,
        }
    }

    /// Announces the connection; `link` is the shard's end of an accepted one.
    pub(crate) async fn opened(&self, link: Option<Link>) {
        let (flow, names) = (self.flow, self.names.clone());
        let opened = StreamEvent::Opened { flow, link, names };
        self.context.tell(opened).await;
    }

    /// Reports the end of the connection and what it left unwritten.
    pub(crate) async fn closed(mut self, why: CloseReason) {
        let reason = match why {
            CloseReason::SlowMessage => Some(DropReason::SlowMessage),
            CloseReason::Framing => Some(DropReason::Framing),
            CloseReason::WriteTimeout => Some(DropReason::WriteTimeout),
            // The queue is the shard's, which has counted it.
            CloseReason::WriteQueueFull => None,
            CloseReason::Peer
            | CloseReason::Requested
            | CloseReason::Shutdown
            | CloseReason::Idle => None,
        };
        if let Some(reason) = reason {
            self.context.counters.count_dropped(reason, 1);
        }
        tracing::debug!(
            conn = self.flow.conn.map(|c| c.0),
            ?why,
            "connection closed"
        );
        // Whoever hears of the end may count on the place being free.
        drop(self.permit);
        self.outbox.fail(TransmitError::Closed, &self.context).await;
        if let Some(conn) = self.flow.conn {
            let flow = Some(self.flow);
            self.context
                .tell(StreamEvent::Closed { conn, flow, why })
                .await;
        }
    }
}

impl Endings {
    /// Why a connection ended for which the writing half gives `why`: that the queue is gone may
    /// be seen before the word that came first.
    pub(crate) fn settle(&mut self, why: CloseReason) -> CloseReason {
        match why {
            CloseReason::Requested => self.kill.try_recv().unwrap_or(why),
            why => why,
        }
    }

    /// Waits until something outside ends the connection.
    pub(crate) async fn any(&mut self) -> CloseReason {
        let killed = async {
            match (&mut self.kill).await {
                Ok(why) => why,
                // The shard has let go of the connection: the writing half ends it, after what is
                // queued.
                Err(_) => pending().await,
            }
        };
        tokio::select! {
            why = killed => why,
            _ = self.listener_open.changed() => CloseReason::Shutdown,
        }
    }
}

/// Replies waiting to be written; more pings go unanswered.
pub(crate) const REPLIES_MAX: usize = 4;

/// Where the reading half puts its replies, and the writing half finds them.
pub(crate) fn replies() -> (mpsc::Sender<Reply>, mpsc::Receiver<Reply>) {
    mpsc::channel(REPLIES_MAX)
}
