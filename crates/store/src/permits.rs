//! The port for limits that nodes keep together, and for who these nodes are.
//!
//! The store's promise: [`PermitStore::renew`] adds to a node's share of a pool only what no other
//! member holds. What a node says it holds, it has, even where that is more than the limit: the
//! node may be using it. So a store that has lost what it knew is told again by those who hold it,
//! and grants nothing new until they had the time to ([`GRACE`]).

mod memory;
mod redis;

pub use cluster::{GRACE, Member, Renewed};
use limits::Claim;

pub use self::memory::MemoryPermits;
pub use self::redis::RedisPermits;
use crate::StoreError;

/// A store of permits, as one node of a cluster uses it. Calls may block for a second or two;
/// nothing on the call path does.
pub trait PermitStore: Send {
    /// Tells what the node holds and wants, and that it is alive; the first time it makes the node a
    /// member. Claims may be given again at any time. Errors: `Unavailable`; then they may have
    /// taken effect or not.
    fn renew(&mut self, claims: &[Claim]) -> Result<Renewed, StoreError>;

    /// Takes a member out that is dead: what it held is free. It can never come back; false if it
    /// has gone already, or has been heard since. Whoever calls this knows that the member admits no
    /// call any more.
    fn bury(&mut self, dead: &Member) -> Result<bool, StoreError>;

    /// Takes this node out: it admits no call any more.
    fn leave(&mut self) -> Result<(), StoreError>;
}
