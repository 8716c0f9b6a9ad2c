//! A store that fails now and then.

use core::ops::ControlFlow;
use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

use clock::Time;
use limits::Claim;
use model::{ApiToken, AuditEntry, CallId, Cdr, Sample, ServerId, Settings, Snapshot, TokenId};

use crate::{
    Actor, Bad, BindingRecord, BindingState, CdrCursor, CdrFilter, CdrSearch, CdrStore, Changed,
    Exchanged, HistoryStore, Inserted, Kind, Lease, Leases, LiveStore, LocationChange,
    LocationNode, LocationStore, Member, Page, PermitStore, Purpose, Record, RecordChange, Records,
    Renewed, Span, StoreError, Stored, Ticket,
};

/// Wraps a store: a third of all calls fail before they reach it. Of those that can be repeated
/// safely by the port's promise, another third succeed but say that they failed.
pub struct Faulty<S> {
    inner: S,
    /// State of the generator that decides.
    seed: AtomicU64,
}

impl<S> Faulty<S> {
    /// Wraps a store; the same seed fails the same calls.
    pub fn new(inner: S, seed: u64) -> Self {
        Self {
            inner,
            seed: AtomicU64::new(seed | 1),
        }
    }

    /// xorshift64: plenty for a coin, and no dependency for adapters outside.
    fn die(&self) -> u64 {
        let mut x = self.seed.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed.store(x, Ordering::Relaxed);
        x % 3
    }

    fn before(&self) -> Result<(), StoreError> {
        if self.die() == 0 {
            Err(fault())
        } else {
            Ok(())
        }
    }

    fn after(&self) -> Result<(), StoreError> {
        self.before()
    }
}

fn fault() -> StoreError {
    StoreError::Unavailable("injected".into())
}

impl<S: HistoryStore> HistoryStore for Faulty<S> {
    fn keep_samples(&self, server: ServerId, samples: &[Sample]) -> Result<(), StoreError> {
        self.before()?;
        self.inner.keep_samples(server, samples)?;
        self.after()
    }

    fn samples(
        &self,
        span: &Span,
        after: Option<(u64, ServerId)>,
        limit: usize,
    ) -> Result<Vec<(ServerId, Sample)>, StoreError> {
        self.before()?;
        self.inner.samples(span, after, limit)
    }

    fn newest_sample(&self, server: ServerId) -> Result<Option<u64>, StoreError> {
        self.before()?;
        self.inner.newest_sample(server)
    }

    fn forget_samples(&self, before_us: u64) -> Result<usize, StoreError> {
        self.before()?;
        self.inner.forget_samples(before_us)
    }
}

impl<S: Leases> Leases for Faulty<S> {
    fn hold_lease(
        &self,
        duty: &str,
        owner: &str,
        term: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.before()?;
        let held = self.inner.hold_lease(duty, owner, term)?;
        self.after()?;
        Ok(held)
    }

    fn release_lease(&self, duty: &str, owner: &str) -> Result<(), StoreError> {
        self.before()?;
        self.inner.release_lease(duty, owner)?;
        self.after()
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.before()?;
        self.inner.leases()
    }

    fn leave_note(&self, duty: &str, fence: u64, note: &str) -> Result<bool, StoreError> {
        self.before()?;
        let left = self.inner.leave_note(duty, fence, note)?;
        self.after()?;
        Ok(left)
    }

    fn note(&self, duty: &str) -> Result<Option<String>, StoreError> {
        self.before()?;
        self.inner.note(duty)
    }
}

impl<S: Records> Records for Faulty<S> {
    fn insert_all(
        &self,
        actor: &Actor,
        records: &[Record],
        bad: Bad,
    ) -> Result<Inserted, StoreError> {
        self.before()?;
        self.inner.insert_all(actor, records, bad)
    }

    fn change_all(
        &self,
        actor: &Actor,
        changes: &[RecordChange],
        purpose: Purpose,
    ) -> Result<Changed, StoreError> {
        self.before()?;
        self.inner.change_all(actor, changes, purpose)
    }

    fn insert(&self, actor: &Actor, record: &Record) -> Result<u64, StoreError> {
        self.before()?;
        self.inner.insert(actor, record)
    }

    fn replace(&self, actor: &Actor, record: &Record, expected: u64) -> Result<u64, StoreError> {
        self.before()?;
        self.inner.replace(actor, record, expected)
    }

    fn remove(
        &self,
        actor: &Actor,
        kind: Kind,
        id: &str,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        self.before()?;
        self.inner.remove(actor, kind, id, expected)
    }

    fn find(&self, kind: Kind, id: &str) -> Result<Stored<Record>, StoreError> {
        self.before()?;
        self.inner.find(kind, id)
    }

    fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<Stored<Record>>, StoreError> {
        self.before()?;
        self.inner.scan(kind, page)
    }

    fn settings(&self) -> Result<Stored<Settings>, StoreError> {
        self.before()?;
        self.inner.settings()
    }

    fn set_settings(
        &self,
        actor: &Actor,
        settings: &Settings,
        expected: u64,
    ) -> Result<u64, StoreError> {
        self.before()?;
        self.inner.set_settings(actor, settings, expected)
    }

    fn create_token(&self, actor: &Actor, token: &ApiToken, hash: &str) -> Result<(), StoreError> {
        self.before()?;
        self.inner.create_token(actor, token, hash)
    }

    fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.before()?;
        self.inner.tokens()
    }

    fn token_by_hash(&self, hash: &str) -> Result<Option<ApiToken>, StoreError> {
        self.before()?;
        self.inner.token_by_hash(hash)
    }

    fn touch_token(&self, id: TokenId, at: Time) -> Result<(), StoreError> {
        self.before()?;
        self.inner.touch_token(id, at)?;
        self.after()
    }

    fn delete_token(&self, actor: &Actor, id: TokenId) -> Result<(), StoreError> {
        self.before()?;
        self.inner.delete_token(actor, id)
    }

    fn add_ticket(&self, ticket: &Ticket, now: Time) -> Result<bool, StoreError> {
        self.before()?;
        self.inner.add_ticket(ticket, now)
    }

    fn ticket(&self, space: &str, key: &str, now: Time) -> Result<Option<Ticket>, StoreError> {
        self.before()?;
        self.inner.ticket(space, key, now)
    }

    fn tickets(&self, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError> {
        self.before()?;
        self.inner.tickets(space, now)
    }

    fn remove_ticket(&self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.before()?;
        self.inner.remove_ticket(space, key)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.before()?;
        self.inner.audit(before, limit)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.before()?;
        self.inner.revision()
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.before()?;
        self.inner.snapshot()
    }
}

impl<S: CdrStore> CdrStore for Faulty<S> {
    fn remove_before(&self, end_us: u64, limit: usize) -> Result<usize, StoreError> {
        self.before()?;
        self.inner.remove_before(end_us, limit)
    }

    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        self.before()?;
        let added = self.inner.insert_batch(cdrs)?;
        self.after()?;
        Ok(added)
    }

    fn search(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<CdrSearch, StoreError> {
        self.before()?;
        self.inner.search(filter, after, limit, patience)
    }

    fn list(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Vec<Cdr>, StoreError> {
        self.before()?;
        self.inner.list(filter, after, limit)
    }

    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError> {
        self.before()?;
        self.inner.get(call)
    }

    fn export(
        &self,
        filter: &CdrFilter,
        each: &mut dyn FnMut(Vec<Cdr>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.before()?;
        self.inner.export(filter, each)
    }
}

impl<S: PermitStore> PermitStore for Faulty<S> {
    fn renew(&mut self, claims: &[Claim]) -> Result<Renewed, StoreError> {
        self.before()?;
        let renewed = self.inner.renew(claims)?;
        self.after()?;
        Ok(renewed)
    }

    fn bury(&mut self, dead: &Member) -> Result<bool, StoreError> {
        self.before()?;
        self.inner.bury(dead)
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        self.before()?;
        self.inner.leave()?;
        self.after()
    }
}

impl<S: LocationStore> LocationStore for Faulty<S> {
    fn exchange(
        &mut self,
        us: &LocationNode,
        told: &[LocationChange],
    ) -> Result<Exchanged, StoreError> {
        self.before()?;
        self.inner.exchange(us, told)
    }

    fn clear(&mut self, us: &LocationNode) -> Result<(), StoreError> {
        self.before()?;
        self.inner.clear(us)?;
        self.after()
    }

    fn look(&mut self, node: &str, from: u64) -> Result<(Vec<LocationChange>, u64), StoreError> {
        self.before()?;
        self.inner.look(node, from)
    }

    fn forget(&mut self, node: &str) -> Result<(), StoreError> {
        self.before()?;
        self.inner.forget(node)?;
        self.after()
    }
}

impl<S: LiveStore> LiveStore for Faulty<S> {
    fn has_room(&self) -> bool {
        self.inner.has_room()
    }

    fn save(&mut self, record: BindingState<'_>) {
        self.inner.save(record);
    }

    fn remove(&mut self, aor: &str, key: &[u8]) {
        self.inner.remove(aor, key);
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.before()?;
        self.inner.flush()?;
        self.after()
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.before()?;
        self.inner.sync()?;
        self.after()
    }

    fn load_all(&mut self, now_us: u64) -> Result<Vec<BindingRecord>, StoreError> {
        self.before()?;
        self.inner.load_all(now_us)
    }
}
