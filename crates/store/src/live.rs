//! The port for live state: the registrar's bindings, which survive a restart.

mod log;

pub use self::log::LiveLog;
use crate::StoreError;

/// A store of bindings, owned by one thread. Saving and removing never block; they are gathered
/// and go out at a flush.
pub trait LiveStore: Send {
    /// Whether it can gather more now. While it cannot, because the store is slow or refuses, the
    /// owner keeps to itself what has changed, and saves only the newest state of it later: so
    /// what waits in memory is bounded.
    fn has_room(&self) -> bool;

    /// Notes the newest state of a binding.
    fn save(&mut self, record: BindingState<'_>);

    /// Notes that a binding is gone; unknown ones are ignored.
    fn remove(&mut self, aor: &str, key: &[u8]);

    /// Hands what was noted to the store. Called a few times a second; does not wait until it
    /// is stored. Errors: what an earlier flush ran into (its bindings are kept and go out
    /// again).
    fn flush(&mut self) -> Result<(), StoreError>;

    /// Flushes and waits until all is stored.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// All bindings that are stored, in no order, those expired at `now_us` left out. Called at
    /// start, before anything is saved.
    fn load_all(&mut self, now_us: u64) -> Result<Vec<BindingRecord>, StoreError>;
}

/// One binding as its owner hands it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingState<'a> {
    /// The address of record, `name@domain`.
    pub aor: &'a str,
    /// Which binding of that address it is.
    pub key: &'a [u8],
    /// When it expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// What the registrar wrote.
    pub body: &'a [u8],
}

/// One binding as it comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRecord {
    /// The address of record, `name@domain`.
    pub aor: String,
    /// Which binding of that address it is.
    pub key: Vec<u8>,
    /// When it expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// What the registrar wrote.
    pub body: Vec<u8>,
}

impl<'a> From<&'a BindingRecord> for BindingState<'a> {
    fn from(record: &'a BindingRecord) -> Self {
        Self {
            aor: &record.aor,
            key: &record.key,
            expires_us: record.expires_us,
            body: &record.body,
        }
    }
}
