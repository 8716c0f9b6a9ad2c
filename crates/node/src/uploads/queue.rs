//! The directory of recordings as a queue: files, and receipts of those that the store has.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::AfterUpload;
use serde::{Deserialize, Serialize};

use crate::data::{private_directory, write_secret};

/// A directory of recordings.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    recordings: PathBuf,
    /// When recordings and receipts had changed last as nothing waited: while that stays, nothing
    /// does.
    empty_since: Option<Changes>,
}

/// When a directory of recordings and that of its receipts were changed last.
type Changes = [Option<SystemTime>; 2];

/// What is known here of a file that the store has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// `s3://bucket/name`.
    pub(crate) location: String,
    pub(crate) bytes: u64,
    pub(crate) length_ms: u64,
    /// When it was written to last, and when the store confirmed it; microseconds since the Unix
    /// epoch.
    pub(crate) changed_us: u64,
    pub(crate) uploaded_us: u64,
    /// Whether the file is to go here now that the store has it.
    #[serde(default)]
    pub(crate) goes: bool,
}

impl Queue {
    pub(crate) fn new(recordings: PathBuf) -> Self {
        Self {
            recordings,
            empty_since: None,
        }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.recordings.join(file)
    }

    /// Finished files that the store does not have, the oldest first.
    pub(crate) fn waiting(&mut self) -> io::Result<Vec<String>> {
        let changes = self.changes();
        if self.empty_since == Some(changes) {
            return Ok(Vec::new());
        }
        let waiting = self.look()?;
        let is_old = |at: &SystemTime| at.elapsed().is_ok_and(|age| age >= SETTLED);
        let settled = changes.iter().flatten().all(is_old);
        self.empty_since = Some(changes).filter(|_| settled && waiting.is_empty());
        Ok(waiting)
    }

    fn changes(&self) -> Changes {
        let changed = |path: &Path| fs::metadata(path).and_then(|of| of.modified()).ok();
        [
            changed(&self.recordings),
            changed(&self.recordings.join(RECEIPTS)),
        ]
    }

    fn look(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.recordings) {
            // It comes with the first recording.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata())
            else {
                continue;
            };
            let is_there = || self.receipt_of(&name, &metadata).is_some();
            if is_finished(&name) && metadata.is_file() && !is_there() {
                found.push((metadata.modified().unwrap_or(UNIX_EPOCH), name));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    /// Notes that the store has a file; it is on disk when this returns.
    pub(crate) fn confirm(&self, file: &str, receipt: &Receipt) -> anyhow::Result<()> {
        let receipts = self.recordings.join(RECEIPTS);
        private_directory(&receipts)?;
        write_secret(&self.receipt_path(file), &serde_json::to_vec(receipt)?)?;
        File::open(&receipts)?.sync_all()?;
        Ok(())
    }

    /// Removes a file that the store has.
    pub(crate) fn remove(&self, file: &str) -> io::Result<()> {
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Files that the store has, that were to go and are still here: somebody was killed between
    /// receipt and removal.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.recordings);
        let finished = entries.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((is_finished(&name).then_some(name)?, entry.metadata().ok()?))
        });
        let go = finished.filter(|(name, file)| {
            let receipt = self.receipt_of(name, file);
            receipt.is_some_and(|receipt| receipt.goes)
        });
        go.map(|(name, _)| name).collect()
    }

    /// The receipt of just this file: one of another that had its name says nothing of it.
    fn receipt_of(&self, name: &str, file: &Metadata) -> Option<Receipt> {
        let receipt = self.receipt(name)?;
        let changed_us = file.modified().map_or(0, unix_us);
        let same = receipt.bytes == file.len() && receipt.changed_us == changed_us;
        same.then_some(receipt)
    }

    /// The receipt of a file, if the store has it.
    pub(crate) fn receipt(&self, file: &str) -> Option<Receipt> {
        let text = fs::read(self.receipt_path(file)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// All receipts, with their files' names.
    pub(crate) fn receipts(&self) -> Vec<(String, Receipt)> {
        let entries = fs::read_dir(self.recordings.join(RECEIPTS));
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(RECEIPT)?.to_owned())
        });
        let read = names.filter_map(|name| {
            let receipt = self.receipt(&name)?;
            Some((name, receipt))
        });
        read.collect()
    }

    /// The receipts of the files that the store has confirmed last, the oldest first.
    pub(crate) fn latest_receipts(&self, count: usize) -> Vec<(String, Receipt)> {
        let mut receipts = self.receipts();
        receipts.sort_by_key(|(_, receipt)| receipt.uploaded_us);
        let rest = receipts.len().saturating_sub(count);
        receipts.split_off(rest)
    }

    /// Removes receipts from before then whose files are not here any more; how many it were.
    pub(crate) fn forget_before(&self, before: SystemTime) -> usize {
        let before_us = unix_us(before);
        let receipts = self.receipts().into_iter();
        let old = receipts
            .filter(|(file, receipt)| receipt.uploaded_us < before_us && !self.path(file).exists());
        let removed = old.filter(|(file, _)| fs::remove_file(self.receipt_path(file)).is_ok());
        removed.count()
    }

    fn receipt_path(&self, file: &str) -> PathBuf {
        media::recording_receipt(&self.recordings, file)
    }
}

