//! Finding the parts of a message (RFC 3261 §7, §18.3).
//!
//! The parser is generous in form (line folding, bare LF, white space before the colon) and
//! strict in what later code relies on: the start line, the length of the body, and the bounds
//! below. What a message must contain to be worth an answer is judged by [`Message::check`].

use bytes::Bytes;

use crate::lex::{is_lws, is_token, number, trim};
use crate::marks::Marks;
use crate::message::{Field, Message, StartLine};
use crate::scan::find;
use crate::{HeaderName, Method};

/// The largest message; larger ones are refused (413 on streams, dropped on UDP).
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The most header fields; a message with more is malformed.
pub const FIELDS_MAX: usize = 256;

/// How the bytes came: decides what a missing Content-Length means (RFC 3261 §18.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One datagram or WebSocket message: without Content-Length the body runs to the end, and
    /// bytes beyond Content-Length are dropped.
    Datagram,
    /// Cut out of a stream by Content-Length already; without one there is no body.
    Stream,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The first line is neither a request line nor a status line.
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    /// The protocol version is not 2.0 (505).
    #[error("the protocol version is not SIP/2.0")]
    Version,
    /// A header line has no colon or no name.
    #[error("a header line has no name or no colon")]
    Header,
    /// No empty line ends the header section.
    #[error("no empty line ends the header section")]
    Truncated,
    /// Content-Length is no number, or larger than what came.
    #[error("Content-Length does not fit the message")]
    ContentLength,
    /// More than [`FIELDS_MAX`] fields or [`MESSAGE_BYTES_MAX`] bytes.
    #[error("the message is too large")]
    TooLarge,
}

impl ParseError {
    /// A short word for counters.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::Header => "header",
            Self::Truncated => "truncated",
            Self::ContentLength => "content_length",
            Self::TooLarge => "too_large",
        }
    }

    /// The status of the answer to a request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLarge => 513,
            _ => 400,
        }
    }
}

/// A message that could be found but not trusted: what is known of it serves the 400.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// What is wrong.
    pub error: ParseError,
    /// The headers found so far, if the start line was that of a request.
    pub partial: Option<Box<Message>>,
}

impl Message {
    /// Finds the parts of a message.
    ///
    /// # Errors
    /// [`Malformed`], with what is needed to answer a malformed request.
    pub fn parse(raw: Bytes, framing: Framing) -> Result<Self, Malformed> {
        let fail = |error| Malformed {
            error,
            partial: None,
        };
        if raw.len() > MESSAGE_BYTES_MAX {
            return Err(fail(ParseError::TooLarge));
        }
        let lead = raw
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        let (line, mut at) = next_line(&raw, lead).ok_or_else(|| fail(ParseError::Truncated))?;
        let (start, version) = start_line(&raw, lead, line).map_err(fail)?;
        let mut message = Self {
            raw,
            start,
            fields: Vec::with_capacity(20),
            body: 0..0,
            marks: Marks::NONE,
        };
        // Even of another version, what looks like headers serves the answer.
        let fields = message.find_fields(&mut at);
        message.marks = Marks::find(&message);
        let Err(error) = version
            .and(fields)
            .and_then(|()| message.find_body(at, framing))
        else {
            return Ok(message);
        };
        let partial = message.is_request().then(|| Box::new(message));
        Err(Malformed { error, partial })
    }

    fn find_fields(&mut self, at: &mut usize) -> Result<(), ParseError> {
        let raw = &*self.raw;
        loop {
            let start = *at;
            let (mut end, mut next) = next_line(raw, start).ok_or(ParseError::Truncated)?;
            if end == start {
                *at = next;
                return Ok(());
            }
            while matches!(raw.get(next), Some(b' ' | b'\t')) {
                (end, next) = next_line(raw, next).ok_or(ParseError::Truncated)?;
            }
            *at = next;
            if self.fields.len() == FIELDS_MAX {
                return Err(ParseError::TooLarge);
            }
            self.fields.push(field(raw, start, end)?);
        }
    }

    fn find_body(&mut self, at: usize, framing: Framing) -> Result<(), ParseError> {
        let there = self.raw.len() - at;
        let mut said = None;
        for value in self.headers(HeaderName::ContentLength) {
            let length = number::<usize>(value).ok_or(ParseError::ContentLength)?;
            if length > there || said.is_some_and(|said| said != length) {
                return Err(ParseError::ContentLength);
            }
            said = Some(length);
        }
        let length = match said {
            Some(length) => length,
            None if framing == Framing::Datagram => there,
            None => 0,
        };
        self.body = at as u16..(at + length) as u16;
        Ok(())
    }
}

/// The end of the line's text, and where the next line begins; a bare LF ends a line too.
#[inline]
fn next_line(raw: &[u8], from: usize) -> Option<(usize, usize)> {
    let lf = from + find(raw.get(from..)?, b'\n')?;
    let end = if lf > from && raw[lf - 1] == b'\r' {
        lf - 1
    } else {
        lf
    };
    Some((end, lf + 1))
}

