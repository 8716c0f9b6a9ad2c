//! What becomes of recordings on media servers: the log, events and metrics.

use serde_json::{Value, json};
use switch::media_servers::{RecordingNews, RemoteFile, Upload};

use crate::recording::{self, Outcomes};
use crate::uploads::Uploaded;

/// Those that ended among the others.
pub(crate) fn count(news: &RecordingNews, outcomes: &mut Outcomes) {
    match news {
        RecordingNews::Started(_) => {}
        RecordingNews::Finished(_) => outcomes.finished += 1,
        RecordingNews::Cut(_) => outcomes.cut += 1,
        RecordingNews::Failed { .. } => outcomes.failed += 1,
        // Servers count their uploads themselves.
        RecordingNews::Uploaded(_) | RecordingNews::UploadFailed { .. } => {}
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
        RecordingNews::Uploaded(upload) => {
            tracing::debug!(file = %upload.file, location = upload.location, "uploaded");
        }
        RecordingNews::UploadFailed { file, reason } => {
            tracing::warn!(%file, reason, "a recording is not uploaded yet; it is tried again");
        }
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
        RecordingNews::Uploaded(upload) => return recording::describe_upload(&upload.into()),
        RecordingNews::UploadFailed { file, reason } => {
            let uploaded = Uploaded {
                server: Some(file.server.clone()),
                file: file.path.clone(),
                result: Err(reason.clone()),
            };
            return recording::describe_upload(&uploaded);
        }
    };
    ("recordings", name, data)
}

impl From<&Upload> for Uploaded {
    fn from(upload: &Upload) -> Self {
        Self {
            server: Some(upload.file.server.clone()),
            file: upload.file.path.clone(),
            result: Ok(upload.location.clone()),
        }
    }
}

fn shown(file: &RemoteFile) -> Value {
    json!({ "server": file.server, "file": file.path })
}
