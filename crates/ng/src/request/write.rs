//! From a request to a dictionary.

use super::{Command, MediaFile, Negotiation, Playback, Recording, Request, Tone};
use crate::frame::{Encoding, Frame};
use crate::value::{Dictionary, Value};

impl Request {
    /// The dictionary of a request.
    #[must_use]
    pub fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("command", self.command.name());
        match &self.command {
            Command::Ping | Command::Statistics | Command::Drain | Command::Resume => {}
            Command::Offer(negotiation)
            | Command::Answer(negotiation)
            | Command::Publish(negotiation)
            | Command::SubscribeRequest(negotiation)
            | Command::SubscribeAnswer(negotiation) => negotiation.write(&mut to),
            Command::Delete(deletion) => {
                deletion.selection.write(&mut to);
                to.push_some("delete delay", deletion.delay_s.map(i64::from));
                deletion.options.write(&mut to);
            }
            Command::Query(selection)
            | Command::StopMedia(selection)
            | Command::Unsubscribe(selection) => selection.write(&mut to),
            Command::Keys { after } | Command::News { after } => {
                to.push("after", *after);
            }
            Command::List { limit } => {
                to.push("limit", *limit as u64);
            }
            Command::Record(_, recording) => recording.write(&mut to),
            Command::Gate(_, gate) => {
                gate.selection.write(&mut to);
                gate.options.write(&mut to);
            }
            Command::PlayMedia(playback) => playback.write(&mut to),
            Command::PlayDtmf(tone) => tone.write(&mut to),
        }
        to
    }

    /// The message of a request.
    #[must_use]
    pub fn encode(&self, cookie: &str, encoding: Encoding) -> Vec<u8> {
        Frame::write(cookie.as_bytes(), encoding, &self.dictionary())
    }
}

impl Negotiation {
    fn write(&self, to: &mut Dictionary<'static>) {
        self.selection.write(to);
        if !self.sdp.is_empty() {
            to.push("sdp", Value::Bytes(self.sdp.clone().into()));
        }
        self.options.write(to);
        if let Some(media) = &self.media {
            MediaFile::write(media, to);
        }
    }
}

impl Recording {
    fn write(&self, to: &mut Dictionary<'static>) {
        self.selection.write(to);
        to.push_some("recording-file", self.file.clone());
        to.push_some("recording-dir", self.folder.clone());
        to.push_some("recording-pattern", self.pattern.clone());
        to.push_some("tandem-recording-part", self.part.map(i64::from));
        self.options.write(to);
    }
}

impl Playback {
    fn write(&self, to: &mut Dictionary<'static>) {
        self.selection.write(to);
        if let Some(media) = &self.media {
            media.write(to);
        }
        to.push("repeat-times", i64::from(self.repeat_times));
        if self.repeat_duration_ms > 0 {
            to.push("repeat-duration", self.repeat_duration_ms);
        }
        if self.start_frame > 0 {
            to.push("start-pos", self.start_frame);
        }
        self.options.write(to);
    }
}

impl Tone {
    fn write(&self, to: &mut Dictionary<'static>) {
        self.selection.write(to);
        to.push("code", i64::from(self.event))
            .push("duration", i64::from(self.duration_ms))
            .push("volume", i64::from(self.volume_db))
            .push("pause", i64::from(self.pause_ms));
    }
}
