//! The configuration: how it is changed, and how the node and all who follow get it.

use std::sync::Arc;

use model::Snapshot;
use store::{Records, StoreError};
use tokio::sync::watch;

use super::Control;
use crate::{Problem, problem};

impl Control {
    /// Changes records, and returns when the node works with them. `change` returns the new
    /// revision with its result. A client that goes away in between stops nothing.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&dyn Records) -> Result<(u64, T), StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let control = self.clone();
        let task = tokio::spawn(async move {
            let (revision, result) = control.records(change).await?;
            control.apply(revision).await;
            Ok(result)
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a change did not end");
            Err(Problem::new(&problem::INTERNAL, "the change was lost"))
        })
    }

    /// Makes the node's configuration that of the store, at least as of `revision`. Changes
    /// made while an earlier one is on its way are handed over together.
    ///
    /// A node that does not answer is no reason to refuse the change, which is stored already:
    /// it reads the store when it starts, and gets all of it with the next change.
    pub(crate) async fn apply(&self, revision: u64) {
        let mut applied = self.0.applied.lock().await;
        if *applied >= revision {
            return;
        }
        let snapshot: Snapshot = match self.records(|records| records.snapshot()).await {
            Ok(snapshot) => snapshot,
            Err(problem) => {
                tracing::error!(?problem, "the new configuration cannot be read");
                return;
            }
        };
        let newest = snapshot.revision;
        let snapshot = self.publish(snapshot);
        let own = self.0.own_server.get();
        let plan = own.map_or_else(|| (*snapshot).clone(), |own| snapshot.planned_for(*own));
        match self.platform().apply(plan).await {
            Ok(()) => *applied = newest,
            Err(error) => {
                tracing::warn!(%error, revision = newest, "the node did not take the configuration")
            }
        }
    }

    /// Hands the node the store's configuration once more, be it new to it or not.
    pub async fn apply_anew(&self, revision: u64) {
        *self.0.applied.lock().await = 0;
        self.apply(revision).await;
    }

    /// Lets all who follow have a configuration, unless they have a newer one.
    fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        let exists = |server| snapshot.servers.iter().any(|s| s.id == server);
        self.fleet().retain(exists);
        self.events_taken().retain(exists);
        let before = Arc::clone(&self.0.newest.borrow());
        let gone = crate::nodes::media_servers_gone(&before, &snapshot);
        if !gone.is_empty() && self.platform_of().is_none() {
            let control = self.clone();
            tokio::spawn(async move { control.dismiss(gone).await });
        }
        self.0.newest.send_if_modified(|newest| {
            let newer = snapshot.revision > newest.revision;
            if newer {
                *newest = Arc::clone(&snapshot);
            }
            newer
        });
        snapshot
    }

    /// The newest configuration, and each newer one as it comes to be. Errors: the store is away and
    /// was never read.
    pub(crate) async fn newest_snapshot(&self) -> Result<watch::Receiver<Arc<Snapshot>>, Problem> {
        let newest = self.0.newest.subscribe();
        if newest.borrow().revision == 0 {
            let snapshot = self.records(|records| records.snapshot()).await?;
            self.publish(snapshot);
        }
        Ok(newest)
    }
}
