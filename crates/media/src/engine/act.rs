//! Blocking, silencing and playing.

use std::sync::{Arc, Mutex};

use audio::{Codec, Incoming};

use super::session::Session;
use super::{Engine, MediaError, Side};
use crate::actions::{
    Barrier, Beside, Ear, GateStage, Passage, PlayOptions, PlayerStage, Playing, Prompt, Target,
    Voice,
};
use crate::full::{Place, Stage};
use crate::options::Way;
use crate::recording::Codecs;
use crate::worker::Command;

impl Engine {
    /// Closes or opens a barrier for what a side sends. It holds for the session's voice, over
    /// negotiations.
    ///
    /// # Errors
    /// [`MediaError::NoSession`], [`MediaError::NoAudio`] before an answer.
    pub fn set_barrier(
        &mut self,
        session: u64,
        side: Side,
        barrier: Barrier,
        passage: Passage,
    ) -> Result<(), MediaError> {
        let found = self.sessions.get_mut(&session);
        let found = found.ok_or(MediaError::NoSession)?;
        let stream = found.voice().ok_or(MediaError::NoAudio)?;
        let known = found.gate.is_some();
        let gate = Arc::clone(found.gate.get_or_insert_default());
        gate.set(side, barrier, passage);
        if gate.is_open() {
            found.gate = None;
            self.set_stage(session, stream, Place::Block, None);
        } else if !known {
            self.install_gate(session);
        }
        Ok(())
    }

    /// Plays to a side, in place of what it would hear and of what was played to it before. Its
    /// end is said by [`super::MediaEvent::Played`].
    ///
    /// # Errors
    /// [`MediaError::NoSession`]; [`MediaError::NoAudio`] if the side takes no codec that is
    /// encoded here.
    pub fn play(
        &mut self,
        session: u64,
        side: Side,
        prompt: Prompt,
        options: PlayOptions,
    ) -> Result<(), MediaError> {
        let found = self.sessions.get_mut(&session);
        let found = found.ok_or(MediaError::NoSession)?;
        let stream = found.voice().ok_or(MediaError::NoAudio)?;
        let target = found.target(stream, side).ok_or(MediaError::NoAudio)?;
        let voice = found.voice_towards(side).ok_or(MediaError::NoRandomness)?;
        let beside = found.beside(stream, side);
        let ear = Ear { voice, beside };
        let playing = Playing::new(prompt, options, target, ear);
        let playing = playing.ok_or(MediaError::NoAudio)?;
        found.playing[side as usize] = Some(Arc::new(Mutex::new(playing)));
        self.install_player(session, stream);
        Ok(())
    }

    /// Stops what is played to a side; nothing happens if nothing is.
    ///
    /// # Errors
    /// [`MediaError::NoSession`].
    pub fn stop_playing(&mut self, session: u64, side: Side) -> Result<(), MediaError> {
        let found = self.sessions.get_mut(&session);
        let found = found.ok_or(MediaError::NoSession)?;
        if found.playing[side as usize].take().is_some()
            && let Some(stream) = found.voice()
        {
            self.install_player(session, stream);
        }
        Ok(())
    }

    /// Sends what sides A and B send other ways from now on, over negotiations: back, or nowhere.
    ///
    /// # Errors
    /// [`MediaError::NoSession`].
    pub fn set_ways(&mut self, session: u64, ways: [Way; 2]) -> Result<(), MediaError> {
        let found = self.sessions.get_mut(&session);
        let found = found.ok_or(MediaError::NoSession)?;
        if found.ways == ways {
            return Ok(());
        }
        found.ways = ways;
        let slot = found.slot;
        self.workers[found.worker].send([Command::Turn { slot, ways }]);
        if let Some(stream) = found.voice().filter(|_| found.is_played_to()) {
            self.install_player(session, stream);
        }
        Ok(())
    }

    /// Marks what is sent to both sides with a traffic class (RFC 2474), 0 for none, from now on.
    ///
    /// # Errors
    /// [`MediaError::NoSession`].
    pub fn set_traffic_class(&mut self, session: u64, traffic_class: u8) -> Result<(), MediaError> {
        let found = self.sessions.get_mut(&session);
        let found = found.ok_or(MediaError::NoSession)?;
        if found.traffic_class != traffic_class {
            found.traffic_class = traffic_class;
            let slot = found.slot;
            self.workers[found.worker].send([Command::Classify {
                slot,
                traffic_class,
            }]);
        }
        Ok(())
    }

    fn install_player(&self, session: u64, stream: usize) {
        let Some(found) = self.sessions.get(&session) else {
            return;
        };
        let hearers = [Side::A, Side::B].map(|side| found.ways[side as usize].destination(side));
        let stage: Option<Box<dyn Stage>> = match &found.playing {
            [None, None] => None,
            playing => Some(Box::new(PlayerStage::new(
                session,
                playing.clone(),
                hearers,
            ))),
        };
        self.set_stage(session, stream, Place::Play, stage);
    }

