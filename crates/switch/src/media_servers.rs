//! The media servers as a switch sees them: who is there, who serves which session, and what
//! becomes of a session whose server dies.
//!
//! A machine of its own beside the [`Switch`](crate::Switch), because it has peers of its own: it
//! is fed with what came from them and with the time, and says what to send and what to tell the
//! switch. Sessions never move by themselves: the call of a lost session is told, and asks anew
//! under another session number; what the old server still has of it is deleted when it is back.

mod adopt;
mod ask;
mod choose;
mod delays;
mod exchange;
mod keys;
mod news;
mod pace;
mod play;
mod plays;
mod record;
mod server;
#[cfg(test)]
mod tests;
mod watch;
mod wire;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use bytes::Bytes;
use call::{MediaAsk, Press, Side};
use clock::{Time, Wheel};
use hashbrown::HashMap;
use model::{CdrLegMedia, MediaServer, MediaServerHealth, MediaServerId};

pub use self::adopt::{Adopted, Anchor};
pub use self::choose::{Candidate, Choice, Place, ZONE_TIE_US, choose};
use self::delays::Delays;
use self::exchange::{Exchange, Purpose};
use self::keys::Keys;
pub use self::keys::KeysThere;
use self::pace::Pace;
pub use self::play::Music;
use self::plays::Plays;
use self::record::Taped;
pub use self::record::{RecordingNews, RemoteFile, Upload};
use self::server::{PING_INTERVAL, REFUSED_AGAIN, Server, Turn};
use self::watch::Watch;
use crate::media_terms::IceAgent;
use crate::output::CallKey;

/// The media servers.
pub struct MediaServers {
    /// Tells our sessions from those of other switches, and of earlier starts of this one.
    prefix: u64,
    servers: HashMap<MediaServerId, Server, RandomState>,
    sessions: HashMap<u64, Session, RandomState>,
    exchanges: HashMap<u64, Exchange, RandomState>,
    last_cookie: u64,
    timers: Wheel<Timer>,
    /// Sessions whose calls are still to be told that they are lost.
    lost: Pace,
    /// What was last seen of sessions that are lost, until their calls give them up.
    ended: HashMap<u64, Box<Session>, RandomState>,
    delays: Delays,
    /// Whether it was told that keys are converted.
    converts_keys: bool,
    /// How long a side that should be heard may not be.
    inactivity: Option<Duration>,
    /// What sides that speak ICE find in the servers.
    ice_agent: IceAgent,
    outputs: VecDeque<MediaOutput>,
}

/// What the media servers' machine wants.
#[derive(Debug)]
pub enum MediaOutput {
    /// Send this to where the server is controlled.
    Send {
        /// Whom to.
        server: MediaServerId,
        /// One datagram.
        bytes: Vec<u8>,
    },
    /// The answer to a question of a call.
    Answer {
        /// Whose.
        call: CallKey,
        /// To which question.
        ask: MediaAsk,
        /// The description for the other side, or the status it counts as.
        answer: Result<Bytes, u16>,
        /// Why this server, if one was chosen for the question.
        why: Option<String>,
        /// Where the session is.
        anchor: Option<Anchor>,
    },
    /// What both sides of a session sent, now that it is over.
    Report {
        /// Whose.
        call: CallKey,
        /// The caller's and the callee's.
        legs: [CdrLegMedia; 2],
        /// Where the media of each came from and where it went, as far as it is known.
        ends: Box<[(SocketAddr, SocketAddr); 2]>,
        /// Files of its recording.
        recordings: Vec<RemoteFile>,
    },
    /// A side of a call that should be heard is not, for too long.
    Silent {
        /// Whose.
        call: CallKey,
        /// In which session.
        session: u64,
    },
    /// A party has pressed a key, in a call whose other party takes keys in another form.
    Key {
        /// Whose.
        call: CallKey,
        /// Which.
        session: u64,
        /// Who.
        from: Side,
        /// What.
        press: Press,
    },
    /// A party has not said for too long that it still wants media, and gets none any more.
    ConsentLost {
        /// Whose.
        call: CallKey,
        /// In which session.
        session: u64,
        /// Who.
        side: Side,
    },
    /// Keys of new calls are converted from now on, or no longer.
    Keys(KeysThere),
    /// A recording has begun, ended or come to nothing.
    Recording(RecordingNews),
    /// A session is lost, with whatever was asked about it.
    Lost {
        /// Whose.
        call: CallKey,
        /// Which.
        session: u64,
    },
    /// A server changed.
    Changed(MediaServerChange),
}

/// How a media server changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaServerChange {
    /// Which.
    pub server: MediaServerId,
    /// What people call it.
    pub name: String,
    /// What it is now.
    pub change: MediaChange,
    /// Why, in words; empty if there is nothing to say.
    pub reason: &'static str,
    /// Sessions that are moved to others for it.
    pub sessions: usize,
}

/// What happened to a media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaChange {
    /// It takes calls.
    Up,
    /// It is dead, or was restarted: its calls move.
    Down,
    /// It takes no new calls and has none left.
    Drained,
}

