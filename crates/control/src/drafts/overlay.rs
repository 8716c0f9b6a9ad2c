//! The records as they would be with a draft.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clock::Time;
use model::{ApiToken, AuditEntry, FieldError, Settings, Snapshot, TokenId};
use store::{
    Actor, Bad, Changed, Inserted, Kind, Lease, Leases, Page, Purpose, Record, RecordChange,
    Records, StoreError, Stored, Ticket,
};

use super::{CHANGES_MAX, ChangeSet, Staged, run};

/// Records with the changes of a draft on top. Changes are added to the draft, after the store has tried
/// all of them; all else is the store's.
pub(crate) struct Overlay<'a> {
    base: &'a dyn Records,
    actor: Actor,
    /// The version that changes come with.
    version: u64,
    changes: Mutex<Vec<Staged>>,
}

/// A record where a draft has been at it.
enum Found {
    /// It has not.
    Untouched,
    /// It would be deleted.
    Gone,
    /// It would be so.
    As(Box<Stored<Record>>),
}

impl<'a> Overlay<'a> {
    /// What `set` would make of `base`.
    pub(crate) fn new(base: &'a dyn Records, set: &ChangeSet, actor: Actor) -> Self {
        Self {
            base,
            actor,
            version: set.version + 1,
            changes: Mutex::new(set.changes.clone()),
        }
    }

    /// The changes, with those that were added.
    pub(crate) fn into_changes(self) -> Vec<Staged> {
        let changes = self.changes.into_inner();
        changes.unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Vec<Staged>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the draft has made of a record.
    fn touched(&self, kind: Kind, id: &str) -> Result<Found, StoreError> {
        let changes = self.changes();
        let mut of_it = changes.iter().rev().filter(|staged| staged.record == id);
        let Some(last) = of_it.next() else {
            return Ok(Found::Untouched);
        };
        if last.kind()? != kind {
            return Ok(Found::Gone);
        }
        Ok(match last.record()? {
            None => Found::Gone,
            Some(record) => Found::As(Box::new(Stored {
                revision: FIRST_REVISION + last.since,
                record,
            })),
        })
    }

    /// Records of a kind that only the draft has.
    fn made(&self, kind: Kind) -> Result<Vec<Stored<Record>>, StoreError> {
        let ids: Vec<String> = {
            let changes = self.changes();
            let new = changes.iter().filter(|staged| staged.before.is_none());
            new.map(|staged| staged.record.clone()).collect()
        };
        let mut made = Vec::new();
        for id in ids {
            if let Found::As(stored) = self.touched(kind, &id)? {
                made.push(*stored);
            }
        }
        Ok(made)
    }

    /// Adds a change, if the store could make it after those that are there.
    fn stage(&self, change: &RecordChange, before: Option<&Record>) -> Result<u64, StoreError> {
        let mut changes = self.changes();
        if changes.len() >= CHANGES_MAX {
            let message = format!("it has {CHANGES_MAX} changes: apply it and begin another");
            return Err(in_the_draft(message));
        }
        changes.push(Staged::new(change, before, self.version)?);
        let tried = run(&changes, self.base, &self.actor, Purpose::Check)?;
        let Some((place, error)) = tried.refused else {
            return Ok(FIRST_REVISION + self.version);
        };
        changes.pop();
        if place == changes.len() {
            return Err(error);
        }
        let in_the_way = changes[place].label();
        Err(in_the_draft(format!(
            "the change of {in_the_way} in it cannot be made any more, take it out first: {error}"
        )))
    }
}

/// Refuses a change for what is in the draft already.
fn in_the_draft(message: String) -> StoreError {
    StoreError::Invalid(vec![FieldError {
        field: "draft".to_owned(),
        message,
    }])
}

impl Records for Overlay<'_> {
    fn insert(&self, _actor: &Actor, record: &Record) -> Result<u64, StoreError> {
        self.stage(&RecordChange::Insert(record.clone()), None)
    }

    fn insert_all(
        &self,
        _actor: &Actor,
        _records: &[Record],
        _bad: Bad,
    ) -> Result<Inserted, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn change_all(
        &self,
        _actor: &Actor,
        _changes: &[RecordChange],
        _purpose: Purpose,
    ) -> Result<Changed, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn replace(&self, _actor: &Actor, record: &Record, expected: u64) -> Result<u64, StoreError> {
        let before = self.find(record.kind(), &record.id())?;
        if before.revision != expected {
            let current = before.revision;
            return Err(StoreError::Conflict { current });
        }
        let change = RecordChange::Replace {
            record: record.clone(),
            expected: is_stored(expected).then_some(expected),
        };
        self.stage(&change, Some(&before.record))
    }

