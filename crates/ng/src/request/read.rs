//! From a dictionary to a request.

use super::{
    Command, Deletion, Gate, GateVerb, MediaFile, Negotiation, Playback, RecordVerb, Recording,
    Request, Tone, event_of_digit,
};
use crate::error::BadMessage;
use crate::flag::Flag;
use crate::flag_string;
use crate::options::read::Taken;
use crate::options::{Options, Switch};
use crate::selection::{All, Selection};
use crate::value::{Dictionary, Value};
use crate::word;

impl Request {
    /// Reads a request. Entries that a command has no use for are passed over: proxies send the
    /// same ones with each command.
    ///
    /// # Errors
    /// See [`BadMessage`].
    pub fn read(dictionary: &Dictionary<'_>) -> Result<Self, BadMessage> {
        let name = dictionary.text("command").ok_or(BadMessage::NoCommand)?;
        let mut fields = Fields::default();
        for (key, value) in dictionary.entries() {
            let key = String::from_utf8_lossy(key);
            fields.read(&key, value)?;
        }
        if fields.options.flags.contains(Flag::All) && fields.selection.all.is_none() {
            fields.selection.all = Some(All::All);
        }
        let mut unknown = std::mem::take(&mut fields.unknown);
        if ["offer", "answer"]
            .iter()
            .any(|with| word::same(name.as_bytes(), with.as_bytes()))
        {
            unknown.extend(fields.idle_in_descriptions());
        }
        let command = fields.into_command(name)?;
        Ok(Self { command, unknown })
    }
}

/// How flags came.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Syntax {
    #[default]
    List,
    String,
}

/// All entries, before it is known what they are for.
#[derive(Default)]
struct Fields {
    selection: Selection,
    options: Options,
    sdp: Option<Vec<u8>>,
    media: Option<MediaFile>,
    repeat_times: Option<u32>,
    repeat_duration_ms: u64,
    start_frame: u64,
    event: Option<u8>,
    duration_ms: Option<i64>,
    volume_db: Option<i64>,
    pause_ms: Option<i64>,
    pause: Option<Switch>,
    delay_s: Option<u32>,
    limit: Option<usize>,
    after: u64,
    recording: [Option<String>; 3],
    /// Whether flags came as one string: then a proxy has put all tags beside it.
    syntax: Syntax,
    part: Option<u16>,
    unknown: Vec<String>,
}

