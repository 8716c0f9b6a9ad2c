//! The configuration on disk: what a node starts with while the store that it shares is away.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use model::Snapshot;

use crate::data::Data;

/// Writes the newest configuration, by a thread of its own that ends with the value. Of those that
/// come faster than they can be written, the newest is written.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    newest: Sender<Arc<Snapshot>>,
    /// The thread's end of it, to take back what it has not begun with.
    waiting: Receiver<Arc<Snapshot>>,
}

impl SnapshotFile {
    pub(crate) fn start(data: &Data) -> Result<Self> {
        let (newest, waiting) = bounded::<Arc<Snapshot>>(1);
        let (data, snapshots) = (data.clone(), waiting.clone());
        thread::Builder::new()
            .name("snapshot".into())
            .spawn(move || {
                for snapshot in snapshots {
                    if let Err(error) = data.write(NAME, &*snapshot) {
                        tracing::warn!(%error, "the configuration is not on disk");
                    }
                    thread::sleep(PAUSE);
                }
            })
            .context("no thread for the configuration on disk")?;
        Ok(Self { newest, waiting })
    }

    /// Has it written soon.
    pub(crate) fn write(&self, snapshot: Arc<Snapshot>) {
        if let Err(TrySendError::Full(snapshot)) = self.newest.try_send(snapshot) {
            // Older: nobody needs it any more. If the thread has just taken it, there is room.
            let _older = self.waiting.try_recv();
            let _ = self.newest.try_send(snapshot);
        }
    }

    /// What was written last.
    pub(crate) fn read(data: &Data) -> Option<Snapshot> {
        data.read(NAME)
    }
}

const NAME: &str = "snapshot.json";
/// Between two writings: an import that changes a record after another is not written as often.
const PAUSE: Duration = Duration::from_secs(1);
