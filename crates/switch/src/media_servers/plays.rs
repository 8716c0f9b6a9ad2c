//! What the server of a session is told to play, one thing at a time: of two datagrams under way the
//! first may be lost, and come again behind the second.

use std::collections::VecDeque;

use call::Side;
use clock::Time;
use model::MediaServerId;
use ng::Command;

use super::exchange::Purpose;
use super::server::Health;
use super::{MediaServers, Server};

/// What waits for its turn in a session.
#[derive(Debug, Default)]
pub(super) struct Plays {
    /// Whether the server has yet to answer to what came before.
    is_asked: bool,
    /// Of music the last word for each side, and at most [`KEYS_MAX`] keys.
    waiting: VecDeque<(Play, Command)>,
}

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Play {
    /// Music to a side, or no music any more.
    Music(Side),
    /// A key.
    Key,
}

impl Plays {
    fn push(&mut self, play: Play, command: Command) {
        let same = |waits: &(Play, Command)| waits.0 == play;
        match play {
            // The last word holds.
            Play::Music(_) => self.waiting.retain(|waits| !same(waits)),
            Play::Key if self.waiting.iter().filter(|w| same(w)).count() == KEYS_MAX => {
                tracing::warn!("a key is not told: too many wait for their media server");
                return;
            }
            Play::Key => {}
        }
        self.waiting.push_back((play, command));
    }
}

impl MediaServers {
    /// Tells the server of a session, as soon as it has answered to what came before.
    pub(super) fn play_in_turn(
        &mut self,
        now: Time,
        session: u64,
        (play, command): (Play, Command),
    ) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        known.plays.push(play, command);
        if !known.plays.is_asked {
            let server = known.server;
            self.play_next(now, server, session);
        }
    }

    /// A server has been told, or does not answer: it is told what comes next.
    pub(super) fn play_next(&mut self, now: Time, server: MediaServerId, session: u64) {
        let is_dead = |server: &Server| server.health == Health::Down;
        let is_gone = self.servers.get(&server).is_none_or(is_dead);
        let known = self.sessions.get_mut(&session);
        let Some(known) = known.filter(|known| known.server == server) else {
            return;
        };
        if is_gone {
            known.plays = Plays::default();
            return;
        }
        let next = known.plays.waiting.pop_front();
        known.plays.is_asked = next.is_some();
        if let Some((_, command)) = next {
            self.exchange(now, server, command, Purpose::Play(session));
        }
    }
}

/// Keys of a session that wait; more, and those that come are left out.
const KEYS_MAX: usize = 64;
