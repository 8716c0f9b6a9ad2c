//! What becomes of recordings: the log, events and metrics.

use std::fs::{self, DirEntry};
use std::io::Read as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use control::Recording;
use media::{Recorded, RecordingOutcome};
use serde_json::{Value, json};

/// Recordings that ended, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) finished: u64,
    pub(crate) damaged: u64,
    pub(crate) repaired: u64,
    pub(crate) failed: u64,
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

/// The files in a directory of recordings, the latest first; none if it cannot be read.
pub(crate) fn list(dir: &Path) -> Vec<Recording> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<Recording> = entries.filter_map(|entry| recording(&entry)).collect();
    found.sort_by(|a, b| (b.changed_us, &b.file).cmp(&(a.changed_us, &a.file)));
    found
}

fn recording(entry: &DirEntry) -> Option<Recording> {
    let name = entry.file_name().into_string().ok()?;
    let metadata = entry.metadata().ok()?;
    let unfinished = name.strip_suffix(".part").map(str::to_owned);
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Recording {
        finished: unfinished.is_none(),
        file: unfinished.unwrap_or(name),
        bytes: metadata.len(),
        length_ms: length_ms(&entry.path(), metadata.len()).unwrap_or(0),
        changed_us: u64::try_from(changed.as_micros()).ok()?,
    })
}

/// By the bytes per second that the header gives; files of ours have a header of 44 bytes.
fn length_ms(path: &Path, bytes: u64) -> Option<u64> {
    let mut head = [0; HEADER_BYTES];
    fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    let rate = u32::from_le_bytes([head[28], head[29], head[30], head[31]]);
    let data = bytes.saturating_sub(HEADER_BYTES as u64);
    (data * 1_000).checked_div(u64::from(rate))
}

const HEADER_BYTES: usize = 44;
