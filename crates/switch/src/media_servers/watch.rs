//! Sessions under way are looked at every few seconds: is anybody still heard, what has come so
//! far, and how far are the peers?
//!
//! What was seen last is kept, so that the record of a call has figures although its server died
//! with them.

use std::net::IpAddr;
use std::time::Duration;

use call::MediaOp;
use clock::Time;
use model::{CdrLegMedia, MediaServerId};
use ng::{CallReport, Command, Reply, Selection, Success};
use sdp::Description;

use super::exchange::Purpose;
use super::record::{RecordingNews, remote};
use super::{MediaOutput, MediaServers, Session, Timer, wire};
use crate::media_terms::IceAgent;
use crate::output::MediaRequest;

/// How often a session is looked at, unless silence is to be noticed sooner.
const LOOK: Duration = Duration::from_secs(5);
/// Looks before silence must be noticed.
const LOOKS_PER_SILENCE: u32 = 4;
/// The least between two looks.
const LOOK_MIN: Duration = Duration::from_millis(500);
/// Looks in a second; more sessions are looked at less often.
const LOOKS_PER_S_MAX: u32 = 500;

/// What was last seen of a session.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// By side: whether it has said that it sends, and that it receives; empty until an offer was
    /// answered.
    says: [Option<Says>; 2],
    /// What the offer that nobody has answered yet says.
    offered: Option<Says>,
    /// Whether the media of one side go back to it, and nobody is on the other.
    is_echo: bool,
    /// By side: when a packet of it was last known to have come.
    heard: [Time; 2],
    /// By side: what showed that it lives.
    signs: [Signs; 2],
    /// What has come of each.
    pub(super) legs: [CdrLegMedia; 2],
    /// Whether the next look is planned.
    is_planned: bool,
}

#[derive(Clone, Copy, Debug)]
struct Says {
    sends: bool,
    receives: bool,
}

/// What grows while a side lives: RTCP counts, as a phone that suppresses silence still reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Packets of all its streams.
    pub(super) packets: u64,
    /// When the last came, in seconds of the server's time.
    pub(super) last_packet_s: u64,
}

impl Watch {
    /// Of a session whose sides have described themselves so; nobody is there without.
    pub(super) fn of(now: Time, described: [&[u8]; 2]) -> Self {
        Self {
            says: described.map(Says::of),
            is_echo: described.iter().any(|sdp| sdp.is_empty()),
            heard: [now; 2],
            ..Self::default()
        }
    }

    /// A description was taken: patience begins anew.
    pub(super) fn handle_description(&mut self, now: Time, request: &MediaRequest) {
        let (own, other) = (request.from as usize, request.from.other() as usize);
        let says = Says::of(&request.sdp);
        match request.op {
            // Who has not answered is not heard, and an offer that is refused changes nothing.
            MediaOp::Offer => self.offered = says,
            MediaOp::Answer => {
                self.says[own] = says;
                self.says[other] = self.offered.take().or(self.says[other]);
            }
            MediaOp::Echo => {
                self.says[own] = says;
                self.says[other] = None;
            }
        }
        if request.op != MediaOp::Offer {
            self.is_echo = request.op == MediaOp::Echo;
        }
        self.heard = [now; 2];
    }

    /// Whether something is to come of a side.
    fn expects(&self, side: usize) -> bool {
        let own = self.says[side];
        // Nobody is there at the echo: whoever receives its own is expected to send.
        let listener = if self.is_echo {
            own
        } else {
            self.says[1 - side]
        };
        let receives = listener.is_some_and(|says| says.receives);
        receives && own.is_some_and(|says| says.sends)
    }

    fn handle_figures(&mut self, now: Time, report: &CallReport) {
        let signs = wire::signs(report);
        for (heard, (before, fresh)) in self.heard.iter_mut().zip(self.signs.iter().zip(&signs)) {
            if fresh != before {
                *heard = now;
            }
        }
        self.signs = signs;
        self.legs = wire::legs(report);
    }

    /// Whether a side that should be heard was not for so long.
    fn is_silent(&self, now: Time, patience: Duration) -> bool {
        let silent = |side: usize| self.expects(side) && now.since(self.heard[side]) >= patience;
        silent(0) || silent(1)
    }
}

impl Says {
    fn of(sdp: &[u8]) -> Option<Self> {
        let sdp = Description::parse(sdp).ok()?;
        let says = |what: fn(sdp::Media<'_>) -> bool| {
            let mut media = sdp.media().filter(|media| !media.is_rejected());
            media.any(what)
        };
        Some(Self {
            sends: says(|media| media.direction().sends()),
            receives: says(|media| media.direction().receives() && !media.is_nowhere()),
        })
    }
}

