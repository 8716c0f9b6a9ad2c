//! Replies: what came of a request.

mod labelled;
mod report;

use crate::error::BadMessage;
use crate::frame::{Encoding, Frame};
use crate::keys::KeyPress;
use crate::news::News;
use crate::status::Status;
use crate::value::{Dictionary, Value};
pub use labelled::LabelledMedium;
pub use report::{
    CallReport, Counts, Endpoint, MediumReport, MosSample, Quality, Ssrc, StreamReport, TagReport,
};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `ping`.
    Pong {
        /// What a server of ours says of itself.
        status: Option<Box<Status>>,
    },
    /// It was done.
    Ok(Box<Success>),
    /// The server takes no more sessions; only said to who understands it.
    LoadLimit {
        /// Why.
        message: String,
    },
    /// It was not done.
    Error {
        /// Why.
        reason: String,
    },
}

/// What comes with `ok`; which of it is there depends on the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// The rewritten description, or the offer of a subscription.
    pub sdp: Option<Vec<u8>>,
    /// What was not understood or not done.
    pub warning: Option<String>,
    /// The call that was made by `publish`.
    pub call_id: Option<String>,
    /// The participant that was made by `publish`.
    pub from_tag: Option<String>,
    /// Whom a subscription is to.
    pub from_tags: Vec<String>,
    /// The subscription.
    pub to_tag: Option<String>,
    /// Whose media a recorder hears in the subscription, in the order of its offer.
    pub labelled: Vec<LabelledMedium>,
    /// How long what is played lasts, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Up to which frame it was played.
    pub last_frame: Option<u64>,
    /// The calls there are.
    pub calls: Option<Vec<String>>,
    /// Files of a call's recordings on a server of ours, part by part; the last may still be
    /// written.
    pub recordings: Vec<String>,
    /// Keys that were pressed, on a server of ours.
    pub keys: Vec<KeyPress>,
    /// What has happened at a server of ours.
    pub news: Vec<News>,
    /// The figures of a call.
    pub report: Option<Box<CallReport>>,
    /// The figures of the server, in rtpengine's shape.
    pub statistics: Option<Dictionary<'static>>,
    /// What a server of ours says of itself.
    pub status: Option<Box<Status>>,
}

impl Success {
    /// With a description.
    #[must_use]
    pub fn sdp(sdp: Vec<u8>) -> Self {
        Self {
            sdp: Some(sdp),
            ..Self::default()
        }
    }

    /// Adds a warning behind those there are.
    pub fn warn(&mut self, warning: impl AsRef<str>) {
        let text = self.warning.get_or_insert_default();
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(warning.as_ref());
    }
}

impl From<Success> for Reply {
    fn from(success: Success) -> Self {
        Self::Ok(Box::new(success))
    }
}

impl Reply {
    /// Done, with nothing to say.
    #[must_use]
    pub fn ok() -> Self {
        Success::default().into()
    }

    /// Not done.
    #[must_use]
    pub fn error(reason: impl Into<String>) -> Self {
        Self::Error {
            reason: reason.into(),
        }
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// [`BadMessage::NoResult`].
    pub fn read(from: &Dictionary<'_>) -> Result<Self, BadMessage> {
        let text = |key: &str| from.text(key).map(str::to_owned);
        let status = || {
            let status = from.value("tandem").and_then(Value::dictionary);
            status.map(|status| Box::new(Status::read(status)))
        };
        match from.text("result") {
            Some("pong") => Ok(Self::Pong { status: status() }),
            Some("error") => Ok(Self::error(text("error-reason").unwrap_or_default())),
            Some("load limit") => Ok(Self::LoadLimit {
                message: text("message").unwrap_or_default(),
            }),
            Some("ok") => Ok(Self::Ok(Box::new(Success {
                sdp: from.value("sdp").and_then(Value::bytes).map(<[u8]>::to_vec),
                warning: text("warning"),
                call_id: text("call-id"),
                from_tag: text("from-tag"),
                from_tags: words(from, "from-tags").unwrap_or_default(),
                to_tag: text("to-tag"),
                labelled: LabelledMedium::read_all(from),
                duration_ms: from.number("duration"),
                last_frame: from.number("last-frame-pos"),
                calls: words(from, "calls"),
                recordings: words(from, "tandem recordings").unwrap_or_default(),
                keys: each(from, "tandem keys", KeyPress::read),
                news: each(from, "tandem news", News::read),
                report: CallReport::read(from).map(Box::new),
                statistics: from
                    .value("statistics")
                    .and_then(Value::dictionary)
                    .map(|statistics| statistics.clone().into_owned()),
                status: status(),
            }))),
            _ => Err(BadMessage::NoResult),
        }
    }

    /// The dictionary of a reply.
    #[must_use]
    pub fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        match self {
            Self::Pong { status } => {
                to.push("result", "pong");
                to.push_some("tandem", status.as_ref().map(|status| status.dictionary()));
            }
            Self::LoadLimit { message } => {
                to.push("result", "load limit")
                    .push("message", message.clone());
            }
            Self::Error { reason } => {
                to.push("result", "error")
                    .push("error-reason", reason.clone());
            }
            Self::Ok(success) => {
                to.push("result", "ok");
                success.write(&mut to);
            }
        }
        to
    }

    /// The message of a reply.
    #[must_use]
    pub fn encode(&self, cookie: &[u8], encoding: Encoding) -> Vec<u8> {
        Frame::write(cookie, encoding, &self.dictionary())
    }
}

impl Success {
    fn write(&self, to: &mut Dictionary<'static>) {
        let sdp = self.sdp.clone().map(|sdp| Value::Bytes(sdp.into()));
        to.push_some("warning", self.warning.clone())
            .push_some("sdp", sdp)
            .push_some("call-id", self.call_id.clone())
            .push_some("from-tag", self.from_tag.clone())
            .push_some("to-tag", self.to_tag.clone())
            .push_some("duration", self.duration_ms)
            .push_some("last-frame-pos", self.last_frame);
        if !self.from_tags.is_empty() {
            to.push("from-tags", Value::texts(self.from_tags.iter().cloned()));
        }
        LabelledMedium::write_all(&self.labelled, to);
        if let Some(calls) = &self.calls {
            to.push("calls", Value::texts(calls.iter().cloned()));
        }
        if !self.recordings.is_empty() {
            let files = Value::texts(self.recordings.iter().cloned());
            to.push("tandem recordings", files);
        }
        if !self.keys.is_empty() {
            let keys = self.keys.iter().map(|key| key.dictionary().into());
            to.push("tandem keys", Value::List(keys.collect()));
        }
        if !self.news.is_empty() {
            let news = self.news.iter().map(|news| news.dictionary().into());
            to.push("tandem news", Value::List(news.collect()));
        }
        if let Some(report) = &self.report {
            report.write(to);
        }
        to.push_some("statistics", self.statistics.clone());
        to.push_some(
            "tandem",
            self.status.as_ref().map(|status| status.dictionary()),
        );
    }
}

fn words(from: &Dictionary<'_>, key: &str) -> Option<Vec<String>> {
    let list = from.value(key)?;
    Some(list.words().map(str::to_owned).collect())
}

/// The entries of a list of dictionaries that could be read.
fn each<T>(
    from: &Dictionary<'_>,
    key: &str,
    read: impl Fn(&Dictionary<'_>) -> Option<T>,
) -> Vec<T> {
    let list = from.value(key).and_then(Value::list);
    let entries = list.into_iter().flatten().filter_map(Value::dictionary);
    entries.filter_map(read).collect()
}

#[cfg(test)]
mod tests;
