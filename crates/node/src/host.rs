//! What the switch has around it on its own thread: journal, media, bindings on disk, watchers.

use std::collections::HashSet;
use std::net::SocketAddr;

use clock::Time;
use control::PlatformEvent;
use crossbeam_channel::Receiver;
use media::{
    AddressFamily, Engine, LegReport, MediaError, MediaEvent, Negotiation, RecordingOptions, Side,
    Telling,
};
use model::CdrLegMedia;
use net::Host;
use serde_json::json;
use store::journal::{Journal, JournalEntry, OpenCdr};
use store::{BindingState, LiveStore};
use switch::media_servers::{MediaChange, MediaOutput, MediaServerChange};
use switch::{CallChange, CallKey, Event, JournalEvent, MediaRequest, Opening, Switch};
use tokio::sync::broadcast;

use crate::hep::HepLink;
use crate::machine::{Effect, SwitchMachine};
use crate::media_options;
use crate::media_servers::MediaLink;
use crate::music::{Music, Shelf};
use crate::quality::Quality;
use crate::recording::{self, Outcomes};
use crate::remote_recording;
use crate::uploads::{Uploaded, Uploads};
use crate::visit::Visit;

/// Bits of a media session's number that are the key of its call.
const CALL_BITS: u64 = (1 << 56) - 1;
/// The most bindings that are saved at a time: some tenths of a millisecond.
const BINDINGS_PER_ROUND: usize = 512;

/// The host of the switch.
pub(crate) struct SwitchHost {
    pub(crate) journal: Journal,
    pub(crate) engine: Engine,
    live: Box<dyn LiveStore>,
    /// The thread of the media servers, what it says, and which sessions are there.
    pub(crate) media_link: MediaLink,
    media_said: Receiver<MediaOutput>,
    remote: HashSet<u64>,
    visits: Receiver<Visit>,
    events: broadcast::Sender<PlatformEvent>,
    event_sequence: u64,
    /// Of the calls that ended.
    pub(crate) quality: Quality,
    /// Recordings that ended.
    pub(crate) recordings: Outcomes,
    /// Where they are taken from then on.
    pub(crate) uploads: Uploads,
    /// Entries the journal had no room for.
    pub(crate) entries_lost: u64,
    /// Signs of life among the entries of the journal.
    pub(crate) heartbeats: u64,
    /// Who is told of reports and quality.
    pub(crate) hep: HepLink,
    music: Music,
}

impl SwitchHost {
    pub(crate) fn new(
        journal: Journal,
        engine: Engine,
        live: Box<dyn LiveStore>,
        (media_link, media_said): (MediaLink, Receiver<MediaOutput>),
        uploads: Uploads,
        visits: Receiver<Visit>,
        (events, hep): (broadcast::Sender<PlatformEvent>, HepLink),
    ) -> Self {
        Self {
            journal,
            engine,
            live,
            media_link,
            media_said,
            remote: HashSet::new(),
            visits,
            events,
            event_sequence: 0,
            quality: Quality::default(),
            recordings: Outcomes::default(),
            uploads,
            entries_lost: 0,
            heartbeats: 0,
            hep,
            music: Music::default(),
        }
    }

    /// Takes over settings, and the files that they and the accounts name.
    pub(crate) fn configure(&mut self, settings: &model::Settings, shelf: Shelf) {
        self.hep.configure(settings);
        self.engine.tell_rtcp(match self.hep.is_on() {
            true => Telling::All,
            false => Telling::Nothing,
        });
        self.music.stock(shelf);
    }

    fn media(&mut self, request: &MediaRequest) -> Result<Vec<u8>, u16> {
        let options = media_options::of(request, self.engine.ice_agent());
        let negotiation = Negotiation {
            from: side(request.from),
            sdp: &request.sdp,
            signalling: Some(request.ends.signalling),
            options: &options,
        };
        let toward = match request.ends.toward.family {
            call::Family::V4 => AddressFamily::V4,
            call::Family::V6 => AddressFamily::V6,
        };
        let answer = match request.op {
            call::MediaOp::Offer => self.engine.offer(request.session, negotiation, toward),
            call::MediaOp::Answer => self.engine.answer(request.session, negotiation),
            call::MediaOp::Echo => self.engine.echo(request.session, negotiation),
        };
        answer.map_err(|error| {
            tracing::debug!(session = request.session, %error, "media refused");
            status_of(&error)
        })
    }