impl MediaServers {
    /// From now on a side that should be heard and is not for so long ends its call; `None`:
    /// nobody's does.
    pub fn set_inactivity(&mut self, inactivity: Option<Duration>) {
        self.inactivity = inactivity;
    }

    /// What sides that speak ICE find in the servers from now on.
    pub fn set_ice_agent(&mut self, agent: IceAgent) {
        self.ice_agent = agent;
    }

    /// Plans the first look at a session, once it is there.
    pub(super) fn watch(&mut self, now: Time, session: u64) {
        let interval = self.look_interval();
        if let Some(known) = self.sessions.get_mut(&session)
            && !std::mem::replace(&mut known.watch.is_planned, true)
        {
            self.timers.insert(now + interval, Timer::Look(session));
        }
    }

    fn look_interval(&self) -> Duration {
        let silence = self.inactivity.map(|patience| patience / LOOKS_PER_SILENCE);
        let wanted = silence.map_or(LOOK, |silence| silence.clamp(LOOK_MIN, LOOK));
        let sessions = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        wanted.max(Duration::from_secs(1) * sessions / LOOKS_PER_S_MAX)
    }

    /// It is time to look.
    pub(super) fn look(&mut self, now: Time, session: u64) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        known.watch.is_planned = false;
        let server = known.server;
        let selection = Selection::call(self.name_of(session));
        let query = Command::Query(Box::new(selection));
        self.exchange(now, server, query, Purpose::Look(session));
        self.watch(now, session);
    }

    /// What a server says of a session.
    pub(super) fn handle_look(
        &mut self,
        now: Time,
        server: MediaServerId,
        session: u64,
        reply: Reply,
    ) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        if known.server != server {
            return;
        }
        match reply {
            Reply::Ok(success) => {
                let Some(report) = &success.report else {
                    return;
                };
                known.watch.handle_figures(now, report);
                let peers = known.peers;
                self.learn_delays(server, peers, report);
                self.end_if_silent(now, session, Duration::ZERO);
            }
            Reply::Error { reason } if wire::is_unknown(&reason) => {
                // A server gives up by itself what nobody speaks in. Else it has lost it.
                let interval = self.look_interval();
                if !self.end_if_silent(now, session, interval) {
                    self.lose(session);
                }
            }
            _ => {}
        }
    }

    /// Says so if a session is silent, or will be within `margin`.
    fn end_if_silent(&mut self, now: Time, session: u64, margin: Duration) -> bool {
        let (Some(patience), Some(known)) = (self.inactivity, self.sessions.get_mut(&session))
        else {
            return false;
        };
        let silent = known.watch.is_silent(now, patience.saturating_sub(margin));
        if silent {
            let call = known.call;
            // A call that goes on is told again when it was silent for as long again.
            known.watch.heard = [now; 2];
            self.outputs
                .push_back(MediaOutput::Silent { call, session });
        }
        silent
    }

    fn learn_delays(
        &mut self,
        server: MediaServerId,
        peers: [Option<IpAddr>; 2],
        report: &CallReport,
    ) {
        for (peer, rtt_us) in peers.into_iter().zip(wire::delays(report)) {
            if let (Some(peer), Some(rtt_us)) = (peer, rtt_us) {
                self.delays.learn(server, peer, rtt_us);
            }
        }
    }

    /// A session is over: what its server says of it, else what was last seen.
    pub(super) fn report(&mut self, known: Session, said: Option<Box<Success>>) {
        let server = self.servers.get(&known.server);
        let server_name = server.map(|s| s.record.name.clone()).unwrap_or_default();
        let answered = said.is_some();
        let (report, paths) = said.map_or((None, Vec::new()), |s| (s.report, s.recordings));
        if let Some(report) = &report {
            self.learn_delays(known.server, known.peers, report);
        }
        let ends = wire::ends(report.as_deref());
        let legs = report.map_or(known.watch.legs, |report| wire::legs(&report));
        let taped = known.taped.map(|taped| taped.files).unwrap_or_default();
        let recordings = match paths.is_empty() {
            true => taped,
            false => remote(&server_name, paths),
        };
        for file in &recordings {
            let news = match answered {
                true => RecordingNews::Finished(file.clone()),
                false => RecordingNews::Cut(file.clone()),
            };
            self.outputs.push_back(MediaOutput::Recording(news));
        }
        self.outputs.push_back(MediaOutput::Report {
            call: known.call,
            legs,
            ends,
            recordings,
        });
    }
}
