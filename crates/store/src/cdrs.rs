//! The port for call detail records.

mod select;

use core::fmt;
use core::ops::ControlFlow;
use core::str::FromStr;

use model::{AccountId, CallId, CarrierId, Cdr, CdrOutcome, CustomerId, IdError, UserId};

pub(crate) use self::select::{Bound, Place, Select, Span, signed, text, word};
use crate::StoreError;

/// A store of CDRs.
///
/// Errors: [`StoreError::Unavailable`], [`StoreError::Corrupt`].
pub trait CdrStore: Send + Sync {
    /// Stores records, all or none, durably before it returns; those of calls that are stored
    /// already are passed over, unless what is stored is but a guess of the node whose crash the call
    /// has outlived. Returns how many were new.
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError>;

    /// At most `limit` records that match, newest first by end and call, those after the
    /// cursor only.
    fn list(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Vec<Cdr>, StoreError>;

    /// The record of a call.
    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError>;

    /// Deletes at most `limit` records of calls that ended before then, the oldest first; how many
    /// it were.
    fn remove_before(&self, end_us: u64, limit: usize) -> Result<usize, StoreError>;

    /// Hands all records that match to `each`, newest first, in batches of at most
    /// [`EXPORT_BATCH`], until it breaks. Records that are stored meanwhile may be missing.
    fn export(
        &self,
        filter: &CdrFilter,
        each: &mut dyn FnMut(Vec<Cdr>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let batch = self.list(filter, after, EXPORT_BATCH)?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = Some(CdrCursor::of(last));
            let complete = batch.len() < EXPORT_BATCH;
            if each(batch).is_break() || complete {
                return Ok(());
            }
        }
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
