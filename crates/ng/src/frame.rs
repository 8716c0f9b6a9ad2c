//! Cookie framing: `cookie SP dictionary`, the same in a datagram, a stream and a WebSocket message.
//!
//! A stream has no other frame than the messages themselves: [`stream_length`] finds where the
//! first ends.

use crate::bencode::{self, Leniency};
use crate::error::Malformed;
use crate::json;
use crate::value::Dictionary;
use crate::{COOKIE_BYTES_MAX, DEPTH_MAX, MESSAGE_BYTES_MAX};

/// A message before its dictionary is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the reply must begin with.
    pub cookie: &'a [u8],
    /// How the dictionary is written.
    pub encoding: Encoding,
    /// The dictionary.
    pub body: &'a [u8],
}

/// How a dictionary is written. A reply is written as its request was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bencode.
    #[default]
    Bencode,
    /// JSON.
    Json,
}

impl<'a> Frame<'a> {
    /// Splits a message.
    ///
    /// # Errors
    /// [`Malformed::Cookie`], [`Malformed::NotDictionary`] and [`Malformed::TooLong`].
    pub fn split(message: &'a [u8]) -> Result<Self, Malformed> {
        let space = message
            .iter()
            .take(COOKIE_BYTES_MAX + 1)
            .position(|b| *b == b' ');
        let cookie = &message[..space.ok_or(Malformed::Cookie)?];
        if cookie.is_empty() || !cookie.iter().all(u8::is_ascii_graphic) {
            return Err(Malformed::Cookie);
        }
        let (encoding, body) = body_of(&message[cookie.len() + 1..])?;
        Ok(Self {
            cookie,
            encoding,
            body,
        })
    }

    /// Reads the dictionary as rtpengine does.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn dictionary(&self) -> Result<Dictionary<'a>, Malformed> {
        match self.encoding {
            Encoding::Bencode => bencode::decode(self.body, Leniency::Rtpengine),
            Encoding::Json => json::decode(self.body),
        }
    }

    /// A message of a cookie and a dictionary.
    #[must_use]
    pub fn write(cookie: &[u8], encoding: Encoding, dictionary: &Dictionary<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_BYTES);
        out.extend_from_slice(cookie);
        out.push(b' ');
        encoding.encode(dictionary, &mut out);
        out
    }
}

impl Encoding {
    /// Appends a dictionary.
    pub fn encode(self, dictionary: &Dictionary<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Bencode => bencode::encode(dictionary, out),
            Self::Json => json::encode(dictionary, out),
        }
    }
}

/// Tells a dictionary's encoding by its first byte; white space before it is skipped.
///
/// # Errors
/// [`Malformed::NotDictionary`] and [`Malformed::TooLong`].
pub fn body_of(bytes: &[u8]) -> Result<(Encoding, &[u8]), Malformed> {
    let body = bytes.trim_ascii_start();
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    match body.first() {
        Some(b'd') => Ok((Encoding::Bencode, body)),
        Some(b'{') => Ok((Encoding::Json, body)),
        _ => Err(Malformed::NotDictionary),
    }
}

/// How long the first message of a stream is, with white space before it; `None` if it is not
/// whole yet.
///
/// # Errors
/// See [`Malformed`]: nothing that follows can be told apart any more, so the stream must end.
pub fn stream_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let blank = bytes.len() - bytes.trim_ascii_start().len();
    if blank > COOKIE_BYTES_MAX {
        return Err(Malformed::Cookie);
    }
    let message = &bytes[blank..];
    let Some(space) = message.iter().position(|b| *b == b' ') else {
        let endless = message.len() > COOKIE_BYTES_MAX;
        return if endless {
            Err(Malformed::Cookie)
        } else {
            Ok(None)
        };
    };
    let start = blank + space + 1;
    let body = &bytes[start..];
    let length = match body.first() {
        None => None,
        Some(b'd') => bencode_length(body)?,
        Some(b'{') => json_length(body),
        Some(_) => return Err(Malformed::NotDictionary),
    };
    if length.is_none() && body.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    Ok(length.map(|length| start + length))
}

