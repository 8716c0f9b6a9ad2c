//! The directory of recordings as a queue: files, and receipts of those that the store has.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::data::{private_directory, write_secret};

/// A directory of recordings.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    recordings: PathBuf,
}

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
}

impl Queue {
    pub(crate) fn new(recordings: PathBuf) -> Self {
        Self { recordings }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.recordings.join(file)
    }

    /// Finished files without a receipt, the oldest first.
    pub(crate) fn waiting(&self) -> io::Result<Vec<String>> {
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
            let finished = [".wav", ".opus"].iter().any(|end| name.ends_with(end));
            if finished && metadata.is_file() && !self.receipt_path(&name).exists() {
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
    pub(crate) fn remove(&self, file: &str) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.path(file))?)
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

    fn receipt_path(&self, file: &str) -> PathBuf {
        self.recordings
            .join(RECEIPTS)
            .join(format!("{file}{RECEIPT}"))
    }
}

impl Receipt {
    /// For a file that the store has just confirmed.
    pub(crate) fn of(path: &Path, location: String, bytes: u64) -> Self {
        let micros = |at: SystemTime| {
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        };
        let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
        Self {
            location,
            bytes,
            length_ms: media::recording_length_ms(path).unwrap_or(0),
            changed_us: micros(changed.unwrap_or(UNIX_EPOCH)),
            uploaded_us: micros(SystemTime::now()),
        }
    }
}

/// The directory of receipts, among the recordings.
const RECEIPTS: &str = "uploaded";
/// What a receipt is called behind the file's name.
const RECEIPT: &str = ".json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finished_and_has_no_receipt_waits() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path().join("recordings"));
        assert_eq!(queue.waiting().unwrap(), [""; 0]);
        fs::create_dir(dir.path().join("recordings")).unwrap();
        for name in ["a-1.wav", "b-1.opus", "c-1.wav.part", "note.txt"] {
            fs::write(queue.path(name), "x").unwrap();
        }
        assert_eq!(queue.waiting().unwrap(), ["a-1.wav", "b-1.opus"]);
        let receipt = Receipt::of(&queue.path("a-1.wav"), "s3://b/a-1.wav".into(), 1);
        queue.confirm("a-1.wav", &receipt).unwrap();
        assert_eq!(queue.waiting().unwrap(), ["b-1.opus"]);
        queue.remove("a-1.wav").unwrap();
        assert_eq!(queue.receipts(), [("a-1.wav".to_owned(), receipt)]);
    }
}
