//! Waking the shard from other threads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::epoll::eventfd;

/// Wakes the shard: put something into a channel that it drains, then call [`Waker::wake`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Readable while a wake is outstanding.
    event: File,
    /// Whether a wake is outstanding, which makes further ones free.
    pending: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            event: eventfd()?,
            pending: AtomicBool::new(false),
        })))
    }

    /// Makes the shard run a round, with [`Host::handle_wake`](crate::Host::handle_wake). Cheap
    /// while an earlier wake is outstanding; never blocks.
    pub fn wake(&self) {
        if !self.0.pending.swap(true, Ordering::AcqRel) {
            // Fails only if the counter is at its maximum, and then it is readable already.
            let _ = (&self.0.event).write(&1_u64.to_ne_bytes());
        }
    }

    /// Takes note of the wakes so far; call before draining the channels, so that what is put in
    /// during the draining wakes again.
    pub(crate) fn reset(&self) {
        let mut count = [0; 8];
        // Fails only if there was nothing to read.
        let _ = (&self.0.event).read(&mut count);
        self.0.pending.store(false, Ordering::Release);
    }

    pub(crate) fn event(&self) -> &File {
        &self.0.event
    }
}