impl Fields {
    fn read(&mut self, key: &str, value: &Value<'_>) -> Result<(), BadMessage> {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        if is("command") || KNOWN_BUT_IDLE.iter().any(|name| is(name)) {
            return Ok(());
        }
        if is("sdp") {
            let sdp = value.bytes().ok_or(BadMessage::Invalid("sdp".into()))?;
            self.sdp = Some(sdp.to_vec());
            return Ok(());
        }
        if is("rtpp-flags") || is("flags") && value.bytes().is_some() {
            return self.read_string(value);
        }
        if self.selection.read(key, value, &mut self.unknown)
            || self.options.read(key, value, &mut self.unknown) == Taken::Yes
            || self.read_media(key, value)
            || self.read_tone(key, value)?
            || self.read_rest(key, value)?
        {
            return Ok(());
        }
        let room = self.unknown.len() < UNKNOWN_MAX;
        if room {
            self.unknown.push(key.to_owned());
        }
        Ok(())
    }

    /// What would do something elsewhere, but is of no use beside a description.
    fn idle_in_descriptions(&self) -> impl Iterator<Item = String> {
        let [file, folder, pattern] = &self.recording;
        let idle = [
            (self.media.is_some(), "file"),
            (file.is_some(), "output-destination"),
            (folder.is_some(), "recording-dir"),
            (pattern.is_some(), "recording-pattern"),
        ];
        let said = idle.into_iter().filter(|(there, _)| *there);
        said.map(|(_, key)| key.to_owned())
    }

    /// The newer syntax: all flags and keys in one string.
    fn read_string(&mut self, value: &Value<'_>) -> Result<(), BadMessage> {
        self.syntax = Syntax::String;
        let text = value.as_text().ok_or(BadMessage::Invalid("flags".into()))?;
        for item in flag_string::parse(text)? {
            match item {
                flag_string::Item::Flag(flag) => {
                    let direction = ["internal", "external"].contains(&flag);
                    let known = match direction {
                        true => self.options.read_direction(flag),
                        false => self.options.read_flag(flag),
                    };
                    if !known {
                        self.unknown.push(flag.to_owned());
                    }
                }
                // The proxy has put the branch itself beside the string.
                flag_string::Item::Pair("via-branch", _) => {}
                flag_string::Item::Pair(key, value) => {
                    // Named twice, one for each side.
                    self.read(key, &value)?;
                    if word::same(key.as_bytes(), b"from-tag") {
                        self.options.flags.insert(Flag::Directional);
                    }
                    if word::same(key.as_bytes(), b"to-tag") {
                        self.options.flags.insert(Flag::ToTag);
                    }
                }
            }
        }
        Ok(())
    }

    fn read_media(&mut self, key: &str, value: &Value<'_>) -> bool {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        let bytes = || value.bytes().map(<[u8]>::to_vec);
        let media = if is("file") {
            value.as_text().map(|path| MediaFile::Path(path.to_owned()))
        } else if is("blob") {
            bytes().map(MediaFile::Bytes)
        } else if is("blob64") {
            bytes().map(MediaFile::Base64)
        } else if is("db-id") {
            value.integer().map(MediaFile::Database)
        } else {
            return false;
        };
        if media.is_none() {
            self.unknown.push(key.to_owned());
        }
        self.media = media;
        true
    }

    fn read_tone(&mut self, key: &str, value: &Value<'_>) -> Result<bool, BadMessage> {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        let invalid = || BadMessage::Invalid(key.to_owned());
        if is("code") || is("digit") {
            let digit = value.as_text().and_then(|text| {
                let mut characters = text.chars();
                characters.next().filter(|_| characters.next().is_none())
            });
            let number = || value.integer().and_then(|n| u8::try_from(n).ok());
            let event = digit.and_then(event_of_digit).or_else(number);
            self.event = Some(event.filter(|event| *event < 16).ok_or_else(invalid)?);
        } else if is("duration") {
            self.duration_ms = Some(value.integer().ok_or_else(invalid)?);
        } else if is("volume") {
            self.volume_db = Some(value.integer().ok_or_else(invalid)?);
        } else if is("pause") {
            self.pause = value.as_text().and_then(Switch::from_name);
            self.pause_ms = value.integer();
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn read_rest(&mut self, key: &str, value: &Value<'_>) -> Result<bool, BadMessage> {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        let invalid = || BadMessage::Invalid(key.to_owned());
        let text = || value.as_text().map(str::to_owned);
        let number = || {
            let number = value.integer().filter(|number| *number >= 0);
            number.ok_or_else(invalid)
        };
        if is("repeat-times") {
            self.repeat_times = Some(u32::try_from(number()?).map_err(|_| invalid())?);
        } else if is("repeat-duration") {
            self.repeat_duration_ms = number()?.unsigned_abs();
        } else if is("start-pos") {
            self.start_frame = number()?.unsigned_abs();
        } else if is("delete-delay") {
            self.delay_s = Some(u32::try_from(number()?).map_err(|_| invalid())?);
        } else if is("limit") {
            self.limit = Some(usize::try_from(number()?).map_err(|_| invalid())?);
        } else if is("after") {
            self.after = number()?.unsigned_abs();
        } else if is("recording-file") || is("output-destination") {
            self.recording[0] = text();
        } else if is("recording-dir") {
            self.recording[1] = text();
        } else if is("recording-pattern") {
            self.recording[2] = text();
        } else if is("tandem-recording-part") {
            self.part = Some(u16::try_from(number()?).map_err(|_| invalid())?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn into_command(self, name: &str) -> Result<Command, BadMessage> {
        let is = |other: &str| word::same(name.as_bytes(), other.as_bytes());
        if let Some(command) = self.of_server(is) {
            return Ok(command);
        }
        if is("publish") {
            return Ok(Command::Publish(self.negotiation()?));
        }
        let known = RecordVerb::from_name(name);
        if let Some(verb) = known {
            return self.recording(verb);
        }
        if let Some(verb) = GateVerb::from_name(name) {
            let selection = self.call()?;
            let mut options = self.options;
            if self.syntax == Syntax::List && selection.from_tag.is_some() {
                options.flags.insert(Flag::Directional);
            }
            return Ok(Command::Gate(verb, Box::new(Gate { selection, options })));
        }
        if is("offer") {
            let negotiation = self.negotiation()?;
            needs(&negotiation.selection, Needs::FromTag)?;
            Ok(Command::Offer(negotiation))
        } else if is("answer") {
            let negotiation = self.negotiation()?;
            needs(&negotiation.selection, Needs::BothTags)?;
            Ok(Command::Answer(negotiation))
        } else if is("delete") {
            Ok(Command::Delete(Box::new(Deletion {
                selection: self.call()?,
                delay_s: self.delay_s,
                options: self.options,
            })))
        } else if is("query") {
            Ok(Command::Query(Box::new(self.call()?)))
        } else if is("play media") {
            self.playback()
        } else if is("stop media") {
            Ok(Command::StopMedia(Box::new(self.call()?)))
        } else if is("play DTMF") {
            self.tone()
        } else if is("subscribe request") {
            self.subscription().map(Command::SubscribeRequest)
        } else if is("subscribe answer") {
            let negotiation = self.negotiation()?;
            needs(&negotiation.selection, Needs::ToTag)?;
            Ok(Command::SubscribeAnswer(negotiation))
        } else if is("unsubscribe") {
            let selection = self.call()?;
            needs(&selection, Needs::ToTag)?;
            Ok(Command::Unsubscribe(Box::new(selection)))
        } else {
            let shown = name.chars().take(SHOWN_CHARS_MAX).collect();
            Err(BadMessage::UnknownCommand(shown))
        }
    }

    /// The command, if it means the server and no call.
    fn of_server(&self, is: impl Fn(&str) -> bool) -> Option<Command> {
        let after = self.after;
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        let all = [
            ("ping", Command::Ping),
            ("statistics", Command::Statistics),
            ("drain", Command::Drain),
            ("resume", Command::Resume),
            ("list", Command::List { limit }),
            ("keys", Command::Keys { after }),
            ("news", Command::News { after }),
        ];
        let mut named = all.into_iter().filter(|(name, _)| is(name));
        named.next().map(|(_, command)| command)
    }

    /// The selection of a command that means a call.
    fn call(&self) -> Result<Selection, BadMessage> {
        needs(&self.selection, Needs::Call)?;
        Ok(self.selection.clone())
    }

    fn negotiation(mut self) -> Result<Box<Negotiation>, BadMessage> {
        let sdp = self.sdp.take().filter(|sdp| !sdp.is_empty());
        let sdp = sdp.ok_or(BadMessage::Missing("sdp"))?;
        // Here a label names the participant rather than selecting one.
        let label = self.selection.label.take();
        self.options.set_label = self.options.set_label.take().or(label);
        Ok(Box::new(Negotiation {
            selection: self.selection,
            sdp,
            options: self.options,
            media: self.media,
        }))
    }

    fn subscription(self) -> Result<Box<Negotiation>, BadMessage> {
        Ok(Box::new(Negotiation {
            selection: self.call()?,
            sdp: Vec::new(),
            options: self.options,
            media: None,
        }))
    }

    fn recording(self, verb: RecordVerb) -> Result<Command, BadMessage> {
        let pauses = self.options.flags.contains(Flag::Pause) || self.pause == Some(Switch::On);
        let verb = match verb {
            RecordVerb::Stop if pauses => RecordVerb::Pause,
            verb => verb,
        };
        let selection = self.call()?;
        let [file, folder, pattern] = self.recording;
        Ok(Command::Record(
            verb,
            Box::new(Recording {
                selection,
                file,
                folder,
                pattern,
                part: self.part,
                options: self.options,
            }),
        ))
    }

    fn playback(self) -> Result<Command, BadMessage> {
        Ok(Command::PlayMedia(Box::new(Playback {
            selection: self.call()?,
            media: Some(self.media.ok_or(BadMessage::Missing("file"))?),
            repeat_times: self.repeat_times.unwrap_or(1),
            repeat_duration_ms: self.repeat_duration_ms,
            start_frame: self.start_frame,
            options: self.options,
        })))
    }

    fn tone(self) -> Result<Command, BadMessage> {
        let within = |value: Option<i64>, usual: i64, most: i64| {
            let least = TONE_MS_MIN.min(usual);
            value.unwrap_or(usual).clamp(least, most) as u16
        };
        let volume_db = self.volume_db.unwrap_or(USUAL_VOLUME_DB).unsigned_abs();
        Ok(Command::PlayDtmf(Box::new(Tone {
            selection: self.call()?,
            event: self.event.ok_or(BadMessage::Missing("code"))?,
            duration_ms: within(self.duration_ms, USUAL_TONE_MS, TONE_MS_MAX),
            volume_db: volume_db.min(VOLUME_DB_MAX) as u8,
            pause_ms: within(self.pause_ms, TONE_MS_MIN, TONE_MS_MAX),
        })))
    }
}

#[derive(Clone, Copy)]
enum Needs {
    Call,
    FromTag,
    ToTag,
    BothTags,
}

fn needs(selection: &Selection, needs: Needs) -> Result<(), BadMessage> {
    if selection.call_id.is_empty() {
        return Err(BadMessage::Missing("call-id"));
    }
    let from = matches!(needs, Needs::FromTag | Needs::BothTags);
    if from && selection.from_tag.is_none() {
        return Err(BadMessage::Missing("from-tag"));
    }
    let to = matches!(needs, Needs::ToTag | Needs::BothTags);
    if to && selection.to_tag.is_none() {
        return Err(BadMessage::Missing("to-tag"));
    }
    Ok(())
}

/// Keys that are of no consequence to any answer: what the SIP message was.
const KNOWN_BUT_IDLE: &[&str] = &["sip-message-type", "sip-code", "sip-response-code"];
/// Names kept of unknown entries; more say nothing more.
const UNKNOWN_MAX: usize = 64;
/// What is repeated of an unknown command.
const SHOWN_CHARS_MAX: usize = 40;
const USUAL_LIMIT: usize = 32;
const USUAL_TONE_MS: i64 = 250;
const TONE_MS_MIN: i64 = 100;
const TONE_MS_MAX: i64 = 5_000;
const USUAL_VOLUME_DB: i64 = 8;
const VOLUME_DB_MAX: u64 = 63;
