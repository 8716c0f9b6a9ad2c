//! An installation moves from SQLite to PostgreSQL.
//!
//! Records, settings, tokens and the audit log go in one transaction: all of them are there
//! afterwards, with their revisions, or none. CDRs and history follow in batches, each of which may
//! come twice.
//! So a move that was cut off is simply begun again.

use crate::{
    CdrCursor, CdrFilter, CdrStore, EXPORT_BATCH, HistoryStore, Postgres, Span, Sqlite, StoreError,
};

/// What is in the new store, counted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Records of all kinds.
    pub records: u64,
    /// API tokens.
    pub tokens: u64,
    /// Entries of the audit log.
    pub audit: u64,
    /// Call detail records of the old store.
    pub cdrs: u64,
}

/// Moves everything that `from` holds into `to`, which is empty or has been moved into from there
/// before. `told` is given the number of CDRs so far, now and then. `from` stays as it is; nothing
/// may change it meanwhile.
///
/// Errors: `Misconfigured` if `to` holds another installation; `Corrupt` if something has not
/// arrived; `Unavailable`.
pub fn migrate(
    from: &Sqlite,
    to: &Postgres,
    told: &mut dyn FnMut(u64),
) -> Result<Moved, StoreError> {
    let dump = from.dump()?;
    to.load(&dump)?;
    let counts = to.counts()?;
    let expected = [dump.records.len(), dump.tokens.len(), dump.audit.len()];
    arrived("records", expected[0] as u64, counts[0])?;
    arrived("tokens", expected[1] as u64, counts[1])?;
    arrived("audit entries", expected[2] as u64, counts[2])?;
    let cdrs = copy_cdrs(from, to, told)?;
    arrived("CDRs", from.count_cdrs()?, cdrs)?;
    copy_history(from, to)?;
    Ok(Moved {
        records: counts[0],
        tokens: counts[1],
        audit: counts[2],
        cdrs,
    })
}

/// How many of the old store's CDRs the new one has, counted there after each batch.
fn copy_cdrs(from: &Sqlite, to: &Postgres, told: &mut dyn FnMut(u64)) -> Result<u64, StoreError> {
    let (mut after, mut there) = (None, 0);
    loop {
        let batch = from.list(&CdrFilter::default(), after, EXPORT_BATCH)?;
        let Some(last) = batch.last() else {
            return Ok(there);
        };
        after = Some(CdrCursor::of(last));
        to.insert_batch(&batch)?;
        there += to.count_of(&batch)?;
        told(there);
    }
}

/// What servers have done so far.
fn copy_history(from: &Sqlite, to: &Postgres) -> Result<(), StoreError> {
    let whole = Span {
        to_us: u64::MAX,
        ..Span::default()
    };
    let mut after = None;
    loop {
        let page = from.samples(&whole, after, EXPORT_BATCH)?;
        let Some((server, last)) = page.last() else {
            return Ok(());
        };
        after = Some((last.at_us, *server));
        for (server, sample) in &page {
            to.keep_samples(*server, std::slice::from_ref(sample))?;
        }
    }
}

fn arrived(what: &str, expected: u64, found: u64) -> Result<(), StoreError> {
    if expected == found {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "{found} {what} are in the new store, {expected} in the old one"
    )))
}

/// All but the CDRs of a store.
#[derive(Debug)]
pub(crate) struct Dump {
    /// The platform's revision.
    pub(crate) revision: i64,
    /// In an order in which each names only those before it.
    pub(crate) records: Vec<RecordRow>,
    /// Revision and body, if they were ever changed.
    pub(crate) settings: Option<(i64, String)>,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) audit: Vec<AuditRow>,
}

/// A record as it is kept.
#[derive(Debug)]
pub(crate) struct RecordRow {
    pub(crate) id: String,
    pub(crate) kind: crate::Kind,
    pub(crate) revision: i64,
    pub(crate) body: String,
}

/// A token as it is kept.
#[derive(Debug)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) hash: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) created_us: i64,
    pub(crate) last_used_us: Option<i64>,
    pub(crate) expires_us: Option<i64>,
    pub(crate) account: Option<String>,
    pub(crate) scopes: String,
}

/// An entry of the audit log as it is kept.
#[derive(Debug)]
pub(crate) struct AuditRow {
    pub(crate) revision: i64,
    pub(crate) at_us: i64,
    pub(crate) actor: String,
    pub(crate) kind: String,
    pub(crate) record: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}
