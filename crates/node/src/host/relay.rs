//! Media of calls: relayed here, or by media servers, and what both have to say.

use std::net::SocketAddr;

use bytes::Bytes;
use clock::Time;
use media::{
    AddressFamily, LegReport, MediaError, MediaEvent, Negotiation, RecordingOptions, Side,
};
use model::CdrLegMedia;
use switch::media_servers::{Adopted, MediaOutput, RecordingNews};
use switch::{CallKey, MediaRequest};

use super::SwitchHost;
use crate::machine::SwitchMachine;
use crate::music::{Deck, Question};
use crate::{media_options, recording, remote_recording};

/// Bits of a media session's number that are the key of its call.
pub(crate) const CALL_BITS: u64 = (1 << 56) - 1;

impl SwitchHost {
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
    pub(super) fn ask_media(
        &mut self,
        now: Time,
        request: Box<MediaRequest>,
        machine: &mut SwitchMachine,
    ) {
        // An offer of our own making, for a caller that leaves it to us, only we can make.
        let ours = request.op == call::MediaOp::Echo && request.sdp.is_empty();
        let is_here = ours || self.engine.has(request.session);
        let has_servers = !machine.switch.snapshot().media_servers.is_empty();
        let (call, ask, session) = (request.call, request.ask, request.session);
        if is_here || !(has_servers || self.remote.contains(&session)) {
            let answer = self.media(&request).map(|sdp| {
                let path = machine.switch.music_on_hold(call);
                let mut deck = Deck::Engine(&mut self.engine);
                let question = Question::from(&*request);
                self.music.handle(&mut deck, &question, path, sdp)
            });
            let answer = answer.map(Into::into);
            machine.switch.handle_media(now, call, ask, answer);
            return;
        }
        self.remote.insert(session);
        let path = machine.switch.music_on_hold(call);
        self.music.handle_asked(&request, path);
        if !self.media_link.request(request) {
            machine.switch.handle_media(now, call, ask, Err(503));
        }
    }

    /// Whoever has the session takes them.
    pub(super) fn trickle(&mut self, session: u64, from: call::Side, fragment: Bytes) {
        if self.remote.contains(&session) {
            if !self.media_link.trickle(session, from, fragment) {
                tracing::debug!(session, "too many orders wait for candidates");
            }
            return;
        }
        if let Err(error) = self.engine.trickle(session, side(from), &fragment) {
            tracing::debug!(session, %error, "candidates of a peer");
        }
    }

    pub(super) fn end_media(
        &mut self,
        now: Time,
        call: CallKey,
        session: u64,
        machine: &mut SwitchMachine,
    ) {
        self.music.forget(now, session);
        if self.remote.remove(&session) && self.media_link.end(call, session) {
            return;
        }
        let ends = self.ends(session);
        let report = self.engine.delete(session).unwrap_or_default();
        self.quality.record(&report);
        let legs = [leg(&report.a), leg(&report.b)];
        self.tell_quality(now, call, &legs, ends, machine);
        machine
            .switch
            .handle_media_report(call, legs, report.recordings);
    }

    /// A session that another node has begun is watched from here.
    pub(super) fn adopt_media(&mut self, adopted: Adopted) {
        self.remote.insert(adopted.anchor.session);
        self.media_link.adopt(adopted);
    }

    /// Another node speaks for a session. What is relayed here ends: that node begins anew.
    pub(super) fn forsake_media(&mut self, now: Time, session: u64) {
        self.music.forget(now, session);
        if self.remote.remove(&session) {
            self.media_link.forsake(session);
        } else {
            self.engine.delete(session);
        }
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
            && let Some(sip_call_id) = machine.switch.sip_call_id(call)
        {
            self.hep.quality(legs, ends, sip_call_id, now.as_micros());
        }
    }