/// A session on a server.
#[derive(Debug)]
struct Session {
    call: CallKey,
    /// Of its name on the server: that of the node that has begun it.
    prefix: u64,
    server: MediaServerId,
    /// Where its sides are, as far as it is known.
    peers: [Option<IpAddr>; 2],
    /// Who made the last offer.
    offerer: Side,
    /// Whether the server has taken a description of it.
    established: bool,
    /// Whether it has taken an answer.
    is_answered: bool,
    watch: Watch,
    /// Whether its keys change their form.
    keys: Keys,
    /// What its server is yet to be told to play.
    plays: Plays,
    /// Its recording, if it is to be recorded.
    taped: Option<Box<Taped>>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Timer {
    Ping(MediaServerId),
    Exchange(u64),
    /// A session is to be looked at.
    Look(u64),
    /// A server is to be asked for keys.
    Keys(MediaServerId),
    /// The next lost sessions are to be told.
    Lost,
}

impl MediaServers {
    /// None at first. `seed` are random bits.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = RandomState::with_seeds(seed, !seed, seed.rotate_left(7), 5);
        Self {
            prefix: seed,
            servers: HashMap::with_hasher(state.clone()),
            sessions: HashMap::with_hasher(state.clone()),
            exchanges: HashMap::with_hasher(state.clone()),
            last_cookie: 0,
            timers: Wheel::new(),
            lost: Pace::default(),
            ended: HashMap::with_hasher(state),
            delays: Delays::default(),
            converts_keys: false,
            inactivity: None,
            ice_agent: IceAgent::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes over the records. Those that are gone or disabled lose their calls to others.
    pub fn configure(&mut self, now: Time, records: &[Arc<MediaServer>]) {
        let ids: Vec<MediaServerId> = self.servers.keys().copied().collect();
        for id in ids {
            let record = records.iter().find(|r| r.id == id);
            let stays = record.is_some_and(|r| r.enabled && self.is_controlled_at(id, r));
            if !stays {
                self.lose_all(now, id);
            }
            if !record.is_some_and(|r| self.is_controlled_at(id, r)) {
                self.fail_exchanges(now, id);
                self.servers.remove(&id);
            }
        }
        for record in records {
            match self.servers.get_mut(&record.id) {
                Some(server) => {
                    let woken = record.enabled && !server.record.enabled;
                    server.record = Arc::clone(record);
                    if woken {
                        self.timers.insert(now, Timer::Ping(record.id));
                    }
                }
                None => {
                    let server = Server::new(Arc::clone(record));
                    self.servers.insert(record.id, server);
                    if record.enabled {
                        self.timers.insert(now, Timer::Ping(record.id));
                    }
                }
            }
            self.tell_if_drained(record.id);
        }
        self.tell_whether_keys_are_converted();
    }

    fn is_controlled_at(&self, id: MediaServerId, record: &MediaServer) -> bool {
        let known = self.servers.get(&id);
        known.is_some_and(|known| known.record.control == record.control)
    }

    /// A datagram of a server.
    pub fn handle_datagram(&mut self, now: Time, from: MediaServerId, bytes: &[u8]) {
        let Ok(frame) = ng::Frame::split(bytes) else {
            return;
        };
        let cookie = str::from_utf8(frame.cookie).ok();
        let Some(cookie) = cookie.and_then(|c| c.parse::<u64>().ok()) else {
            return;
        };
        if self.exchanges.get(&cookie).is_none_or(|e| e.server != from) {
            // A repeated answer, or one that came too late.
            return;
        }
        let reply = frame.dictionary().ok();
        let reply = reply.and_then(|d| ng::Reply::read(&d).ok());
        let Some(exchange) = self.exchanges.remove(&cookie) else {
            return;
        };
        self.timers.cancel(exchange.timer);
        self.handle_reply(now, exchange, reply);
    }

    /// The machine of a server says that nobody listens at its port.
    pub fn handle_refused(&mut self, now: Time, from: MediaServerId) {
        let Some(server) = self.servers.get_mut(&from) else {
            return;
        };
        match server.handle_refused() {
            Some(turn) => self.turn(now, from, turn),
            None => {
                server.next_ping = server.next_ping.min(now + REFUSED_AGAIN);
                self.timers.insert(now + REFUSED_AGAIN, Timer::Ping(from));
            }
        }
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop_expired(now) {
            match timer {
                Timer::Ping(server) => self.ping(now, server),
                Timer::Exchange(cookie) => self.handle_silence(now, cookie),
                Timer::Look(session) => self.look(now, session),
                Timer::Keys(server) => self.ask_for_keys(now, server),
                Timer::Lost => self.tell_lost(now),
            }
        }
    }

    /// When [`MediaServers::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next_timeout()
    }

    /// What is wanted next.
    pub fn poll_output(&mut self) -> Option<MediaOutput> {
        self.outputs.pop_front()
    }

