//! The port for what an operator configures.
//!
//! All kinds of records are kept alike: a body, a revision, values that must be unique, and
//! references to other records. An adapter therefore implements [`Records`] once over
//! [`Record`]; callers use the typed methods on `dyn Records`, which know each kind by
//! [`Resource`].

mod redact;
mod resource;
mod rules;

use clock::Time;
use model::{ApiToken, AuditEntry, Settings, Snapshot, TokenId};

pub(crate) use self::redact::redacted;
pub use self::resource::{Kind, Record, Reference, Resource, UniqueValue};
pub(crate) use self::rules::{
    account_of, check, expect, gather, new_names, renamed, role_of, role_word, scopes_of,
    scopes_text,
};
use crate::{Leases, StoreError};

/// A store of records. Every change validates the record, bumps the platform's revision and
/// leaves an audit entry, all at once or not at all.
///
/// Errors not named at a method: [`StoreError::Unavailable`], [`StoreError::Corrupt`].
pub trait Records: Leases {
    /// Makes a record. Errors: `Invalid`, `Duplicate` (also if the identifier is taken),
    /// `MissingReference`.
    fn insert(&self, actor: &Actor, record: &Record) -> Result<u64, StoreError>;

    /// Makes many records in one change, each as [`Records::insert`] would; what cannot be made is
    /// told by its place. `bad` says what becomes of the others then.
    fn insert_all(
        &self,
        actor: &Actor,
        records: &[Record],
        bad: Bad,
    ) -> Result<Inserted, StoreError>;

    /// Makes changes of many records in their order: all, or none if one cannot be made, as it would
    /// not be by itself.
    fn change_all(
        &self,
        actor: &Actor,
        changes: &[RecordChange],
        purpose: Purpose,
    ) -> Result<Changed, StoreError>;

    /// Replaces a record that has revision `expected`; returns the new revision. Errors:
    /// `Invalid`, `NotFound`, `Conflict`, `Duplicate`, `MissingReference`.
    fn replace(&self, actor: &Actor, record: &Record, expected: u64) -> Result<u64, StoreError>;

    /// Deletes a record; with `expected`, only that revision of it. Errors: `NotFound`,
    /// `Conflict`, `InUse`.
    fn remove(
        &self,
        actor: &Actor,
        kind: Kind,
        id: &str,
        expected: Option<u64>,
    ) -> Result<(), StoreError>;

    /// One record. Errors: `NotFound`.
    fn find(&self, kind: Kind, id: &str) -> Result<Stored<Record>, StoreError>;

    /// Records of a kind in the order of their identifiers, which is that of their making.
    fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<Stored<Record>>, StoreError>;

    /// The platform's settings; the defaults at revision 0 if they were never changed.
    fn settings(&self) -> Result<Stored<Settings>, StoreError>;

    /// Changes the settings that have revision `expected`; returns the new revision. Errors:
    /// `Invalid`, `Conflict`.
    fn set_settings(
        &self,
        actor: &Actor,
        settings: &Settings,
        expected: u64,
    ) -> Result<u64, StoreError>;

    /// Makes a token known by `hash` (of the caller's choice; it is compared as a whole).
    /// Errors: `Invalid`, `Duplicate`.
    fn create_token(&self, actor: &Actor, token: &ApiToken, hash: &str) -> Result<(), StoreError>;

    /// All tokens in the order of their making.
    fn tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// The token with this hash, expired or not.
    fn token_by_hash(&self, hash: &str) -> Result<Option<ApiToken>, StoreError>;

    /// Notes that a token was used. Neither audited nor counted as a change; unknown tokens
    /// are ignored.
    fn touch_token(&self, id: TokenId, at: Time) -> Result<(), StoreError>;

    /// Deletes a token. Errors: `NotFound`.
    fn delete_token(&self, actor: &Actor, id: TokenId) -> Result<(), StoreError>;

    /// Keeps a ticket, unless one with its space and key is still valid; whether it is kept. Tickets
    /// that have ended are forgotten. Neither audited nor counted as a change.
    fn add_ticket(&self, ticket: &Ticket, now: Time) -> Result<bool, StoreError>;

    /// A ticket that is still valid.
    fn ticket(&self, space: &str, key: &str, now: Time) -> Result<Option<Ticket>, StoreError>;

