//! What happens at media servers of ours although nobody has asked: a party that no longer wants
//! media, and what becomes of recordings after their end.
//!
//! Each pong says whether there is anything new; only then is it asked for. rtpengine says nothing.

use clock::Time;
use model::MediaServerId;
use ng::{Command, Happening, News, Reply, Status};

use super::exchange::Purpose;
use super::{MediaOutput, MediaServers, RecordingNews, RemoteFile, Upload, named, wire};

/// What is known of the news of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// The number of the last piece that is known.
    last: u64,
    /// The number of the last piece there is.
    there: u64,
    /// Up to here it had happened before this switch knew the server.
    old: u64,
    is_asked: bool,
}

impl Heard {
    /// A pong has come, of the start of the server that it names; `before` is the one that was
    /// known.
    pub(super) fn handle_status(&mut self, before: Option<u64>, status: &Status) {
        if before != Some(status.instance) {
            // It counts from the beginning at each start. A question to the last one is still
            // answered, or given up.
            *self = Self {
                is_asked: self.is_asked,
                ..Self::default()
            };
        }
        if before.is_none() {
            self.old = status.news;
        }
        self.there = status.news;
    }
}

impl MediaServers {
    /// Asks for news, if there are any.
    pub(super) fn ask_for_news(&mut self, now: Time, id: MediaServerId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let Heard { last, there, .. } = server.news;
        if there > last && !std::mem::replace(&mut server.news.is_asked, true) {
            self.exchange(now, id, Command::News { after: last }, Purpose::News);
        }
    }

    /// What a server says to that; `None` if it says nothing.
    pub(super) fn handle_news(&mut self, id: MediaServerId, reply: Option<Reply>) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        server.news.is_asked = false;
        let Some(Reply::Ok(success)) = reply else {
            return;
        };
        if success.news.is_empty() {
            // All that is left is of kinds that are not known here.
            server.news.last = server.news.there;
        }
        let name = server.record.name.clone();
        for News { number, what } in success.news {
            let Some(server) = self.servers.get_mut(&id) else {
                return;
            };
            if number <= server.news.last {
                continue;
            }
            server.news.last = number;
            let is_old = number <= server.news.old;
            let told = self.told(id, &name, what);
            // A failure of long ago says nothing of today.
            let is_stale = |told: &MediaOutput| {
                matches!(
                    told,
                    MediaOutput::Recording(RecordingNews::UploadFailed { .. })
                )
            };
            self.outputs
                .extend(told.filter(|told| !is_old || !is_stale(told)));
        }
    }

    /// What the switch is told of a piece; nothing if it is about the call of another.
    fn told(&self, id: MediaServerId, name: &str, what: Happening) -> Option<MediaOutput> {
        let file = |path| RemoteFile {
            server: name.to_owned(),
            path,
        };
        Some(match what {
            Happening::ConsentLost { call_id, tag } => {
                let (session, known) = named(&self.sessions, id, &call_id)?;
                MediaOutput::ConsentLost {
                    call: known.call,
                    session,
                    side: wire::side_of(&tag)?,
                }
            }
            Happening::Uploaded {
                file: path,
                location,
                bytes,
                length_ms,
                changed_us,
                uploaded_us,
            } => MediaOutput::Recording(RecordingNews::Uploaded(Upload {
                file: file(path),
                location,
                bytes,
                length_ms,
                changed_us,
                uploaded_us,
            })),
            Happening::UploadFailed { file: path, reason } => {
                let file = file(path);
                MediaOutput::Recording(RecordingNews::UploadFailed { file, reason })
            }
        })
    }
}
