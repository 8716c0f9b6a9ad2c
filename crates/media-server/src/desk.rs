//! The desk: requests in, replies out. It owns the engine and all calls, on one thread, and does no
//! other IO than what the engine does.

mod actions;
mod figures;
mod files;
mod keys;
mod negotiate;
mod news;
mod subscriptions;
mod ways;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{Engine, MediaEvent, Recorded, RecordingOutcome, SeenReport};
use ng::{
    BadMessage, CallReport, Command, Deletion, Flag, Frame, Reply, Request, Selection, State,
    Status, Success,
};

use crate::calls::{Calls, HonourToTag};
use crate::config::{Config, SeenRtcp};
use crate::cookies::Cookies;
use crate::news::Board;
use crate::pressed::Pressed;
use crate::tally::Tally;
use crate::wishes::undone;
use files::{Files, Readiness};

/// Answers requests.
pub(crate) struct Desk {
    config: Config,
    engine: Engine,
    calls: Calls,
    cookies: Cookies,
    tally: Tally,
    files: Files,
    pressed: Pressed,
    news: Board,
    state: State,
    started: Instant,
    /// Tells this start of the server from others.
    instance: u64,
    swept: Instant,
    cpu_permille: u16,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    Answered(Arc<[u8]>),
    /// It is none that could be answered.
    NoMessage,
    /// It waits for a file, and is to be handled again soon.
    Later,
}

impl Desk {
    pub(crate) fn new(config: Config, engine: Engine, instance: u64, now: Instant) -> Self {
        Self {
            engine,
            calls: Calls::default(),
            cookies: Cookies::new(now),
            tally: Tally::default(),
            files: Files::new(),
            pressed: Pressed::default(),
            news: Board::default(),
            state: State::Active,
            started: now,
            instance,
            swept: now,
            cpu_permille: 0,
            config,
        }
    }

    /// Answers a message.
    pub(crate) fn handle(&mut self, source: SocketAddr, message: &[u8], now: Instant) -> Handled {
        let frame = match Frame::split(message) {
            Ok(frame) => frame,
            Err(error) => {
                self.tally.count_malformed();
                tracing::debug!(%source, %error, "no message");
                return Handled::NoMessage;
            }
        };
        if let Some(reply) = self.cookies.reply(source, frame.cookie) {
            self.tally.count_repeated();
            return Handled::Answered(reply);
        }
        let Some(reply) = self.reply_to(source, &frame, now) else {
            return Handled::Later;
        };
        let reply: Arc<[u8]> = reply.encode(frame.cookie, frame.encoding).into();
        self.cookies
            .keep(source, frame.cookie, Arc::clone(&reply), now);
        Handled::Answered(reply)
    }

    /// `None` if it is to wait.
    fn reply_to(&mut self, client: SocketAddr, frame: &Frame<'_>, now: Instant) -> Option<Reply> {
        let source = client.ip();
        let dictionary = match frame.dictionary() {
            Ok(dictionary) => dictionary,
            Err(error) => {
                self.tally.count_malformed();
                return Some(Reply::error(error.to_string()));
            }
        };
        let request = match Request::read(&dictionary) {
            Ok(request) => request,
            Err(error) => {
                if matches!(error, BadMessage::UnknownCommand(_)) {
                    self.tally.count_unknown_command();
                }
                self.tally.count_error(source);
                return Some(Reply::error(error.to_string()));
            }
        };
        if self.readiness(&request.command, now) == Readiness::Later {
            return None;
        }
        let began = Instant::now();
        self.tally.count_command(source, &request.command);
        let mut reply = self.carry_out(client, &request, now);
        self.tally.count_time(&request.command, began.elapsed());
        if matches!(reply, Reply::Error { .. }) {
            self.tally.count_error(source);
        }
        if !request.unknown.is_empty() {
            self.tally.count_unknown_flags(request.unknown.len());
            if let Reply::Ok(success) = &mut reply {
                success.warn(format!(
                    "unknown and ignored: {}",
                    request.unknown.join(", ")
                ));
            }
        }
        Some(reply)
    }

    fn carry_out(&mut self, client: SocketAddr, request: &Request, now: Instant) -> Reply {
        match &request.command {
            Command::Ping => Reply::Pong {
                status: Some(Box::new(self.status())),
            },
            Command::Offer(negotiation) => {
                let reply = self.offer(negotiation, now);
                // Candidates that come after an offer say nothing of its terms.
                let is_whole = !negotiation.options.flags.contains(Flag::Fragment);
                if is_whole && matches!(reply, Reply::Ok(_)) {
                    self.note_terms(client, negotiation);
                }
                reply
            }
            Command::Answer(negotiation) => self.answer(negotiation, now),
            Command::Delete(deletion) => self.delete(deletion, now),
            Command::Query(selection) => self.query(selection),
            Command::List { limit } => self.list(*limit),
            Command::Statistics => self.statistics(),
            Command::Record(verb, recording) => self.record(*verb, recording),
            Command::Gate(verb, gate) => self.gate(*verb, gate),
            Command::PlayMedia(playback) => self.play(playback),
            Command::StopMedia(selection) => self.stop_playing(selection),
            Command::PlayDtmf(tone) => self.play_digit(tone),
            Command::Publish(negotiation) => self.publish(negotiation, now),
            Command::SubscribeRequest(negotiation) => self.subscribe(negotiation),
            Command::SubscribeAnswer(negotiation) => self.subscribed(negotiation),
            Command::Unsubscribe(selection) => self.unsubscribe(selection),
            Command::Keys { after } => Success {
                keys: self.pressed.after(client, *after),
                ..Success::default()
            }
            .into(),
            Command::News { after } => Success {
                news: self.news.after(*after),
                ..Success::default()
            }
            .into(),
            Command::Drain => {
                self.drain();
                self.say_state()
            }
            Command::Resume => {
                self.resume();
                self.say_state()
            }
        }
    }

