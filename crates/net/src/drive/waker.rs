//! Waking the shard from other threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use os::Alarm;

/// Wakes the shard: put something into a channel that it drains, then call [`Waker::wake`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Readable while a wake is outstanding.
    alarm: Alarm,
    /// Whether a wake is outstanding, which makes further ones free.
    pending: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            alarm: Alarm::new()?,
            pending: AtomicBool::new(false),
        })))
    }

    /// Makes the shard run a round, with [`Host::handle_wake`](crate::Host::handle_wake). Cheap
    /// while an earlier wake is outstanding; never blocks.
    pub fn wake(&self) {
        if !self.0.pending.swap(true, Ordering::AcqRel) {
            self.0.alarm.ring();
        }
    }

    /// Takes note of the wakes so far; call before draining the channels, so that what is put in
    /// during the draining wakes again.
    pub(crate) fn reset(&self) {
        self.0.alarm.silence();
        self.0.pending.store(false, Ordering::Release);
    }

    pub(crate) fn alarm(&self) -> &Alarm {
        &self.0.alarm
    }
}
