//! The thread that makes the journal durable, a few times a second and only when it grew.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::segment::sync_directory;

/// The writer's end of the thread. Dropping it syncs once more and waits for that.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    /// Present until dropped.
    next_file: Option<Sender<File>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread on the first file of a directory.
    pub(super) fn start(dir: PathBuf, file: File, interval: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (next_file, files) = channel();
        let thread = std::thread::Builder::new()
            .name("journal-sync".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || run(&shared, &dir, file, &files, interval)
            })?;
        Ok(Self {
            shared,
            next_file: Some(next_file),
            thread: Some(thread),
        })
    }

    /// Says that the file has grown. Costs one store to memory.
    pub(super) fn note_written(&self) {
        self.shared.dirty.store(true, Ordering::Release);
    }

    /// Says that writing goes on in another file; the one before is synced first.
    pub(super) fn go_on_with(&self, file: File) {
        if let Some(next_file) = &self.next_file {
            // Fails only if the thread has died, which `errors` cannot show better.
            let _ = next_file.send(file);
        }
    }

    /// How often a sync failed.
    pub(super) fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.next_file = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Shared {
    /// Something was written since the last sync.
    dirty: AtomicBool,
    errors: AtomicU64,
}

fn run(shared: &Shared, dir: &Path, mut file: File, files: &Receiver<File>, interval: Duration) {
    let mut named = false;
    loop {
        let next = files.recv_timeout(interval);
        if shared.dirty.swap(false, Ordering::AcqRel)
            && let Err(error) = file.sync_data().and_then(|()| sync_name(dir, &mut named))
        {
            shared.errors.fetch_add(1, Ordering::Relaxed);
            shared.dirty.store(true, Ordering::Release);
            tracing::error!(%error, "the CDR journal could not be synced");
        }
        match next {
            Ok(next) => {
                file = next;
                named = false;
                // What was written to it before it arrived here was noted for the other file.
                shared.dirty.store(true, Ordering::Release);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Makes the name of a new file durable, once.
fn sync_name(dir: &Path, named: &mut bool) -> io::Result<()> {
    if !*named {
        sync_directory(dir)?;
        *named = true;
    }
    Ok(())
}
