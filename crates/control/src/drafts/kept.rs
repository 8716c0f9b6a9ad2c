//! Where drafts are kept: in tickets of the store, so that all controls that share it have them.
//!
//! Each version is a ticket of its own, which is taken away by who writes the next one: whoever finds it gone, or
//! the next one there, has lost against somebody else.

use std::collections::BTreeMap;

use model::DraftId;
use store::{Records, Ticket};

use super::{ChangeSet, DRAFTS_MAX, State};
use crate::control::now;
use crate::{Problem, problem};

/// All drafts, those that were changed last at the front.
pub(crate) fn all(records: &dyn Records) -> Result<Vec<ChangeSet>, Problem> {
    let mut sets = read(records, "")?;
    sets.sort_by_key(|set| (std::cmp::Reverse(set.changed_us), set.id));
    Ok(sets)
}

/// The newest versions of drafts whose keys begin so.
fn read(records: &dyn Records, prefix: &str) -> Result<Vec<ChangeSet>, Problem> {
    let mut newest: BTreeMap<DraftId, ChangeSet> = BTreeMap::new();
    let tickets = records.tickets(SPACE, now())?;
    for ticket in tickets
        .into_iter()
        .filter(|ticket| ticket.key.starts_with(prefix))
    {
        let Ok(set) = serde_json::from_str::<ChangeSet>(&ticket.body) else {
            tracing::warn!(key = ticket.key, "a draft is not understood");
            continue;
        };
        let known = newest.get(&set.id).map(|known| known.version);
        if known.is_none_or(|known| known < set.version) {
            newest.insert(set.id, set);
        }
    }
    Ok(newest.into_values().collect())
}

/// One draft.
pub(crate) fn find(records: &dyn Records, id: DraftId) -> Result<ChangeSet, Problem> {
    let found = read(records, &format!("{id}/"))?.pop();
    found.ok_or_else(|| Problem::not_found(format!("there is no draft {id}")))
}

/// Writes the next version of a draft, or the first.
pub(crate) fn write(records: &dyn Records, set: &mut ChangeSet) -> Result<(), Problem> {
    let before = set.version;
    if before == 0 && all(records)?.len() >= DRAFTS_MAX {
        let detail = format!("there are {DRAFTS_MAX} drafts: delete those of before");
        return Err(Problem::new(&problem::IN_USE, detail));
    }
    let at = now();
    set.version += 1;
    set.changed_us = at.as_micros();
    let body = serde_json::to_string(&set);
    let ticket = Ticket {
        space: SPACE.to_owned(),
        key: key(set.id, set.version),
        ends_us: set.changed_us + KEPT_US,
        body: body.map_err(|error| Problem::unavailable(error.to_string()))?,
    };
    // Applying it keeps all of it a second time, which must not be what it fails at.
    if set.state == State::Open && ticket.body.len() > BYTES_MAX {
        let detail = "the draft is too large: apply it and begin another";
        return Err(Problem::new(&problem::TOO_LARGE, detail));
    }
    let changed_elsewhere = || {
        let detail = "somebody else has changed the draft at the same moment: look at it again";
        Problem::new(&problem::IN_USE, detail)
    };
    if !records.add_ticket(&ticket, at)? {
        return Err(changed_elsewhere());
    }
    // Whoever takes the version away that it was made from is the next; there is one.
    if before > 0 && !records.remove_ticket(SPACE, &key(set.id, before))? {
        records.remove_ticket(SPACE, &ticket.key)?;
        return Err(changed_elsewhere());
    }
    Ok(())
}

/// Forgets a draft.
pub(crate) fn remove(records: &dyn Records, id: DraftId) -> Result<(), Problem> {
    find(records, id)?;
    let own = format!("{id}/");
    for ticket in records.tickets(SPACE, now())? {
        if ticket.key.starts_with(&own) {
            records.remove_ticket(SPACE, &ticket.key)?;
        }
    }
    Ok(())
}

fn key(id: DraftId, version: u64) -> String {
    format!("{id}/{version}")
}

/// The space of their tickets.
const SPACE: &str = "draft";
/// A draft that nobody changes for so long is forgotten, and one that was applied can be taken back
/// for so long: 90 days, in microseconds.
const KEPT_US: u64 = 90 * 86_400 * 1_000_000;
/// An open draft at most.
const BYTES_MAX: usize = 2 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use store::Sqlite;

    use super::*;

    #[test]
    fn who_writes_what_is_old_is_told_however_far_others_are() {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("tandem.db")).unwrap();
        let records: &dyn Records = &store;
        let mut set = ChangeSet {
            id: DraftId::from_parts(1, 1),
            name: "spring".into(),
            by: "somebody".into(),
            created_us: 1,
            changed_us: 1,
            version: 0,
            state: State::Open,
            changes: Vec::new(),
        };
        write(records, &mut set).unwrap();
        for steps in 1..4 {
            let mut old = find(records, set.id).unwrap();
            for _ in 0..steps {
                write(records, &mut set).unwrap();
            }
            old.name = "autumn".into();
            assert!(write(records, &mut old).is_err(), "{steps} steps behind");
            let kept = find(records, set.id).unwrap();
            assert_eq!((kept.name.as_str(), kept.version), ("spring", set.version));
        }
        let mut late = find(records, set.id).unwrap();
        remove(records, set.id).unwrap();
        assert!(write(records, &mut late).is_err(), "it was forgotten");
        assert!(all(records).unwrap().is_empty());
    }
}
