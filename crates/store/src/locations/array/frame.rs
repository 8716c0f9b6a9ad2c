//! What servers of an array say to each other, as bytes: a length, a kind, and what belongs to it.

use std::sync::Arc;

use crate::locations::{LocationChange, codec};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The first of who wants to be told: its id, and how far it has heard of which start.
    Hear { id: String, start: u64, number: u64 },
    /// The first, or a further one, of who wants a part of the shelf.
    Look { from: u64 },
    /// The answer to `Hear`: who is here, and from which portion on is told.
    Welcome {
        start: u64,
        number: u64,
        id: String,
        node: String,
    },
    /// A portion.
    Told { number: u64, changes: Packed },
    /// Portions up to this one are not there any more.
    Lost { number: u64 },
    /// Nothing new, but perhaps of the server itself.
    Beat { node: String },
    /// The answer to what was told: taken, and when, in microseconds since the Unix epoch.
    Heard { clock_us: u64 },
    /// A part of the shelf, and which is the next; 0 after the last.
    Part { next: u64, changes: Packed },
}

/// Changes, each behind its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(Arc<[u8]>);

impl Packed {
    pub(super) fn of<T: AsRef<[u8]>>(encoded: impl Iterator<Item = T>) -> Self {
        let mut out = Vec::new();
        for change in encoded {
            let change = change.as_ref();
            out.extend_from_slice(&(change.len() as u32).to_be_bytes());
            out.extend_from_slice(change);
        }
        Self(out.into())
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.0.len()
    }

    /// `None` for what no server of this version writes.
    pub(super) fn unpack(&self) -> Option<Vec<LocationChange>> {
        let mut reader = Reader(&self.0);
        let mut changes = Vec::new();
        while !reader.0.is_empty() {
            let len = u32::from_be_bytes(reader.take()?) as usize;
            let (change, rest) = reader.0.split_at_checked(len)?;
            changes.push(codec::decode(change)?);
            reader.0 = rest;
        }
        Some(changes)
    }
}

impl Frame {
    /// Kind and content, without the length.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hear { id, start, number } => {
                out.push(HEAR);
                numbers(&mut out, &[*start, *number]);
                text(&mut out, id);
            }
            Self::Look { from } => {
                out.push(LOOK);
                numbers(&mut out, &[*from]);
            }
            Self::Welcome {
                start,
                number,
                id,
                node,
            } => {
                out.push(WELCOME);
                numbers(&mut out, &[*start, *number]);
                text(&mut out, id);
                text(&mut out, node);
            }
            Self::Told { number, changes } => {
                out.push(TOLD);
                numbers(&mut out, &[*number]);
                out.extend_from_slice(&changes.0);
            }
            Self::Lost { number } => {
                out.push(LOST);
                numbers(&mut out, &[*number]);
            }
            Self::Beat { node } => {
                out.push(BEAT);
                text(&mut out, node);
            }
            Self::Heard { clock_us } => {
                out.push(HEARD);
                numbers(&mut out, &[*clock_us]);
            }
            Self::Part { next, changes } => {
                out.push(PART);
                numbers(&mut out, &[*next]);
                out.extend_from_slice(&changes.0);
            }
        }
        out
    }

    /// `None` for what no server of this version writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        let frame = match *kind {
            HEAR => Self::Hear {
                start: reader.number()?,
                number: reader.number()?,
                id: reader.text()?,
            },
            LOOK => Self::Look {
                from: reader.number()?,
            },
            WELCOME => Self::Welcome {
                start: reader.number()?,
                number: reader.number()?,
                id: reader.text()?,
                node: reader.text()?,
            },
            TOLD => Self::Told {
                number: reader.number()?,
                changes: reader.rest(),
            },
            LOST => Self::Lost {
                number: reader.number()?,
            },
            BEAT => Self::Beat {
                node: reader.text()?,
            },
            HEARD => Self::Heard {
                clock_us: reader.number()?,
            },
            PART => Self::Part {
                next: reader.number()?,
                changes: reader.rest(),
            },
            _ => return None,
        };
        reader.0.is_empty().then_some(frame)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let len = u16::from_be_bytes(self.take()?);
        let (text, rest) = self.0.split_at_checked(len.into())?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn rest(&mut self) -> Packed {
        Packed(std::mem::take(&mut self.0).into())
    }
}

fn numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Names and addresses: far below the length that two bytes hold.
fn text(out: &mut Vec<u8>, text: &str) {
    let len = text.len().min(usize::from(u16::MAX));
    out.extend_from_slice(&(len as u16).to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..len]);
}

/// Bytes of a frame at most; a longer one ends the connection. A portion of the longest bindings has
/// half of it.
pub(super) const FRAME_BYTES_MAX: usize = 4 << 20;

const HEAR: u8 = 1;
const LOOK: u8 = 2;
const WELCOME: u8 = 3;
const TOLD: u8 = 4;
const LOST: u8 = 5;
const BEAT: u8 = 6;
const HEARD: u8 = 7;
const PART: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::locations::saved;

    fn all() -> [Frame; 8] {
        let changes = Packed::of([codec::encode(&saved(1, 2)), codec::encode(&saved(2, 2))].iter());
        let (id, node) = ("a-1".to_owned(), "127.0.0.1:9 - - - -".to_owned());
        [
            Frame::Hear {
                id: id.clone(),
                start: 1,
                number: 2,
            },
            Frame::Look { from: 3 },
            Frame::Welcome {
                start: 1,
                number: 2,
                id,
                node: node.clone(),
            },
            Frame::Told {
                number: 4,
                changes: changes.clone(),
            },
            Frame::Lost { number: 5 },
            Frame::Beat { node },
            Frame::Heard { clock_us: 6 },
            Frame::Part { next: 7, changes },
        ]
    }

    #[test]
    fn a_frame_comes_back_as_it_was_and_a_cut_one_does_no_harm() {
        for frame in all() {
            let bytes = frame.encode();
            assert_eq!(Frame::decode(&bytes), Some(frame.clone()));
            for len in 0..bytes.len() {
                let cut = Frame::decode(&bytes[..len]);
                assert_ne!(cut, Some(frame.clone()));
                if let Some(Frame::Told { changes, .. } | Frame::Part { changes, .. }) = cut {
                    assert!(changes.unpack().is_none_or(|changes| changes.len() < 2));
                }
            }
        }
        assert_eq!(Frame::decode(&[99; 20]), None);
    }
}
