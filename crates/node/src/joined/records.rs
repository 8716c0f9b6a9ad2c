//! Records as a joined node has them: those of its configuration, which nobody changes here. Tokens
//! of its own API are its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use clock::Time;
use model::{ApiToken, AuditEntry, Settings, Snapshot, TokenId};
use store::{
    Actor, Bad, Changed, Inserted, Kind, Lease, Leases, Page, Purpose, Record, RecordChange,
    Records, Sqlite, StoreError, Stored, Ticket,
};

/// The configuration a node holds, in place of the records.
pub(crate) struct HeldRecords {
    own: Arc<Sqlite>,
    snapshot: ArcSwap<Snapshot>,
}

impl HeldRecords {
    pub(crate) fn open(own: &Path, snapshot: Snapshot) -> Result<Self> {
        Ok(Self {
            own: Arc::new(Sqlite::open(own).context("node.db")?),
            snapshot: ArcSwap::from_pointee(snapshot),
        })
    }

    /// What is kept of this machine alone.
    pub(crate) fn own(&self) -> Arc<Sqlite> {
        Arc::clone(&self.own)
    }

    /// Holds another configuration, unless it is older.
    pub(crate) fn hold(&self, snapshot: Snapshot) -> Held {
        let has = self.snapshot.load().revision;
        if snapshot.revision < has {
            return Held::Older { has };
        }
        self.snapshot.store(Arc::new(snapshot));
        Held::Taken
    }

    fn all(&self, kind: Kind) -> Vec<Record> {
        let held = self.snapshot.load();
        fn of<R: Clone + Into<Record>>(records: &[Arc<R>]) -> Vec<Record> {
            records.iter().map(|r| R::clone(r).into()).collect()
        }
        match kind {
            Kind::Account => of(&held.accounts),
            Kind::User => of(&held.users),
            Kind::Device => of(&held.devices),
            Kind::Customer => of(&held.customers),
            Kind::Number => of(&held.numbers),
            Kind::Carrier => of(&held.carriers),
            Kind::Gateway => of(&held.gateways),
            Kind::Route => of(&held.routes),
            Kind::MediaServer => of(&held.media_servers),
            Kind::Server => of(&held.servers),
            Kind::Certificate => of(&held.certificates),
            Kind::Zone => of(&held.zones),
            Kind::Cluster => of(&held.clusters),
            // Nobody signs in or joins here.
            Kind::Person | Kind::JoinToken | Kind::Settings | Kind::Token => Vec::new(),
        }
    }

    fn stored(&self, record: Record) -> Stored<Record> {
        let revision = self.snapshot.load().revision;
        Stored { revision, record }
    }
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Taken,
    /// It is older than the one there is.
    Older {
        has: u64,
    },
}

/// A joined node shares its store with nobody.
impl Leases for HeldRecords {
    fn hold_lease(
        &self,
        duty: &str,
        owner: &str,
        term: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.own.hold_lease(duty, owner, term)
    }

    fn release_lease(&self, duty: &str, owner: &str) -> Result<(), StoreError> {
        self.own.release_lease(duty, owner)
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.own.leases()
    }

    fn leave_note(&self, duty: &str, fence: u64, note: &str) -> Result<bool, StoreError> {
        self.own.leave_note(duty, fence, note)
    }

    fn note(&self, duty: &str) -> Result<Option<String>, StoreError> {
        self.own.note(duty)
    }
}

impl Records for HeldRecords {
    fn insert(&self, _actor: &Actor, _record: &Record) -> Result<u64, StoreError> {
        Err(StoreError::Elsewhere)
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

    fn replace(&self, _actor: &Actor, _record: &Record, _expected: u64) -> Result<u64, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn remove(
        &self,
        _actor: &Actor,
        _kind: Kind,
        _id: &str,
        _expected: Option<u64>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn find(&self, kind: Kind, id: &str) -> Result<Stored<Record>, StoreError> {
        let found = self.all(kind).into_iter().find(|record| record.id() == id);
        let id = id.to_owned();
        found
            .map(|record| self.stored(record))
            .ok_or(StoreError::NotFound { kind, id })
    }

    fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<Stored<Record>>, StoreError> {
        let mut all = self.all(kind);
        all.sort_by_key(Record::id);
        let after = |record: &Record| page.after.is_none_or(|after| *record.id() > *after);
        let wanted = all.into_iter().filter(after).take(page.limit);
        Ok(wanted.map(|record| self.stored(record)).collect())
    }

    fn settings(&self) -> Result<Stored<Settings>, StoreError> {
        let held = self.snapshot.load();
        Ok(Stored {
            revision: held.revision,
            record: held.settings.clone(),
        })
    }

    fn set_settings(
        &self,
        _actor: &Actor,
        _settings: &Settings,
        _expected: u64,
    ) -> Result<u64, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn create_token(&self, actor: &Actor, token: &ApiToken, hash: &str) -> Result<(), StoreError> {
        self.own.create_token(actor, token, hash)
    }

    fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.own.tokens()
    }

    fn token_by_hash(&self, hash: &str) -> Result<Option<ApiToken>, StoreError> {
        self.own.token_by_hash(hash)
    }

    fn touch_token(&self, id: TokenId, at: Time) -> Result<(), StoreError> {
        self.own.touch_token(id, at)
    }

    fn delete_token(&self, actor: &Actor, id: TokenId) -> Result<(), StoreError> {
        self.own.delete_token(actor, id)
    }

    fn add_ticket(&self, ticket: &Ticket, now: Time) -> Result<bool, StoreError> {
        self.own.add_ticket(ticket, now)
    }

    fn ticket(&self, space: &str, key: &str, now: Time) -> Result<Option<Ticket>, StoreError> {
        self.own.ticket(space, key, now)
    }

    fn tickets(&self, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError> {
        self.own.tickets(space, now)
    }

    fn remove_ticket(&self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.own.remove_ticket(space, key)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.own.audit(before, limit)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.snapshot.load().revision)
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::clone(&self.snapshot.load()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_revision(revision: u64) -> Snapshot {
        Snapshot {
            revision,
            ..Snapshot::default()
        }
    }

    #[test]
    fn an_older_configuration_is_refused_and_the_same_one_taken_again() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let held = HeldRecords::open(&dir.path().join("node.db"), of_revision(5))?;
        assert_eq!(held.hold(of_revision(4)), Held::Older { has: 5 });
        assert_eq!(held.hold(of_revision(5)), Held::Taken);
        assert_eq!(held.hold(of_revision(6)), Held::Taken);
        assert_eq!(held.revision()?, 6);
        Ok(())
    }
}