    pub(super) fn record(&mut self, call: model::CallId, session: u64, part: u16) {
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
    pub(super) fn hear(&mut self, now: Time, said: MediaOutput, machine: &mut SwitchMachine) {
        let switch = &mut machine.switch;
        match said {
            // The thread sends by itself.
            MediaOutput::Send { .. } => {}
            MediaOutput::Answer {
                call,
                ask,
                answer,
                why,
                anchor,
            } => {
                if let Some(why) = why {
                    switch.explain_media(call, why);
                }
                if let Some(anchor) = anchor {
                    switch.note_anchor(call, anchor);
                }
                let question = self.music.take_asked(call, ask);
                let answer = answer.map(|sdp| match question {
                    None => sdp,
                    Some(question) => {
                        let path = switch.music_on_hold(call);
                        let mut deck = Deck::Servers(&self.media_link);
                        let music = &mut self.music;
                        let sdp = music.handle(&mut deck, &question, path, sdp.to_vec());
                        sdp.into()
                    }
                });
                switch.handle_media(now, call, ask, answer);
            }
            MediaOutput::Report {
                call,
                legs,
                ends,
                recordings,
            } => {
                self.tell_quality(now, call, &legs, *ends, machine);
                let switch = &mut machine.switch;
                let files = recordings.iter().map(ToString::to_string).collect();
                switch.handle_media_report(call, legs, files);
            }
            MediaOutput::Key {
                call,
                session,
                from,
                press,
            } => switch.handle_key(now, call, (session, from), press),
            MediaOutput::Keys(keys) => switch.set_keys_there(keys),
            MediaOutput::Silent { call, session } => {
                switch.handle_media_silent(now, call, session);
            }
            MediaOutput::ConsentLost {
                call,
                session,
                side: lost,
            } => {
                self.lose_consent(now, call, (session, lost), machine);
            }
            // It is told when it is noted, and not again.
            MediaOutput::Recording(RecordingNews::Uploaded(upload)) => self.uploads.note(upload),
            MediaOutput::Recording(news) => {
                remote_recording::log(&news);
                remote_recording::count(&news, &mut self.recordings);
                self.announce(now, || remote_recording::describe(&news));
            }
            MediaOutput::Lost { call, session } => switch.handle_media_lost(now, call, session),
            MediaOutput::Changed(change) => self.tell_media(now, &change),
        }
    }

    /// Has a side hear a key that came by a message.
    pub(super) fn press(&mut self, session: u64, to: call::Side, press: call::Press) {
        let call::Press { key, duration_ms } = press;
        let heard = match self.remote.contains(&session) {
            true => self.media_link.press(session, to, press),
            false => self.engine.press_key(session, side(to), key, duration_ms),
        };
        if !heard {
            // Codecs that we do not code.
            tracing::debug!(session, "a key by INFO is not heard by the other side");
        }
    }

    /// A side of a session does not want its media any more.
    fn lose_consent(
        &mut self,
        now: Time,
        call: CallKey,
        who: (u64, call::Side),
        machine: &mut SwitchMachine,
    ) {
        if machine.switch.needs_consent(call, who) {
            self.tell_consent_lost(now, call, side(who.1), &machine.switch);
            machine.switch.handle_consent_lost(now, call, who);
        }
    }

    pub(super) fn hear_of_media(&mut self, now: Time, machine: &mut SwitchMachine) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                MediaEvent::Silent { session, .. } => {
                    let call = CallKey(session & CALL_BITS);
                    machine.switch.handle_media_silent(now, call, session);
                }
                MediaEvent::ConsentLost { session, side } => {
                    let call = CallKey(session & CALL_BITS);
                    let who = (session, side_of_call(side));
                    self.lose_consent(now, call, who, machine);
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
                    if let Some(sip_call_id) = machine.switch.sip_call_id(call) {
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
}

pub(crate) fn side(side: call::Side) -> Side {
    match side {
        call::Side::A => Side::A,
        call::Side::B => Side::B,
    }
}

pub(crate) fn side_of_call(side: Side) -> call::Side {
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
        | MediaError::NoFiles(_)
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
