//! One question to one server: repeated until it is answered or given up.
//!
//! `ng` repeats a reply for a cookie it has seen, so a question may be sent again without harm.

use std::time::Duration;

use clock::{Time, TimerKey};
use model::MediaServerId;
use ng::{Command, Reply};

use super::wire::{self, Said};
use super::{MediaOutput, MediaServers, Session, Timer};
use crate::output::MediaRequest;

/// When a question is sent again, after the time before; then it is given up. Together they leave
/// room for two more servers before the call gives up.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(150),
    Duration::from_millis(250),
    Duration::from_millis(300),
    Duration::from_millis(300),
];
/// How long a pong is waited for; more would mean that the server is dead anyway.
const PING_PATIENCE: Duration = Duration::from_secs(2);

/// A question without an answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) server: MediaServerId,
    purpose: Purpose,
    bytes: Vec<u8>,
    sent: Time,
    tries: usize,
    pub(super) timer: TimerKey,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Is it there?
    Ping,
    /// How busy is it?
    Statistics,
    /// What a call asks.
    Ask(Box<MediaRequest>),
    /// The first half of an echo: what comes back is answered by ourselves.
    EchoAsk(Box<MediaRequest>),
    /// Candidates of a side, which nobody waits for.
    Candidates,
    /// How is a session doing?
    Look(u64),
    /// A session is to be recorded.
    Record(u64),
    /// A side of a session is to hear music, no more music, or a key.
    Play(u64),
    /// Which keys were pressed?
    Keys,
    /// What has happened?
    News,
    /// A session is over, and its figures are wanted.
    Delete(Box<Session>),
    /// A session that nobody asks after any more.
    Farewell,
}

impl MediaServers {
    /// Sends a question.
    pub(super) fn exchange(
        &mut self,
        now: Time,
        server: MediaServerId,
        command: Command,
        purpose: Purpose,
    ) {
        self.last_cookie += 1;
        let cookie = self.last_cookie;
        let bytes = wire::encode(command, cookie);
        let patience = match purpose {
            Purpose::Ping
            | Purpose::Statistics
            | Purpose::Look(_)
            | Purpose::Keys
            | Purpose::News => PING_PATIENCE,
            _ => PATIENCE[0],
        };
        let timer = self.timers.insert(now + patience, Timer::Exchange(cookie));
        if !matches!(purpose, Purpose::Ping)
            && let Some(server) = self.servers.get_mut(&server)
        {
            server.handle_asked(now);
        }
        self.outputs.push_back(MediaOutput::Send {
            server,
            bytes: bytes.clone(),
        });
        let exchange = Exchange {
            server,
            purpose,
            bytes,
            sent: now,
            tries: 0,
            timer,
        };
        self.exchanges.insert(cookie, exchange);
    }

    /// A question has waited long enough for this time.
    pub(super) fn handle_silence(&mut self, now: Time, cookie: u64) {
        let Some(exchange) = self.exchanges.get_mut(&cookie) else {
            return;
        };
        exchange.tries += 1;
        if let Purpose::Ask(request) | Purpose::EchoAsk(request) = &exchange.purpose
            && !self.sessions.contains_key(&request.session)
        {
            // The call has given it up, and what was deleted must not begin again.
            self.exchanges.remove(&cookie);
            return;
        }
        let once = matches!(
            exchange.purpose,
            Purpose::Ping | Purpose::Statistics | Purpose::Look(_) | Purpose::Keys | Purpose::News
        );
        match PATIENCE.get(exchange.tries).filter(|_| !once) {
            Some(patience) => {
                exchange.timer = self.timers.insert(now + *patience, Timer::Exchange(cookie));
                let (server, bytes) = (exchange.server, exchange.bytes.clone());
                self.outputs.push_back(MediaOutput::Send { server, bytes });
            }
            None => {
                if let Some(exchange) = self.exchanges.remove(&cookie) {
                    self.give_up(now, exchange);
                }
            }
        }
    }

    /// Whatever a dead server was asked is given up.
    pub(super) fn fail_exchanges(&mut self, now: Time, server: MediaServerId) {
        let theirs = |(cookie, e): (&u64, &Exchange)| (e.server == server).then_some(*cookie);
        let mut cookies: Vec<u64> = self.exchanges.iter().filter_map(theirs).collect();
        cookies.sort_unstable();
        for cookie in cookies {
            if let Some(exchange) = self.exchanges.remove(&cookie) {
                self.timers.cancel(exchange.timer);
                self.give_up(now, exchange);
            }
        }
    }

    /// No answer came.
    fn give_up(&mut self, now: Time, exchange: Exchange) {
        match exchange.purpose {
            Purpose::Ping
            | Purpose::Statistics
            | Purpose::Candidates
            | Purpose::Look(_)
            | Purpose::Keys
            | Purpose::Farewell => {}
            Purpose::News => self.handle_news(exchange.server, None),
            Purpose::Play(session) => self.play_next(now, exchange.server, session),
            Purpose::Record(session) => self.handle_taped(exchange.server, session, None),
            Purpose::Ask(request) | Purpose::EchoAsk(request) => {
                self.not_served(now, exchange.server, request, NotServed::Silent);
            }
            Purpose::Delete(known) => self.report(*known, None),
        }
    }

    /// A server answered.
    pub(super) fn handle_reply(&mut self, now: Time, exchange: Exchange, reply: Option<Reply>) {
        let id = exchange.server;
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        server.handle_answer();
        let reply = reply.unwrap_or_else(|| Reply::error("an answer that nobody understands"));
        match exchange.purpose {
            Purpose::Ping => {
                if let Reply::Pong { status } = reply {
                    let rtt = now.since(exchange.sent);
                    if let Some(turn) = server.handle_pong(rtt, status.as_deref()) {
                        self.turn(now, id, turn);
                    }
                    self.ask_for_news(now, id);
                    self.tell_if_drained(id);
                }
            }
            Purpose::Statistics => {
                let Reply::Ok(success) = reply else { return };
                let figures = success.statistics.and_then(|s| wire::statistics(now, &s));
                let turn = figures
                    .and_then(|(sessions, started)| server.handle_statistics(sessions, started));
                if let Some(turn) = turn {
                    self.turn(now, id, turn);
                }
            }
            Purpose::Ask(request) => self.handle_said(now, id, request, wire::said(reply)),
            Purpose::EchoAsk(request) => match wire::said(reply) {
                Said::Description(offer) => self.answer_echo(now, id, request, &offer),
                other => self.handle_said(now, id, request, other),
            },
            Purpose::Candidates => {
                if let Reply::Error { reason } = reply {
                    tracing::debug!(server = %id, %reason, "candidates of a peer");
                }
            }
            Purpose::Look(session) => self.handle_look(now, id, session, reply),
            Purpose::Record(session) => self.handle_taped(id, session, Some(reply)),
            Purpose::Play(session) => {
                self.handle_played(id, &reply);
                self.play_next(now, id, session);
            }
            Purpose::Keys => self.handle_keys(id, reply),
            Purpose::News => self.handle_news(id, Some(reply)),
            Purpose::Delete(known) => {
                let said = match reply {
                    Reply::Ok(success) => Some(success),
                    _ => None,
                };
                self.report(*known, said);
            }
            Purpose::Farewell => {}
        }
    }
}

/// Why a server did not serve a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotServed {
    /// It did not answer.
    Silent,
    /// It said no.
    Refused,
    /// It knows nothing of the session.
    Unknown,
}
