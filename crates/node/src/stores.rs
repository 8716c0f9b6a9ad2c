//! Where records and CDRs are: in a file of the data directory, or in a PostgreSQL database that
//! several nodes share.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clock::Time;
use model::Snapshot;
use serde::{Deserialize, Serialize};
pub use store::Moved;
use store::journal::{Journal, JournalConfig};
use store::{CdrStore, HistoryStore, Postgres, Records, Sqlite, StoreError};

use crate::data::Data;
use crate::first_start::{self, FirstUsers};
use crate::joined::Joined;
use crate::snapshot_file::SnapshotFile;

/// The stores of a node.
pub(crate) struct Stores {
    pub(crate) records: Arc<dyn Records>,
    pub(crate) cdrs: Arc<dyn CdrStore>,
    /// What this node has done, and those that report to it.
    pub(crate) history: Arc<dyn HistoryStore>,
    /// Whether others may change the records.
    pub(crate) shared: bool,
    /// Present where the records may be away at a start.
    pub(crate) snapshot_file: Option<SnapshotFile>,
    /// Present where the records come from control.
    pub(crate) joined: Option<Joined>,
}

/// What a node begins with.
pub(crate) struct Start {
    pub(crate) snapshot: Snapshot,
    pub(crate) users: FirstUsers,
}

impl Stores {
    /// Opens the database at `url`, or the file of the data directory.
    pub(crate) fn open(data: &Data, url: Option<&str>) -> Result<Self> {
        let Some(url) = url else {
            return Self::embedded(data);
        };
        let postgres = Arc::new(Postgres::at(url).context("--store")?);
        tracing::info!(database = postgres.place(), "records are in PostgreSQL");
        Ok(Self {
            records: postgres.clone(),
            cdrs: postgres.clone(),
            history: postgres,
            shared: true,
            snapshot_file: Some(SnapshotFile::start(data)?),
            joined: None,
        })
    }

    /// The stores of a node that has joined a platform. Errors: it is told of a database, too.
    pub(crate) fn joined(data: &Data, joined: Joined, url: Option<&str>) -> Result<Self> {
        if url.is_some() {
            bail!("--store: this node has joined a platform, and has its records of control");
        }
        Ok(Self {
            records: joined.records(),
            cdrs: joined.cdrs(),
            history: joined.history(),
            shared: false,
            snapshot_file: Some(SnapshotFile::start(data)?),
            joined: Some(joined),
        })
    }

    fn embedded(data: &Data) -> Result<Self> {
        if let Some(note) = data.read::<Note>(MOVED) {
            bail!(
                "the records of this platform were moved to {}: start it with --store, or delete \
                 {} to go back to the records as they were then",
                note.place,
                data.path(MOVED).display()
            );
        }
        let sqlite = Arc::new(Sqlite::open(&data.path(FILE)).context(FILE)?);
        Ok(Self {
            records: sqlite.clone(),
            cdrs: sqlite.clone(),
            history: sqlite,
            shared: false,
            snapshot_file: None,
            joined: None,
        })
    }

    /// Makes what a new platform needs, and reads what a node works with. If the store is away, that
    /// is what it worked with last.
    pub(crate) fn begin(&self, data: &Data, domain: Option<&str>, now: Time) -> Result<Start> {
        if self.joined.is_some() {
            return Ok(Start {
                snapshot: self.records.snapshot()?,
                users: FirstUsers::default(),
            });
        }
        let begin = || -> Result<Start> {
            let users = first_start::prepare(data, &self.records, domain, now)?;
            let snapshot = self.records.snapshot()?;
            Ok(Start { snapshot, users })
        };
        let error = match begin() {
            Ok(start) => {
                if let Some(file) = &self.snapshot_file {
                    file.write(Arc::new(start.snapshot.clone()));
                }
                return Ok(start);
            }
            Err(error) => error,
        };
        if !self.shared || !is_away(&error) {
            return Err(error);
        }
        let Some(snapshot) = SnapshotFile::read(data) else {
            return Err(error.context("this node has never worked with the database"));
        };
        let error = format!("{error:#}");
        let revision = snapshot.revision;
        tracing::warn!(error, revision, "starting with the last known records");
        Ok(Start {
            snapshot,
            users: FirstUsers::default(),
        })
    }
}

/// Moves the records and CDRs of a data directory, which no process uses, to the database at `url`.
/// `told` gets the number of CDRs so far, now and then. It may be repeated.
///
/// # Errors
/// Anything that stops it; the data directory is as good as before then.
pub fn migrate_store(
    directory: &std::path::Path,
    url: &str,
    told: &mut dyn FnMut(u64),
) -> Result<Moved> {
    let file = directory.join(FILE);
    if !file.exists() {
        bail!("{} does not exist: nothing can be moved", file.display());
    }
    let data = Data::open(directory)?;
    let now = net::Clock::start().now();
    // Held until the end, so that no platform starts on it meanwhile. CDRs that are still in there
    // go to the database when it starts there.
    let (_journal, _) = Journal::open(&data.path("journal"), JournalConfig::new("move"), now)
        .context("the platform must be stopped first")?;
    let from = Sqlite::open(&file).context(FILE)?;
    let to = Postgres::open(url).context("the database")?;
    let moved = store::migrate(&from, &to, told)?;
    let note = Note {
        place: to.place().to_owned(),
        at_us: now.as_micros(),
    };
    data.write(MOVED, &note)?;
    Ok(moved)
}

/// Says that the records of a data directory are elsewhere.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The database, without user and password.
    place: String,
    at_us: u64,
}

/// Whether the store could not be reached.
fn is_away(error: &anyhow::Error) -> bool {
    let away = |cause: &(dyn std::error::Error + 'static)| {
        matches!(
            cause.downcast_ref::<StoreError>(),
            Some(StoreError::Unavailable(_))
        )
    };
    error.chain().any(away)
}

/// The embedded store.
const FILE: &str = "tandem.db";
/// Where the note about a move is.
const MOVED: &str = "moved.json";