/// The first line, and whether its version is ours. White space at its end is passed over (RFC
/// 4475 §3.1.2.10).
fn start_line(
    raw: &[u8],
    from: usize,
    end: usize,
) -> Result<(StartLine, Result<(), ParseError>), ParseError> {
    let line = raw[from..end].trim_ascii_end();
    let span = |s: usize, e: usize| (from + s) as u16..(from + e) as u16;
    if line.len() >= 8 && line[..4].eq_ignore_ascii_case(b"SIP/") && line[7] == b' ' {
        let version = version(&line[4..7]);
        let rest = &line[8..];
        let digits = rest.get(..3).ok_or(ParseError::StartLine)?;
        let status = number::<u16>(digits).ok_or(ParseError::StartLine)?;
        if !matches!(rest.get(3), None | Some(b' ')) || !(100..700).contains(&status) {
            return Err(ParseError::StartLine);
        }
        let reason = span((8 + 4).min(line.len()), line.len());
        return Ok((StartLine::Response { status, reason }, version));
    }
    let first = find(line, b' ').ok_or(ParseError::StartLine)?;
    let last = memchr::memrchr(b' ', line).ok_or(ParseError::StartLine)?;
    let (method, protocol) = (&line[..first], &line[last + 1..]);
    let method_fits = !method.is_empty() && method.iter().all(|b| is_token(*b));
    if !method_fits || protocol.len() < 5 || !protocol[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(ParseError::StartLine);
    }
    // The URI may hold spaces it must not have: the request is then answered with 400, so the
    // line itself is accepted (RFC 4475 §3.1.2.8).
    let uri = if last > first {
        first + 1..last
    } else {
        first..first
    };
    let start = StartLine::Request {
        method: Method::from_bytes(method),
        method_text: span(0, first),
        uri: span(uri.start, uri.end),
    };
    Ok((start, version(&protocol[4..])))
}

fn version(text: &[u8]) -> Result<(), ParseError> {
    if text == b"2.0" {
        Ok(())
    } else {
        Err(ParseError::Version)
    }
}

#[inline]
fn field(raw: &[u8], start: usize, end: usize) -> Result<Field, ParseError> {
    let line = &raw[start..end];
    let colon = find(line, b':').ok_or(ParseError::Header)?;
    let mut written = &line[..colon];
    // White space may stand before the colon.
    while let [rest @ .., last] = written {
        if !is_lws(*last) {
            break;
        }
        written = rest;
    }
    let name = HeaderName::from_bytes(written);
    // A name that is known has the right characters.
    let fits =
        name != HeaderName::Other || !written.is_empty() && written.iter().all(|b| is_token(*b));
    if !fits {
        return Err(ParseError::Header);
    }
    let name_len = written.len();
    let value = match &line[colon + 1..] {
        // Most stand behind one space, and have none behind them.
        [b' ', first, .., last] if !is_lws(*first) && !is_lws(*last) => &line[colon + 2..],
        value => trim(value),
    };
    let value_start = if value.is_empty() {
        end
    } else {
        start + (value.as_ptr() as usize - line.as_ptr() as usize)
    };
    Ok(Field {
        name,
        start: start as u16,
        name_len: name_len as u16,
        value_start: value_start as u16,
        value_len: value.len() as u16,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
        t: <sip:bob@example.com>\r\nf: \"A\" <sip:a@b>;tag=1\r\ni: 1@a\r\nCSeq: 7 INVITE\r\n\
        Subject: folded\r\n\t text\r\nX-Odd : \u{ff}\r\nl: 4\r\n\r\nbody and more";

    fn parse(s: &str) -> Result<Message, Malformed> {
        Message::parse(Bytes::copy_from_slice(s.as_bytes()), Framing::Datagram)
    }

    #[test]
    fn the_parts_are_found() {
        let m = parse(INVITE).unwrap();
        assert_eq!(m.method(), Method::Invite);
        assert_eq!(m.uri(), b"sip:bob@example.com");
        assert_eq!(m.body(), b"body");
        assert_eq!(m.from().unwrap().tag(), Some(&b"1"[..]));
        assert_eq!(m.cseq().unwrap().number, 7);
        assert_eq!(m.header_named("subject"), Some(&b"folded\r\n\t text"[..]));
        assert_eq!(m.header_named("x-odd").map(<[u8]>::len), Some(2));
        assert_eq!(m.via().unwrap().branch(), Some(&b"z9hG4bK1"[..]));
    }

    #[test]
    fn without_content_length_a_datagram_ends_the_body() {
        let text = INVITE.replace("l: 4\r\n", "");
        assert_eq!(parse(&text).unwrap().body(), b"body and more");
        let stream = Message::parse(Bytes::from(text), Framing::Stream).unwrap();
        assert_eq!(stream.body(), b"");
    }

    #[test]
    fn hostile_lengths_are_refused_but_answerable() {
        for length in ["-1", "4294967328", "999", "x", "4\r\nl: 3"] {
            let text = INVITE.replace("l: 4\r\n", &format!("l: {length}\r\n"));
            let e = parse(&text).unwrap_err();
            assert_eq!(e.error, ParseError::ContentLength, "{length}");
            assert_eq!(e.partial.unwrap().call_id(), Some(&b"1@a"[..]));
        }
    }

    #[test]
    fn responses_are_read() {
        let m = parse("SIP/2.0 183 \u{20ac} = Euro\r\nCSeq: 1 INVITE\r\n\r\n").unwrap();
        assert_eq!((m.status(), m.method()), (183, Method::Invite));
        assert_eq!(parse("SIP/2.0 200\r\n\r\n").unwrap().reason(), b"");
        assert!(parse("SIP/2.0 2000 x\r\n\r\n").is_err());
        assert_eq!(
            parse("SIP/7.0 200 x\r\n\r\n").unwrap_err().error,
            ParseError::Version
        );
    }

    #[test]
    fn no_end_and_no_start_are_told_apart() {
        assert_eq!(
            parse("INVITE sip:a SIP/2.0\r\nTo: x\r\n")
                .unwrap_err()
                .error,
            ParseError::Truncated
        );
        assert_eq!(
            parse("hello\r\n\r\n").unwrap_err().error,
            ParseError::StartLine
        );
        assert_eq!(parse("").unwrap_err().error, ParseError::Truncated);
        assert_eq!(
            parse("OPTIONS sip:a SIP/2.0\r\nNoColon\r\n\r\n")
                .unwrap_err()
                .error,
            ParseError::Header
        );
    }
}
