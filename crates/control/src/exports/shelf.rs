//! The exports there are, in memory and on the disk.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::Time;
use model::ExportId;

use super::write::Progress;
use super::{ExportState, Order};

/// All of them, the oldest first.
pub(super) struct Shelf {
    directory: PathBuf,
    entries: BTreeMap<ExportId, (Order, Arc<Progress>)>,
}

impl Shelf {
    /// What is in a directory. What was under way waits again; what is nobody's is removed.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let mut shelf = Self {
            directory: directory.to_owned(),
            entries: BTreeMap::new(),
        };
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                shelf.take_up(&path);
            }
        }
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            if is_ours(&path) && !shelf.knows(&path) {
                let removed = fs::remove_file(&path);
                tracing::warn!(path = %path.display(), ?removed, "a file of no export");
            }
        }
        Ok(shelf)
    }

    fn take_up(&mut self, path: &Path) {
        let read = fs::read(path).ok();
        let order = read.and_then(|text| serde_json::from_slice::<Order>(&text).ok());
        let Some(mut order) = order else {
            return;
        };
        if order.state == ExportState::Running {
            order.state = ExportState::Waiting;
        }
        self.entries.insert(order.id, (order, Arc::default()));
    }

    fn knows(&self, path: &Path) -> bool {
        let mut known = self.entries.values();
        known.any(|(order, _)| {
            let file = self.file(order.id);
            path == self.record(order.id) || path == file && order.state == ExportState::Done
        })
    }

    /// Each with how far it is, the latest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Order, &Progress)> {
        let latest = self.entries.values().rev();
        latest.map(|(order, made)| (order, &**made))
    }

    /// Those that nobody works on when control begins.
    pub(super) fn waiting(&self) -> Vec<ExportId> {
        let orders = self.entries.values().map(|(order, _)| order);
        let waiting = orders.filter(|order| order.state == ExportState::Waiting);
        waiting.map(|order| order.id).collect()
    }

    /// Makes room for one more of somebody: the oldest of their own that is over goes for it. Errors: why
    /// there is none.
    pub(super) fn make_room(&mut self, owner: &str) -> Result<(), String> {
        let orders = || self.entries.values().map(|(order, _)| order);
        let own: Vec<&Order> = orders().filter(|order| order.owner == owner).collect();
        if own.len() >= OWN_MAX {
            let over = own.iter().find(|order| order.ended_us.is_some());
            let id = over.map(|order| order.id).ok_or_else(|| {
                format!("{OWN_MAX} exports of yours are under way: wait for one, or remove it")
            })?;
            self.remove(id)
                .map_err(|error| format!("the oldest export cannot be removed: {error}"))?;
        }
        let orders = self.entries.values().map(|(order, _)| order);
        let bytes: u64 = orders.map(|order| order.bytes).sum();
        if self.entries.len() >= KEPT_MAX || bytes >= BYTES_MAX {
            let bytes = bytes >> 20;
            let count = self.entries.len();
            return Err(format!(
                "control keeps {count} exports of {bytes} MB already: one of them has to be removed first"
            ));
        }
        Ok(())
    }

    /// Has all that are written end: control ends. They begin anew when it begins.
    pub(super) fn halt(&self) {
        for (_, made) in self.entries.values() {
            made.remove();
        }
    }

    /// Removes what was written of one that nobody wants any more.
    pub(super) fn forget(&self, id: ExportId) {
        if !self.entries.contains_key(&id) {
            let _ = fs::remove_file(self.part(id));
        }
    }

    pub(super) fn add(&mut self, order: Order) -> io::Result<()> {
        self.save(&order)?;
        self.entries.insert(order.id, (order, Arc::default()));
        Ok(())
    }

    /// It is being written, to this file; `None` if it was removed, or somebody is at it.
    pub(super) fn begin(&mut self, id: ExportId) -> Option<(Order, Arc<Progress>, PathBuf)> {
        let part = self.part(id);
        let (order, made) = self.entries.get_mut(&id)?;
        if order.state != ExportState::Waiting {
            return None;
        }
        order.state = ExportState::Running;
        Some((order.clone(), Arc::clone(made), part))
    }

    /// Its file is whole.
    pub(super) fn done(&mut self, id: ExportId, now: Time) {
        let (part, file) = (self.part(id), self.file(id));
        if let Err(error) = fs::rename(part, file) {
            return self.failed(id, now, &format!("the disk of control refuses: {error}"));
        }
        self.end(id, now, ExportState::Done, None);
    }

    /// There will be no file.
    pub(super) fn failed(&mut self, id: ExportId, now: Time, why: &str) {
        // What there is of it is of no use.
        let _ = fs::remove_file(self.part(id));
        self.end(id, now, ExportState::Failed, Some(why.to_owned()));
    }

    fn end(&mut self, id: ExportId, now: Time, state: ExportState, why: Option<String>) {
        let Some((order, made)) = self.entries.get_mut(&id) else {
            // It was removed at this moment, and its file came after.
            let _ = fs::remove_file(self.file(id));
            return;
        };
        order.state = state;
        order.ended_us = Some(now.as_micros());
        (order.rows, order.bytes, order.why) = (made.rows(), made.bytes(), why);
        let order = order.clone();
        if let Err(error) = self.save(&order) {
            tracing::warn!(%id, %error, "after a restart this export will begin anew");
        }
    }

    /// Has it end, and removes its files.
    pub(super) fn remove(&mut self, id: ExportId) -> io::Result<()> {
        remove_file(&self.record(id))?;
        if let Some((_, made)) = self.entries.remove(&id) {
            made.remove();
        }
        remove_file(&self.file(id))?;
        remove_file(&self.part(id))
    }

    /// Removes those whose time is over.
    pub(super) fn remove_old(&mut self, now: Time) {
        let orders = self.entries.values().map(|(order, _)| order);
        let old = orders.filter(|order| order.expires_us() <= now.as_micros());
        let old: Vec<ExportId> = old.map(|order| order.id).collect();
        for id in old {
            if let Err(error) = self.remove(id) {
                tracing::warn!(%id, %error, "an export whose time is over is not removed");
            }
        }
    }

    /// Where the file of one is, once it is whole.
    pub(super) fn file(&self, id: ExportId) -> PathBuf {
        self.directory.join(format!("{id}.csv"))
    }

    fn part(&self, id: ExportId) -> PathBuf {
        self.directory.join(format!("{id}.csv.part"))
    }

    fn record(&self, id: ExportId) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }

    /// Either all of it is there, or what was before.
    fn save(&self, order: &Order) -> io::Result<()> {
        use std::io::Write as _;
        let path = self.record(order.id);
        let new = path.with_extension("json.new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(&serde_json::to_vec(order)?)?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}

/// Whether a file has a name as those of exports.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_ours = name.is_some_and(|name| name.starts_with(ExportId::PREFIX));
    is_ours && path.is_file()
}

/// So many are kept of each who orders them.
const OWN_MAX: usize = 5;
/// So many of all.
const KEPT_MAX: usize = 40;
/// With so much on the disk nothing more is begun.
const BYTES_MAX: u64 = 16 << 30;

/// One that is not there need not be removed.
fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::{ApiToken, Role, TokenId};

    use super::*;
    use crate::control::{Caller, Who};
    use crate::csv::Columns;
    use crate::exports::write::{Failed, write};
    use store::Sqlite;

    fn order() -> Order {
        let token = ApiToken {
            id: TokenId::from_bits(1),
            name: "somebody".into(),
            role: Role::Viewer,
            created_us: 1,
            last_used_us: None,
            expires_us: None,
            account: None,
            zones: Vec::new(),
            scopes: Vec::new(),
        };
        let caller = Caller::new(Who::Token(token), IpAddr::from([127, 0, 0, 1]));
        Order::new(&caller, Default::default(), &Columns::all()).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let files = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_under_way_waits_again_and_what_was_done_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let (running, done) = (order(), order());
        let mut shelf = Shelf::open(directory.path()).unwrap();
        for order in [&running, &done] {
            shelf.add(order.clone()).unwrap();
            let (_, _, part) = shelf.begin(order.id).unwrap();
            fs::write(part, "call\r\n").unwrap();
        }
        shelf.done(done.id, Time::from_secs(7));
        drop(shelf);
        fs::write(directory.path().join("exp_of_nobody.csv"), "").unwrap();
        fs::write(directory.path().join("exp_half.json.new"), "{").unwrap();
        // What somebody else has put there is theirs.
        fs::create_dir(directory.path().join("lost+found")).unwrap();
        let shelf = Shelf::open(directory.path()).unwrap();
        assert_eq!(shelf.waiting(), [running.id]);
        let mut wanted = [
            format!("{}.json", running.id),
            format!("{}.json", done.id),
            format!("{}.csv", done.id),
            "lost+found".to_owned(),
        ];
        wanted.sort();
        assert_eq!(names(directory.path()), wanted);
    }

    #[test]
    fn the_time_of_an_export_is_over_after_seven_days() {
        let directory = tempfile::tempdir().unwrap();
        let order = order();
        let mut shelf = Shelf::open(directory.path()).unwrap();
        shelf.add(order.clone()).unwrap();
        let end_us = order.created_us + 7 * 86_400 * 1_000_000;
        shelf.remove_old(Time::from_micros(end_us - 1));
        assert_eq!(shelf.all().count(), 1);
        shelf.remove_old(Time::from_micros(end_us));
        assert_eq!(shelf.all().count(), 0);
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn a_disk_that_refuses_and_a_removal_end_it() {
        let directory = tempfile::tempdir().unwrap();
        let cdrs = Sqlite::open(&directory.path().join("tandem.db")).unwrap();
        store::CdrStore::insert_batch(&cdrs, &[crate::api::cdrs::sample(7)]).unwrap();
        let (order, made) = (order(), Progress::default());
        let nowhere = directory.path().join("not there").join("file");
        let failed = write(&cdrs, &order, &nowhere, &made);
        assert!(matches!(failed, Err(Failed::Disk(_))), "{failed:?}");
        let file = directory.path().join("file");
        made.remove();
        let failed = write(&cdrs, &order, &file, &made);
        assert!(matches!(failed, Err(Failed::Removed)), "{failed:?}");
        let made = Progress::default();
        write(&cdrs, &order, &file, &made).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
        assert_eq!((made.rows(), made.reached_us()), (1, Some(7)));
    }
}
