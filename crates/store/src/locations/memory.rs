//! Shared bindings in the memory of one process: the model that other adapters are compared with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Exchanged, HEARD_MAX, HeardChange, KEPT_FACTOR_MAX, KEPT_MAX, KnownNode, LocationChange,
    LocationEndKind, LocationNode, LocationStore, Rest,
};
use crate::StoreError;

/// One node's view of bindings that are shared in this process.
#[derive(Debug, Default)]
pub struct MemoryLocations {
    shared: Arc<Mutex<Shared>>,
    /// The era of the last exchange, and the last portion that this node has heard in it.
    heard: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Shared {
    era: u64,
    nodes: BTreeMap<String, LocationNode>,
    buried: Vec<String>,
    shelves: BTreeMap<String, BTreeMap<[u8; 8], LocationChange>>,
    /// Portions by their numbers.
    told: BTreeMap<u64, (String, Vec<LocationChange>)>,
    last: u64,
}

impl MemoryLocations {
    /// Another node of the same cluster.
    #[must_use]
    pub fn join(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            heard: None,
        }
    }

    /// A node is taken for dead.
    pub fn bury(&self, node: &str) {
        self.lock().buried.push(node.to_owned());
    }

    /// Everything is forgotten.
    pub fn flush(&self) {
        let mut shared = self.lock();
        let era = shared.era + 1;
        *shared = Shared {
            era,
            ..Shared::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocationStore for MemoryLocations {
    fn exchange(
        &mut self,
        us: &LocationNode,
        told: &[LocationChange],
    ) -> Result<Exchanged, StoreError> {
        let mut guard = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &mut *guard;
        if shared.buried.contains(&us.id) {
            return Ok(Exchanged::Buried);
        }
        shared.nodes.insert(us.id.clone(), us.clone());
        shared.put(us, told);
        // What was told in an era before this node knew of it stands on shelves.
        let heard = self.heard.filter(|(era, _)| *era == shared.era);
        let heard = heard.map_or(shared.last, |(_, heard)| heard);
        let oldest = shared.told.keys().next().copied();
        let is_lost = heard < shared.last && oldest.is_none_or(|oldest| oldest > heard + 1);
        let upto = match is_lost {
            true => shared.last,
            false => shared.last.min(heard + HEARD_MAX as u64),
        };
        let portions = shared.told.range(heard + 1..upto + 1);
        let others = portions.filter(|(_, (from, _))| *from != us.id);
        let changes = others.flat_map(|(_, (from, changes))| {
            changes.iter().map(|change| HeardChange {
                from: from.clone(),
                change: change.clone(),
            })
        });
        let changes = match is_lost {
            true => Vec::new(),
            false => changes.collect(),
        };
        self.heard = Some((shared.era, upto));
        let nodes = shared.nodes.values().map(|node| KnownNode {
            node: node.clone(),
            is_buried: shared.buried.contains(&node.id),
            is_away: false,
        });
        Ok(Exchanged::Heard {
            era: shared.era.to_string(),
            changes,
            rest: match (is_lost, upto < shared.last) {
                (true, _) => Rest::Lost,
                (false, true) => Rest::More,
                (false, false) => Rest::Nothing,
            },
            nodes: nodes.collect(),
        })
    }

    fn clear(&mut self, us: &LocationNode) -> Result<(), StoreError> {
        self.lock().shelves.remove(&us.id);
        Ok(())
    }

    fn look(&mut self, node: &str, _from: u64) -> Result<(Vec<LocationChange>, u64), StoreError> {
        let shared = self.lock();
        let shelf = shared.shelves.get(node).into_iter().flatten();
        Ok((shelf.map(|(_, change)| change.clone()).collect(), 0))
    }

    fn forget(&mut self, node: &str) -> Result<(), StoreError> {
        let mut shared = self.lock();
        shared.shelves.remove(node);
        shared.nodes.remove(node);
        Ok(())
    }
}

impl Shared {
    fn put(&mut self, us: &LocationNode, told: &[LocationChange]) {
        let shelf = self.shelves.entry(us.id.clone()).or_default();
        let mut published = Vec::new();
        for change in told {
            let (stays, is_told) = match change {
                LocationChange::Saved(_) => (true, true),
                LocationChange::Ended(end) => (
                    end.kind == LocationEndKind::Removed,
                    end.kind != LocationEndKind::Yielded,
                ),
            };
            match stays {
                true => shelf.insert(change.key(), change.clone()),
                false => shelf.remove(&change.key()),
            };
            published.extend(is_told.then(|| change.clone()));
        }
        if !published.is_empty() {
            self.last += 1;
            self.told.insert(self.last, (us.id.clone(), published));
        }
        let factor = (self.nodes.len() as f64 / 2.0).clamp(1.0, KEPT_FACTOR_MAX as f64);
        while self.told.len() as f64 > KEPT_MAX as f64 * factor {
            self.told.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Faulty, locations};

    #[test]
    fn locations_conform() {
        locations::run(|_| {
            let first = MemoryLocations::default();
            let other = first.join();
            (first, other)
        });
        locations::run(|_| {
            let first = MemoryLocations::default();
            let other = first.join();
            (Faulty::new(first, 3), Faulty::new(other, 4))
        });
    }
}