    fn delete(&mut self, deletion: &Deletion, now: Instant) -> Reply {
        let flags = &deletion.options.flags;
        let selection = &deletion.selection;
        let to_tag = match flags.contains(Flag::ToTag) {
            true => HonourToTag::Yes,
            false => HonourToTag::No,
        };
        let call = self.calls.call(&selection.call_id);
        let sessions = call.map(|call| call.sessions_to_delete(selection, to_tag));
        let sessions = sessions.unwrap_or_default();
        if sessions.is_empty() {
            if flags.contains(Flag::Fatal) {
                return Reply::error(NO_MATCH);
            }
            let mut success = Success::default();
            success.warn(NO_MATCH);
            return success.into();
        }
        let report = match flags.contains(Flag::Fast) {
            true => None,
            false => self.report(&selection.call_id).map(Box::new),
        };
        let recordings = self.recordings(&sessions);
        let delay = deletion.delay_s.map(|s| Duration::from_secs(s.into()));
        let delay = delay.unwrap_or(self.config.delete_delay);
        let whole = self.calls.call(&selection.call_id).is_some_and(|call| {
            let mut branches = call.branches.iter();
            branches.all(|branch| sessions.contains(&branch.session))
        });
        match self.calls.call_mut(&selection.call_id) {
            Some(call) if whole && !delay.is_zero() => call.delete_at = Some(now + delay),
            _ => {
                self.tally.count_ended(sessions.len());
                self.end(&selection.call_id, &sessions);
            }
        }
        let success = Success {
            report,
            recordings,
            ..Success::default()
        };
        self.warned(success, &undone(&deletion.options))
    }

    fn query(&self, selection: &Selection) -> Reply {
        match self.report(&selection.call_id) {
            Some(report) => Success {
                report: Some(Box::new(report)),
                ..Success::default()
            }
            .into(),
            None => Reply::error("unknown call-id"),
        }
    }

    fn list(&self, limit: usize) -> Reply {
        let calls = self.calls.iter().take(limit.min(LIST_MAX));
        Success {
            calls: Some(calls.map(|call| call.id.to_string()).collect()),
            ..Success::default()
        }
        .into()
    }

    fn statistics(&self) -> Reply {
        Success {
            statistics: Some(self.figures()),
            status: Some(Box::new(self.status())),
            ..Success::default()
        }
        .into()
    }

    fn say_state(&self) -> Reply {
        Success {
            status: Some(Box::new(self.status())),
            ..Success::default()
        }
        .into()
    }

    /// Ends sessions of a call.
    fn end(&mut self, call_id: &str, sessions: &[u64]) {
        // Subscribers go before those they hear.
        for subscription in self.calls.remove(call_id, sessions) {
            self.engine.delete(subscription);
        }
        for session in sessions {
            self.engine.delete(*session);
        }
        if self.state == State::Draining && self.calls.sessions() == 0 {
            self.state = State::Drained;
            tracing::info!("drained: no session is left");
        }
    }

    /// Takes no new sessions from now on.
    pub(crate) fn drain(&mut self) {
        if self.state == State::Active {
            tracing::info!(
                sessions = self.calls.sessions(),
                "draining: no new sessions"
            );
            self.state = match self.calls.sessions() {
                0 => State::Drained,
                _ => State::Draining,
            };
        }
    }

    /// Takes new sessions again.
    pub(crate) fn resume(&mut self) {
        if self.state != State::Active {
            tracing::info!("taking new sessions again");
            self.state = State::Active;
        }
    }