    /// Media servers relay, where there are any; else we do. A session stays where it began.
    fn ask_media(&mut self, now: Time, request: Box<MediaRequest>, machine: &mut SwitchMachine) {
        // An offer of our own making, for a caller that leaves it to us, only we can make.
        let ours = request.op == call::MediaOp::Echo && request.sdp.is_empty();
        let is_here = ours || self.engine.has(request.session);
        let has_servers = !machine.switch.snapshot().media_servers.is_empty();
        let (call, ask, session) = (request.call, request.ask, request.session);
        if is_here || !(has_servers || self.remote.contains(&session)) {
            let answer = self.media(&request).map(|sdp| {
                let texts = machine.switch.texts_of(call);
                let path = texts.and_then(|(_, path)| path);
                self.music.handle(&mut self.engine, &request, path, sdp)
            });
            let answer = answer.map(Into::into);
            machine.switch.handle_media(now, call, ask, answer);
            return;
        }
        self.remote.insert(session);
        if !self.media_link.request(request) {
            machine.switch.handle_media(now, call, ask, Err(503));
        }
    }

    /// Media servers are asked for no ICE, so only we can use them.
    fn trickle(&mut self, session: u64, from: call::Side, fragment: &[u8]) {
        if let Err(error) = self.engine.trickle(session, side(from), fragment) {
            tracing::debug!(session, %error, "candidates of a peer");
        }
    }

    fn end_media(&mut self, now: Time, call: CallKey, session: u64, machine: &mut SwitchMachine) {
        if self.remote.remove(&session) && self.media_link.end(call, session) {
            return;
        }
        let ends = self.ends(session);
        let report = self.engine.delete(session).unwrap_or_default();
        self.music.forget(session);
        self.quality.record(&report);
        let legs = [leg(&report.a), leg(&report.b)];
        self.tell_quality(now, call, &legs, ends, machine);
        machine
            .switch
            .handle_media_report(call, legs, report.recordings);
    }

    /// Where the media of each party comes from, and where it goes.
    fn ends(&self, session: u64) -> [(SocketAddr, SocketAddr); 2] {
        let unknown = SocketAddr::from(([0; 4], 0));
        let media = self.engine.media(session).unwrap_or_default();
        let Some(first) = media.into_iter().next() else {
            return [(unknown, unknown); 2];
        };
        first.legs.map(|leg| {
            let peer = leg.described.unwrap_or(unknown);
            let ip = self.engine.advertised(peer.into());
            let port = leg.local_port.unwrap_or(0);
            (peer, SocketAddr::new(ip.unwrap_or(unknown.ip()), port))
        })
    }

    fn tell_quality(
        &self,
        now: Time,
        call: CallKey,
        legs: &[CdrLegMedia; 2],
        ends: [(SocketAddr, SocketAddr); 2],
        machine: &SwitchMachine,
    ) {
        if self.hep.is_on()
            && let Some((sip_call_id, _)) = machine.switch.texts_of(call)
        {
            self.hep.quality(legs, ends, sip_call_id, now.as_micros());
        }
    }

    fn record(&mut self, call: model::CallId, session: u64, part: u16) {
        if self.remote.contains(&session) {
            if !self.media_link.record(session, call.to_string(), part) {
                tracing::error!(%call, "a call is not recorded: too many orders wait");
                self.recordings.failed += 1;
            }
            return;
        }
        let options = RecordingOptions {
            name: call.to_string(),
            first_part: part,
        };
        let started = self.engine.start_recording(session, &options);
        if let Err(error) = started {
            tracing::error!(%call, %error, "a call is not recorded");
            self.recordings.failed += 1;
        }
    }

    /// The media servers' thread has something to say.
    fn hear(&mut self, now: Time, said: MediaOutput, machine: &mut SwitchMachine) {
        let switch = &mut machine.switch;
        match said {
            // The thread sends by itself.
            MediaOutput::Send { .. } => {}
            MediaOutput::Answer {
                call,
                ask,
                answer,
                why,
            } => {
                if let Some(why) = why {
                    switch.explain_media(call, why);
                }
                switch.handle_media(now, call, ask, answer);
            }
            MediaOutput::Report {
                call,
                legs,
                recordings,
            } => {
                let unknown = SocketAddr::from(([0; 4], 0));
                let ends = [(unknown, unknown); 2];
                self.tell_quality(now, call, &legs, ends, machine);
                let switch = &mut machine.switch;
                let files = recordings.iter().map(ToString::to_string).collect();
                switch.handle_media_report(call, legs, files);
            }
            MediaOutput::Silent { call } => switch.handle_media_silent(now, call),
            MediaOutput::Recording(news) => {
                remote_recording::log(&news);
                remote_recording::count(&news, &mut self.recordings);
                self.announce(now, || remote_recording::describe(&news));
            }
            MediaOutput::Lost { call, session } => switch.handle_media_lost(now, call, session),
            MediaOutput::Changed(change) => self.tell_media(now, &change),
        }
    }

