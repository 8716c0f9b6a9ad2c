//! Keys of a telephone, as a switch and a media server of ours speak of them: in what form parties
//! give and take them, and which were pressed. rtpengine knows nothing of either.

use crate::value::{Dictionary, Value};
use crate::word::words;

words! {
    /// In what form a party gives and takes keys.
    KeyForm {
        /// As telephone events (RFC 4733), or as tones where it takes none.
        Events = "rfc4733",
        /// As tones.
        Tones = "inband",
        /// Not with media.
        Messages = "info",
    }
}

/// A key that a party pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPress {
    /// In the order they were heard, from 1 at each start of the server.
    pub number: u64,
    /// The call, as the server was asked for it.
    pub call_id: String,
    /// Who pressed it.
    pub tag: String,
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub key: char,
    /// For how long.
    pub duration_ms: u32,
}

impl KeyPress {
    /// `None` if anything is missing.
    pub(crate) fn read(from: &Dictionary<'_>) -> Option<Self> {
        let mut key = from.text("key")?.chars();
        Some(Self {
            number: from.number("number")?,
            call_id: from.text("call-id")?.to_owned(),
            tag: from.text("from-tag")?.to_owned(),
            key: key.next().filter(|_| key.next().is_none())?,
            duration_ms: from.number("duration")?,
        })
    }

    pub(crate) fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("number", self.number)
            .push("call-id", self.call_id.clone())
            .push("from-tag", self.tag.clone())
            .push("key", self.key.to_string())
            .push("duration", u64::from(self.duration_ms));
        to
    }
}

/// The forms of two parties: `["info", "rfc4733"]`.
pub(crate) fn read_forms(value: &Value<'_>) -> Option<[KeyForm; 2]> {
    let mut words = value.words().map(KeyForm::from_name);
    Some([words.next()??, words.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Encoding, Negotiation, Options, Reply, Request, Selection, Success};

    #[test]
    fn what_was_pressed_arrives_as_it_was_sent() {
        let pressed = KeyPress {
            number: 7,
            call_id: "a-1".into(),
            tag: "b".into(),
            key: '#',
            duration_ms: 120,
        };
        let reply = Reply::from(Success {
            keys: vec![pressed.clone()],
            ..Success::default()
        });
        for encoding in [Encoding::Bencode, Encoding::Json] {
            let message = reply.encode(b"c", encoding);
            let frame = crate::Frame::split(&message).expect("a frame");
            let read = Reply::read(&frame.dictionary().expect("a dictionary"));
            let Ok(Reply::Ok(success)) = read else {
                panic!("{read:?}");
            };
            assert_eq!(success.keys, std::slice::from_ref(&pressed));
        }
    }

    #[test]
    fn forms_and_the_question_for_keys_are_read_as_written() {
        let offer = Command::Offer(Box::new(Negotiation {
            selection: Selection::call("a").from_tag("x"),
            sdp: b"v=0".to_vec(),
            options: Options {
                key_forms: Some([KeyForm::Messages, KeyForm::Events]),
                correlation: Some("a84b4c76e66710@example.com".into()),
                ..Options::default()
            },
            media: None,
        }));
        for command in [offer, Command::Keys { after: 12 }] {
            let request = Request::new(command);
            assert_eq!(Request::read(&request.dictionary()), Ok(request));
        }
    }
}
