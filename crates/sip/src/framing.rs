//! Cutting messages out of a byte stream (RFC 3261 §18.3), with the keep-alives of RFC 5626 §3.5.1.
//!
//! Lines and headers are found exactly as [`Message::parse`] finds them, so that the two can never
//! disagree about where a message ends. Once a length cannot be trusted, neither can anything
//! after it: the stream is broken for good, and the connection has to be closed.
//!
//! Deviation from RFC 3261 §7.5: line ends between messages are skipped, but four bytes
//! CR LF CR LF in a row are reported as a ping, since RFC 5626 wants it answered.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};

use crate::lex::{is_lws, number};
use crate::parse::{Framing, MESSAGE_BYTES_MAX};
use crate::{HeaderName, Message, Writer};

/// One direction of one connection: bytes in, messages out.
#[derive(Debug, Default)]
pub struct Framer {
    /// From the first byte of the current message, or of what stands between two.
    buffer: BytesMut,
    state: State,
}

/// Where in the stream the buffer begins, and what is known of it.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Between two messages.
    #[default]
    Between,
    /// In a header section.
    Head {
        /// Where the first line begins that is not known to be complete.
        line: usize,
        /// Up to where that line is known to hold no LF.
        searched: usize,
    },
    /// The message is complete once it has this many bytes.
    Body { total: usize },
    /// Nothing more can be read.
    Broken,
}

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A message: a header section ended by an empty line, and as many bytes as Content-Length says.
    Message(Bytes),
    /// A keep-alive that asks for one CRLF in return.
    Ping,
}

/// The end of a stream that cannot be cut any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub error: FramingError,
    /// The message at fault as far as it came, for [`Broken::answer`].
    pub message: Bytes,
}

/// Why a stream cannot be cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The header section is longer than [`HEAD_BYTES_MAX`].
    #[error("the header section is too long")]
    HeadTooLarge,
    /// The message is longer than [`MESSAGE_BYTES_MAX`].
    #[error("the message is too long")]
    BodyTooLarge,
    /// There is no Content-Length (RFC 3261 §20.14 demands one on streams).
    #[error("Content-Length is missing")]
    LengthMissing,
    /// Content-Length is no decimal number, or there are several that differ.
    #[error("Content-Length is no length")]
    LengthMalformed,
}

impl Framer {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they arrived, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read into, for those who can append to it themselves.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether a message has begun and not ended. Line ends between messages begin none.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match self.state {
            State::Between => self.buffer.iter().any(|b| !matches!(b, b'\r' | b'\n')),
            State::Head { .. } | State::Body { .. } => true,
            State::Broken => false,
        }
    }

    /// The next message or ping; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`Broken`] if the stream cannot be cut; from then on nothing comes.
    pub fn pull(&mut self) -> Result<Option<Framed>, Broken> {
        loop {
            match self.state {
                State::Between => {
                    if self.buffer.starts_with(PING) {
                        self.buffer.advance(PING.len());
                        return Ok(Some(Framed::Ping));
                    }
                    if PING.starts_with(&self.buffer) {
                        return Ok(None);
                    }
                    if matches!(self.buffer[0], b'\r' | b'\n') {
                        let pair = self.buffer.starts_with(b"\r\n");
                        self.buffer.advance(1 + usize::from(pair));
                    } else {
                        self.state = State::Head {
                            line: 0,
                            searched: 0,
                        };
                    }
                }
                State::Head { line, searched } => match self.find_head(line, searched) {
                    Some(head) => {
                        let total = total_len(&self.buffer[..head]);
                        let total = total.map_err(|error| self.broken(error))?;
                        self.state = State::Body { total };
                    }
                    None if self.buffer.len() > HEAD_BYTES_MAX => {
                        return Err(self.broken(FramingError::HeadTooLarge));
                    }
                    None => return Ok(None),
                },
                State::Body { total } if self.buffer.len() >= total => {
                    self.state = State::Between;
                    return Ok(Some(Framed::Message(self.buffer.split_to(total).freeze())));
                }
                State::Body { .. } | State::Broken => return Ok(None),
            }
        }
    }

    /// The length of the header section with its empty line, if that has come.
    fn find_head(&mut self, mut line: usize, mut searched: usize) -> Option<usize> {
        while let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..]) {
            let lf = searched + at;
            let is_empty = matches!(&self.buffer[line..lf], [] | [b'\r']);
            if lf >= HEAD_BYTES_MAX {
                break;
            }
            if is_empty {
                return Some(lf + 1);
            }
            line = lf + 1;
            searched = line;
        }
        let searched = self.buffer.len();
        self.state = State::Head { line, searched };
        None
    }

    fn broken(&mut self, error: FramingError) -> Broken {
        self.state = State::Broken;
        Broken {
            error,
            message: std::mem::take(&mut self.buffer).freeze(),
        }
    }
}