    /// Puts the gate in its place, with what was negotiated last.
    pub(super) fn install_gate(&self, session: u64) {
        let Some(found) = self.sessions.get(&session) else {
            return;
        };
        let (Some(gate), Some(stream)) = (&found.gate, found.voice()) else {
            return;
        };
        let gate = Arc::clone(gate);
        let events = [Side::A, Side::B].map(|side| found.events(stream, side));
        let stage = GateStage::new(gate, found.codecs(stream), events);
        self.set_stage(session, stream, Place::Block, Some(Box::new(stage)));
    }
}

impl Session {
    /// The medium that carries the voice: the first whose codecs are known.
    pub(super) fn voice(&self) -> Option<usize> {
        (0..self.streams.len())
            .find(|stream| self.codecs(*stream).iter().any(|codecs| !codecs.is_empty()))
    }

    /// The source of what a side is played, always the same.
    fn voice_towards(&mut self, side: Side) -> Option<Arc<Voice>> {
        let known = &mut self.voices[side as usize];
        if known.is_none() {
            *known = Some(Arc::new(Voice::new()?));
        }
        known.clone()
    }

    /// Whether anything is played to a side.
    fn is_played_to(&self) -> bool {
        self.playing.iter().any(Option::is_some)
    }

    /// What each side sends, by payload type: the numbers are the receiver's, and only if it
    /// gave none the sender's own. Of what is transcoded, we are the receiver.
    pub(super) fn codecs(&self, stream: usize) -> Codecs {
        if let Some(transcoding) = &self.streams[stream].transcoding {
            let directions = transcoding.plan.directions.each_ref();
            return directions.map(|direction| {
                let incoming = direction.incoming.iter();
                let known = incoming.filter_map(|(payload_type, format)| match format {
                    Incoming::Codec(codec) => Some((*payload_type, *codec)),
                    Incoming::Noise => None,
                });
                known.collect()
            });
        }
        [Side::A, Side::B].map(|side| {
            let named = self.named(stream, side).into_iter();
            let known = named.filter_map(|(payload_type, name)| {
                Some((payload_type, Codec::from_name(name.as_bytes())?))
            });
            known.collect()
        })
    }

    /// Payload types of RFC 4733 that a side sends.
    fn events(&self, stream: usize, side: Side) -> Vec<u8> {
        if let Some(transcoding) = &self.streams[stream].transcoding {
            let events = transcoding.plan.directions[side as usize].events().iter();
            return events.map(|event| event.payload_type).collect();
        }
        let named = self.named(stream, side).into_iter();
        let events = named.filter(|(_, name)| name.eq_ignore_ascii_case(EVENT));
        events.map(|(payload_type, _)| payload_type).collect()
    }

    /// What a side hears of a medium when nothing is played.
    pub(super) fn beside(&self, stream: usize, side: Side) -> Beside {
        let medium = &self.streams[stream];
        // What is transcoded is a stream of our own: its numbers are not those that come.
        let passes = medium.transcoding.is_none();
        Beside {
            heard: passes.then(|| Arc::clone(&medium.stats[side.other() as usize])),
            quiet: self.quiet(stream, side),
        }
    }

    /// Payload types of what a side hears that are no voice.
    fn quiet(&self, stream: usize, side: Side) -> Vec<u8> {
        let own = self.streams[stream].wishes[side as usize].iter();
        let named = own.flat_map(|wish| wish.codecs());
        let quiet = named.filter(|(_, name)| QUIET.iter().any(|q| name.eq_ignore_ascii_case(q)));
        let quiet = quiet.map(|(payload_type, _)| payload_type);
        quiet.chain([COMFORT_NOISE]).collect()
    }

    fn named(&self, stream: usize, side: Side) -> Vec<(u8, &str)> {
        let wishes = &self.streams[stream].wishes;
        let wishes = [side.other(), side].map(|side| wishes[side as usize].as_ref());
        wishes
            .into_iter()
            .flatten()
            .flat_map(|w| w.codecs())
            .collect()
    }

    /// What a side is sent: the first codec that both sides know, or if they have none in
    /// common its own first.
    pub(super) fn target(&self, stream: usize, side: Side) -> Option<Target> {
        let wishes = &self.streams[stream].wishes;
        let own = wishes[side as usize].as_ref()?;
        let other = wishes[side.other() as usize].as_ref();
        let known = |(payload_type, name): (u8, &str)| {
            Some((payload_type, Codec::from_name(name.as_bytes())?))
        };
        let mut common = own.codecs().filter(|(_, name)| {
            other.is_none_or(|other| other.codecs().any(|(_, theirs)| theirs == *name))
        });
        let (payload_type, codec) = common
            .find_map(known)
            .or_else(|| own.codecs().find_map(known))?;
        let mut events = own.codecs();
        let event = events.find(|(_, name)| name.eq_ignore_ascii_case(EVENT));
        Some(Target {
            codec,
            payload_type,
            // Other clock rates than the usual one would need events of their own.
            event: event
                .map(|(pt, _)| pt)
                .filter(|_| codec.clock_rate_hz() == 8_000),
        })
    }
}

/// The name of RFC 4733 in SDP.
const EVENT: &str = "telephone-event";
/// What is no voice: that, and comfort noise (RFC 3389).
const QUIET: [&str; 2] = [EVENT, "CN"];
/// Its fixed payload type.
const COMFORT_NOISE: u8 = 13;