    fn tell_media(&mut self, now: Time, change: &MediaServerChange) {
        let MediaServerChange {
            server,
            name,
            reason,
            sessions,
            ..
        } = change;
        let event = match change.change {
            MediaChange::Up => {
                tracing::info!(%server, name, "media server up");
                "media.up"
            }
            MediaChange::Down => {
                tracing::warn!(%server, name, reason, sessions, "media server down");
                "media.down"
            }
            MediaChange::Drained => {
                tracing::info!(%server, name, "media server drained");
                "media.drained"
            }
        };
        self.announce(now, || {
            let data =
                json!({ "id": server, "name": name, "reason": reason, "sessions": sessions });
            ("media", event, data)
        });
    }

    fn tell_consent_lost(&mut self, now: Time, call: CallKey, side: Side, switch: &Switch) {
        let Some(call) = switch.call_id(call) else {
            return;
        };
        let side = match side {
            Side::A => "caller",
            Side::B => "callee",
        };
        tracing::info!(%call, side, "sends no media any more to a side that has not answered for 30 s");
        self.announce(now, || {
            let data = json!({ "call": call, "side": side });
            ("media", "media.consent_lost", data)
        });
    }

    /// Has a side hear a key that came by a message.
    fn press(&mut self, session: u64, to: call::Side, press: call::Press) {
        let call::Press { key, duration_ms } = press;
        if !self.engine.press_key(session, side(to), key, duration_ms) {
            // Media servers, and codecs that we do not code.
            tracing::debug!(session, "a key by INFO is not heard by the other side");
        }
    }

    fn append(&mut self, machine: &mut SwitchMachine, event: JournalEvent) {
        let entry = match event {
            JournalEvent::Opened(opening) => JournalEntry::Opened(open_cdr(*opening)),
            JournalEvent::Answered { call, at } => JournalEntry::Answered { call, at },
            JournalEvent::Closed(cdr) => JournalEntry::Closed(*cdr),
        };
        if self.journal.append(&entry).is_err() {
            // The disk takes nothing and memory is used up: no new calls until it does again.
            self.entries_lost += 1;
            machine.switch.set_accepting(false);
        }
    }

    fn hear_of_media(&mut self, now: Time, machine: &mut SwitchMachine) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                MediaEvent::Silent { session, .. } => machine
                    .switch
                    .handle_media_silent(now, CallKey(session & CALL_BITS)),
                MediaEvent::ConsentLost { session, side } => {
                    let call = CallKey(session & CALL_BITS);
                    self.tell_consent_lost(now, call, side, &machine.switch);
                }
                MediaEvent::Key {
                    session,
                    side,
                    key,
                    duration_ms,
                } => {
                    let call = CallKey(session & CALL_BITS);
                    let press = call::Press { key, duration_ms };
                    let from = (session, side_of_call(side));
                    machine.switch.handle_key(now, call, from, press);
                }
                // Who hears it has heard it.
                MediaEvent::Played { .. } => {}
                MediaEvent::Rtcp(seen) => {
                    let call = CallKey(seen.session & CALL_BITS);
                    if let Some((sip_call_id, _)) = machine.switch.texts_of(call) {
                        self.hep.rtcp(seen, sip_call_id, now.as_micros());
                    }
                }
                MediaEvent::Recorded(recorded) => {
                    recording::log(&recorded);
                    self.recordings.record(&recorded.outcome);
                    self.uploads.look();
                    self.announce(now, || recording::describe(&recorded));
                }
            }
        }
    }

    fn tick(&mut self, now: Time, machine: &mut SwitchMachine) {
        if self.journal.append(&JournalEntry::Heartbeat(now)).is_ok() {
            self.heartbeats += 1;
            machine.switch.set_accepting(true);
        }
        self.save_bindings(BINDINGS_PER_ROUND, &mut machine.switch);
        if let Err(error) = self.live.flush() {
            tracing::warn!(%error, "registrations could not be saved; they are tried again");
        }
        self.hear_of_media(now, machine);
    }

    /// Hands bindings that have changed to the store, if it has room for them.
    fn save_bindings(&mut self, max: usize, switch: &mut Switch) {
        if !self.live.has_room() {
            return;
        }
        switch.save_bindings(max, |state| {
            self.live.save(BindingState {
                aor: state.aor,
                key: &state.key,
                expires_us: state.expires_us,
                body: state.body,
            });
        });
    }

    fn tell(&mut self, now: Time, event: &Event, switch: &Switch) {
        log(event, switch);
        self.announce(now, || {
            let (topic, data) = describe(event);
            (topic, name_of(event), data)
        });
    }

    pub(crate) fn tell_upload(&mut self, now: Time, uploaded: &Uploaded) {
        self.announce(now, || recording::describe_upload(uploaded));
    }

    /// Tells those who watch, if anybody does: topic, name and data.
    fn announce(
        &mut self,
        now: Time,
        describe: impl FnOnce() -> (&'static str, &'static str, serde_json::Value),
    ) {
        self.event_sequence += 1;
        if self.events.receiver_count() == 0 {
            return;
        }
        let (topic, name, data) = describe();
        // Without a receiver nobody watches.
        let _ = self.events.send(PlatformEvent {
            sequence: self.event_sequence,
            at_us: now.as_micros(),
            topic: topic.into(),
            name: name.into(),
            data,
        });
    }
}