/// Where a bencoded value ends, without reading it.
fn bencode_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let Some(byte) = bytes.get(at) else {
            return Ok(None);
        };
        let malformed = Malformed::Bencode { at };
        match byte {
            b'd' | b'l' => {
                depth += 1;
                at += 1;
                if depth > DEPTH_MAX + 1 {
                    return Err(Malformed::TooDeep);
                }
            }
            b'e' => {
                depth -= 1;
                at += 1;
            }
            b'i' => match bytes[at..]
                .iter()
                .take(NUMBER_BYTES_MAX)
                .position(|b| *b == b'e')
            {
                Some(end) => at += end + 1,
                None if bytes.len() - at < NUMBER_BYTES_MAX => return Ok(None),
                None => return Err(malformed),
            },
            b'0'..=b'9' => {
                let rest = bytes[at..].iter().take(NUMBER_BYTES_MAX);
                let Some(colon) = rest.clone().position(|b| *b == b':') else {
                    let digits = rest.clone().all(u8::is_ascii_digit);
                    let more = digits && rest.len() < NUMBER_BYTES_MAX;
                    return if more { Ok(None) } else { Err(malformed) };
                };
                let digits = str::from_utf8(&bytes[at..at + colon]).ok();
                let length: Option<usize> = digits.and_then(|d| d.parse().ok());
                let length = length.filter(|l| *l <= MESSAGE_BYTES_MAX);
                at += colon + 1 + length.ok_or(malformed)?;
            }
            _ => return Err(malformed),
        }
        if depth == 0 {
            return Ok((at <= bytes.len()).then_some(at));
        }
        if at > MESSAGE_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
    }
}

/// Where a JSON object ends: at its last brace, those in strings apart.
fn json_length(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

const NUMBER_BYTES_MAX: usize = 24;
/// A request with a description.
const USUAL_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_both_encodings() {
        let frame = Frame::split(b"5323_1 d7:command4:pinge").expect("a frame");
        assert_eq!(
            (frame.cookie, frame.encoding),
            (&b"5323_1"[..], Encoding::Bencode)
        );
        let read = frame.dictionary().expect("sound");
        assert_eq!(read.text("command"), Some("ping"));
        let frame = Frame::split(b"a {\"command\":\"ping\"}").expect("a frame");
        assert_eq!(frame.encoding, Encoding::Json);
        assert_eq!(
            frame.dictionary().expect("sound").text("command"),
            Some("ping")
        );
    }

    #[test]
    fn refuses_what_has_no_cookie_or_no_dictionary() {
        let no_cookie = [&b""[..], b"d2:aa", b" de", b"\x01\x02 de", &[b'a'; 300]];
        for message in no_cookie {
            assert_eq!(Frame::split(message), Err(Malformed::Cookie));
        }
        assert_eq!(Frame::split(b"a ping"), Err(Malformed::NotDictionary));
    }

    #[test]
    fn finds_messages_in_a_stream_cut_anywhere() {
        let messages: [&[u8]; 3] = [
            b"1 d7:command4:ping1:xi5e1:ylee",
            b"\r\n2 {\"command\":\"ping\",\"x\":\"}\\\"{\"}",
            b"3 d3:sdp5:eeeeee",
        ];
        for message in messages {
            for cut in 0..message.len() {
                assert_eq!(stream_length(&message[..cut]), Ok(None), "cut at {cut}");
            }
            let more = [message, b"4 d"].concat();
            assert_eq!(stream_length(&more), Ok(Some(message.len())));
        }
    }

    #[test]
    fn a_stream_that_is_no_ng_ends() {
        assert!(stream_length(b"GET / HTTP/1.1\r\n").is_err());
        assert!(stream_length(&[b'x'; 400]).is_err());
        assert!(stream_length(b"1 dx").is_err());
        assert!(stream_length(b"1 d99999999:").is_err());
        assert!(stream_length(&[b"1 ", &b"d1:a".repeat(40)[..]].concat()).is_err());
    }
}
