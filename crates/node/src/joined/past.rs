//! What control is told of this node's history: all it does not have, be it that it was away for days.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::ServerId;
use store::{HistoryStore, Span};

/// What is still to be told.
pub(super) struct Past {
    store: Arc<dyn HistoryStore>,
    server: ServerId,
    /// The newest minute that control has; `None` before it was said.
    has: Option<Option<u64>>,
    /// Minutes were told, and control has not said since that it has them.
    is_told: bool,
    /// Nothing is due before.
    next: Instant,
}

impl Past {
    pub(super) fn new(store: Arc<dyn HistoryStore>, server: ServerId) -> Self {
        Self {
            store,
            server,
            has: None,
            is_told: false,
            next: Instant::now(),
        }
    }

    /// What goes with the next report: nothing, mostly. The newest minute that control has goes once
    /// more, because it may not have been over.
    pub(super) async fn due(&mut self) -> Vec<Vec<u8>> {
        let Some(has) = self.has.filter(|_| Instant::now() >= self.next) else {
            return Vec::new();
        };
        let (store, server) = (Arc::clone(&self.store), self.server);
        let span = Span {
            from_us: has.unwrap_or(0),
            to_us: u64::MAX,
            server: Some(server),
        };
        let read = tokio::task::spawn_blocking(move || store.samples(&span, None, BATCH));
        let found = match read.await {
            Ok(Ok(found)) => found,
            // It is tried again.
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        // A full batch is followed by the next at once.
        if found.len() < BATCH {
            self.next = Instant::now() + PAUSE;
        }
        self.is_told = !found.is_empty();
        let samples = found.iter().map(|(_, sample)| serde_json::to_vec(sample));
        samples.filter_map(Result::ok).collect()
    }

    /// Control has said what it has. One that says so of nothing it was told keeps no history, or none
    /// now.
    pub(super) fn heard(&mut self, newest_us: Option<u64>) {
        if self.is_told && newest_us.is_none() {
            self.next = Instant::now() + LONG_PAUSE;
        }
        self.is_told = false;
        self.has = Some(newest_us);
    }
}

/// Minutes that go with one report.
const BATCH: usize = 60;
/// Between two times that the present minute is told.
const PAUSE: Duration = Duration::from_secs(5);
/// Before control is tried again that keeps nothing.
const LONG_PAUSE: Duration = Duration::from_secs(60);
