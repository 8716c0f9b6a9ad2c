//! One media server: is it there, and how busy is it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock::Time;
use model::{MediaServer, MediaServerHealth, MediaServerState};
use ng::Status;

use super::news::Heard;

/// How often each is asked whether it is there.
pub(super) const PING_INTERVAL: Duration = Duration::from_millis(200);
/// So long without any answer, and it counts as dead: with the interval less than a second after
/// its death.
pub(super) const DEAD_AFTER: Duration = Duration::from_millis(600);
/// How often rtpengine is asked for its figures.
const FIGURES_INTERVAL: Duration = Duration::from_secs(1);
/// How soon it is asked again after its machine said that nobody listens.
pub(super) const REFUSED_AGAIN: Duration = Duration::from_millis(20);
/// How often it must be refused in a row to count as dead.
const REFUSALS: u8 = 2;
/// How many pings in a row a dead one must answer to be alive.
const PONGS: u8 = 4;
/// Sessions that a dead one is to give up when it is back; beyond, it finds out by itself.
const OWED_MAX: usize = 65_536;

/// Whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It was never asked long enough.
    Unknown,
    Up,
    Down,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It takes calls.
    Up,
    /// It is dead.
    Down,
    /// It is another one than before: what it had is gone.
    Restarted,
}

/// A media server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) record: Arc<MediaServer>,
    pub(super) health: Health,
    /// Our sessions on it.
    pub(super) sessions: BTreeSet<u64>,
    /// Sessions of everybody as it last said, and how many of them were ours then.
    reported: Option<(u32, u32)>,
    pub(super) load_permille: Option<u16>,
    /// A server of ours says itself that it takes no more.
    says_draining: bool,
    /// Tells one start of it from the next.
    instance: Option<u64>,
    pub(super) rtt_us: Option<u32>,
    pongs: u8,
    refusals: u8,
    /// The first question since the last answer.
    unanswered: Option<Time>,
    last_failure: &'static str,
    /// ng call-ids of sessions that were moved away while it was dead.
    pub(super) owed: VecDeque<String>,
    /// Whether its end of draining was told.
    pub(super) told_drained: bool,
    /// When it is asked next whether it is there.
    pub(super) next_ping: Time,
    /// When it is asked next for its figures.
    next_figures: Time,
    /// One of ours says in each pong what others are asked for.
    pub(super) says_status: bool,
    /// The number of the last key it told of.
    pub(super) last_key: u64,
    /// Whether it is asked for keys at present.
    pub(super) is_asked_for_keys: bool,
    /// What of its news is known.
    pub(super) news: Heard,
}

impl Server {
    pub(super) fn new(record: Arc<MediaServer>) -> Self {
        Self {
            record,
            health: Health::Unknown,
            sessions: BTreeSet::new(),
            reported: None,
            load_permille: None,
            says_draining: false,
            instance: None,
            rtt_us: None,
            pongs: 0,
            refusals: 0,
            unanswered: None,
            last_failure: "",
            owed: VecDeque::new(),
            told_drained: false,
            next_ping: Time::ZERO,
            next_figures: Time::ZERO,
            says_status: false,
            last_key: 0,
            is_asked_for_keys: false,
            news: Heard::default(),
        }
    }

    /// Whether new sessions go to it.
    pub(super) fn takes_calls(&self) -> bool {
        self.state() == MediaServerState::Up
    }

    pub(super) fn is_draining(&self) -> bool {
        self.record.draining || self.says_draining
    }

    pub(super) fn state(&self) -> MediaServerState {
        if !self.record.enabled {
            return MediaServerState::Disabled;
        }
        match self.health {
            Health::Unknown => MediaServerState::Unknown,
            Health::Down => MediaServerState::Down,
            Health::Up if !self.is_draining() => MediaServerState::Up,
            Health::Up if self.sessions_total() > 0 => MediaServerState::Draining,
            Health::Up => MediaServerState::Drained,
        }
    }

    /// Sessions of everybody, as far as is known.
    pub(super) fn sessions_total(&self) -> u32 {
        let ours = self.sessions.len() as u32;
        let foreign = self
            .reported
            .map_or(0, |(all, ours)| all.saturating_sub(ours));
        ours + foreign
    }

