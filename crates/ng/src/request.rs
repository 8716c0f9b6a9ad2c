//! Requests: commands with what they need, from dictionaries and to them.

mod read;
mod write;

use crate::options::Options;
use crate::selection::Selection;
use crate::value::{Dictionary, Value};
use crate::word::words;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub command: Command,
    /// Keys, flags and values that nobody here knows, as they came. Whoever answers says so in a
    /// warning.
    pub unknown: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Are you there?
    Ping,
    /// A description that opens or changes a call.
    Offer(Box<Negotiation>),
    /// The description that answers it.
    Answer(Box<Negotiation>),
    /// A call, or a branch of it, is over.
    Delete(Box<Deletion>),
    /// The figures of a call.
    Query(Box<Selection>),
    /// The calls there are.
    List {
        /// At most this many.
        limit: usize,
    },
    /// The figures of the server.
    Statistics,
    /// A recording begins, ends or pauses.
    Record(RecordVerb, Box<Recording>),
    /// Media or DTMF is blocked or silenced, or no longer.
    Gate(GateVerb, Box<Gate>),
    /// A file is played to a participant.
    PlayMedia(Box<Playback>),
    /// What is played ends.
    StopMedia(Box<Selection>),
    /// A digit is played for a participant.
    PlayDtmf(Box<Tone>),
    /// A description whose media others may subscribe to.
    Publish(Box<Negotiation>),
    /// A copy of a participant's media is wanted; the reply has the offer.
    SubscribeRequest(Box<Negotiation>),
    /// The answer to that offer.
    SubscribeAnswer(Box<Negotiation>),
    /// The copy is no longer wanted.
    Unsubscribe(Box<Selection>),
    /// Which keys were pressed in calls of this client that wanted to know? Only servers of ours
    /// know it.
    Keys {
        /// The number of the last one that is known.
        after: u64,
    },
    /// What has happened that nobody has asked for? Only servers of ours know it.
    News {
        /// The number of the last piece that is known.
        after: u64,
    },
    /// No new sessions are to be taken; only servers of ours know it.
    Drain,
    /// New sessions are to be taken again; only servers of ours know it.
    Resume,
}

/// A description and what is asked of it. A subscription has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiation {
    /// Whose it is.
    pub selection: Selection,
    /// The description; empty where there is none.
    pub sdp: Vec<u8>,
    /// What is asked of it.
    pub options: Options,
    /// What is played, where a description asks for it.
    pub media: Option<MediaFile>,
}

/// What `delete` needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Which call or branch.
    pub selection: Selection,
    /// How long it lives on, in seconds; `None`: as the server is set up.
    pub delay_s: Option<u32>,
    /// `fatal`, `fast`, `to-tag`, `discard-recording`.
    pub options: Options,
}

/// What the recording commands need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Which call.
    pub selection: Selection,
    /// The file to write.
    pub file: Option<String>,
    /// The folder to write to.
    pub folder: Option<String>,
    /// How the file is named.
    pub pattern: Option<String>,
    /// Which part of the call's recording it is, from 1; of our own making.
    pub part: Option<u16>,
    /// What else is asked.
    pub options: Options,
}

words! {
    /// What happens to a recording.
    RecordVerb {
        /// It begins, or goes on.
        Start = "start recording",
        /// It ends.
        Stop = "stop recording",
        /// It pauses.
        Pause = "pause recording",
    }
}

/// What the blocking commands need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Whose packets.
    pub selection: Selection,
    /// What else is asked.
    pub options: Options,
}

words! {
    /// What happens to packets.
    GateVerb {
        /// DTMF is dropped.
        BlockDtmf = "block DTMF",
        /// DTMF passes.
        UnblockDtmf = "unblock DTMF",
        /// Media is dropped.
        BlockMedia = "block media",
        /// Media passes.
        UnblockMedia = "unblock media",
        /// Media is replaced by silence.
        SilenceMedia = "silence media",
        /// Media passes.
        UnsilenceMedia = "unsilence media",
    }
}

/// What `play media` needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playback {
    /// To whom.
    pub selection: Selection,
    /// What.
    pub media: Option<MediaFile>,
    /// How often.
    pub repeat_times: u32,
    /// For how long at least, in milliseconds; 0 if not said.
    pub repeat_duration_ms: u64,
    /// Where in the file to begin, in frames.
    pub start_frame: u64,
    /// What else is asked.
    pub options: Options,
}

/// Where media that is played comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaFile {
    /// A file of the server.
    Path(String),
    /// The bytes of a file.
    Bytes(Vec<u8>),
    /// The bytes of a file in Base64.
    Base64(Vec<u8>),
    /// A row of the server's database.
    Database(i64),
}

/// What `play DTMF` needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tone {
    /// Who is to be heard.
    pub selection: Selection,
    /// The event: 0 to 15 (RFC 4733 §3.2).
    pub event: u8,
    /// How long, in milliseconds; within 100 and 5,000.
    pub duration_ms: u16,
    /// How loud, in dB below the maximum; 0 to 63.
    pub volume_db: u8,
    /// The silence before the next, in milliseconds; within 100 and 5,000.
    pub pause_ms: u16,
}

impl Request {
    /// A request without anything unknown.
    #[must_use]
    pub fn new(command: Command) -> Self {
        Self {
            command,
            unknown: Vec::new(),
        }
    }
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self::new(command)
    }
}

impl Command {
    /// The word that stands for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Offer(_) => "offer",
            Self::Answer(_) => "answer",
            Self::Delete(_) => "delete",
            Self::Query(_) => "query",
            Self::List { .. } => "list",
            Self::Statistics => "statistics",
            Self::Record(verb, _) => verb.name(),
            Self::Gate(verb, _) => verb.name(),
            Self::PlayMedia(_) => "play media",
            Self::StopMedia(_) => "stop media",
            Self::PlayDtmf(_) => "play DTMF",
            Self::Publish(_) => "publish",
            Self::SubscribeRequest(_) => "subscribe request",
            Self::SubscribeAnswer(_) => "subscribe answer",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Keys { .. } => "keys",
            Self::News { .. } => "news",
            Self::Drain => "drain",
            Self::Resume => "resume",
        }
    }
}

impl MediaFile {
    pub(crate) fn write(&self, to: &mut Dictionary<'static>) {
        match self {
            Self::Path(path) => to.push("file", path.clone()),
            Self::Bytes(bytes) => to.push("blob", Value::Bytes(bytes.clone().into())),
            Self::Base64(bytes) => to.push("blob64", Value::Bytes(bytes.clone().into())),
            Self::Database(row) => to.push("db-id", *row),
        };
    }
}

/// The event of a digit as `play DTMF` names it.
#[must_use]
pub fn event_of_digit(digit: char) -> Option<u8> {
    let at = DIGITS.find(digit.to_ascii_uppercase())?;
    u8::try_from(at).ok()
}

const DIGITS: &str = "0123456789*#ABCD";

#[cfg(test)]
mod tests;