fn is_finished(name: &str) -> bool {
    [".wav", ".opus"].iter().any(|end| name.ends_with(end))
}

impl Receipt {
    /// For a file that the store has just confirmed.
    pub(crate) fn of(path: &Path, location: String, bytes: u64, after: AfterUpload) -> Self {
        let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
        Self {
            location,
            bytes,
            length_ms: media::recording_length_ms(path).unwrap_or(0),
            changed_us: unix_us(changed.unwrap_or(UNIX_EPOCH)),
            uploaded_us: unix_us(SystemTime::now()),
            goes: after == AfterUpload::Delete,
        }
    }
}

/// Microseconds since the Unix epoch; 0 before it.
pub(super) fn unix_us(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The directory of receipts, among the recordings.
pub(super) const RECEIPTS: &str = media::RECEIPTS;
/// What a receipt is called behind the file's name.
const RECEIPT: &str = media::RECEIPT;
/// A directory that was changed less long ago may have changed twice at what is one time to it.
const SETTLED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finished_and_has_no_receipt_waits() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::new(dir.path().join("recordings"));
        assert_eq!(queue.waiting().unwrap(), [""; 0]);
        fs::create_dir(dir.path().join("recordings")).unwrap();
        for name in ["a-1.wav", "b-1.opus", "c-1.wav.part", "note.txt"] {
            fs::write(queue.path(name), "x").unwrap();
        }
        assert_eq!(queue.waiting().unwrap(), ["a-1.wav", "b-1.opus"]);
        let path = queue.path("a-1.wav");
        let receipt = Receipt::of(&path, "s3://b/a-1.wav".into(), 1, AfterUpload::Delete);
        queue.confirm("a-1.wav", &receipt).unwrap();
        assert_eq!(queue.waiting().unwrap(), ["b-1.opus"]);
        // Killed here, the next start finds what was to go, and nothing else.
        let kept = Receipt::of(&path, "s3://b/b-1.opus".into(), 1, AfterUpload::Keep);
        queue.confirm("b-1.opus", &kept).unwrap();
        assert_eq!(queue.leftovers(), ["a-1.wav"]);
        fs::remove_file(queue.receipt_path("b-1.opus")).unwrap();
        queue.remove("a-1.wav").unwrap();
        queue
            .remove("a-1.wav")
            .expect("one that is gone is removed");
        assert_eq!(queue.leftovers(), [""; 0]);
        assert_eq!(queue.receipts(), [("a-1.wav".to_owned(), receipt)]);
    }

    #[test]
    fn a_receipt_goes_when_it_is_old_and_its_file_is_not_here() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path().to_owned());
        for (file, uploaded_us) in [("here.wav", 1), ("gone.wav", 1), ("new.wav", 3_000_000)] {
            fs::write(queue.path(file), "x").unwrap();
            let location = format!("s3://b/{file}");
            let mut receipt = Receipt::of(&queue.path(file), location, 1, AfterUpload::Keep);
            receipt.uploaded_us = uploaded_us;
            queue.confirm(file, &receipt).unwrap();
        }
        queue.remove("gone.wav").unwrap();
        queue.remove("new.wav").unwrap();
        let then = UNIX_EPOCH + Duration::from_secs(2);
        assert_eq!(queue.forget_before(then), 1);
        let receipts = queue.receipts().into_iter();
        let mut left: Vec<String> = receipts.map(|(file, _)| file).collect();
        left.sort();
        assert_eq!(left, ["here.wav", "new.wav"]);
    }

    #[test]
    fn a_directory_that_has_not_changed_is_not_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::new(dir.path().to_owned());
        let aged = SystemTime::now() - 2 * SETTLED;
        let age = || File::open(dir.path()).unwrap().set_modified(aged).unwrap();
        age();
        assert_eq!(queue.waiting().unwrap(), [""; 0]);
        // Only a second look would find it.
        fs::write(queue.path("a-1.wav"), "x").unwrap();
        age();
        assert_eq!(queue.waiting().unwrap(), [""; 0]);
        fs::write(queue.path("b-1.wav"), "x").unwrap();
        assert_eq!(queue.waiting().unwrap().len(), 2);
    }

    #[test]
    fn a_receipt_of_another_file_of_the_same_name_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::new(dir.path().to_owned());
        let path = queue.path("a-1.wav");
        let write = |text: &str, changed_s: u64| {
            fs::write(&path, text).unwrap();
            let changed = UNIX_EPOCH + Duration::from_secs(changed_s);
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(changed).unwrap();
        };
        write("one", 1);
        let receipt = Receipt::of(&path, "s3://b/a-1.wav".into(), 3, AfterUpload::Delete);
        queue.confirm("a-1.wav", &receipt).unwrap();
        assert_eq!(queue.waiting().unwrap(), [""; 0]);
        assert_eq!(queue.leftovers(), ["a-1.wav"]);
        for (text, changed_s) in [("two", 2), ("longer", 1)] {
            write(text, changed_s);
            assert_eq!(queue.waiting().unwrap(), ["a-1.wav"], "{text}");
            assert_eq!(queue.leftovers(), [""; 0], "{text}");
        }
    }
}
