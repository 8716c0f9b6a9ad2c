//! Permits in the memory of one process: [`LiveModel`] behind the port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clock::Time;
use cluster::{LiveModel, Renewal};
use limits::Claim;

use super::{Member, PermitStore, Renewed};
use crate::StoreError;

/// One node's view of permits that are shared in this process.
#[derive(Debug)]
pub struct MemoryPermits {
    id: String,
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    /// Of the last question.
    number: u64,
}

#[derive(Debug, Default)]
struct Shared {
    model: LiveModel,
    /// When it was asked last.
    last: Time,
}

impl MemoryPermits {
    /// The first node.
    #[must_use]
    pub fn new(id: &str, address: SocketAddr) -> Self {
        Self {
            id: id.to_owned(),
            address,
            shared: Arc::default(),
            number: 0,
        }
    }

    /// Another node of the same cluster.
    #[must_use]
    pub fn join(&self, id: &str, address: SocketAddr) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            ..Self::new(id, address)
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PermitStore for MemoryPermits {
    fn renew(&mut self, claims: &[Claim]) -> Result<Renewed, StoreError> {
        self.number += 1;
        let renewal = Renewal {
            node: &self.id,
            address: self.address,
            number: self.number,
            // It forgets nothing.
            grace: Duration::ZERO,
            drain: Duration::ZERO,
        };
        let mut shared = self.lock();
        // No beat is the one before.
        shared.last = now().max(shared.last + Duration::from_micros(1));
        let at = shared.last;
        let renewed = shared.model.renew(at, &renewal, claims);
        renewed.map_err(|_| StoreError::Unavailable("a newer question was answered".into()))
    }

    fn bury(&mut self, dead: &Member) -> Result<bool, StoreError> {
        Ok(self.lock().model.bury(&dead.id, Some(dead.beat)))
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        self.lock().model.bury(&self.id, None);
        Ok(())
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Time::ZERO + since.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;
    use crate::conformance::{Faulty, permits};

    #[test]
    fn permits_conform() {
        let clusters = RefCell::new(HashMap::new());
        permits::run(|name, number| node(&clusters, name, number));
    }

    #[test]
    fn permits_conform_with_faults() {
        for seed in 1..=20 {
            let clusters = RefCell::new(HashMap::new());
            permits::run(|name, number| Faulty::new(node(&clusters, name, number), seed));
        }
    }

    fn node(
        clusters: &RefCell<HashMap<String, MemoryPermits>>,
        name: &str,
        number: u16,
    ) -> MemoryPermits {
        let place = permits::place(number);
        let id = permits::id(number);
        let mut clusters = clusters.borrow_mut();
        let first = clusters
            .entry(name.to_owned())
            .or_insert_with(|| MemoryPermits::new("nobody", place));
        first.join(&id, place)
    }
}