    /// What happened in the engine.
    pub(crate) fn handle_media_events(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                MediaEvent::Silent { session, side } => self.handle_silent(session, side),
                MediaEvent::ConsentLost { session, side } => {
                    self.handle_consent_lost(session, side);
                }
                MediaEvent::Recorded(recorded) => self.handle_recorded(&recorded),
                MediaEvent::Key {
                    session,
                    side,
                    key,
                    duration_ms,
                } => self.handle_key(session, side, key, duration_ms),
                MediaEvent::Rtcp(report) => self.tell_rtcp(report),
                // Nobody has asked for the rest: ng has no events.
                MediaEvent::Played { .. } => {}
            }
        }
    }

    /// ng has no way to say how a recording ended: the log and the metrics do.
    fn handle_recorded(&mut self, recorded: &Recorded) {
        self.tally.count_recorded(&recorded.outcome);
        let Recorded { session, file, .. } = recorded;
        match &recorded.outcome {
            RecordingOutcome::Finished => tracing::debug!(session, file, "recorded"),
            RecordingOutcome::Repaired => {
                tracing::info!(file, "finished a recording that a killed process had left");
            }
            RecordingOutcome::Damaged { missing_packets } => tracing::warn!(
                session,
                file,
                missing_packets,
                "the disk is too slow for a recording"
            ),
            RecordingOutcome::Failed { reason } => {
                tracing::warn!(session, file, reason, "a recording failed");
            }
        }
    }

    fn tell_rtcp(&mut self, report: SeenReport) {
        let known = self.calls.branch_of(report.session);
        let (Some(listener), Some((id, branch))) = (&self.config.rtcp, known) else {
            return;
        };
        let named = branch.correlation.as_deref();
        let correlation = named.unwrap_or(&id).into();
        // Better one report less than a call that waits.
        let _ = listener.try_send(SeenRtcp {
            report,
            correlation,
        });
    }

    /// A call ends when nobody is heard any more: one side may be silent for reasons of its own.
    fn handle_silent(&mut self, session: u64, side: media::Side) {
        let Some(report) = self.engine.report(session) else {
            return;
        };
        let packets = [report.a.packets, report.b.packets];
        let Some((id, branch)) = self.calls.branch_of(session) else {
            return;
        };
        let other = side.other() as usize;
        branch.silent[side as usize] = Some(packets[side as usize]);
        // Nothing has come of the other since it was found silent; or nothing ever came of it.
        let found = branch.silent[other];
        if found == Some(packets[other]) || found.is_none() && packets[other] == 0 {
            tracing::info!(session, "media timeout: nobody is heard any more");
            self.tally.count_timeout();
            self.end(&id, &[session]);
        }
    }

    /// Ends calls whose time has come. To be called every second.
    pub(crate) fn handle_tick(&mut self, now: Instant) {
        self.cookies.expire(now);
        self.pressed.expire(now);
        self.take_uploads();
        let due = |call: &crate::calls::Call| call.delete_at.is_some_and(|at| at <= now);
        let due: Vec<_> = self
            .calls
            .iter()
            .filter(|call| due(call))
            .map(all_sessions)
            .collect();
        for (id, sessions) in due {
            self.tally.count_ended(sessions.len());
            self.end(&id, &sessions);
        }
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.end_idle(now);
        }
    }

    /// Calls on hold whose end nobody told us, and offers that were never answered.
    fn end_idle(&mut self, now: Instant) {
        let mut idle = Vec::new();
        for call in self.calls.iter_mut() {
            for branch in &mut call.branches {
                let report = self.engine.report(branch.session).unwrap_or_default();
                let packets = report.a.packets + report.b.packets;
                if packets != branch.packets {
                    branch.packets = packets;
                    branch.heard = now;
                } else if now.saturating_duration_since(branch.heard) >= self.config.idle {
                    idle.push((Arc::clone(&call.id), branch.session));
                }
            }
        }
        for (id, session) in idle {
            tracing::info!(session, "a call without any sign of life is forgotten");
            self.tally.count_timeout();
            self.end(&id, &[session]);
        }
    }

    /// How much of one second the process was busy, in thousandths of all processors.
    pub(crate) fn set_cpu_permille(&mut self, permille: u16) {
        self.cpu_permille = permille;
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn status(&self) -> Status {
        let ports = self.engine.ports();
        let all_ports = ports.used + ports.free + ports.quarantined;
        let share = |part: usize, whole: usize| match whole {
            0 => 0,
            whole => (part * 1_000 / whole).min(1_000) as u16,
        };
        let sessions = self.calls.sessions();
        let loads = [
            share(ports.used, all_ports),
            share(sessions, self.config.sessions_max),
            self.cpu_permille,
        ];
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            zone: self.config.zone.clone(),
            aliases: self.config.aliases.clone(),
            state: self.state,
            sessions: sessions as u64,
            sessions_max: self.config.sessions_max as u64,
            load_permille: loads.into_iter().max().unwrap_or(0),
            instance: self.instance,
            news: self.news.last_number(),
        }
    }

    fn report(&self, call_id: &str) -> Option<CallReport> {
        let call = self.calls.call(call_id)?;
        Some(figures::report(call, &self.engine))
    }
}

fn all_sessions(call: &crate::calls::Call) -> (Arc<str>, Vec<u64>) {
    let sessions = call.branches.iter().map(|branch| branch.session);
    (Arc::clone(&call.id), sessions.collect())
}

/// Seconds of Unix time.
pub(crate) fn unix_s() -> u64 {
    since_epoch().as_secs()
}

/// Unix time. A clock before 1970 is wrong anyway.
fn since_epoch() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// As rtpengine says it.
const NO_MATCH: &str = "Call-ID not found or tags didn't match";
/// Calls listed at most, whatever is asked.
const LIST_MAX: usize = 10_000;
/// Between two looks for calls without a sign of life.
const SWEEP: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
