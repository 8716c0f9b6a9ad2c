//! Drafts: changes of records that are prepared, looked at and then made together, or not at all.
//!
//! A request for a record that names a draft (`Tandem-Draft: dft_...`) sees the records as they would be
//! with it, and what it changes is added to it ([`Place`]). The store tries all changes of a draft each
//! time one is added, so that a draft can be applied as long as nobody changes the same records meanwhile.
//! What applying it has replaced is kept with it, and can be put back.

mod kept;
mod overlay;
mod place;
mod replay;
mod view;

use std::time::Duration;

use model::DraftId;
use serde::{Deserialize, Serialize};
use store::{Actor, Changed, Kind, Purpose, Record, RecordChange, Records, StoreError};

pub(crate) use self::kept::{all, find, remove, write};
pub(crate) use self::overlay::Overlay;
pub(crate) use self::place::{HEADER, Place, refuse_elsewhere};
pub(crate) use self::replay::{ReplayView, ReplayWish, replay};
pub(crate) use self::view::{DraftDetail, DraftView, noun_of};
use crate::control::{Caller, now};
use crate::{Problem, access, problem};

/// A draft as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangeSet {
    pub(crate) id: DraftId,
    /// What people call it.
    pub(crate) name: String,
    /// Who began it.
    pub(crate) by: String,
    pub(crate) created_us: u64,
    pub(crate) changed_us: u64,
    /// Grows with each change of it.
    pub(crate) version: u64,
    pub(crate) state: State,
    pub(crate) changes: Vec<Staged>,
}

/// Whether a draft has been applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Not yet.
    Open,
    /// Its changes are being made; control ended meanwhile if that does not end.
    Applying,
    /// It is in force.
    Applied(Applied),
    /// It was, and what was before has been put back.
    RolledBack(Ended),
}

/// A draft in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) ended: Ended,
    /// What puts everything back, in this order.
    pub(crate) back: Vec<Staged>,
}

/// Who did it, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) by: String,
    pub(crate) at_us: u64,
}

/// One change of a draft, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// What is changed, as the audit log calls it.
    kind: String,
    /// Which record.
    pub(crate) record: String,
    /// As it was when the change was added; `None`: it is made.
    pub(crate) before: Option<serde_json::Value>,
    /// As it becomes; `None`: it is deleted.
    pub(crate) after: Option<serde_json::Value>,
    /// The revision that it must still have; `None`: an earlier change of the draft has made it what it is.
    expected: Option<u64>,
    /// The version of the draft with which it came.
    pub(crate) since: u64,
}

impl Staged {
    pub(crate) fn new(
        change: &RecordChange,
        before: Option<&Record>,
        since: u64,
    ) -> Result<Self, StoreError> {
        let (kind, record, after, expected) = match change {
            RecordChange::Insert(record) => (record.kind(), record.id(), Some(record), None),
            RecordChange::Replace { record, expected } => {
                (record.kind(), record.id(), Some(record), *expected)
            }
            RecordChange::Remove { kind, id, expected } => (*kind, id.clone(), None, *expected),
        };
        Ok(Self {
            kind: kind.as_str().to_owned(),
            record,
            before: before.map(Record::to_json).transpose()?,
            after: after.map(Record::to_json).transpose()?,
            expected,
            since,
        })
    }

    pub(crate) fn kind(&self) -> Result<Kind, StoreError> {
        let known = Kind::RECORDS
            .into_iter()
            .find(|kind| kind.as_str() == self.kind);
        known.ok_or_else(|| StoreError::Corrupt(format!("a draft changes a {}", self.kind)))
    }

    /// The record as it becomes.
    pub(crate) fn record(&self) -> Result<Option<Record>, StoreError> {
        let after = self.after.as_ref();
        after
            .map(|body| Record::from_json(self.kind()?, &body.to_string()))
            .transpose()
    }

    pub(crate) fn change(&self) -> Result<RecordChange, StoreError> {
        Ok(match self.record()? {
            Some(record) if self.before.is_none() => RecordChange::Insert(record),
            Some(record) => RecordChange::Replace {
                record,
                expected: self.expected,
            },
            None => RecordChange::Remove {
                kind: self.kind()?,
                id: self.record.clone(),
                expected: self.expected,
            },
        })
    }
}

impl ChangeSet {
    /// Refuses to change what has been applied.
    pub(crate) fn still_open(&self) -> Result<(), Problem> {
        let detail = match self.state {
            State::Open => return Ok(()),
            State::Applying => format!("the draft {} is being applied", self.name),
            State::Applied(_) | State::RolledBack(_) => {
                format!("the draft {} has been applied: begin another", self.name)
            }
        };
        Err(Problem::new(&problem::IN_USE, detail))
    }

    /// Refuses to apply again what somebody may still be applying.
    fn given_up(&self) -> Result<(), Problem> {
        let since = Duration::from_micros(now().as_micros().saturating_sub(self.changed_us));
        if since >= APPLYING_MAX {
            return Ok(());
        }
        let detail = format!("the draft {} is being applied", self.name);
        Err(Problem::new(&problem::IN_PROGRESS, detail))
    }

