//! Recording a session.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use super::session::Session;
use super::{Engine, MediaError, Side};
use crate::full::Place;
use crate::recording::{RecordingFormat, RecordingOptions, Running, Start, Switch, Tap};

impl Engine {
    /// Records what both sides say, until [`Engine::stop_recording`] or the end of the session;
    /// the file's name in the directory of recordings. If that is taken the file gets the next
    /// number that is free: [`Engine::report`] knows it once it was made, and how it ended is said
    /// by [`super::MediaEvent::Recorded`]. A session that is being recorded goes on as it is, and so
    /// does a paused one.
    ///
    /// # Errors
    /// [`MediaError::NoSession`], [`MediaError::NoAudio`] before an answer,
    /// [`MediaError::NoRecordings`] without a directory for them.
    pub fn start_recording(
        &mut self,
        session: u64,
        options: &RecordingOptions,
    ) -> Result<String, MediaError> {
        let recorder = self.recorder.as_mut().ok_or(MediaError::NoRecordings)?;
        let id = session;
        let session = self.sessions.get_mut(&id).ok_or(MediaError::NoSession)?;
        if session.recording.is_some()
            && let Some(file) = session.recordings.last()
        {
            return Ok(file.get().to_owned());
        }
        let stream = session.voice().ok_or(MediaError::NoAudio)?;
        let parts = u16::try_from(session.recordings.len()).unwrap_or(u16::MAX);
        let part = options.first_part.saturating_add(parts);
        let format = self.config.recording_format;
        let (number, file, queue) = recorder.begin(Start {
            session: id,
            name: options.name.clone(),
            part,
            format,
            sample_rate_hz: session.recording_rate_hz(stream),
            codecs: session.codecs(stream),
        });
        let switch = Arc::new(Switch::default());
        session.recordings.push(Arc::clone(&file));
        session.recording = Some(Running {
            id: number,
            switch: Arc::clone(&switch),
            stream,
        });
        let tap = Box::new(Tap::new(number, queue, switch));
        self.set_stage(id, stream, Place::Record, Some(tap));
        Ok(file.get().to_owned())
    }

    /// Records silence until [`Engine::resume_recording`]. Errors: `NoSession`, `NoRecordings` if
    /// it is not being recorded.
    pub fn pause_recording(&mut self, session: u64) -> Result<(), MediaError> {
        let running = self.running(session)?;
        running.switch.paused.store(true, Relaxed);
        Ok(())
    }

    /// Goes on after a pause. Errors as [`Engine::pause_recording`].
    pub fn resume_recording(&mut self, session: u64) -> Result<(), MediaError> {
        let running = self.running(session)?;
        running.switch.paused.store(false, Relaxed);
        Ok(())
    }

    /// Ends a recording. Errors as [`Engine::pause_recording`].
    pub fn stop_recording(&mut self, session: u64) -> Result<(), MediaError> {
        let stream = self.running(session)?.stream;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.recording = None;
        }
        self.set_stage(session, stream, Place::Record, None);
        Ok(())
    }

    /// What files of recordings that begin from now on are.
    pub fn set_recording_format(&mut self, format: RecordingFormat) {
        self.config.recording_format = format;
    }

    fn running(&self, session: u64) -> Result<&Running, MediaError> {
        let session = self.sessions.get(&session).ok_or(MediaError::NoSession)?;
        session.recording.as_ref().ok_or(MediaError::NoRecordings)
    }

    /// Tells those who decode, hold up or play media of a session what was negotiated.
    pub(super) fn renew_actions(&mut self, id: u64) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if let (Some(running), Some(recorder)) = (&session.recording, &self.recorder) {
            recorder.set_codecs(running.id, session.codecs(running.stream));
        }
        if session.gate.is_some() {
            self.install_gate(id);
        }
        let Some(stream) = session.voice() else {
            return;
        };
        for (side, playing) in [Side::A, Side::B].into_iter().zip(&session.playing) {
            if let (Some(playing), Some(target)) = (playing, session.target(stream, side)) {
                let mut playing = playing.lock().unwrap_or_else(PoisonError::into_inner);
                playing.take_up(target, session.beside(stream, side));
            }
        }
    }
}

impl Session {
    /// The rate of a recording: that of the better of the two voices, at most 16 kHz.
    fn recording_rate_hz(&self, stream: usize) -> u32 {
        let chosen = [Side::A, Side::B].into_iter();
        let rates = chosen.filter_map(|side| self.target(stream, side));
        let best = rates.map(|target| target.codec.sample_rate_hz()).max();
        best.unwrap_or(NARROW_HZ).clamp(NARROW_HZ, WIDE_HZ)
    }
}

const NARROW_HZ: u32 = 8_000;
const WIDE_HZ: u32 = 16_000;
