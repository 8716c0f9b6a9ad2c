//! What happens at a media server of ours and concerns its switches, although none has asked: `ng`
//! has no events. Each piece has a number; the number of the last is in the server's status, so that
//! a switch asks only when there is something new. rtpengine knows nothing of it.

use crate::value::Dictionary;

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// In the order they happened, from 1 at each start of the server.
    pub number: u64,
    /// What it is.
    pub what: Happening,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A participant has not said for too long that it still wants media (RFC 7675 §5.1), and gets
    /// none any more.
    ConsentLost {
        /// The call, as the server was asked for it.
        call_id: String,
        /// Who.
        tag: String,
    },
    /// The store of recordings has a file.
    Uploaded {
        /// The file, as the server has named it in replies.
        file: String,
        /// `s3://bucket/name`.
        location: String,
        /// How large it is.
        bytes: u64,
        /// How long it is.
        length_ms: u64,
        /// When it was written to last; microseconds since the Unix epoch.
        changed_us: u64,
        /// When the store confirmed it; microseconds since the Unix epoch.
        uploaded_us: u64,
    },
    /// An attempt to take a file to the store has failed; it is tried again.
    UploadFailed {
        /// The file, as the server has named it in replies.
        file: String,
        /// Why.
        reason: String,
    },
}

impl News {
    /// `None` if anything is missing, or if it is of a kind that is not known.
    pub(crate) fn read(from: &Dictionary<'_>) -> Option<Self> {
        let text = |key: &str| from.text(key).map(str::to_owned);
        let what = match from.text("what")? {
            CONSENT_LOST => Happening::ConsentLost {
                call_id: text("call-id")?,
                tag: text("from-tag")?,
            },
            UPLOADED => Happening::Uploaded {
                file: text("file")?,
                location: text("location")?,
                bytes: from.number("bytes")?,
                length_ms: from.number("length")?,
                changed_us: from.number("changed")?,
                uploaded_us: from.number("uploaded")?,
            },
            UPLOAD_FAILED => Happening::UploadFailed {
                file: text("file")?,
                reason: text("reason")?,
            },
            _ => return None,
        };
        let number = from.number("number")?;
        Some(Self { number, what })
    }

    pub(crate) fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("number", self.number);
        match &self.what {
            Happening::ConsentLost { call_id, tag } => {
                to.push("what", CONSENT_LOST)
                    .push("call-id", call_id.clone())
                    .push("from-tag", tag.clone());
            }
            Happening::Uploaded {
                file,
                location,
                bytes,
                length_ms,
                changed_us,
                uploaded_us,
            } => {
                to.push("what", UPLOADED)
                    .push("file", file.clone())
                    .push("location", location.clone())
                    .push("bytes", *bytes)
                    .push("length", *length_ms)
                    .push("changed", *changed_us)
                    .push("uploaded", *uploaded_us);
            }
            Happening::UploadFailed { file, reason } => {
                to.push("what", UPLOAD_FAILED)
                    .push("file", file.clone())
                    .push("reason", reason.clone());
            }
        }
        to
    }
}

const CONSENT_LOST: &str = "consent lost";
const UPLOADED: &str = "uploaded";
const UPLOAD_FAILED: &str = "upload failed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Encoding, Reply, Request, Success};

    #[test]
    fn news_arrive_as_they_were_sent() {
        let happenings = [
            Happening::ConsentLost {
                call_id: "a-1".into(),
                tag: "b".into(),
            },
            Happening::Uploaded {
                file: "/r/call_1-1.wav".into(),
                location: "s3://calls/call_1-1.wav".into(),
                bytes: 32_044,
                length_ms: 1_000,
                changed_us: 1_700_000_000_000_000,
                uploaded_us: 1_700_000_001_000_000,
            },
            Happening::UploadFailed {
                file: "/r/call_2-1.wav".into(),
                reason: "the store answers 403 AccessDenied".into(),
            },
        ];
        let news = (1..).zip(happenings);
        let news: Vec<News> = news.map(|(number, what)| News { number, what }).collect();
        let reply = Reply::from(Success {
            news: news.clone(),
            ..Success::default()
        });
        for encoding in [Encoding::Bencode, Encoding::Json] {
            let message = reply.encode(b"c", encoding);
            let frame = crate::Frame::split(&message).expect("a frame");
            let read = Reply::read(&frame.dictionary().expect("a dictionary"));
            let Ok(Reply::Ok(success)) = read else {
                panic!("{read:?}");
            };
            assert_eq!(success.news, news);
        }
        let request = Request::new(Command::News { after: 12 });
        assert_eq!(Request::read(&request.dictionary()), Ok(request));
    }
}