impl Host<SwitchMachine> for SwitchHost {
    fn handle_effect(&mut self, now: Time, effect: Effect, machine: &mut SwitchMachine) {
        match effect {
            Effect::Media(request) => self.ask_media(now, request, machine),
            Effect::Candidates {
                session,
                from,
                fragment,
            } => self.trickle(session, from, &fragment),
            Effect::Press { session, to, press } => self.press(session, to, press),
            Effect::MediaEnd { call, session } => self.end_media(now, call, session, machine),
            Effect::Record {
                call,
                session,
                part,
            } => self.record(call, session, part),
            Effect::Journal(event) => self.append(machine, event),
            Effect::SaveBindings => self.save_bindings(BINDINGS_PER_ROUND, &mut machine.switch),
            Effect::RemoveBinding { aor, key } => self.live.remove(&aor, &key),
            Effect::Event(event) => self.tell(now, &event, &machine.switch),
            Effect::Tick => self.tick(now, machine),
        }
    }

    fn handle_wake(&mut self, now: Time, machine: &mut SwitchMachine) {
        while let Ok(visit) = self.visits.try_recv() {
            visit(now, machine, self);
        }
        while let Ok(said) = self.media_said.try_recv() {
            self.hear(now, said, machine);
        }
        self.hear_of_media(now, machine);
    }

    fn flush(&mut self, _now: Time) {
        if let Err(error) = self.journal.write() {
            tracing::error!(%error, "the CDR journal could not be written; it is tried again");
        }
    }
}

impl SwitchHost {
    /// Brings everything to disk; the last thing before the process ends.
    pub(crate) fn sync(&mut self, switch: &mut Switch) {
        self.save_bindings(usize::MAX, switch);
        if let Err(error) = self.journal.write() {
            tracing::error!(%error, "the last CDRs could not be written");
        }
        if let Err(error) = self.live.sync() {
            tracing::error!(%error, "the last registrations could not be saved");
        }
    }
}

pub(crate) fn side(side: call::Side) -> Side {
    match side {
        call::Side::A => Side::A,
        call::Side::B => Side::B,
    }
}

fn side_of_call(side: Side) -> call::Side {
    match side {
        Side::A => call::Side::A,
        Side::B => call::Side::B,
    }
}

/// What a refusal of the relay means to the one who sent the description.
fn status_of(error: &MediaError) -> u16 {
    match error {
        MediaError::Malformed(_) => 400,
        MediaError::Sections { .. }
        | MediaError::TooManySections(_)
        | MediaError::NothingToEcho
        | MediaError::NoInterface(_)
        | MediaError::NoKeys
        | MediaError::NoOffer => 488,
        MediaError::NoPorts(_)
        | MediaError::Socket(_)
        | MediaError::Codec(_)
        | MediaError::NoRandomness => 503,
        MediaError::NoAudio | MediaError::NoSession | MediaError::NoRecordings => 500,
        MediaError::OtherKind | MediaError::UnknownInterface(_) => 500,
        // Only media servers are asked for copies.
        MediaError::NotNegotiated | MediaError::EndToEnd | MediaError::Apart => 500,
    }
}

