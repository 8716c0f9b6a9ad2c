//! What outlives a process: records, CDRs, live state and the CDR journal.
//!
//! Each but the last is a port (a trait): [`Records`] with [`Leases`], [`CdrStore`] and [`HistoryStore`] are filled by
//! [`Sqlite`] on one machine and by [`Postgres`] for several, [`LiveStore`] by [`LiveLog`], [`PermitStore`] and
//! [`LocationStore`], which nodes share, by Redis. The [`journal`] is no
//! port: it is a node's own directory, and what makes a call path safe that waits for no
//! database. Traced messages ([`TraceLog`]) are in a directory of the node's own, too.
//!
//! All calls may block. On the call path stand only [`journal::Journal::append`] and
//! [`journal::Journal::write`], [`LiveStore::save`], [`LiveStore::remove`] and
//! [`LiveStore::flush`].

mod calls;
mod cdrs;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod duties;
mod error;
mod frame;
mod history;
pub mod journal;
mod leases;
mod live;
mod locations;
mod moving;
mod permits;
mod postgres;
mod records;
mod redis;
mod sqlite;
mod tls;
mod traces;

pub use calls::{Change, Found, Kept, RedisCalls};
pub use cdrs::{CdrCursor, CdrFilter, CdrSearch, CdrStore, EXPORT_BATCH};
pub use duties::{Owned, RedisDuties};
pub use error::StoreError;
pub use history::{HistoryStore, Span};
pub use leases::{Lease, Leases};
pub use live::{BindingRecord, BindingState, LiveLog, LiveStore};
pub use locations::{
    ARRAY_NAME, ArrayHeard, ArrayLink, ArrayLocations, ArrayOptions, ArrayPeer, ArrayStatus,
    ArrayTold, ArrayWatch, Exchanged, HeardChange, KnownNode, Location, LocationChange,
    LocationEnd, LocationEndKind, LocationNode, LocationStore, MemoryLocations, RedisLocations,
    Rest,
};
pub use moving::{Moved, migrate};
pub use permits::{GRACE, Member, MemoryPermits, PermitStore, RedisPermits, Renewed};
pub use postgres::{Postgres, database_hosts};
pub use records::{
    Actor, Bad, Changed, Inserted, Kind, Made, Page, Purpose, Record, RecordChange, Records,
    Reference, Resource, Stored, Ticket, UniqueValue,
};
pub use redis::sentinels;
pub use sqlite::Sqlite;
pub use traces::{
    BadTraceId, TraceId, TraceLegs, TraceLimits, TraceLog, TraceOrder, TracePart, TracePlace,
    TraceQuery, TraceReader, TraceStats,
};
