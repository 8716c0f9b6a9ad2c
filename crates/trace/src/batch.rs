//! Messages on their way to the store, in one piece of memory: whoever sees one copies it there and
//! goes on; all else is done where nobody waits.

use crate::redact::Secrets;
use crate::seen::TEXT_MAX;
use crate::{Bodies, Entry, Head, Passage};

/// Messages that were seen one after the other.
#[derive(Debug, Default)]
pub struct Batch {
    /// Their bytes.
    bytes: Vec<u8>,
    notes: Vec<Note>,
}

/// What is known of one of them.
#[derive(Debug)]
struct Note {
    passage: Passage<'static>,
    /// Who has told of it; of messages seen elsewhere alone.
    origin: Option<Box<Origin>>,
    /// Where its bytes end.
    end: usize,
}

/// Who has told of a message.
#[derive(Debug)]
struct Origin {
    node: Box<str>,
    correlation: Box<[u8]>,
}

/// When the messages of a batch were seen, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenFromTo {
    /// The first of them.
    pub first_us: u64,
    /// The latest of them.
    pub last_us: u64,
}

impl Batch {
    /// One with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            notes: Vec::with_capacity(bytes / MESSAGE_BYTES_USUAL),
        }
    }

    /// Adds a message.
    pub fn push(&mut self, passage: &Passage<'_>, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        let is_ours = passage.node.is_empty() && passage.correlation.is_empty();
        let origin = (!is_ours).then(|| {
            let node = &passage.node[..passage.node.floor_char_boundary(TEXT_MAX)];
            let correlation = passage.correlation;
            Box::new(Origin {
                node: node.into(),
                correlation: correlation[..correlation.len().min(TEXT_MAX)].into(),
            })
        });
        self.notes.push(Note {
            passage: Passage {
                node: "",
                correlation: &[],
                ..*passage
            },
            origin,
            end: self.bytes.len(),
        });
    }

    /// Messages in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Bytes of messages in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Hides secrets and appends the messages as they are kept, and their entries; `begin` is where
    /// the first of `out` will stand. `None` if there is no message.
    pub fn encode(
        &mut self,
        bodies: Bodies,
        begin: u32,
        out: &mut Vec<u8>,
        entries: &mut Vec<u8>,
    ) -> Option<SeenFromTo> {
        let mut rest = &mut self.bytes[..];
        let mut past = 0;
        let mut span: Option<SeenFromTo> = None;
        for note in &self.notes {
            let (message, after) = rest.split_at_mut(note.end - past);
            (rest, past) = (after, note.end);
            let passage = note.passage();
            let head = Head::read(message);
            let entry = Entry::of(&passage, &head);
            let kept = Secrets::of(&head).hide(message, bodies);
            let (at, left_out) = (out.len(), message.len() - kept);
            passage.encode(left_out as u32, &message[..kept], out);
            let entry = Entry {
                offset: begin + at as u32,
                length: (out.len() - at) as u32,
                ..entry
            };
            entries.extend_from_slice(&entry.encode());
            let at_us = passage.at_us;
            span = Some(match span {
                None => SeenFromTo {
                    first_us: at_us,
                    last_us: at_us,
                },
                Some(span) => SeenFromTo {
                    last_us: span.last_us.max(at_us),
                    ..span
                },
            });
        }
        span
    }
}

impl Note {
    fn passage(&self) -> Passage<'_> {
        match &self.origin {
            None => self.passage,
            Some(origin) => Passage {
                node: &origin.node,
                correlation: &origin.correlation,
                ..self.passage
            },
        }
    }
}

/// Of calls with a description in some of their messages.
const MESSAGE_BYTES_USUAL: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::seen;
    use crate::{Direction, ENTRY_BYTES, Seen};

    const ENDS: (&str, &str) = ("192.0.2.1:5060", "[2001:db8::2]:5060");

    #[test]
    fn messages_are_kept_one_after_the_other_without_their_secrets() {
        let ours = seen(
            Direction::Sent,
            ENDS,
            "BYE sip:a SIP/2.0\r\nAuthorization: Basic QUJD\r\n\r\nbody",
        );
        let told = Seen {
            at_us: ours.at_us - 7,
            node: "proxy".into(),
            correlation: b"x@y"[..].into(),
            ..seen(Direction::Elsewhere, ENDS, "SIP/2.0 200 OK\r\n\r\n")
        };
        let mut batch = Batch::with_capacity(100);
        for one in [&ours, &told] {
            batch.push(&one.passage(), &one.payload);
        }
        assert_eq!((batch.len(), batch.bytes()), (2, 70));
        let (mut out, mut entries) = (Vec::new(), Vec::new());
        let span = batch.encode(Bodies::LeftOut, 1_000, &mut out, &mut entries);
        let (first_us, last_us) = (ours.at_us, ours.at_us);
        assert_eq!(span, Some(SeenFromTo { first_us, last_us }));
        let found: Vec<Seen> = entries
            .as_chunks::<ENTRY_BYTES>()
            .0
            .iter()
            .map(|entry| {
                let entry = Entry::decode(entry);
                let at = entry.offset as usize - 1_000;
                Seen::decode(&out[at..at + entry.length as usize]).expect("a message")
            })
            .collect();
        let hidden = b"BYE sip:a SIP/2.0\r\nAuthorization: ***** ****\r\n\r\n".to_vec();
        let ours = Seen {
            left_out_bytes: 4,
            payload: hidden,
            ..ours
        };
        assert_eq!(found, [ours, told]);
    }
}
