//! What outlives a process: records, CDRs, live state.

mod cdrs;
mod error;
mod frame;
pub mod journal;
mod live;
mod records;
mod sqlite;

pub use cdrs::{CdrCursor, CdrFilter, CdrStore, EXPORT_BATCH};
pub use error::StoreError;
pub use live::{BindingRecord, LiveStore};
pub use records::{Actor, Kind, Page, Record, Records, Reference, Resource, Stored, UniqueValue};
pub use sqlite::Sqlite;
