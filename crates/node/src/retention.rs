//! Old CDRs go after `cdr_retention_days`: a few at a time, so that new ones never wait for long. Of
//! several controls on one database one does it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clock::Time;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use store::{CdrStore, Records, StoreError};

/// Between two looks for CDRs that are old enough.
const ROUND: Duration = Duration::from_secs(60);
/// Between two looks whether it is ours to do.
const ANOTHER: Duration = Duration::from_secs(1);
/// CDRs deleted in one transaction, during which none can be stored.
const BATCH: usize = 500;
/// Between two batches.
const PAUSE: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(86_400);

/// The thread that deletes; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Retention {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Retention {
    /// Deletes while `may` says that it is ours to do.
    pub(crate) fn start(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        (now, may): (
            impl Fn() -> Time + Send + 'static,
            impl Fn() -> bool + Send + 'static,
        ),
    ) -> Result<Self> {
        let (stop, stopped) = bounded(0);
        let thread = thread::Builder::new()
            .name("cdr-retention".into())
            .spawn(move || run(&*records, &*cdrs, (now, may), &stopped))
            .context("no thread for old CDRs")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread for old CDRs had panicked");
        }
    }
}

fn run(
    records: &dyn Records,
    cdrs: &dyn CdrStore,
    (now, may): (impl Fn() -> Time, impl Fn() -> bool),
    stopped: &Receiver<()>,
) {
    let mut wait = Duration::ZERO;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        if !may() {
            wait = ANOTHER;
            continue;
        }
        wait = match delete_some(records, cdrs, now()) {
            Ok(BATCH) => PAUSE,
            Ok(_) => ROUND,
            Err(error) => {
                tracing::warn!(%error, "old CDRs could not be deleted; it is tried again");
                ROUND
            }
        };
    }
}

/// Deletes a batch of what is too old; how many it were.
fn delete_some(records: &dyn Records, cdrs: &dyn CdrStore, now: Time) -> Result<usize, StoreError> {
    let days = records.settings()?.record.cdr_retention_days;
    if days == 0 {
        return Ok(0);
    }
    let kept = DAY * u32::from(days);
    let before_us = now.as_micros().saturating_sub(kept.as_micros() as u64);
    let deleted = cdrs.remove_before(before_us, BATCH)?;
    if deleted > 0 {
        tracing::info!(deleted, days, "old CDRs were deleted");
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use model::Settings;
    use store::{Actor, CdrFilter, Sqlite};

    use super::*;

    #[test]
    fn what_is_older_than_the_setting_goes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("x.db")).unwrap();
        let now = Time::from_secs(100 * 86_400);
        let days_ago = |days: u64| {
            let mut cdr = store::conformance::samples::cdr(days);
            cdr.end_us = (now - DAY * days as u32).as_micros();
            cdr
        };
        let cdrs: Vec<_> = (1..=60).map(days_ago).collect();
        store.insert_batch(&cdrs).unwrap();
        let count = || store.list(&CdrFilter::default(), None, 100).unwrap().len();
        assert_eq!(delete_some(&store, &store, now).unwrap(), 0);
        assert_eq!(count(), 60, "0 keeps them for ever");
        let settings = Settings {
            cdr_retention_days: 30,
            ..Settings::default()
        };
        let actor = Actor {
            name: "test".into(),
            at: now,
        };
        store.set_settings(&actor, &settings, 0).unwrap();
        assert_eq!(delete_some(&store, &store, now).unwrap(), 30);
        assert_eq!(count(), 30);
    }
}
