//! One export is written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::Cdr;
use store::CdrStore;

use super::Order;
use crate::csv::Columns;

/// How far it is, for those who look while it is written.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    reached_us: AtomicU64,
    is_removed: AtomicBool,
}

impl Progress {
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn reached_us(&self) -> Option<u64> {
        Some(self.reached_us.load(Ordering::Relaxed)).filter(|reached| *reached > 0)
    }

    /// Has it end.
    pub(super) fn remove(&self) {
        self.is_removed.store(true, Ordering::Relaxed);
    }

    fn note(&self, rows: u64, bytes: u64, last: &Cdr) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.reached_us.store(last.end_us, Ordering::Relaxed);
    }
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// Nobody wants it any more.
    #[error("it was removed")]
    Removed,
    /// The store of CDRs does not answer.
    #[error("the store of CDRs does not answer: {0}")]
    Store(String),
    /// The disk of control does not take it.
    #[error("the disk of control refuses: {0}")]
    Disk(#[from] io::Error),
    /// It would be more than [`BYTES_MAX`].
    #[error("it has more than {} GB: ask for a shorter time, or for fewer columns", BYTES_MAX >> 30)]
    TooLarge,
}

/// Writes all records that are wanted to a file, from its beginning on.
pub(super) fn write(
    cdrs: &dyn CdrStore,
    order: &Order,
    path: &Path,
    made: &Progress,
) -> Result<(), Failed> {
    let columns = Columns::named(&order.columns).unwrap_or_else(|_| Columns::all());
    let mut file = BufWriter::new(create(path)?);
    file.write_all(columns.heading().as_bytes())?;
    made.bytes
        .store(columns.heading().len() as u64, Ordering::Relaxed);
    made.rows.store(0, Ordering::Relaxed);
    let mut ended = Ok(());
    let exported = cdrs.export(&order.filter(), &mut |batch| {
        ended = write_batch(&mut file, &columns, &batch, made);
        match ended {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    ended?;
    exported.map_err(|error| Failed::Store(error.to_string()))?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(())
}

fn write_batch(
    file: &mut BufWriter<File>,
    columns: &Columns,
    batch: &[Cdr],
    made: &Progress,
) -> Result<(), Failed> {
    if made.is_removed.load(Ordering::Relaxed) {
        return Err(Failed::Removed);
    }
    let Some(last) = batch.last() else {
        return Ok(());
    };
    let text: String = batch.iter().map(|cdr| columns.line(cdr)).collect();
    if made.bytes() + text.len() as u64 > BYTES_MAX {
        return Err(Failed::TooLarge);
    }
    file.write_all(text.as_bytes())?;
    made.note(batch.len() as u64, text.len() as u64, last);
    Ok(())
}

/// For nobody else on this machine.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// The largest file: some ten million records.
const BYTES_MAX: u64 = 4 << 30;
