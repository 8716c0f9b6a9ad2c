//! What is to be written to one connection, and what becomes of it if that fails.

use tokio::sync::mpsc;

use super::{Context, Queued, StreamEvent};
use crate::drive::TransmitError;

/// A connection's write queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Receiver<Queued>,
    /// Taken from the queue and not yet known to be written.
    batch: Vec<Queued>,
}

impl Outbox {
    pub(crate) fn new(queue: mpsc::Receiver<Queued>) -> Self {
        Self {
            queue,
            batch: Vec::new(),
        }
    }

    /// Waits for messages; none if the shard has let go of the connection.
    pub(crate) async fn next(&mut self) -> &[Queued] {
        self.queue.recv_many(&mut self.batch, BATCH).await;
        &self.batch
    }

    /// Takes note that the last batch was written; of how many messages.
    pub(crate) fn written(&mut self) -> u64 {
        let count = self.batch.len() as u64;
        self.batch.clear();
        count
    }

    /// Reports what has not been written as failed.
    pub(crate) async fn fail(&mut self, error: TransmitError, context: &Context) {
        self.queue.close();
        while let Ok(queued) = self.queue.try_recv() {
            self.batch.push(queued);
        }
        for queued in self.batch.drain(..) {
            if queued.key != 0 {
                let key = queued.key;
                context.tell(StreamEvent::Failed { key, error }).await;
            }
        }
    }
}

/// Messages written with one system call.
const BATCH: usize = 64;
