//! Who this node and the others are at present, among its threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clock::Time;
use store::Member;

/// Kept by the thread of the permits, read by those of calls and locations.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    present: Arc<Mutex<cluster::Roster>>,
    /// Where its time begins.
    begun: Instant,
}

impl Roster {
    /// For the node of this name.
    pub(crate) fn of(name: &str) -> Result<Self> {
        Ok(Self::fixed(&new_id(name)?))
    }

    /// For a server that keeps this id through its restarts.
    pub(crate) fn fixed(id: &str) -> Self {
        let mut present = cluster::Roster::default();
        present.rename(id);
        Self {
            present: Arc::new(Mutex::new(present)),
            begun: Instant::now(),
        }
    }

    /// The time by which members are heard: since the start.
    pub(crate) fn now(&self) -> Time {
        Time::ZERO + self.begun.elapsed()
    }

    /// See [`cluster::Roster::own`].
    pub(crate) fn own(&self) -> String {
        self.lock().own().to_owned()
    }

    /// This node joins anew, under another name.
    pub(crate) fn rejoin(&self, name: &str) -> Result<String> {
        let id = new_id(name)?;
        self.lock().rename(&id);
        Ok(id)
    }

    /// What the store has just said.
    pub(crate) fn update(&self, members: &[Member]) {
        self.lock().update(self.now(), members);
    }

    /// See [`cluster::Roster::is_member`].
    pub(crate) fn is_member(&self) -> bool {
        self.lock().is_member()
    }

    /// These were taken out, for certain.
    pub(crate) fn note_buried<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        self.lock().note_buried(ids);
    }

    /// What all threads know; nobody waits for anything while having it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, cluster::Roster> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id(name: &str) -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(format!("{name}-{:08x}", u32::from_le_bytes(bytes)))
}