    fn remove(
        &self,
        _actor: &Actor,
        kind: Kind,
        id: &str,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        let before = self.find(kind, id)?;
        let current = before.revision;
        if expected.is_some_and(|expected| expected != current) {
            return Err(StoreError::Conflict { current });
        }
        let change = RecordChange::Remove {
            kind,
            id: id.to_owned(),
            expected: is_stored(current).then_some(current),
        };
        self.stage(&change, Some(&before.record)).map(drop)
    }

    fn find(&self, kind: Kind, id: &str) -> Result<Stored<Record>, StoreError> {
        match self.touched(kind, id)? {
            Found::Untouched => self.base.find(kind, id),
            Found::As(stored) => Ok(*stored),
            Found::Gone => Err(StoreError::NotFound {
                kind,
                id: id.to_owned(),
            }),
        }
    }

    fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<Stored<Record>>, StoreError> {
        let mut after = page.after.map(str::to_owned);
        let mut found = Vec::new();
        let is_complete = loop {
            let step = Page {
                after: after.as_deref(),
                limit: page.limit,
            };
            let batch = self.base.scan(kind, &step)?;
            let is_complete = batch.len() < page.limit;
            after = batch.last().map(|stored| stored.record.id()).or(after);
            for stored in batch {
                match self.touched(kind, &stored.record.id())? {
                    Found::Untouched => found.push(stored),
                    Found::As(changed) => found.push(*changed),
                    Found::Gone => {}
                }
            }
            if is_complete || found.len() >= page.limit {
                break is_complete;
            }
        };
        let first = page.after.unwrap_or_default();
        for stored in self.made(kind)? {
            let id = stored.record.id();
            let is_of_page = is_complete || after.as_ref().is_some_and(|last| id < *last);
            if *id > *first && is_of_page {
                found.push(stored);
            }
        }
        found.sort_by_cached_key(|stored| stored.record.id());
        found.truncate(page.limit);
        Ok(found)
    }

    fn settings(&self) -> Result<Stored<Settings>, StoreError> {
        self.base.settings()
    }

    fn set_settings(
        &self,
        _actor: &Actor,
        _settings: &Settings,
        _expected: u64,
    ) -> Result<u64, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn create_token(
        &self,
        _actor: &Actor,
        _token: &ApiToken,
        _hash: &str,
    ) -> Result<(), StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.base.tokens()
    }

    fn token_by_hash(&self, hash: &str) -> Result<Option<ApiToken>, StoreError> {
        self.base.token_by_hash(hash)
    }

    fn touch_token(&self, id: TokenId, at: Time) -> Result<(), StoreError> {
        self.base.touch_token(id, at)
    }

    fn delete_token(&self, _actor: &Actor, _id: TokenId) -> Result<(), StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn add_ticket(&self, ticket: &Ticket, now: Time) -> Result<bool, StoreError> {
        self.base.add_ticket(ticket, now)
    }

    fn ticket(&self, space: &str, key: &str, now: Time) -> Result<Option<Ticket>, StoreError> {
        self.base.ticket(space, key, now)
    }

    fn tickets(&self, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError> {
        self.base.tickets(space, now)
    }

    fn remove_ticket(&self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.base.remove_ticket(space, key)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.base.audit(before, limit)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.base.revision()
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let changes = self.changes();
        let looked = run(&changes, self.base, &self.actor, Purpose::Look)?;
        if let Some((place, error)) = looked.refused {
            let in_the_way = changes[place].label();
            return Err(in_the_draft(format!(
                "the change of {in_the_way} in it cannot be made any more: {error}"
            )));
        }
        looked
            .snapshot
            .ok_or_else(|| StoreError::Unavailable("the store shows no draft".to_owned()))
    }
}

impl Leases for Overlay<'_> {
    fn hold_lease(
        &self,
        duty: &str,
        owner: &str,
        term: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.base.hold_lease(duty, owner, term)
    }

    fn release_lease(&self, duty: &str, owner: &str) -> Result<(), StoreError> {
        self.base.release_lease(duty, owner)
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.base.leases()
    }

    fn leave_note(&self, duty: &str, fence: u64, note: &str) -> Result<bool, StoreError> {
        self.base.leave_note(duty, fence, note)
    }

    fn note(&self, duty: &str) -> Result<Option<String>, StoreError> {
        self.base.note(duty)
    }
}

/// Whether a revision is the store's.
const fn is_stored(revision: u64) -> bool {
    revision < FIRST_REVISION
}

/// Revisions of records that a draft has changed begin here: far beyond those of the store, and within what
/// all clients hold.
const FIRST_REVISION: u64 = 1 << 52;
