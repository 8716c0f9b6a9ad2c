//! The hierarchy of calls-per-second and channel permits (DESIGN section 5).
//!
//! A call is admitted by all entities it concerns, or by none: the server, the account, the
//! customer or user, the number; and, for each attempt to send it out, the carrier and the
//! gateway. A limit of 10 calls per second means that no window of one second, wherever it is
//! laid, holds more than 10 new calls; up to 10 may come at once. Below the limit nothing is
//! refused, above it exactly the limit is accepted.
//!
//! What a node may use of a limit that a whole cluster shares is told by a [`Slice`]; without
//! one the whole limit is the node's. [`Shares`] claims and applies them.

mod counter;
mod entity;
mod limit;
mod limits;
mod peaks;
mod shares;
mod window;

pub use entity::{EntityId, EntityKind};
pub use limit::{Limit, Slice};
pub use limits::{ENTITIES_MAX, LimitKind, Limits, Misuse, Refused, Usage};
pub use peaks::PEAK_WINDOW_S;
pub use shares::{Claim, Grant, LEASE, NodeShare, Pool, Shares};
