//! What media servers are asked to play: music to who is on hold, and keys.

use call::Side;
use clock::Time;
use model::{MediaServerId, MusicOver};
use ng::{Command, Flag, MediaFile, Options, Playback, Reply, Selection};

use super::plays::Play;
use super::{MediaServers, wire};

/// What who is on hold is to hear again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Music {
    /// A file of the media server's.
    pub file: String,
    /// What becomes of what the holder sends. Servers that are not ours know nothing of it: what
    /// they play is heard beside it.
    pub over: MusicOver,
}

impl MediaServers {
    /// A side is to hear music; with `None` the other side again.
    pub fn handle_play(&mut self, now: Time, session: u64, side: Side, music: Option<Music>) {
        let Some(known) = self.sessions.get(&session) else {
            // Lost: its call asks anew, and says anew who is on hold.
            return;
        };
        let server = known.server;
        let selection = Selection::call(self.name_of(session)).from_tag(wire::tag(side));
        let is_ours = self.servers.get(&server).is_some_and(|s| s.says_status);
        let command = match music {
            Some(music) => {
                let mut options = Options::default();
                if is_ours && music.over == MusicOver::Silence {
                    options.flags.insert(Flag::OverSilence);
                }
                Command::PlayMedia(Box::new(Playback {
                    selection,
                    media: Some(MediaFile::Path(music.file)),
                    repeat_times: FOREVER,
                    options,
                    ..Playback::default()
                }))
            }
            None => Command::StopMedia(Box::new(selection)),
        };
        self.play_in_turn(now, session, (Play::Music(side), command));
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