fn leg(report: &LegReport) -> CdrLegMedia {
    CdrLegMedia {
        codec: report.codec.clone(),
        packets: report.packets,
        bytes: report.bytes,
        lost: report.lost,
        jitter_us: report.jitter_us,
        mos_centi: report.mos_centi,
        mos_min_centi: report.mos_min_centi,
        rtt_us: report.rtt_us,
        peer_lost: report.peer.map(|peer| peer.lost),
        peer_jitter_us: report.peer.map(|peer| peer.jitter_us),
        peer_mos_centi: report.peer.map(|peer| peer.mos_centi),
        mos_course_centi: report.slices.iter().map(|slice| slice.mos_centi).collect(),
        mos_course_step_s: report.slice_s,
    }
}

fn open_cdr(opening: Opening) -> OpenCdr {
    OpenCdr {
        call: opening.call,
        account: opening.account,
        from_user: opening.from_user,
        customer: opening.customer,
        carrier: opening.carrier,
        start_us: opening.start.as_micros(),
        caller: opening.caller.into(),
        called: opening.called.into(),
        source: opening.source.to_string(),
        sip_call_id: opening.sip_call_id.into(),
    }
}

/// One line for what happens: of gateways and bans for everybody, of people at debug.
fn log(event: &Event, switch: &Switch) {
    match event {
        Event::Call {
            id,
            change,
            parties: (caller, called),
        } => {
            let status = match change {
                CallChange::Ended(status) => Some(*status),
                CallChange::Started | CallChange::Ringing | CallChange::Answered => None,
            };
            let change = name_of(event);
            tracing::debug!(call = %id, %caller, %called, status, "{change}");
        }
        Event::Registration(told) => {
            let change = name_of(event);
            tracing::debug!(aor = %told.aor, transport = told.transport.param_name(), "{change}");
        }
        Event::Gateway { id, up, reason } => {
            let name = switch.gateway_name(*id);
            if *up {
                tracing::info!(gateway = %id, name, "gateway up");
            } else {
                tracing::warn!(gateway = %id, name, %reason, "gateway down");
            }
        }
        Event::GatewayRegistration { id, failure } => {
            let name = switch.gateway_name(*id);
            match failure {
                None => tracing::info!(gateway = %id, name, "registered at the gateway"),
                Some(why) => {
                    tracing::warn!(gateway = %id, name, %why, "not registered at the gateway");
                }
            }
        }
        Event::Banned {
            address, reason, ..
        } => tracing::warn!(%address, %reason, "banned"),
    }
}

fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Call { change, .. } => match change {
            CallChange::Started => "call.started",
            CallChange::Ringing => "call.ringing",
            CallChange::Answered => "call.answered",
            CallChange::Ended(_) => "call.ended",
        },
        Event::Registration(event) => match event.kind {
            registrar::EventKind::Registered => "registration.added",
            registrar::EventKind::Refreshed => "registration.refreshed",
            registrar::EventKind::Verified => "registration.verified",
            registrar::EventKind::Unreachable(_) => "registration.unreachable",
            registrar::EventKind::Reachable => "registration.reachable",
            registrar::EventKind::Unregistered(_) => "registration.removed",
        },
        Event::Gateway { up: true, .. } => "gateway.up",
        Event::Gateway { up: false, .. } => "gateway.down",
        Event::GatewayRegistration { failure: None, .. } => "gateway.registered",
        Event::GatewayRegistration { .. } => "gateway.unregistered",
        Event::Banned { .. } => "ban.added",
    }
}

/// The topic of an event, and what watchers are told of it.
fn describe(event: &Event) -> (&'static str, serde_json::Value) {
    match event {
        Event::Call {
            id,
            change,
            parties: (caller, called),
        } => {
            let status = match change {
                CallChange::Ended(status) => Some(*status),
                CallChange::Started | CallChange::Ringing | CallChange::Answered => None,
            };
            let data = json!({ "id": id, "caller": caller, "called": called, "status": status });
            ("calls", data)
        }
        Event::Registration(event) => {
            let data = json!({
                "id": event.binding.to_string(),
                "aor": event.aor,
                "transport": event.transport.param_name(),
            });
            ("registrations", data)
        }
        Event::Gateway { id, reason, .. } => ("gateways", json!({ "id": id, "reason": reason })),
        Event::GatewayRegistration { id, failure } => {
            let reason = failure
                .as_ref()
                .map_or_else(String::new, ToString::to_string);
            ("gateways", json!({ "id": id, "reason": reason }))
        }
        Event::Banned {
            address,
            reason,
            until,
        } => {
            let data =
                json!({ "address": address, "reason": reason, "until_us": until.as_micros() });
            ("bans", data)
        }
    }
}
