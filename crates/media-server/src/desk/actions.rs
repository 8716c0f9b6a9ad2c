//! What is done to the media of a call: recorded, blocked, silenced, played into.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use media::{
    Audio, Barrier, MediaError, Over, Passage, PlayOptions, Prompt, RecordingOptions, Side, Times,
};
use ng::{
    All, Command, Flag, Gate, GateVerb, MediaFile, Playback, RecordVerb, Recording, Reply,
    Selection, Success,
};

use super::Desk;
use super::files::Readiness;
use crate::calls::{Branch, Call};
use crate::wishes::undone;

impl Desk {
    pub(super) fn record(&mut self, verb: RecordVerb, asked: &Recording) -> Reply {
        let Some(call) = self.calls.call_mut(&asked.selection.call_id) else {
            return Reply::error(UNKNOWN_CALL);
        };
        // Branches that answer later are recorded, too.
        call.is_recorded = verb == RecordVerb::Start;
        if let (RecordVerb::Start, Some(name)) = (verb, &asked.file) {
            call.recorded_as = Some(RecordingOptions {
                first_part: asked.part.unwrap_or(1),
                ..RecordingOptions::first(name.as_str())
            });
        }
        let options = recording_of(call);
        let sessions: Vec<u64> = call.branches.iter().map(|branch| branch.session).collect();
        let mut undone = undone(&asked.options);
        let named = [&asked.folder, &asked.pattern];
        for (named, key) in named.into_iter().zip(["dir", "pattern"]) {
            if named.is_some() {
                undone.push(format!("recording-{key}"));
            }
        }
        for session in &sessions {
            let session = *session;
            let result = match verb {
                RecordVerb::Start => self.start_recording(session, &options),
                RecordVerb::Stop => self.engine.stop_recording(session),
                RecordVerb::Pause => self.engine.pause_recording(session),
            };
            match result {
                // It begins with the answer.
                Ok(()) | Err(MediaError::NoAudio) => {}
                Err(MediaError::NoRecordings) if verb != RecordVerb::Start => {}
                Err(error) => return Reply::error(error.to_string()),
            }
        }
        let success = Success {
            recordings: self.recordings(&sessions),
            ..Success::default()
        };
        self.warned(success, &undone)
    }

    /// The files of recordings of sessions, with their whole paths.
    pub(super) fn recordings(&self, sessions: &[u64]) -> Vec<String> {
        let dir = self.config.engine.recordings.as_deref();
        let reports = sessions.iter().filter_map(|id| self.engine.report(*id));
        let files = reports.flat_map(|report| report.recordings);
        let whole = files.map(|file| match dir {
            Some(dir) => dir.join(file).to_string_lossy().into_owned(),
            None => file,
        });
        whole.collect()
    }

    /// Begins to record a session, or goes on after a pause.
    pub(super) fn start_recording(
        &mut self,
        session: u64,
        options: &RecordingOptions,
    ) -> Result<(), MediaError> {
        let mut options = options.clone();
        // Branches are sessions of their own, whose parts count on from each other's.
        let parts = self.parts_beside(session);
        options.first_part = options.first_part.saturating_add(parts);
        self.engine.start_recording(session, &options)?;
        self.engine.resume_recording(session)
    }

    /// How many recordings there are of the other branches of a session's call.
    fn parts_beside(&mut self, session: u64) -> u16 {
        let Some((id, _)) = self.calls.branch_of(session) else {
            return 0;
        };
        let branches = self
            .calls
            .call(&id)
            .into_iter()
            .flat_map(|call| &call.branches);
        let others = branches.filter(|branch| branch.session != session);
        let reports = others.filter_map(|branch| self.engine.report(branch.session));
        let parts: usize = reports.map(|report| report.recordings.len()).sum();
        u16::try_from(parts).unwrap_or(u16::MAX)
    }

    pub(super) fn gate(&mut self, verb: GateVerb, asked: &Gate) -> Reply {
        let mut selection = asked.selection.clone();
        if !asked.options.flags.contains(Flag::Directional) {
            // Proxies always send tags; they count only if they say so.
            (selection.from_tag, selection.to_tag) = (None, None);
        }
        let mut undone = undone(&asked.options);
        match selection.all {
            // What is sent to subscribers is copied before any barrier. The call itself is not
            // meant, so that it must not fall silent.
            Some(All::ExceptOfferAnswer) if self.calls.call(&selection.call_id).is_some() => {
                undone.push("all=except-offer-answer".to_owned());
                return self.warned(Success::default(), &undone);
            }
            Some(All::Flows) => undone.push("all=flows of subscribers".to_owned()),
            _ => {}
        }
        if selection.from_tag.is_some() || selection.label.is_some() {
            // Then it tells which flows of that participant are meant, not who is.
            selection.all = None;
        }
        let to_tag = selection.to_tag.take();
        let barrier = match verb {
            GateVerb::BlockDtmf | GateVerb::UnblockDtmf => Barrier::Dtmf,
            GateVerb::BlockMedia | GateVerb::UnblockMedia => Barrier::Media,
            GateVerb::SilenceMedia | GateVerb::UnsilenceMedia => Barrier::Voice,
        };
        let passage = match verb {
            GateVerb::BlockDtmf | GateVerb::BlockMedia | GateVerb::SilenceMedia => Passage::Closed,
            GateVerb::UnblockDtmf | GateVerb::UnblockMedia | GateVerb::UnsilenceMedia => {
                Passage::Open
            }
        };
        let towards = |branch: &Branch, side: Side| {
            let other = branch.party(side.other());
            to_tag.as_deref().is_none_or(|to| other.is(to))
        };
        let done = self.each_where(&selection, towards, |desk, session, side| {
            desk.engine.set_barrier(session, side, barrier, passage)
        });
        match done {
            Ok(()) => self.warned(Success::default(), &undone),
            Err(reply) => reply,
        }
    }