    /// Has the store make all changes, or try them.
    pub(crate) fn run(
        &self,
        records: &dyn Records,
        actor: &Actor,
        purpose: Purpose,
    ) -> Result<Changed, StoreError> {
        run(&self.changes, records, actor, purpose)
    }

    /// Applies it. The platform's new revision.
    pub(crate) fn apply(&mut self, records: &dyn Records, caller: &Caller) -> Result<u64, Problem> {
        if self.state == State::Applying {
            self.given_up()?;
        } else {
            self.still_open()?;
        }
        if self.changes.is_empty() {
            let detail = format!("nothing is changed in the draft {}", self.name);
            return Err(Problem::new(&problem::IN_USE, detail));
        }
        self.may_make(caller)?;
        let actor = self.actor(caller);
        // From here on nobody adds to it.
        let was_open = self.state == State::Open;
        self.state = State::Applying;
        write(records, self)?;
        let changed = self.run(records, &actor, Purpose::Make)?;
        if let Some(refused) = changed.refused {
            // What another control has left half done may be in force: it is not to be added to.
            if was_open {
                self.state = State::Open;
                write(records, self)?;
            }
            return Err(refusal(&self.changes, refused));
        }
        let mut back = Vec::new();
        let made = self.changes.iter().zip(&changed.made);
        for (staged, made) in made.rev() {
            let is_last = !back
                .iter()
                .any(|later: &Staged| later.record == staged.record);
            back.push(Staged {
                kind: staged.kind.clone(),
                record: staged.record.clone(),
                before: staged.after.clone(),
                after: made.before.as_ref().map(Record::to_json).transpose()?,
                expected: is_last.then_some(made.revision),
                since: self.version,
            });
        }
        let ended = Ended {
            by: caller.name().to_owned(),
            at_us: actor.at.as_micros(),
        };
        self.state = State::Applied(Applied { ended, back });
        Ok(changed.made.last().map_or(0, |made| made.revision))
    }

    /// Puts back what applying it has replaced. The platform's new revision.
    pub(crate) fn roll_back(
        &mut self,
        records: &dyn Records,
        caller: &Caller,
    ) -> Result<u64, Problem> {
        let State::Applied(applied) = &self.state else {
            let detail = format!("the draft {} is not in force", self.name);
            return Err(Problem::new(&problem::NOT_REVERTIBLE, detail));
        };
        self.may_make(caller)?;
        let actor = self.actor(caller);
        let changed = run(&applied.back, records, &actor, Purpose::Make)?;
        if let Some(refused) = changed.refused {
            return Err(refusal(&applied.back, refused));
        }
        self.state = State::RolledBack(Ended {
            by: caller.name().to_owned(),
            at_us: actor.at.as_micros(),
        });
        Ok(changed.made.last().map_or(0, |made| made.revision))
    }

    /// Refuses those who could not make the same changes one by one.
    fn may_make(&self, caller: &Caller) -> Result<(), Problem> {
        for staged in &self.changes {
            let path = format!("/v1/{}/{}", noun_of(staged.kind()?), staged.record);
            access::check(caller, &axum::http::Method::PUT, &path)?;
        }
        Ok(())
    }

    /// Refuses those who could not see the same records one by one.
    pub(crate) fn may_be_seen(&self, caller: &Caller) -> Result<(), Problem> {
        for staged in &self.changes {
            let path = format!("/v1/{}/{}", noun_of(staged.kind()?), staged.record);
            access::check(caller, &axum::http::Method::GET, &path)?;
        }
        Ok(())
    }

    /// Who makes its changes, for the audit log.
    fn actor(&self, caller: &Caller) -> Actor {
        let actor = caller.actor();
        Actor {
            name: format!("{} by the draft {}", actor.name, self.name),
            ..actor
        }
    }
}

fn run(
    changes: &[Staged],
    records: &dyn Records,
    actor: &Actor,
    purpose: Purpose,
) -> Result<Changed, StoreError> {
    let changes: Result<Vec<RecordChange>, StoreError> =
        changes.iter().map(Staged::change).collect();
    records.change_all(actor, &changes?, purpose)
}

/// Why changes cannot be made, with the record that is in the way.
pub(crate) fn refusal(changes: &[Staged], (place, error): (usize, StoreError)) -> Problem {
    let what = changes.get(place).map_or_else(String::new, |staged| {
        format!("{} {} ({}): ", staged.kind, staged.label(), staged.record)
    });
    let why = match error {
        StoreError::Conflict { .. } => "it has been changed meanwhile".to_owned(),
        other => other.to_string(),
    };
    Problem::new(&problem::STALE_DRAFT, format!("{what}{why}"))
}

/// Whoever applies a draft has done it by then, or has died.
const APPLYING_MAX: Duration = Duration::from_secs(120);
/// Changes of one draft at most.
pub(crate) const CHANGES_MAX: usize = 1_000;
/// Drafts at most, with those that have been applied.
pub(crate) const DRAFTS_MAX: usize = 100;
/// Characters of a draft's name at most.
pub(crate) const NAME_MAX: usize = 64;