    /// All tickets of a space that are still valid, those that end first at the front.
    fn tickets(&self, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError>;

    /// Ends a ticket; whether there was one.
    fn remove_ticket(&self, space: &str, key: &str) -> Result<bool, StoreError>;

    /// The latest audit entries before a revision (`None`: from the newest), newest first.
    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// The platform's revision: grows with every change of a record or the settings.
    fn revision(&self) -> Result<u64, StoreError>;

    /// Everything a node needs, as of one moment.
    fn snapshot(&self) -> Result<Snapshot, StoreError>;
}

/// What becomes of good records beside bad ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// None is made.
    RefuseAll,
    /// They are made.
    Skip,
    /// None is made, even if all are good: a rehearsal.
    Rehearse,
}

/// What [`Records::insert_all`] has done.
#[derive(Debug)]
pub struct Inserted {
    /// The platform's revision afterwards.
    pub revision: u64,
    /// The bad ones by their place, in order.
    pub refused: Vec<(usize, StoreError)>,
}

/// One of several changes that are made together.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordChange {
    /// See [`Records::insert`].
    Insert(Record),
    /// See [`Records::replace`].
    Replace {
        /// As it becomes.
        record: Record,
        /// The revision that it must have; `None`: whichever.
        expected: Option<u64>,
    },
    /// See [`Records::remove`].
    Remove {
        /// What it is.
        kind: Kind,
        /// Which.
        id: String,
        /// The revision that it must have; `None`: whichever.
        expected: Option<u64>,
    },
}

/// What changes of many records are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They are to stay.
    Make,
    /// To see whether they could be made; none is.
    Check,
    /// To see what everything would be like; none is.
    Look,
}

/// What [`Records::change_all`] has done, or would do.
#[derive(Debug, Default)]
pub struct Changed {
    /// Of each change, as far as they could be made.
    pub made: Vec<Made>,
    /// The change that cannot be made, by its place; then none is.
    pub refused: Option<(usize, StoreError)>,
    /// Everything as it would be, for [`Purpose::Look`], if nothing is refused.
    pub snapshot: Option<Snapshot>,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The platform's revision that it has made.
    pub revision: u64,
    /// The record as it was, if there was one.
    pub before: Option<Record>,
}

impl dyn Records + '_ {
    /// Makes a record and returns it with its revision. Errors as [`Records::insert`].
    pub fn create<R: Resource>(&self, actor: &Actor, record: R) -> Result<Stored<R>, StoreError> {
        let revision = self.insert(actor, &record.clone().into())?;
        Ok(Stored { revision, record })
    }

    /// Replaces a record and returns it with its new revision. Errors as [`Records::replace`].
    pub fn update<R: Resource>(
        &self,
        actor: &Actor,
        record: R,
        expected: u64,
    ) -> Result<Stored<R>, StoreError> {
        let revision = self.replace(actor, &record.clone().into(), expected)?;
        Ok(Stored { revision, record })
    }

    /// Deletes a record. Errors as [`Records::remove`].
    pub fn delete<R: Resource>(
        &self,
        actor: &Actor,
        id: R::Id,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
        self.remove(actor, R::KIND, &id.to_string(), expected)
    }

    /// One record. Errors as [`Records::find`].
    pub fn read<R: Resource>(&self, id: R::Id) -> Result<Stored<R>, StoreError> {
        typed(self.find(R::KIND, &id.to_string())?)
    }

    /// One page of a kind. Errors as [`Records::scan`].
    pub fn list<R: Resource>(&self, page: &Page<'_>) -> Result<Vec<Stored<R>>, StoreError> {
        self.scan(R::KIND, page)?.into_iter().map(typed).collect()
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The platform's revision that last changed it (the ETag).
    pub revision: u64,
    /// The record.
    pub record: T,
}

/// Something that is kept for a while: a session, a one-time code that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What sort it is; keys are told apart within it.
    pub space: String,
    /// Which it is.
    pub key: String,
    /// It is forgotten then; microseconds since the Unix epoch.
    pub ends_us: u64,
    /// What it says, as its owner writes it.
    pub body: String,
}

/// Who makes a change, and when.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The name for the audit log (`token tok_01J… (ci)`, `command line`).
    pub name: String,
    /// The moment of the change.
    pub at: Time,
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Only records after this identifier; `None` starts at the first.
    pub after: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

fn typed<R: Resource>(stored: Stored<Record>) -> Result<Stored<R>, StoreError> {
    let found = stored.record.kind();
    let record = R::try_from(stored.record)
        .map_err(|_| StoreError::Corrupt(format!("a {found} where a {} was expected", R::KIND)))?;
    Ok(Stored {
        revision: stored.revision,
        record,
    })
}