impl Broken {
    /// The answer to send before closing the connection, if what came is a request that can be
    /// answered: 413 for what is too large, else 400 (RFC 3261 §18.3, §21.4.1, §21.4.11).
    #[must_use]
    pub fn answer(&self, remote: SocketAddr) -> Option<Bytes> {
        let request = match Message::parse(self.message.clone(), Framing::Stream) {
            Ok(message) => message,
            Err(malformed) => *malformed.partial?,
        };
        let has_all = [HeaderName::Via, HeaderName::CallId, HeaderName::CSeq]
            .into_iter()
            .all(|name| request.header(name).is_some());
        if !request.is_request() || request.method_text() == b"ACK" || !has_all {
            return None;
        }
        let (status, phrase) = match self.error {
            FramingError::HeadTooLarge | FramingError::BodyTooLarge => (413, ""),
            FramingError::LengthMissing => (400, "Missing Content-Length"),
            FramingError::LengthMalformed => (400, "Bad Content-Length"),
        };
        Some(Writer::response(&request, remote, status, phrase, b"").finish())
    }
}

/// The length of a whole message from its header section, which ends with the empty line.
fn total_len(head: &[u8]) -> Result<usize, FramingError> {
    let mut length = None;
    let mut rest = head;
    while !rest.is_empty() {
        let (field, after) = split_field(rest);
        rest = after;
        let Some(value) = content_length(field) else {
            continue;
        };
        let value = number::<u64>(value).ok_or(FramingError::LengthMalformed)?;
        if length.is_some_and(|other| other != value) {
            return Err(FramingError::LengthMalformed);
        }
        length = Some(value);
    }
    let length = length.ok_or(FramingError::LengthMissing)?;
    usize::try_from(length)
        .ok()
        .and_then(|length| head.len().checked_add(length))
        .filter(|total| *total <= MESSAGE_BYTES_MAX)
        .ok_or(FramingError::BodyTooLarge)
}

/// The first line with the lines folded to it, and the rest.
fn split_field(head: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &head[from..]) {
        from += at + 1;
        if !matches!(head.get(from), Some(b' ' | b'\t')) {
            return head.split_at(from);
        }
    }
    (head, &[])
}

/// The value, if the field is Content-Length by its long or compact name.
fn content_length(field: &[u8]) -> Option<&[u8]> {
    // Most fields are told apart by their first letter.
    if !matches!(field.first(), Some(b'C' | b'c' | b'L' | b'l')) {
        return None;
    }
    let colon = memchr::memchr(b':', field)?;
    let mut name = &field[..colon];
    while let [rest @ .., last] = name {
        if !is_lws(*last) {
            break;
        }
        name = rest;
    }
    let is_length = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
    is_length.then(|| &field[colon + 1..])
}

/// The longest header section with its start line and empty line; a longer one is answered
/// with 413, if it can be, and ends the connection.
pub const HEAD_BYTES_MAX: usize = 32_768;
/// A keep-alive from the side that opened the connection (RFC 5626 §3.5.1).
const PING: &[u8] = b"\r\n\r\n";
/// The answer to a ping.
pub const PONG: &[u8] = b"\r\n";

#[cfg(test)]
mod tests;
