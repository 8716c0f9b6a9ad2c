//! Where drafts are kept: in tickets of the store, so that all controls that share it have them.
//!
//! Each version is a ticket of its own, and whoever writes a version that is there already has lost
//! against somebody else.

use std::collections::BTreeMap;

use model::DraftId;
use store::{Records, Ticket};

use super::{ChangeSet, DRAFTS_MAX};
use crate::control::now;
use crate::{Problem, problem};

/// All drafts, those that were changed last at the front.
pub(crate) fn all(records: &dyn Records) -> Result<Vec<ChangeSet>, Problem> {
    let mut newest: BTreeMap<DraftId, ChangeSet> = BTreeMap::new();
    for ticket in records.tickets(SPACE, now())? {
        let Ok(set) = serde_json::from_str::<ChangeSet>(&ticket.body) else {
            tracing::warn!(key = ticket.key, "a draft is not understood");
            continue;
        };
        let known = newest.get(&set.id).map(|known| known.version);
        if known.is_none_or(|known| known < set.version) {
            newest.insert(set.id, set);
        }
    }
    let mut sets: Vec<ChangeSet> = newest.into_values().collect();
    sets.sort_by_key(|set| (std::cmp::Reverse(set.changed_us), set.id));
    Ok(sets)
}

/// One draft.
pub(crate) fn find(records: &dyn Records, id: DraftId) -> Result<ChangeSet, Problem> {
    let found = all(records)?.into_iter().find(|set| set.id == id);
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
    if ticket.body.len() > BYTES_MAX {
        let detail = "the draft is too large: apply it and begin another";
        return Err(Problem::new(&problem::TOO_LARGE, detail));
    }
    if !records.add_ticket(&ticket, at)? {
        let detail = "somebody else has changed the draft at the same moment: look at it again";
        return Err(Problem::new(&problem::IN_USE, detail));
    }
    if before > 0 {
        records.remove_ticket(SPACE, &key(set.id, before))?;
    }
    Ok(())
}

/// Forgets a draft.
pub(crate) fn remove(records: &dyn Records, id: DraftId) -> Result<(), Problem> {
    let set = find(records, id)?;
    // One version may have been left by who wrote the next.
    for version in [set.version.saturating_sub(1), set.version] {
        records.remove_ticket(SPACE, &key(id, version))?;
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
/// A draft at most.
const BYTES_MAX: usize = 4 * 1_024 * 1_024;
