//! Requests that wait for a file, and are handled again until they can be answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

/// The requests, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<Waiter>);

/// One of them.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) source: SocketAddr,
    pub(super) message: Vec<u8>,
    pub(super) to: Return,
}

/// Which way a reply goes.
#[derive(Debug)]
pub(super) enum Return {
    /// By the socket for datagrams of this number.
    Datagram(usize),
    Stream(oneshot::Sender<Arc<[u8]>>),
}

impl Waiting {
    /// Keeps a request. Of more than [`WAITING_MAX`] the oldest is dropped unanswered: its client asks
    /// again, or hears that its stream has nothing to say.
    pub(super) fn keep(&mut self, source: SocketAddr, message: &[u8], to: Return) {
        if self.0.len() == WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Waiter {
            source,
            message: message.to_vec(),
            to,
        });
    }

    /// Whether a request is one of them that has come again.
    pub(super) fn has(&self, source: SocketAddr, message: &[u8]) -> bool {
        let mut waiters = self.0.iter();
        waiters.any(|waiter| waiter.source == source && waiter.message == message)
    }

    /// All of them: those that still wait are to be kept again.
    pub(super) fn take(&mut self) -> VecDeque<Waiter> {
        std::mem::take(&mut self.0)
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Requests kept.
const WAITING_MAX: usize = 256;
