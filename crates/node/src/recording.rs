//! What becomes of recordings: the log, events and metrics.

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
