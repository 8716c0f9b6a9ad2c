//! Permits in the memory of one process: the model that other adapters are compared with, and the
//! cluster of a simulation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limits::{Claim, Grant, NodeShare, Pool};

use super::{LACKED_MAX, Member, PermitStore, Renewed};
use crate::StoreError;

/// One node's view of permits that are shared in this process.
#[derive(Debug)]
pub struct MemoryPermits {
    id: String,
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    members: BTreeMap<String, (SocketAddr, u64)>,
    buried: Vec<String>,
    pools: BTreeMap<Pool, BTreeMap<String, Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    share: NodeShare,
    ask: u32,
}

impl MemoryPermits {
    /// The first node.
    #[must_use]
    pub fn new(id: &str, address: SocketAddr) -> Self {
        Self {
            id: id.to_owned(),
            address,
            shared: Arc::default(),
        }
    }

    /// Another node of the same cluster.
    #[must_use]
    pub fn join(&self, id: &str, address: SocketAddr) -> Self {
        Self {
            id: id.to_owned(),
            address,
            shared: Arc::clone(&self.shared),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PermitStore for MemoryPermits {
    fn renew(&mut self, claims: &[Claim]) -> Result<Renewed, StoreError> {
        let mut shared = self.lock();
        if shared.buried.contains(&self.id) {
            return Ok(Renewed::Buried);
        }
        shared.enter(&self.id, self.address);
        let grants = claims.iter().map(|claim| shared.grant(&self.id, claim));
        Ok(Renewed::Granted {
            grants: grants.collect(),
            lacked: shared.lacked(),
            members: shared.list(),
        })
    }

    fn bury(&mut self, dead: &Member) -> Result<bool, StoreError> {
        let mut shared = self.lock();
        let known = shared.members.get(&dead.id);
        if known.is_none_or(|(_, beat)| *beat != dead.beat) {
            return Ok(false);
        }
        shared.buried.push(dead.id.clone());
        Ok(shared.take_out(&dead.id))
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        let mut shared = self.lock();
        shared.take_out(&self.id);
        Ok(())
    }
}

impl Shared {
    fn enter(&mut self, id: &str, address: SocketAddr) {
        // An earlier start of the same node is gone.
        let before = self.members.iter();
        let dead = before.filter(|(other, (at, _))| {
            *other != id && *at == address && name_of(other) == name_of(id)
        });
        let dead: Vec<String> = dead.map(|(other, _)| other.clone()).collect();
        for other in dead {
            self.take_out(&other);
            self.buried.push(other);
        }
        let member = self.members.entry(id.to_owned()).or_insert((address, 0));
        member.1 += 1;
    }

    fn grant(&mut self, id: &str, claim: &Claim) -> Grant {
        let entries = self.pools.entry(claim.pool).or_default();
        let others = entries.iter().filter(|(other, _)| *other != id);
        let taken = others.map(|(_, entry)| entry.share.share).sum::<u32>();
        let free = claim.limit.saturating_sub(taken);
        let share = claim.held.max(claim.ask.min(free));
        let share = NodeShare {
            share,
            want: claim.want,
        };
        let ask = claim.ask;
        entries.insert(id.to_owned(), Entry { share, ask });
        Grant {
            pool: claim.pool,
            share: share.share,
            nodes: entries.values().map(|entry| entry.share).collect(),
            own: entries.keys().position(|other| other == id).unwrap_or(0),
        }
    }

    fn lacked(&self) -> Vec<Pool> {
        let lacks = |entries: &BTreeMap<String, Entry>| {
            entries.values().any(|entry| entry.share.share < entry.ask)
        };
        let pools = self.pools.iter().filter(|(_, entries)| lacks(entries));
        pools.map(|(pool, _)| *pool).take(LACKED_MAX).collect()
    }

    fn list(&self) -> Vec<Member> {
        let member = |(id, (address, beat)): (&String, &(SocketAddr, u64))| Member {
            id: id.clone(),
            address: *address,
            beat: *beat,
        };
        self.members.iter().map(member).collect()
    }

    fn take_out(&mut self, id: &str) -> bool {
        for entries in self.pools.values_mut() {
            entries.remove(id);
        }
        self.members.remove(id).is_some()
    }
}

/// An id without the number of the start.
fn name_of(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(name, _)| name)
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
