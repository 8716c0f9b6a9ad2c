//! Keys of a telephone in calls on media servers, where the parties give them in different forms.
//!
//! Only servers of ours convert keys: rtpengine tells nobody but its own log of those it hears. They
//! are asked for the keys that were pressed as long as there is a call that wants them. A call that
//! has lost the last of them, and goes on at an rtpengine, has keys by INFO sounded there still.

use std::time::Duration;

use call::{MediaOp, Press, Side};
use clock::Time;
use model::MediaServerId;
use ng::options::CodecRule;
use ng::{Command, Flag, KeyForm, Reply, Selection, Tone};

use super::exchange::Purpose;
use super::plays::Play;
use super::server::Health;
use super::{MediaOutput, MediaServers, Timer, named, wire};
use crate::output::MediaRequest;

/// Whether keys of a call change their form on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Pass,
    Change,
}

impl Keys {
    pub(super) fn of(request: &MediaRequest) -> Self {
        match forms(request) {
            None => Self::Pass,
            Some(_) => Self::Change,
        }
    }
}

/// How the author of a description gives keys, and how the other side takes them, if that is not
/// the same.
pub(super) fn forms(request: &MediaRequest) -> Option<[KeyForm; 2]> {
    let toward = request.ends.toward;
    let form = |keys| match keys {
        call::Keys::Events => KeyForm::Events,
        call::Keys::Tones => KeyForm::Tones,
        call::Keys::Messages => KeyForm::Messages,
    };
    let differ = request.op == MediaOp::Offer && toward.author_keys != toward.keys;
    differ.then(|| [toward.author_keys, toward.keys].map(form))
}

/// Asks rtpengine for what it can do: to sound keys that it is told of, as events where the other
/// side takes those. It does so in no media that it was not asked to.
pub(super) fn sound_keys(command: &mut Command, request: &MediaRequest) {
    let (Command::Offer(asked) | Command::Answer(asked)) = command else {
        return;
    };
    asked.options.flags.insert(Flag::InjectDtmf);
    if let Some([_, KeyForm::Events]) = forms(request) {
        let codecs = &mut asked.options.codecs;
        codecs.add(CodecRule::Transcode, "telephone-event");
    }
}

impl MediaServers {
    /// Has a side of a session hear a key of the other.
    pub fn handle_press(&mut self, now: Time, session: u64, to: Side, press: Press) {
        let Some(event) = ng::event_of_digit(press.key) else {
            return;
        };
        let selection = Selection::call(self.name_of(session));
        let tone = Tone {
            selection: selection.from_tag(wire::tag(to.other())),
            event,
            duration_ms: u16::try_from(press.duration_ms).unwrap_or(u16::MAX),
            volume_db: VOLUME_DB,
            pause_ms: PAUSE_MS,
        };
        let command = Command::PlayDtmf(Box::new(tone));
        self.play_in_turn(now, session, (Play::Key, command));
    }

    /// A session of a server has keys that change their form: the server is asked for them.
    pub(super) fn listen_for_keys(&mut self, now: Time, id: MediaServerId) {
        let Some(server) = self.servers.get_mut(&id).filter(|s| s.says_status) else {
            return;
        };
        if !std::mem::replace(&mut server.is_asked_for_keys, true) {
            self.timers.insert(now + KEYS_INTERVAL, Timer::Keys(id));
        }
    }

    /// The next question for keys, as long as anybody wants to know.
    pub(super) fn ask_for_keys(&mut self, now: Time, id: MediaServerId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let wants = |session: &u64| {
            let known = self.sessions.get(session);
            known.is_some_and(|known| known.keys == Keys::Change)
        };
        if server.health == Health::Down || !server.sessions.iter().any(wants) {
            server.is_asked_for_keys = false;
            return;
        }
        let after = server.last_key;
        self.timers.insert(now + KEYS_INTERVAL, Timer::Keys(id));
        self.exchange(now, id, Command::Keys { after }, Purpose::Keys);
    }

    /// What a server has heard. A key that was told before, in an answer that came later than the
    /// next, is not told again.
    pub(super) fn handle_keys(&mut self, id: MediaServerId, reply: Reply) {
        let (Reply::Ok(success), Some(server)) = (reply, self.servers.get_mut(&id)) else {
            return;
        };
        for pressed in success.keys {
            if pressed.number <= server.last_key {
                continue;
            }
            server.last_key = pressed.number;
            let known = named(&self.sessions, id, &pressed.call_id);
            let (Some((session, known)), Some(from)) = (known, wire::side_of(&pressed.tag)) else {
                continue;
            };
            self.outputs.push_back(MediaOutput::Key {
                call: known.call,
                session,
                from,
                press: Press {
                    key: pressed.key,
                    duration_ms: pressed.duration_ms,
                },
            });
        }
    }

    /// Whether an attempt that needs keys converted finds the session where that cannot be, as an
    /// earlier one needed none, and would find it elsewhere. Who has been told an answer sends
    /// media where that says: then the session stays.
    pub(super) fn keys_are_better_elsewhere(&self, request: &MediaRequest) -> bool {
        let known = self.sessions.get(&request.session);
        let Some(known) = known.filter(|known| !known.is_answered) else {
            return false;
        };
        let here = self.servers.get(&known.server);
        let mut elsewhere = self.servers.values();
        Keys::of(request) == Keys::Change
            && here.is_some_and(|server| !server.says_status)
            && elsewhere.any(|server| server.takes_calls() && server.says_status)
    }

    /// Tells whether there is a server that converts keys, if that has changed.
    pub(super) fn tell_whether_keys_are_converted(&mut self) {
        let mut servers = self.servers.values();
        let converts = servers.any(|server| server.takes_calls() && server.says_status);
        if std::mem::replace(&mut self.converts_keys, converts) != converts {
            let news = match converts {
                true => Keys::Change,
                false => Keys::Pass,
            };
            self.outputs.push_back(MediaOutput::Keys(news.into()));
        }
    }
}

/// What becomes of keys in new calls on media servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeysThere {
    /// They pass as they come.
    #[default]
    Pass,
    /// They are converted for parties that give them in different forms.
    Converted,
}

impl From<Keys> for KeysThere {
    fn from(keys: Keys) -> Self {
        match keys {
            Keys::Pass => Self::Pass,
            Keys::Change => Self::Converted,
        }
    }
}

/// How often a server is asked for keys: nobody notices a tenth of a second.
const KEYS_INTERVAL: Duration = Duration::from_millis(100);
/// Of keys that come without a loudness.
const VOLUME_DB: u8 = 10;
/// Between two keys.
const PAUSE_MS: u16 = 100;
