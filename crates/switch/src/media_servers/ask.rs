//! What calls ask: each question goes to the server of its session, or, for a new session, to the
//! one that is chosen; if that one does not serve it, to the next.

use bytes::Bytes;
use call::{MediaOp, Side};
use clock::Time;
use model::MediaServerId;
use ng::Command;

use super::exchange::{NotServed, Purpose};
use super::keys::{Keys, forms, sound_keys};
use super::plays::Plays;
use super::record::Taped;
use super::server::Health;
use super::watch::Watch;
use super::wire::{self, Ask, Said};
use super::{Candidate, MediaOutput, MediaServers, Place, Session, call_id, choose};
use crate::output::{CallKey, MediaRequest};

/// How many servers one question is tried on.
const SERVERS_TRIED_MAX: usize = 3;

/// Where the echo's media would go if it were not sent back: nobody listens on the discard port.
const DISCARD_PORT: u16 = 9;

impl MediaServers {
    /// A call asks; [`MediaOutput::Answer`] or [`MediaOutput::Lost`] follows.
    pub fn handle_request(&mut self, now: Time, request: Box<MediaRequest>) {
        if self.keys_are_better_elsewhere(&request) {
            let before = self.sessions.get(&request.session).map(|s| s.server);
            let taped = self.leave(request.session);
            self.begin(now, request, taped);
            if let Some(before) = before {
                self.pay_debts(now, before);
                self.tell_if_drained(before);
            }
            return;
        }
        let Some(session) = self.sessions.get_mut(&request.session) else {
            if request.op == MediaOp::Answer {
                // Nobody has the offer that it answers.
                self.answer(&request, Err(500), None);
                return;
            }
            self.begin(now, request, None);
            return;
        };
        if request.op == MediaOp::Offer {
            session.offerer = request.from;
            // The next whom the call is offered to may take keys in another form. One who waits for
            // keys does so until the end: the server tells none where they pass.
            if Keys::of(&request) == Keys::Change {
                session.keys = Keys::Change;
            }
        }
        let id = session.server;
        let server = self.servers.get(&id);
        if server.is_none_or(|s| s.health == Health::Down) {
            self.lose(request.session);
            return;
        }
        self.ask(now, id, request);
    }

    /// A side of a session names candidates after its description: a body of type
    /// `application/trickle-ice-sdpfrag` (RFC 8840). Those of a session that no server has are
    /// passed over.
    pub fn handle_candidates(&mut self, now: Time, session: u64, from: Side, fragment: &[u8]) {
        let Some(known) = self.sessions.get(&session) else {
            return;
        };
        let id = known.server;
        let name = self.name_of(session);
        let command = wire::candidates(&name, from, fragment);
        self.exchange(now, id, command, Purpose::Candidates);
    }

    /// The session is over; [`MediaOutput::Report`] follows.
    pub fn handle_end(&mut self, now: Time, call: CallKey, session: u64) {
        if let Some(lost) = self.ended.remove(&session) {
            self.report(*lost, None);
            return;
        }
        let Some(known) = self.sessions.remove(&session) else {
            self.outputs.push_back(MediaOutput::Report {
                call,
                legs: Default::default(),
                ends: wire::ends(None),
                recordings: Vec::new(),
            });
            return;
        };
        let (id, name) = (known.server, call_id(known.prefix, session));
        match self.servers.get_mut(&id) {
            Some(server) if server.health != Health::Down => {
                server.sessions.remove(&session);
                let command = wire::deletion(&name);
                self.exchange(now, id, command, Purpose::Delete(Box::new(known)));
                self.tell_if_drained(id);
            }
            server => {
                if let Some(server) = server {
                    server.sessions.remove(&session);
                    server.owe(name);
                }
                self.report(known, None);
            }
        }
    }