    pub(super) fn play(&mut self, asked: &Playback) -> Reply {
        let audio = match &asked.media {
            Some(media) => self.read(media),
            None => Err("no file in message".to_owned()),
        };
        let audio = match audio {
            Ok(audio) => audio,
            Err(reason) => return Reply::error(reason),
        };
        let repeats = asked.repeat_duration_ms > 0 && asked.repeat_times <= 1;
        let options = PlayOptions {
            times: match repeats {
                true => Times::Forever,
                false => Times::Exactly(asked.repeat_times.max(1)),
            },
            duration: (asked.repeat_duration_ms > 0)
                .then(|| Duration::from_millis(asked.repeat_duration_ms)),
            over: match asked.options.flags.contains(Flag::OverSilence) {
                true => Over::Silence,
                false => Over::Everything,
            },
        };
        let mut undone = undone(&asked.options);
        undone.extend((asked.start_frame > 0).then(|| "start-pos".to_owned()));
        let done = self.each(&asked.selection, |desk, session, side| {
            let prompt = Prompt::Audio(audio.clone());
            desk.engine.play(session, side, prompt, options)
        });
        let success = Success {
            duration_ms: Some(audio.duration_ms()),
            ..Success::default()
        };
        match done {
            Ok(()) => self.warned(success, &undone),
            Err(reply) => reply,
        }
    }

    /// Whether a command can be carried out, or is to wait for a file.
    pub(super) fn readiness(&mut self, command: &Command, now: Instant) -> Readiness {
        match command {
            Command::PlayMedia(playback) => match &playback.media {
                Some(MediaFile::Path(path)) => self.files.prepare(Path::new(path), now),
                _ => Readiness::Now,
            },
            _ => Readiness::Now,
        }
    }

    /// Reads what is to be played: a WAV file.
    fn read(&mut self, media: &MediaFile) -> Result<Audio, String> {
        let decode = |bytes: &[u8]| Audio::from_wav(bytes).map_err(|error| error.to_string());
        match media {
            MediaFile::Path(path) => self.files.take(Path::new(path)),
            MediaFile::Bytes(bytes) => decode(bytes),
            MediaFile::Base64(text) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                decode(&bytes.map_err(|error| format!("blob64: {error}"))?)
            }
            MediaFile::Database(_) => Err("there is no database of media here".to_owned()),
        }
    }

    pub(super) fn stop_playing(&mut self, selection: &Selection) -> Reply {
        let done = self.each(selection, |desk, session, side| {
            desk.engine.stop_playing(session, side)
        });
        done.map_or_else(|reply| reply, |()| Reply::ok())
    }

    /// Does something to each participant that is meant. What cannot be done to one of several is
    /// no error; what can be done to none is.
    pub(super) fn each(
        &mut self,
        selection: &Selection,
        act: impl FnMut(&mut Self, u64, Side) -> Result<(), MediaError>,
    ) -> Result<(), Reply> {
        self.each_where(selection, |_, _| true, act)
    }

    /// The same to those among them that are wanted.
    fn each_where(
        &mut self,
        selection: &Selection,
        wanted: impl Fn(&Branch, Side) -> bool,
        mut act: impl FnMut(&mut Self, u64, Side) -> Result<(), MediaError>,
    ) -> Result<(), Reply> {
        let call = self.calls.call(&selection.call_id);
        let Some(call) = call else {
            return Err(Reply::error(UNKNOWN_CALL));
        };
        let meant = call.participants(selection, wanted);
        let mut last = None;
        let mut done = 0;
        for (session, side) in meant {
            match act(self, session, side) {
                Ok(()) => done += 1,
                Err(error) => last = Some(error),
            }
        }
        match (done, last) {
            (0, Some(error)) => Err(Reply::error(error.to_string())),
            (0, None) => Err(Reply::error("no participant matches")),
            _ => Ok(()),
        }
    }
}

/// What the recordings of a call are called.
pub(super) fn recording_of(call: &Call) -> RecordingOptions {
    let named = call.recorded_as.clone();
    named.unwrap_or_else(|| RecordingOptions::first(&*call.id))
}

const UNKNOWN_CALL: &str = "Unknown call-id";
