//! What becomes of recordings on media servers: the log, events and metrics.

use serde_json::{Value, json};
use switch::media_servers::{RecordingNews, RemoteFile};

use crate::recording::Outcomes;

/// Those that ended among the others.
pub(crate) fn count(news: &RecordingNews, outcomes: &mut Outcomes) {
    match news {
        RecordingNews::Started(_) => {}
        RecordingNews::Finished(_) => outcomes.finished += 1,
        RecordingNews::Cut(_) => outcomes.cut += 1,
        RecordingNews::Failed { .. } => outcomes.failed += 1,
    }
}

/// One line for each, louder if something is missing.
pub(crate) fn log(news: &RecordingNews) {
    match news {
        RecordingNews::Started(file) => tracing::debug!(%file, "recording"),
        RecordingNews::Finished(file) => tracing::debug!(%file, "recorded"),
        RecordingNews::Cut(file) => {
            tracing::warn!(%file, "a recording was cut off: its media server was lost");
        }
        RecordingNews::Failed {
            server,
            name,
            reason,
        } => tracing::error!(server, call = %name, reason, "a call is not recorded"),
    }
}

/// The event: its topic, its name and what it says.
pub(crate) fn describe(news: &RecordingNews) -> (&'static str, &'static str, Value) {
    let (name, data) = match news {
        RecordingNews::Started(file) => ("recording.started", shown(file)),
        RecordingNews::Finished(file) => ("recording.finished", shown(file)),
        RecordingNews::Cut(file) => ("recording.cut", shown(file)),
        RecordingNews::Failed {
            server,
            name,
            reason,
        } => (
            "recording.failed",
            json!({ "server": server, "call": name, "reason": reason }),
        ),
    };
    ("recordings", name, data)
}

fn shown(file: &RemoteFile) -> Value {
    json!({ "server": file.server, "file": file.path })
}
