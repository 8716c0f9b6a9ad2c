//! Recordings that stores of media servers have: what the servers have told of them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use switch::media_servers::{RemoteFile, Upload};

use super::queue::{RECEIPTS, Receipt, unix_us};
use crate::data::{private_directory, write_secret};

/// The receipts of media servers.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    receipts: PathBuf,
}

/// Whether something was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    Before,
    Now,
}

/// A receipt, with whose it is.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    server: String,
    file: String,
    #[serde(flatten)]
    receipt: Receipt,
}

impl Elsewhere {
    /// Those that lie in a directory of recordings.
    pub(crate) fn of(recordings: &Path) -> Self {
        Self {
            receipts: recordings.join(RECEIPTS).join("elsewhere"),
        }
    }

    /// Notes that the store of a media server has a recording. A server tells it again at each
    /// start.
    pub(super) fn note(&self, upload: &Upload) -> anyhow::Result<Noted> {
        let RemoteFile { server, path } = &upload.file;
        let known = self.receipt(server, path);
        if known.is_some_and(|known| known.location == upload.location) {
            return Ok(Noted::Before);
        }
        let receipt = Receipt {
            location: upload.location.clone(),
            bytes: upload.bytes,
            length_ms: upload.length_ms,
            changed_us: upload.changed_us,
            uploaded_us: upload.uploaded_us,
            goes: false,
        };
        let entry = Entry {
            server: server.clone(),
            file: path.clone(),
            receipt,
        };
        private_directory(&self.receipts)?;
        write_secret(&self.path(server, path), &serde_json::to_vec(&entry)?)?;
        Ok(Noted::Now)
    }

    /// Where a recording of a media server is, if its store has it.
    pub(crate) fn receipt(&self, server: &str, file: &str) -> Option<Receipt> {
        read(&self.path(server, file))
            .filter(|entry| entry.server == server && entry.file == file)
            .map(|entry| entry.receipt)
    }

    /// Removes receipts from before then; how many it were.
    pub(super) fn forget_before(&self, before: SystemTime) -> usize {
        let before_us = unix_us(before);
        let entries = fs::read_dir(&self.receipts).into_iter().flatten().flatten();
        let receipts = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension() == Some(OsStr::new("json")));
        let old = receipts
            .filter(|path| read(path).is_some_and(|entry| entry.receipt.uploaded_us < before_us));
        old.filter(|path| fs::remove_file(path).is_ok()).count()
    }

    /// Paths of other machines may be longer than a name here, and hold anything.
    fn path(&self, server: &str, file: &str) -> PathBuf {
        use std::fmt::Write as _;

        let mut name = String::new();
        for byte in Sha256::digest(format!("{server}:{file}")) {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        self.receipts.join(name).with_extension("json")
    }
}

fn read(path: &Path) -> Option<Entry> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn upload(path: &str, uploaded_us: u64) -> Upload {
        Upload {
            file: RemoteFile {
                server: "m1".into(),
                path: path.into(),
            },
            location: format!("s3://calls{path}"),
            bytes: 32_044,
            length_ms: 1_000,
            changed_us: 5,
            uploaded_us,
        }
    }

    #[test]
    fn what_is_told_again_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = Elsewhere::of(dir.path());
        assert_eq!(elsewhere.receipt("m1", "/r/a-1.wav"), None);
        let first = upload("/r/a-1.wav", 1);
        assert_eq!(elsewhere.note(&first).unwrap(), Noted::Now);
        assert_eq!(elsewhere.note(&first).unwrap(), Noted::Before);
        let known = elsewhere.receipt("m1", "/r/a-1.wav").unwrap();
        assert_eq!(known.location, "s3://calls/r/a-1.wav");
        assert_eq!((known.bytes, known.length_ms), (32_044, 1_000));
        assert_eq!(elsewhere.receipt("m2", "/r/a-1.wav"), None);
    }

    #[test]
    fn what_is_old_goes() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = Elsewhere::of(dir.path());
        elsewhere.note(&upload("/r/a-1.wav", 1)).unwrap();
        elsewhere.note(&upload("/r/b-1.wav", 3_000_000)).unwrap();
        let then = UNIX_EPOCH + Duration::from_secs(2);
        assert_eq!(elsewhere.forget_before(then), 1);
        assert_eq!(elsewhere.receipt("m1", "/r/a-1.wav"), None);
        assert!(elsewhere.receipt("m1", "/r/b-1.wav").is_some());
    }
}
