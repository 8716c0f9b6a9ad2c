//! What all connection tasks share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sip::{ConnId, ListenerId};
use tokio::sync::mpsc;

use super::admission::Admission;
use super::{StreamEvent, StreamLimits};
use crate::counters::Counters;
use crate::drive::Waker;
use crate::tls::Tls;

/// Shared by all connection tasks of a [`Net`](crate::Net).
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) limits: StreamLimits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) admission: Admission,
    pub(crate) tls: Tls,
    /// The origins from which browsers may open a WebSocket; empty: any.
    pub(crate) allowed_origins: Vec<String>,
    /// The local addresses of the open listeners.
    pub(crate) local_ips: RwLock<HashMap<ListenerId, IpAddr>>,
    pub(crate) events: mpsc::Sender<StreamEvent>,
    pub(crate) waker: Waker,
    pub(crate) next_conn: AtomicU64,
}

impl Context {
    /// A new connection's number.
    pub(crate) fn next_conn(&self) -> ConnId {
        ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells the shard; waits while it has too much to do.
    pub(crate) async fn tell(&self, event: StreamEvent) {
        // Without a receiver the shard has ended, and the process is about to.
        let _ = self.events.send(event).await;
        self.waker.wake();
    }

    /// The address of a listener.
    pub(crate) fn local_ip(&self, listener: ListenerId) -> Option<IpAddr> {
        self.local_ips
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&listener)
            .copied()
    }

    /// Takes note of a listener's address, or that it is gone.
    pub(crate) fn note_listener(&self, listener: ListenerId, ip: Option<IpAddr>) {
        let mut local_ips = self
            .local_ips
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match ip {
            Some(ip) => local_ips.insert(listener, ip),
            None => local_ips.remove(&listener),
        };
    }
}
