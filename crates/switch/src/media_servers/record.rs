//! Recordings on media servers: one for each session that is to be recorded, so that a call that
//! moves goes on in a second part on another server.

use clock::Time;
use model::MediaServerId;
use ng::{Command, RecordVerb, Recording, Reply, Selection};

use super::exchange::Purpose;
use super::{MediaOutput, MediaServers, call_id};

/// A session that is to be recorded.
#[derive(Debug)]
pub(super) struct Taped {
    /// What its file is called after: the call.
    name: String,
    /// The number of the part.
    part: u16,
    /// Whether its server was asked.
    is_asked: bool,
    /// Where it is; empty before the server has said so.
    pub(super) files: Vec<RemoteFile>,
}

/// A file on the machine of a media server. Shown as `server:path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// The name of the server.
    pub server: String,
    /// What it is called there.
    pub path: String,
}

impl std::fmt::Display for RemoteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.server, self.path)
    }
}

/// What became of a recording on a media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingNews {
    /// It has begun.
    Started(RemoteFile),
    /// The session is over, and the file with it.
    Finished(RemoteFile),
    /// Its server died. What it has of it is finished there when it is back.
    Cut(RemoteFile),
    /// The server does not record.
    Failed {
        /// Which server.
        server: String,
        /// The call.
        name: String,
        /// What it said.
        reason: String,
    },
    /// The store of its server has it.
    Uploaded(Upload),
    /// Its server could not take it to the store yet.
    UploadFailed {
        /// Which file.
        file: RemoteFile,
        /// What the server said.
        reason: String,
    },
}

/// A file that the store of its media server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Which.
    pub file: RemoteFile,
    /// `s3://bucket/name`.
    pub location: String,
    /// How large it is.
    pub bytes: u64,
    /// How long it is.
    pub length_ms: u64,
    /// When it was written to last; microseconds since the Unix epoch.
    pub changed_us: u64,
    /// When the store confirmed it; microseconds since the Unix epoch.
    pub uploaded_us: u64,
}

impl MediaServers {
    /// A session is to be recorded from when it is there; `name` is the call, `part` the number
    /// of the session among those of the call that are recorded.
    pub fn handle_record(&mut self, now: Time, session: u64, name: String, part: u16) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        let taped = Taped {
            name,
            part,
            is_asked: false,
            files: Vec::new(),
        };
        if known.taped.is_none() {
            known.taped = Some(Box::new(taped));
        }
        self.tape(now, session);
    }

    /// Asks for the recording of a session that is wanted, once both sides are known.
    pub(super) fn tape(&mut self, now: Time, session: u64) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        let Some(taped) = known.taped.as_mut().filter(|_| known.is_answered) else {
            return;
        };
        if std::mem::replace(&mut taped.is_asked, true) {
            return;
        }
        let recording = Recording {
            selection: Selection::call(call_id(known.prefix, session)),
            file: Some(taped.name.clone()),
            part: Some(taped.part),
            ..Recording::default()
        };
        let server = known.server;
        let command = Command::Record(RecordVerb::Start, Box::new(recording));
        self.exchange(now, server, command, Purpose::Record(session));
    }

    /// What a server says to it; `None` if it says nothing.
    pub(super) fn handle_taped(
        &mut self,
        server: MediaServerId,
        session: u64,
        reply: Option<Reply>,
    ) {
        let name_of = |server: &super::Server| server.record.name.clone();
        let server_name = self.servers.get(&server).map(name_of).unwrap_or_default();
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        let Some(taped) = known.taped.as_mut().filter(|_| known.server == server) else {
            return;
        };
        let reason = match reply {
            Some(Reply::Ok(success)) => {
                let mut paths = success.recordings;
                if paths.is_empty() {
                    // rtpengine does not say what it calls its files: after the session.
                    paths.push(call_id(known.prefix, session));
                }
                taped.files = remote(&server_name, paths);
                let news = taped.files.iter().cloned().map(RecordingNews::Started);
                self.outputs.extend(news.map(MediaOutput::Recording));
                return;
            }
            Some(Reply::Error { reason }) => reason,
            Some(Reply::LoadLimit { message }) => message,
            Some(Reply::Pong { .. }) | None => "it does not answer".to_owned(),
        };
        let failed = RecordingNews::Failed {
            server: server_name,
            name: taped.name.clone(),
            reason,
        };
        self.outputs.push_back(MediaOutput::Recording(failed));
    }
}

/// Files of a server.
pub(super) fn remote(server: &str, paths: Vec<String>) -> Vec<RemoteFile> {
    let file = |path| RemoteFile {
        server: server.to_owned(),
        path,
    };
    paths.into_iter().map(file).collect()
}
