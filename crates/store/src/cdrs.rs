//! The port for call detail records.

mod select;

use core::fmt;
use core::ops::ControlFlow;
use core::str::FromStr;
use core::time::Duration;

use model::{AccountId, CallId, CarrierId, Cdr, CdrOutcome, CustomerId, IdError, UserId};

pub(crate) use self::select::{Bound, Place, Select, Span, signed, text, until, word};
use crate::StoreError;

/// A store of CDRs.
///
/// Errors: [`StoreError::Unavailable`], [`StoreError::Corrupt`].
pub trait CdrStore: Send + Sync {
    /// Stores records, all or none, durably before it returns; those of calls that are stored
    /// already are passed over, unless what is stored is but a guess of the node whose crash the call
    /// has outlived, or was written by one that went on with an answered call which had ended before: it
    /// had not heard of the end. Returns how many were new.
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError>;

    /// At most `limit` records that match, newest first by end and call, those after the
    /// cursor only: what is found in about the time of `patience`. Where that was too short, the
    /// search is over before it found `limit` or came to the oldest record, and says where to go
    /// on; however short, it comes further each time.
    fn search(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<CdrSearch, StoreError>;

    /// The same, however long it takes. Others have their turn in between.
    fn list(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Vec<Cdr>, StoreError> {
        let (mut found, mut after) = (Vec::new(), after);
        loop {
            let part = self.search(filter, after, limit - found.len(), TURN)?;
            found.extend(part.found);
            if part.go_on.is_none() {
                return Ok(found);
            }
            after = part.go_on;
        }
    }

    /// The record of a call.
    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError>;

    /// Deletes at most `limit` records of calls that ended before then, the oldest first; how many
    /// it were.
    fn remove_before(&self, end_us: u64, limit: usize) -> Result<usize, StoreError>;

    /// Hands all records that match to `each`, newest first, in batches of at most
    /// [`EXPORT_BATCH`], until it breaks; in an empty batch now and then while there is nothing
    /// found. Records that are stored meanwhile may be missing.
    fn export(
        &self,
        filter: &CdrFilter,
        each: &mut dyn FnMut(Vec<Cdr>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let part = self.search(filter, after, EXPORT_BATCH, TURN)?;
            let is_full = part.found.len() == EXPORT_BATCH;
            let last = part.found.last().map(CdrCursor::of);
            after = part.go_on.or(last.filter(|_| is_full));
            if each(part.found).is_break() || after.is_none() {
                return Ok(());
            }
        }
    }
}

/// What a search has found in its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CdrSearch {
    /// Records that match, newest first.
    pub found: Vec<Cdr>,
    /// Where the search was when its time was over: all that is newer has been looked at. Empty if
    /// it found as many as were wanted, or looked at everything.
    pub go_on: Option<CdrCursor>,
}

impl CdrSearch {
    /// A search that its time was enough for.
    pub(crate) const fn complete(found: Vec<Cdr>) -> Self {
        Self { found, go_on: None }
    }
}

/// Which records are wanted: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdrFilter {
    /// Who pays.
    pub account: Option<AccountId>,
    /// The customer who sent the call.
    pub customer: Option<CustomerId>,
    /// The carrier it went to, or came from.
    pub carrier: Option<CarrierId>,
    /// The user who called or was called.
    pub user: Option<UserId>,
    /// The caller, exactly.
    pub caller: Option<String>,
    /// The called party, exactly.
    pub called: Option<String>,
    /// How the call ended.
    pub outcome: Option<CdrOutcome>,
    /// Ended then or later; microseconds since the Unix epoch.
    pub from_us: Option<u64>,
    /// Ended before; microseconds since the Unix epoch.
    pub to_us: Option<u64>,
}

/// Where a list goes on: after this record. Its text is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CdrCursor {
    /// When the record's call ended; microseconds since the Unix epoch.
    pub end_us: u64,
    /// The record's call.
    pub call: CallId,
}

impl CdrCursor {
    /// The place of a record.
    #[must_use]
    pub const fn of(cdr: &Cdr) -> Self {
        Self {
            end_us: cdr.end_us,
            call: cdr.call,
        }
    }

    /// Goes on with the record at this place.
    pub(crate) fn at((end_us, call): &Place) -> Result<Self, StoreError> {
        let call: CallId = call
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("{call} is no call")))?;
        Ok(Self {
            end_us: u64::try_from(*end_us).unwrap_or(0),
            call: CallId::from_bits(call.bits().saturating_add(1)),
        })
    }
}

impl fmt::Display for CdrCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.end_us, self.call)
    }
}

impl FromStr for CdrCursor {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let (end_us, call) = s.split_once('.').ok_or(IdError::Malformed)?;
        let end_us = end_us.parse().map_err(|_| IdError::Malformed)?;
        Ok(Self {
            end_us,
            call: call.parse()?,
        })
    }
}

/// How many records an export holds in memory at once.
pub const EXPORT_BATCH: usize = 500;
/// How long those who have time keep the store from others who look for CDRs.
const TURN: Duration = Duration::from_millis(50);
/// What stands in the body of a record that was closed by a node that was started again and could not
/// know whether the call had outlived it.
pub(crate) const GUESSED: &str = "\"reason\":\"node restarted\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::samples;
    use crate::journal::RESTART_REASON;

    #[test]
    fn a_guess_is_known_by_its_reason() {
        let mut cdr = samples::cdr(1);
        let body = |cdr: &Cdr| serde_json::to_string(cdr).unwrap();
        assert!(!body(&cdr).contains(GUESSED));
        cdr.caller = GUESSED.into();
        assert!(!body(&cdr).contains(GUESSED), "a peer may say so");
        cdr.reason = RESTART_REASON.into();
        assert!(body(&cdr).contains(GUESSED));
    }
}
