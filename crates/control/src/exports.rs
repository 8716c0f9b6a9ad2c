//! Exports of CDRs that control writes to its own disk, for whoever ordered them to fetch.
//!
//! Each has two files: what it is (`exp_….json`), and what was found (`exp_….csv`, which ends in `.part` while
//! it is written). One that was under way when control ended begins anew.

mod order;
mod shelf;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ExportId;
use tokio::sync::Semaphore;

pub(crate) use self::order::{CdrExport, ExportFilter, ExportState, Order};
use self::shelf::Shelf;
use self::write::{Failed, Progress};
use crate::control::{Caller, now};
use crate::csv::Columns;
use crate::{Control, Problem, problem};

/// All of them.
pub(crate) struct Exports {
    shelf: Mutex<Shelf>,
    /// So many are written at a time.
    turns: Semaphore,
}

impl Exports {
    /// Those in a directory, which is made where it is missing.
    fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            shelf: Mutex::new(Shelf::open(directory)?),
            turns: Semaphore::new(AT_ONCE),
        })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Exports of CDRs are kept in this directory from now on.
    ///
    /// # Errors
    /// If it cannot be made or read.
    pub fn keeps_exports(&self, directory: &Path) -> io::Result<()> {
        let exports = Exports::open(directory)?;
        let _ = self.exports_shelf().set(exports);
        Ok(())
    }

    /// Has those that are written end, for control ends; they begin anew with it.
    pub(crate) fn halt_exports(&self) {
        if let Some(exports) = self.exports_shelf().get() {
            exports.shelf().halt();
        }
    }

    fn exports_kept(&self) -> Result<&Exports, Problem> {
        self.exports_shelf().get().ok_or_else(|| {
            let detail = "exports of CDRs are ordered at the control of the platform";
            Problem::new(&problem::ELSEWHERE, detail)
        })
    }

    /// Those that somebody may see, the latest first.
    pub(crate) fn exports_of(&self, caller: &Caller) -> Result<Vec<CdrExport>, Problem> {
        let exports = self.exports_kept()?;
        let shelf = exports.shelf();
        let seen = shelf.all().filter(|(order, _)| order.is_seen_by(caller));
        Ok(seen.map(|(order, made)| order.view(made)).collect())
    }

    /// One of them.
    pub(crate) fn export(&self, caller: &Caller, id: ExportId) -> Result<CdrExport, Problem> {
        let all = self.exports_of(caller)?;
        let found = all.into_iter().find(|export| export.id == id);
        found.ok_or_else(|| unknown(id))
    }

    /// The file of one that is done.
    pub(crate) fn export_file(&self, caller: &Caller, id: ExportId) -> Result<PathBuf, Problem> {
        let export = self.export(caller, id)?;
        if export.state != ExportState::Done {
            let detail = "it is not done: its file is there once its state is done";
            return Err(Problem::new(&problem::IN_USE, detail));
        }
        Ok(self.exports_kept()?.shelf().file(id))
    }

    /// Orders one.
    pub(crate) fn order_export(
        &self,
        caller: &Caller,
        filter: ExportFilter,
        columns: &Columns,
    ) -> Result<CdrExport, Problem> {
        let order = Order::new(caller, filter, columns)?;
        let exports = self.exports_kept()?;
        let mut shelf = exports.shelf();
        if let Err(why) = shelf.make_room(&order.owner) {
            return Err(Problem::too_many(&why, 60));
        }
        let view = order.view(&Progress::default());
        let id = order.id;
        shelf.add(order).map_err(|error| not_written(&error))?;
        drop(shelf);
        tokio::spawn(work(self.clone(), id));
        Ok(view)
    }

    /// Ends one, and removes what there is of it.
    pub(crate) fn remove_export(&self, caller: &Caller, id: ExportId) -> Result<(), Problem> {
        self.export(caller, id)?;
        let removed = self.exports_kept()?.shelf().remove(id);
        removed.map_err(|error| not_written(&error))
    }
}

fn unknown(id: ExportId) -> Problem {
    Problem::not_found(format!(
        "there is no export {id}; each is kept for seven days"
    ))
}

fn not_written(error: &io::Error) -> Problem {
    Problem::unavailable(format!("the disk of control refuses: {error}"))
}

/// Goes on with those of before, and removes those whose time is over; does not end.
pub(crate) async fn keep(control: Control) {
    let Ok(exports) = control.exports_kept() else {
        return;
    };
    let waiting = exports.shelf().waiting();
    for id in waiting {
        tokio::spawn(work(control.clone(), id));
    }
    loop {
        exports.shelf().remove_old(now());
        tokio::time::sleep(LOOK).await;
    }
}

/// Writes one, when it has its turn. A store that is away for a moment is waited for.
async fn work(control: Control, id: ExportId) {
    let Ok(exports) = control.exports_kept() else {
        return;
    };
    let Ok(_turn) = exports.turns.acquire().await else {
        return;
    };
    let Some((order, made, part)) = exports.shelf().begin(id) else {
        // It was removed before its turn came.
        return;
    };
    let mut tries = 1;
    loop {
        let written = {
            let (order, made, part) = (order.clone(), Arc::clone(&made), part.clone());
            control.cdrs(move |cdrs| Ok(write::write(cdrs, &order, &part, &made)))
        };
        let failed = match written.await {
            Ok(Ok(())) => {
                exports.shelf().done(id, now());
                tracing::info!(%id, rows = made.rows(), by = order.by, "an export of CDRs is there");
                return;
            }
            Ok(Err(Failed::Removed)) => {
                exports.shelf().forget(id);
                return;
            }
            Ok(Err(failed)) => failed,
            Err(problem) => Failed::Store(problem.detail().to_owned()),
        };
        if matches!(failed, Failed::Store(_)) && tries < TRIES {
            tries += 1;
            tracing::warn!(%id, %failed, "an export of CDRs begins anew");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        tracing::warn!(%id, %failed, "an export of CDRs failed");
        exports.shelf().failed(id, now(), &failed.to_string());
        return;
    }
}

/// So many are written at once: each reads the store as fast as it answers.
const AT_ONCE: usize = 2;
/// How long each is kept: seven days.
const KEPT_US: u64 = 7 * 86_400 * 1_000_000;
/// How often a store that does not answer is asked.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);
/// Between two looks for those whose time is over.
const LOOK: Duration = Duration::from_secs(600);
