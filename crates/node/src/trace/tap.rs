//! Where messages are gathered by whoever sees them: it copies each and goes on, and now and then
//! passes all of them on at once.

use std::sync::atomic::Ordering::Relaxed;

use trace::{Batch, Passage};

use super::TraceLink;

/// A place for one thread that sees messages.
#[derive(Debug)]
pub(crate) struct TraceTap {
    link: TraceLink,
    teller: Teller,
    batch: Batch,
}

/// Whose messages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    /// This node's.
    Node,
    /// Those of other systems, which leave half of the queue to us.
    Others,
}

impl TraceTap {
    pub(super) fn new(link: TraceLink, teller: Teller) -> Self {
        Self {
            link,
            teller,
            batch: Batch::default(),
        }
    }

    /// Whether a message is of a kind that is kept, as far as can be told at a glance.
    #[inline]
    pub(crate) fn wants(&self, message: &[u8]) -> bool {
        self.link.wants(message)
    }

    /// Tells of a message, which waits for others: somebody has to [`flush`](Self::flush).
    pub(crate) fn tell(&mut self, passage: &Passage<'_>, message: &[u8]) {
        if self.batch.is_empty() {
            self.batch = Batch::with_capacity(BATCH_BYTES + BATCH_BYTES / 8);
        }
        self.batch.push(passage, message);
        if self.batch.bytes() >= BATCH_BYTES || self.batch.len() >= BATCH_MESSAGES {
            self.flush();
        }
    }

    /// Passes on what has been told. What finds no room is dropped.
    pub(crate) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let (link, count) = (&self.link, batch.len() as u64);
        let is_crowded = self.teller == Teller::Others && link.batches.len() >= BATCHES_MAX / 2;
        if is_crowded || link.batches.try_send(batch).is_err() {
            link.shared.dropped.fetch_add(count, Relaxed);
        }
    }
}

impl Drop for TraceTap {
    fn drop(&mut self) {
        self.flush();
    }
}

/// So many bytes do not wait for more; one message longer than that makes it no more than twice as
/// many.
const BATCH_BYTES: usize = 64 * 1_024;
/// So many messages do not wait for more, however short they are.
const BATCH_MESSAGES: usize = 512;
/// Batches that wait for the thread, some 30 MB at most; beyond, they are dropped.
pub(super) const BATCHES_MAX: usize = 128;
