//! What media servers are asked to play: music to who is on hold, and keys.

use call::Side;
use clock::Time;
use model::MediaServerId;
use ng::{Command, MediaFile, Playback, Reply, Selection};

use super::exchange::Purpose;
use super::{MediaServers, call_id, wire};

impl MediaServers {
    /// A side is to hear a file of its server's again and again, in place of the other side; with
    /// `None` the other side again.
    pub fn handle_play(&mut self, now: Time, session: u64, side: Side, file: Option<String>) {
        let Some(known) = self.sessions.get(&session) else {
            // Lost: its call asks anew, and says anew who is on hold.
            return;
        };
        let server = known.server;
        let selection = Selection::call(call_id(self.prefix, session)).from_tag(wire::tag(side));
        let command = match file {
            Some(file) => Command::PlayMedia(Box::new(Playback {
                selection,
                media: Some(MediaFile::Path(file)),
                repeat_times: FOREVER,
                ..Playback::default()
            })),
            None => Command::StopMedia(Box::new(selection)),
        };
        self.exchange(now, server, command, Purpose::Play);
    }

    /// What a server says to it.
    pub(super) fn handle_played(&self, server: MediaServerId, reply: &Reply) {
        let reason = match reply {
            Reply::Error { reason } => reason,
            Reply::LoadLimit { message } => message,
            Reply::Ok(_) | Reply::Pong { .. } => return,
        };
        let name = self.servers.get(&server).map(|s| s.record.name.as_str());
        tracing::warn!(server = name, %reason, "what is to be heard is not played");
    }
}

/// More often than any hold lasts.
const FOREVER: u32 = 1_000_000;