    /// Whether it is time to ask for its figures.
    pub(super) fn wants_figures(&mut self, now: Time) -> bool {
        let due = self.health == Health::Up && !self.says_status && now >= self.next_figures;
        if due {
            self.next_figures = now + FIGURES_INTERVAL;
        }
        due
    }

    /// A question goes out.
    pub(super) fn handle_asked(&mut self, now: Time) {
        self.unanswered.get_or_insert(now);
    }

    /// Something came back: it is there.
    pub(super) fn handle_answer(&mut self) {
        self.unanswered = None;
        self.refusals = 0;
    }

    /// It answered a ping.
    pub(super) fn handle_pong(&mut self, rtt: Duration, status: Option<&Status>) -> Option<Turn> {
        self.handle_answer();
        self.rtt_us = Some(u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX));
        self.pongs = self.pongs.saturating_add(1);
        let restarted = status.is_some_and(|status| self.handle_status(status));
        match self.health {
            Health::Up => restarted.then_some(Turn::Restarted),
            // One that was never known dead is believed at once.
            Health::Down if self.pongs < PONGS => None,
            Health::Unknown | Health::Down => {
                self.health = Health::Up;
                self.last_failure = "";
                Some(Turn::Up)
            }
        }
    }

    /// What a server of ours says of itself; whether it is another than before.
    fn handle_status(&mut self, status: &Status) -> bool {
        let total = u32::try_from(status.sessions).unwrap_or(u32::MAX);
        self.reported = Some((total, self.sessions.len() as u32));
        self.says_status = true;
        self.load_permille = Some(status.load_permille);
        self.says_draining = status.state != ng::State::Active;
        let before = self.instance.replace(status.instance);
        self.news.handle_status(before, status);
        before.is_some_and(|before| before != status.instance)
    }

    /// What rtpengine says of itself: its sessions, and for how many seconds it has run.
    pub(super) fn handle_statistics(&mut self, sessions: u32, started: Time) -> Option<Turn> {
        self.reported = Some((sessions, self.sessions.len() as u32));
        let started_s = started.as_micros() / 1_000_000;
        let before = self.instance.replace(started_s);
        // Its uptime is in whole seconds, so that its start seems to move by one.
        let restarted = before.is_some_and(|before| started_s > before + 1);
        if !restarted && let Some(before) = before {
            self.instance = Some(before.min(started_s));
        }
        (restarted && self.health == Health::Up).then_some(Turn::Restarted)
    }

    /// Its machine says that nobody listens.
    pub(super) fn handle_refused(&mut self) -> Option<Turn> {
        self.pongs = 0;
        self.refusals = self.refusals.saturating_add(1);
        let dead = self.refusals >= REFUSALS;
        dead.then(|| self.die("nobody listens there")).flatten()
    }

    /// Time has passed.
    pub(super) fn handle_time(&mut self, now: Time) -> Option<Turn> {
        let silent = self
            .unanswered
            .is_some_and(|since| now.since(since) >= DEAD_AFTER);
        silent.then(|| self.die("it does not answer")).flatten()
    }

    fn die(&mut self, why: &'static str) -> Option<Turn> {
        self.pongs = 0;
        self.last_failure = why;
        let was = std::mem::replace(&mut self.health, Health::Down);
        (was != Health::Down).then_some(Turn::Down)
    }

    /// A session it is to give up when it is back.
    pub(super) fn owe(&mut self, call_id: String) {
        if self.owed.len() < OWED_MAX {
            self.owed.push_back(call_id);
        }
    }

    pub(super) const fn last_failure(&self) -> &'static str {
        self.last_failure
    }

    pub(super) fn view(&self) -> MediaServerHealth {
        MediaServerHealth {
            media_server: self.record.id,
            name: self.record.name.clone(),
            zone: self.record.zone.clone(),
            state: self.state(),
            rtt_us: self.rtt_us,
            sessions: self.sessions.len() as u32,
            sessions_total: self.reported.map(|_| self.sessions_total()),
            load_percent: self.load_permille.map(|l| (l.min(1_000) / 10) as u8),
            converts_keys: self.says_status,
            last_failure: self.last_failure.to_owned(),
        }
    }
}