    /// The first question of a session.
    fn begin(&mut self, now: Time, mut request: Box<MediaRequest>, taped: Option<Box<Taped>>) {
        let other = &mut request.place.peers[request.from.other() as usize];
        *other = other.or(request.ends.reached);
        let (chosen, why) = self.choose(now, &request.place, &request.tried, Keys::of(&request));
        let server = chosen.and_then(|id| self.servers.get_mut(&id));
        let (Some(id), Some(server)) = (chosen, server) else {
            let status = request.refusal.unwrap_or(503);
            self.answer(&request, Err(status), Some(why));
            return;
        };
        server.sessions.insert(request.session);
        self.delays.handle_use(now, id, request.place.peers);
        let session = Session {
            call: request.call,
            prefix: self.prefix,
            server: id,
            peers: request.place.peers,
            offerer: request.from,
            established: false,
            is_answered: false,
            watch: Watch::default(),
            keys: Keys::of(&request),
            plays: Plays::default(),
            taped,
        };
        self.sessions.insert(request.session, session);
        request.why = Some(why);
        self.ask(now, id, request);
    }

    pub(super) fn choose(
        &self,
        now: Time,
        place: &Place,
        tried: &[MediaServerId],
        keys: Keys,
    ) -> (Option<MediaServerId>, String) {
        let up = self.servers.iter();
        let up = up.filter(|(id, server)| server.takes_calls() && !tried.contains(id));
        let mut converting = up.clone().filter(|(_, server)| server.says_status);
        // Better a call whose keys are lost than none.
        let any_will_do = keys == Keys::Pass || converting.next().is_none();
        let up = up.filter(|(_, server)| any_will_do || server.says_status);
        let (ids, candidates): (Vec<MediaServerId>, Vec<Candidate<'_>>) = up
            .map(|(id, server)| {
                let candidate = Candidate {
                    name: &server.record.name,
                    zone: &server.record.zone,
                    weight: server.record.weight,
                    sessions: server.sessions_total(),
                    load_permille: server.load_permille.unwrap_or(0),
                    added_us: self.delays.added_us(*id, place.peers),
                    may_be_tried: server.says_status
                        && self.delays.may_be_tried(now, *id, place.peers),
                    rtt_us: server.rtt_us.unwrap_or(u32::MAX),
                };
                (*id, candidate)
            })
            .unzip();
        let choice = choose(place, &candidates);
        (choice.chosen.map(|at| ids[at]), choice.why)
    }

    fn ask(&mut self, now: Time, id: MediaServerId, request: Box<MediaRequest>) {
        let (Some(server), Some(session)) =
            (self.servers.get(&id), self.sessions.get(&request.session))
        else {
            return;
        };
        let ask = match request.op {
            MediaOp::Offer => Ask::Offer,
            MediaOp::Answer => Ask::Answer(session.offerer),
            MediaOp::Echo => Ask::Echo,
        };
        let name = self.name_of(request.session);
        let whose = (&*server.record, name.as_str());
        let mut command = wire::negotiation(whose, &request, &ask, &request.sdp, self.ice_agent);
        if let (Command::Offer(offer), true) = (&mut command, server.says_status) {
            offer.options.key_forms = forms(&request);
            offer.options.correlation = Some(request.sip_call_id.to_string());
        }
        let changes_keys = session.keys == Keys::Change;
        if changes_keys && !server.says_status {
            sound_keys(&mut command, &request);
        }
        let purpose = match request.op {
            MediaOp::Echo => Purpose::EchoAsk(request),
            MediaOp::Offer | MediaOp::Answer => Purpose::Ask(request),
        };
        self.exchange(now, id, command, purpose);
        if changes_keys {
            self.listen_for_keys(now, id);
        }
    }

    /// The second half of an echo: the offer is answered by nobody, for nothing goes across.
    pub(super) fn answer_echo(
        &mut self,
        now: Time,
        id: MediaServerId,
        request: Box<MediaRequest>,
        offer: &Bytes,
    ) {
        let answer = sdp::Description::parse(offer).ok().and_then(|offer| {
            let medium = offer.media().find(|m| !m.is_rejected())?;
            let address = medium.rtp_address().ok()?.ip();
            let session = sdp::Session {
                id: request.session,
                version: 0,
                address,
            };
            let rtp = (address, DISCARD_PORT).into();
            sdp::echo_answer(&offer, session, sdp::LocalMedia { rtp }).ok()
        });
        let (Some(answer), Some(server)) = (answer, self.servers.get(&id)) else {
            self.not_served(now, id, request, NotServed::Refused);
            return;
        };
        let name = self.name_of(request.session);
        let ask = Ask::Answer(request.from);
        let whose = (&*server.record, name.as_str());
        let command = wire::negotiation(whose, &request, &ask, &answer, self.ice_agent);
        self.exchange(now, id, command, Purpose::Ask(request));
    }

    pub(super) fn handle_said(
        &mut self,
        now: Time,
        id: MediaServerId,
        mut request: Box<MediaRequest>,
        said: Said,
    ) {
        let Some(session) = self.sessions.get_mut(&request.session) else {
            // Given up meanwhile: what was asked may have come there behind the end of it.
            let name = call_id(self.prefix, request.session);
            self.exchange(now, id, wire::deletion(&name), Purpose::Farewell);
            return;
        };
        if session.server != id {
            // Another question of the session has found this server out: that one has it now.
            let there = session.server;
            self.ask(now, there, request);
            return;
        }
        match said {
            Said::Description(sdp) => {
                session.established = true;
                session.is_answered |= request.op != MediaOp::Offer;
                session.watch.handle_description(now, &request);
                self.watch(now, request.session);
                self.tape(now, request.session);
                let why = request.why.take();
                self.answer(&request, Ok(sdp), why);
            }
            Said::NoSession => self.not_served(now, id, request, NotServed::Unknown),
            Said::Refused(reason) => {
                tracing::debug!(server = %id, %reason, "a media server refused");
                self.not_served(now, id, request, NotServed::Refused);
            }
        }
    }

    /// A question came to nothing: a new session goes to another server, an old one is lost with
    /// its server, and stays if the server but dislikes the description.
    pub(super) fn not_served(
        &mut self,
        now: Time,
        id: MediaServerId,
        mut request: Box<MediaRequest>,
        why: NotServed,
    ) {
        let Some(session) = self.sessions.get(&request.session) else {
            // Given up meanwhile: the call waits for nothing.
            return;
        };
        if session.server != id {
            let there = session.server;
            self.ask(now, there, request);
            return;
        }
        if session.established {
            match why {
                NotServed::Refused => self.answer(&request, Err(488), None),
                NotServed::Silent | NotServed::Unknown => {
                    let name = self.name_of(request.session);
                    if let Some(server) = self.servers.get_mut(&id) {
                        server.owe(name);
                    }
                    self.lose(request.session);
                }
            }
            return;
        }
        let taped = self.leave(request.session);
        if why == NotServed::Refused {
            request.refusal = Some(488);
            self.pay_debts(now, id);
        }
        request.tried.push(id);
        if request.tried.len() >= SERVERS_TRIED_MAX {
            let status = request.refusal.unwrap_or(503);
            self.answer(&request, Err(status), None);
            return;
        }
        self.begin(now, request, taped);
    }

    /// Gives up the place of a session, where it is deleted when its server next answers.
    fn leave(&mut self, session: u64) -> Option<Box<Taped>> {
        let known = self.sessions.remove(&session)?;
        if let Some(server) = self.servers.get_mut(&known.server) {
            server.sessions.remove(&session);
            server.owe(call_id(known.prefix, session));
        }
        known.taped
    }

    fn answer(&mut self, request: &MediaRequest, answer: Result<Bytes, u16>, why: Option<String>) {
        let anchor = self.anchor(request.session);
        self.outputs.push_back(MediaOutput::Answer {
            anchor,
            call: request.call,
            ask: request.ask,
            answer,
            why,
        });
    }
}
