//! Bodies of several parts (RFC 2046 §5.1, RFC 5621): where the session description stands among
//! them, so that it can be changed in place.
//!
//! Only `multipart/mixed` is looked into, and not into parts that are multipart themselves. A part
//! counts as the description if it is `application/sdp` and not meant for something else by its
//! Content-Disposition.

use core::ops::Range;

use crate::lex::{self, Params};

/// A part within a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its headers, the last line end included.
    head: Range<usize>,
    /// What it holds.
    pub(crate) content: Range<usize>,
}

impl Part {
    /// The session description in a body with this Content-Type.
    pub(crate) fn of_sdp(content_type: &[u8], body: &[u8]) -> Option<Self> {
        let boundary = boundary(content_type)?;
        parts(&boundary, body).find(|part| {
            let head = &body[part.head.clone()];
            let kind = field(head, b"Content-Type").unwrap_or_default();
            let disposition = field(head, b"Content-Disposition").unwrap_or(b"session");
            word(kind).eq_ignore_ascii_case(b"application/sdp")
                && word(disposition).eq_ignore_ascii_case(b"session")
                && !part.content.is_empty()
        })
    }

    /// The body with something else in this part; every other byte stays, but for a
    /// Content-Length of the part itself.
    pub(crate) fn replaced(&self, body: &[u8], content: &[u8]) -> Vec<u8> {
        let head = &body[self.head.clone()];
        let mut out = Vec::with_capacity(body.len() + content.len());
        out.extend_from_slice(&body[..self.head.start]);
        match value_of(head, b"Content-Length") {
            Some(length) => {
                out.extend_from_slice(&head[..length.start]);
                out.extend_from_slice(content.len().to_string().as_bytes());
                out.extend_from_slice(&head[length.end..]);
            }
            None => out.extend_from_slice(head),
        }
        out.extend_from_slice(&body[self.head.end..self.content.start]);
        out.extend_from_slice(content);
        out.extend_from_slice(&body[self.content.end..]);
        out
    }
}

/// `--` and the boundary of a multipart/mixed.
fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    if !word(content_type).eq_ignore_ascii_case(b"multipart/mixed") {
        return None;
    }
    let semi = memchr::memchr(b';', content_type)?;
    let value = Params(&content_type[semi..]).value("boundary")?;
    let value = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
        .unwrap_or(value);
    let usable = !value.is_empty() && value.len() <= BOUNDARY_MAX;
    usable.then(|| [b"--", value].concat())
}

/// The parts between delimiters, in order. One that is cut off by the end is none.
fn parts<'a>(boundary: &'a [u8], body: &'a [u8]) -> impl Iterator<Item = Part> + 'a {
    let mut at = 0;
    let mut begun: Option<usize> = None;
    core::iter::from_fn(move || {
        loop {
            let found = at + memchr::memmem::find(&body[at..], boundary)?;
            at = found + boundary.len();
            let begins_line = found == 0 || body[..found].ends_with(b"\r\n");
            let rest = &body[at..];
            let line = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
            let (last, padding) = match rest[..line].strip_prefix(b"--") {
                Some(padding) => (true, padding),
                None => (false, &rest[..line]),
            };
            if !begins_line || !padding.iter().all(|b| matches!(b, b' ' | b'\t')) {
                continue;
            }
            let whole = begun.map(|start| start..found.saturating_sub(2).max(start));
            begun = (!last).then(|| (at + line + 2).min(body.len()));
            if last {
                at = body.len();
            }
            if let Some(part) = whole.and_then(|whole| split(body, whole)) {
                return Some(part);
            }
        }
    })
}

fn split(body: &[u8], whole: Range<usize>) -> Option<Part> {
    let text = &body[whole.clone()];
    if text.starts_with(b"\r\n") {
        return Some(Part {
            head: whole.start..whole.start,
            content: whole.start + 2..whole.end,
        });
    }
    let end = memchr::memmem::find(text, b"\r\n\r\n")?;
    Some(Part {
        head: whole.start..whole.start + end + 2,
        content: whole.start + end + 4..whole.end,
    })
}

fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    value_of(head, name).map(|range| &head[range])
}

/// Where the value of a header of a part stands.
fn value_of(head: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut at = 0;
    while at < head.len() {
        let line = memchr::memmem::find(&head[at..], b"\r\n").unwrap_or(head.len() - at);
        let text = &head[at..at + line];
        if let Some(colon) = memchr::memchr(b':', text)
            && lex::trim(&text[..colon]).eq_ignore_ascii_case(name)
        {
            let value = &text[colon + 1..];
            let blank = value.iter().take_while(|b| lex::is_lws(**b)).count();
            let start = at + colon + 1 + blank;
            return Some(start..start + lex::trim(value).len());
        }
        at += line + 2;
    }
    None
}

/// A value up to its parameters.
fn word(value: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    lex::trim(&value[..end])
}

/// RFC 2046 §5.1.1.
const BOUNDARY_MAX: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &[u8] = b"multipart/mixed;boundary=\"b-1\"";
    const BODY: &[u8] = b"a preamble\r\n--b-1\r\nContent-Type: application/isup;version=x\r\n\r\n\
        \x01\x00--b-1\xff\r\n--b-1 \t\r\ncontent-type : Application/SDP\r\nContent-Length:  6 \r\n\r\n\
        v=0\r\n\r\n\r\n--b-1--\r\nan epilogue";

    #[test]
    fn the_description_is_found_and_replaced_and_nothing_else_changes() {
        let part = Part::of_sdp(KIND, BODY).unwrap();
        assert_eq!(&BODY[part.content.clone()], b"v=0\r\n\r\n");
        let new = part.replaced(BODY, b"v=0\r\ns=longer\r\n");
        let expected = String::from_utf8_lossy(BODY)
            .replace("v=0\r\n\r\n", "v=0\r\ns=longer\r\n")
            .replace(":  6 \r", ":  15 \r");
        assert_eq!(String::from_utf8_lossy(&new), expected);
        let again = Part::of_sdp(KIND, &new).unwrap();
        assert_eq!(&new[again.content], b"v=0\r\ns=longer\r\n");
    }

    #[test]
    fn what_is_not_a_description_is_left_alone() {
        let body = |head: &str| format!("--b-1\r\n{head}\r\nv=0\r\n--b-1--");
        let found = |kind: &[u8], head: &str| Part::of_sdp(kind, body(head).as_bytes()).is_some();
        let sdp = "Content-Type: application/sdp\r\n";
        assert!(found(KIND, sdp));
        assert!(found(b"multipart/mixed; boundary=b-1", sdp));
        assert!(!found(b"multipart/alternative; boundary=b-1", sdp));
        assert!(!found(b"multipart/mixed; boundary=other", sdp));
        assert!(!found(b"multipart/mixed; boundary=\"\"", sdp));
        assert!(!found(b"multipart/mixed", sdp));
        assert!(!found(KIND, ""));
        assert!(!found(KIND, "Content-Type: text/plain\r\n"));
        let icon = format!("{sdp}Content-Disposition: icon; handling=optional\r\n");
        assert!(!found(KIND, &icon));
        for cut in 0..body(sdp).len() - "--".len() {
            assert_eq!(
                Part::of_sdp(KIND, &body(sdp).as_bytes()[..cut]),
                None,
                "{cut}"
            );
        }
    }
}
