//! What becomes of recordings: the log, events and metrics.

use std::collections::HashMap;
use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::UNIX_EPOCH;

use control::{Recording, RecordingPlace};
use media::{Recorded, RecordingOutcome};
use serde_json::{Value, json};

use crate::uploads::{Elsewhere, Queue, Receipt, Uploaded};

/// Recordings that ended, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) finished: u64,
    pub(crate) damaged: u64,
    pub(crate) repaired: u64,
    pub(crate) failed: u64,
    /// On media servers that were lost.
    pub(crate) cut: u64,
}

impl Outcomes {
    pub(crate) fn record(&mut self, outcome: &RecordingOutcome) {
        let count = match outcome {
            RecordingOutcome::Finished => &mut self.finished,
            RecordingOutcome::Damaged { .. } => &mut self.damaged,
            RecordingOutcome::Repaired => &mut self.repaired,
            RecordingOutcome::Failed { .. } => &mut self.failed,
        };
        *count += 1;
    }
}

/// One line for each recording, louder if something is missing.
pub(crate) fn log(recorded: &Recorded) {
    let Recorded {
        file, length_ms, ..
    } = recorded;
    match &recorded.outcome {
        RecordingOutcome::Finished => tracing::debug!(file, length_ms, "recorded"),
        RecordingOutcome::Damaged { missing_packets } => {
            tracing::warn!(file, length_ms, missing_packets, "recorded with gaps");
        }
        RecordingOutcome::Repaired => {
            tracing::warn!(
                file,
                length_ms,
                "a recording that a crash left was finished"
            );
        }
        RecordingOutcome::Failed { reason } => {
            tracing::error!(file, length_ms, reason, "a recording failed");
        }
    }
}

/// The event: its topic, its name and what it says.
pub(crate) fn describe(recorded: &Recorded) -> (&'static str, &'static str, Value) {
    let (name, missing_packets, reason) = match &recorded.outcome {
        RecordingOutcome::Finished => ("recording.finished", None, None),
        RecordingOutcome::Damaged { missing_packets } => {
            ("recording.damaged", Some(*missing_packets), None)
        }
        RecordingOutcome::Repaired => ("recording.repaired", None, None),
        RecordingOutcome::Failed { reason } => ("recording.failed", None, Some(reason)),
    };
    let data = json!({
        "file": recorded.file,
        "length_ms": recorded.length_ms,
        "missing_packets": missing_packets,
        "reason": reason,
    });
    ("recordings", name, data)
}

/// The event of an attempt to upload: its topic, its name and what it says.
pub(crate) fn describe_upload(uploaded: &Uploaded) -> (&'static str, &'static str, Value) {
    let (name, location, reason) = match &uploaded.result {
        Ok(location) => ("recording.uploaded", Some(location), None),
        Err(reason) => ("recording.upload_failed", None, Some(reason)),
    };
    let data = json!({
        "server": uploaded.server,
        "file": uploaded.file,
        "location": location,
        "reason": reason,
    });
    ("recordings", name, data)
}

/// At most `limit` recordings of a directory, here or in the store, the latest first, those after a
/// place only; none if it cannot be read.
pub(crate) fn list(dir: &Path, after: Option<&RecordingPlace>, limit: usize) -> Vec<Recording> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<Recording> = entries.filter_map(|entry| recording(&entry)).collect();
    let receipts = Queue::new(dir.to_owned()).receipts();
    let mut receipts: HashMap<String, Receipt> = receipts.into_iter().collect();
    for recording in &mut found {
        let receipt = receipts.remove(&recording.file);
        recording.location = receipt.map(|receipt| receipt.location);
    }
    found.extend(receipts.into_iter().map(elsewhere));
    found.retain(|recording| after.is_none_or(|after| recording.place() < *after));
    Recording::sort(&mut found);
    found.truncate(limit);
    // Files are opened for this page alone.
    for recording in found.iter_mut().filter(|recording| recording.here) {
        let unfinished = if recording.finished { "" } else { PART };
        let path = dir.join(format!("{}{unfinished}", recording.file));
        recording.length_ms = Some(media::recording_length_ms(&path).unwrap_or(0));
    }
    found
}

/// Fills in what is known of recordings of media servers that their stores have, and takes away those
/// that are of the node itself, whose name is `own`, or lie here: [`list`] has them.
pub(crate) fn locate(dir: &Path, own: &str, recordings: &mut Vec<Recording>) {
    let queue = Queue::new(dir.to_owned());
    recordings.retain(|recording| match recording.node.as_deref() {
        None => true,
        Some(node) => node != own && !is_here(dir, &queue, &recording.file),
    });
    let elsewhere = Elsewhere::of(dir);
    for recording in recordings {
        let server = recording.server.as_deref().unwrap_or_default();
        if let Some(receipt) = elsewhere.receipt(server, &recording.file) {
            recording.location = Some(receipt.location);
            recording.bytes = Some(receipt.bytes);
            recording.length_ms = Some(receipt.length_ms);
        }
    }
}

/// Whether a directory has a recording, or had it.
fn is_here(dir: &Path, queue: &Queue, file: &str) -> bool {
    // What a record of another node says is no path.
    let is_name = Path::new(file).file_name().is_some_and(|name| name == file);
    let lies = |name: &str| dir.join(name).exists();
    is_name && (lies(file) || lies(&format!("{file}{PART}")) || queue.receipt(file).is_some())
}

/// A recording that the store alone has.
fn elsewhere((file, receipt): (String, Receipt)) -> Recording {
    Recording {
        file,
        server: None,
        node: None,
        finished: true,
        here: false,
        location: Some(receipt.location),
        bytes: Some(receipt.bytes),
        length_ms: Some(receipt.length_ms),
        changed_us: receipt.changed_us,
    }
}

/// A file, without its length.
fn recording(entry: &DirEntry) -> Option<Recording> {
    let name = entry.file_name().into_string().ok()?;
    let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    let unfinished = name.strip_suffix(PART).map(str::to_owned);
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Recording {
        finished: unfinished.is_none(),
        file: unfinished.unwrap_or(name),
        server: None,
        node: None,
        here: true,
        location: None,
        bytes: Some(metadata.len()),
        length_ms: None,
        changed_us: u64::try_from(changed.as_micros()).ok()?,
    })
}

/// What stands behind the name of a file that is being written.
const PART: &str = ".part";

#[cfg(test)]
mod tests {
    use super::*;

    fn of_node(node: &str, file: &str) -> Recording {
        Recording {
            file: file.into(),
            server: None,
            node: Some(node.into()),
            finished: true,
            here: false,
            location: None,
            bytes: None,
            length_ms: None,
            changed_us: 1,
        }
    }

    #[test]
    fn of_what_records_name_only_that_of_other_nodes_stays() {
        let dir = tempfile::tempdir().unwrap();
        for here in ["taken-over.wav", "written.wav.part"] {
            fs::write(dir.path().join(here), b"RIFF").unwrap();
        }
        let of_server = Recording {
            server: Some("m1".into()),
            ..of_node("", "/r/x.wav")
        };
        let of_server = Recording {
            node: None,
            ..of_server
        };
        let theirs = of_node("n2", "theirs.wav");
        let mut recordings = vec![
            of_server.clone(),
            of_node("n1", "own-but-removed.wav"),
            of_node("n2", "taken-over.wav"),
            of_node("n2", "written.wav"),
            theirs.clone(),
            of_node("n2", "../theirs.wav"),
        ];
        locate(dir.path(), "n1", &mut recordings);
        let escapes = of_node("n2", "../theirs.wav");
        assert_eq!(recordings, [of_server, theirs, escapes]);
    }
}
