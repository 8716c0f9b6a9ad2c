//! Duties that one of several controls does at a time.
//!
//! A lease is a row with an end, by the clock of the database: neither the clocks of two controls are
//! compared nor their connections. Its fence grows with each change of hands, so that what somebody
//! writes who has lost it without noticing is refused.

use core::time::Duration;

use crate::StoreError;

/// Who does what, as one store of several controls says.
///
/// Errors not named at a method: [`StoreError::Unavailable`], [`StoreError::Corrupt`].
pub trait Leases: Send + Sync {
    /// Takes a duty that nobody has, or renews it where `owner` has it: for `term` from now on. The
    /// fence; `None`: somebody else has it. May be repeated.
    fn hold_lease(
        &self,
        duty: &str,
        owner: &str,
        term: Duration,
    ) -> Result<Option<u64>, StoreError>;

    /// Gives a duty back that `owner` has; of no effect otherwise.
    fn release_lease(&self, duty: &str, owner: &str) -> Result<(), StoreError>;

    /// All duties that anybody has, by their names.
    fn leases(&self) -> Result<Vec<Lease>, StoreError>;

    /// Leaves a note for whoever has the duty next, in the place of the one before; false, and
    /// nothing is written, unless `fence` is that of the lease and it has not ended. May be repeated.
    fn leave_note(&self, duty: &str, fence: u64, note: &str) -> Result<bool, StoreError>;

    /// What was left last for whoever has a duty.
    fn note(&self, duty: &str) -> Result<Option<String>, StoreError>;
}

/// A duty that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which.
    pub duty: String,
    /// Who has it.
    pub owner: String,
    /// How often it has changed hands.
    pub fence: u64,
    /// It ends then if it is not renewed.
    pub left: Duration,
}