    /// How each is, in the order of their names.
    #[must_use]
    pub fn health(&self) -> Vec<MediaServerHealth> {
        let mut all: Vec<_> = self.servers.values().map(Server::view).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Which server a call of this place would get, and why.
    #[must_use]
    pub fn explain(&self, now: Time, place: &Place) -> String {
        self.choose(now, place, &[], Keys::Pass).1
    }

    fn ping(&mut self, now: Time, id: MediaServerId) {
        let Some(server) = self.servers.get_mut(&id).filter(|s| s.record.enabled) else {
            return;
        };
        if server.next_ping > now {
            // Asked out of turn meanwhile.
            return;
        }
        server.next_ping = now + PING_INTERVAL;
        let turn = server.handle_time(now);
        server.handle_asked(now);
        let wants_figures = server.wants_figures(now);
        self.timers.insert(now + PING_INTERVAL, Timer::Ping(id));
        if let Some(turn) = turn {
            self.turn(now, id, turn);
        }
        self.exchange(now, id, ng::Command::Ping, Purpose::Ping);
        if wants_figures {
            self.exchange(now, id, ng::Command::Statistics, Purpose::Statistics);
        }
    }

    /// A server has come up, died or been restarted.
    fn turn(&mut self, now: Time, id: MediaServerId, turn: Turn) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        // It counts from the beginning at each start.
        server.last_key = 0;
        let (why, sessions) = (server.last_failure(), server.sessions.len());
        match turn {
            Turn::Up => {
                let less = match server.says_status {
                    true => "",
                    false => "it converts no keys between RFC 4733, INFO and tones",
                };
                self.tell(id, MediaChange::Up, less, 0);
                self.pay_debts(now, id);
            }
            Turn::Down => {
                self.tell(id, MediaChange::Down, why, sessions);
                self.fail_exchanges(now, id);
                self.lose_all(now, id);
            }
            Turn::Restarted => {
                self.tell(id, MediaChange::Down, "it was restarted", sessions);
                self.lose_all(now, id);
                self.tell(id, MediaChange::Up, "", 0);
            }
        }
        self.tell_whether_keys_are_converted();
    }

    fn tell(
        &mut self,
        id: MediaServerId,
        change: MediaChange,
        reason: &'static str,
        sessions: usize,
    ) {
        let server = self.servers.get(&id);
        let change = MediaServerChange {
            server: id,
            name: server.map(|s| s.record.name.clone()).unwrap_or_default(),
            change,
            reason,
            sessions,
        };
        self.outputs.push_back(MediaOutput::Changed(change));
    }

    /// What a server that is back still has of sessions that were moved is given up there.
    fn pay_debts(&mut self, now: Time, id: MediaServerId) {
        let owed = match self.servers.get_mut(&id) {
            Some(server) => std::mem::take(&mut server.owed),
            None => return,
        };
        for call_id in owed {
            self.exchange(now, id, wire::deletion(&call_id), Purpose::Farewell);
        }
    }

    /// All sessions of a server are lost: their calls are told, not all at once.
    fn lose_all(&mut self, now: Time, id: MediaServerId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let sessions = std::mem::take(&mut server.sessions);
        for session in sessions {
            let known = self.sessions.get(&session);
            let prefix = known.map_or(self.prefix, |known| known.prefix);
            server.owe(call_id(prefix, session));
            self.lost.push(session);
        }
        if server.health == server::Health::Up {
            self.pay_debts(now, id);
        }
        self.tell_lost(now);
    }

    fn tell_lost(&mut self, now: Time) {
        for session in self.lost.due(now) {
            self.lose(session);
        }
        if let Some(at) = self.lost.next() {
            self.timers.insert(at, Timer::Lost);
        }
    }

    /// Tells the call of a session that it is lost, unless it was told or has given it up.
    fn lose(&mut self, session: u64) {
        let Some(known) = self.sessions.remove(&session) else {
            return;
        };
        if let Some(server) = self.servers.get_mut(&known.server) {
            server.sessions.remove(&session);
        }
        let call = known.call;
        // The call gives it up when it is told.
        self.ended.insert(session, Box::new(known));
        self.outputs.push_back(MediaOutput::Lost { call, session });
    }

    /// The name of a session on its server.
    fn name_of(&self, session: u64) -> String {
        let known = self.sessions.get(&session);
        call_id(known.map_or(self.prefix, |known| known.prefix), session)
    }

    fn tell_if_drained(&mut self, id: MediaServerId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let drained = server.is_draining() && server.sessions.is_empty();
        let news = drained && !server.told_drained;
        server.told_drained = drained;
        if news {
            self.tell(id, MediaChange::Drained, "", 0);
        }
    }
}

/// The session of ours behind a name on a server, with its number: begun here, or by a node whose call
/// goes on here.
fn named<'s>(
    sessions: &'s HashMap<u64, Session, RandomState>,
    server: MediaServerId,
    call_id: &str,
) -> Option<(u64, &'s Session)> {
    let (prefix, number) = wire::session_of(call_id)?;
    let known = sessions.get(&number)?;
    (known.prefix == prefix && known.server == server).then_some((number, known))
}

/// The name of a session on its server.
fn call_id(prefix: u64, session: u64) -> String {
    format!("{prefix:016x}-{session:x}")
}
