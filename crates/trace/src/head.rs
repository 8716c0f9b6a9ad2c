//! What a message says of itself, read leniently: what no parser takes is what people look for.

use memchr::memchr;

/// The start of a message and those headers by which it is told apart; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its first line.
    pub start: Start<'a>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// The number of CSeq.
    pub cseq: u32,
    /// The method of CSeq.
    pub cseq_method: &'a [u8],
    /// From.
    pub from: Party<'a>,
    /// To.
    pub to: Party<'a>,
    /// The topmost Via.
    pub via: &'a [u8],
    /// Content-Type.
    pub content_type: &'a [u8],
    /// Whether a header may prove who somebody is.
    pub has_credentials: bool,
    /// Where the body begins.
    pub body_at: usize,
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start<'a> {
    /// Neither of the others.
    #[default]
    Unreadable,
    /// A request.
    Request {
        /// Its method.
        method: &'a [u8],
        /// Its URI.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// Its status.
        status: u16,
        /// Its phrase.
        phrase: &'a [u8],
    },
}

/// One of From and To.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Party<'a> {
    /// The user part of the URI.
    pub user: &'a [u8],
    /// The tag.
    pub tag: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads as much as there is.
    #[must_use]
    pub fn read(message: &'a [u8]) -> Self {
        let mut head = Self::default();
        let mut at = 0;
        let mut is_first = true;
        while at < message.len() {
            let end = memchr(b'\n', &message[at..]).map_or(message.len(), |found| at + found + 1);
            let line = message[at..end].trim_ascii_end();
            at = end;
            if is_first {
                // Line ends before a message keep connections alive.
                if !line.is_empty() {
                    head.start = Start::read(line);
                    is_first = false;
                }
                continue;
            }
            if line.is_empty() {
                break;
            }
            head.take(line);
        }
        head.body_at = at;
        head
    }

    fn take(&mut self, line: &'a [u8]) {
        let Some(colon) = memchr(b':', line) else {
            return;
        };
        let (name, value) = (
            line[..colon].trim_ascii_end(),
            line[colon + 1..].trim_ascii(),
        );
        let is = |long: &[u8], short: &[u8]| {
            name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short)
        };
        if is(b"call-id", b"i") {
            self.call_id = value;
        } else if is(b"cseq", b"cseq") {
            let mut words = value.split(u8::is_ascii_whitespace);
            self.cseq = words.next().and_then(number).unwrap_or(0);
            self.cseq_method = words.find(|word| !word.is_empty()).unwrap_or_default();
        } else if is(b"from", b"f") {
            self.from = Party::read(value);
        } else if is(b"to", b"t") {
            self.to = Party::read(value);
        } else if is(b"via", b"v") {
            if self.via.is_empty() {
                self.via = value;
            }
        } else if is(b"content-type", b"c") {
            self.content_type = value;
        } else if is_credentials(name) {
            self.has_credentials = true;
        }
    }

    /// The method: of the request, or of what a response answers.
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        match self.start {
            Start::Request { method, .. } => method,
            _ => self.cseq_method,
        }
    }

    /// The status of a response; 0 for all else.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Response { status, .. } => status,
            _ => 0,
        }
    }

    /// The user part of the URI of a request.
    #[must_use]
    pub fn request_user(&self) -> &'a [u8] {
        match self.start {
            Start::Request { uri, .. } => user_of(uri),
            _ => &[],
        }
    }
}

impl<'a> Start<'a> {
    fn read(line: &'a [u8]) -> Self {
        if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
            let (status, phrase) = match memchr(b' ', rest) {
                Some(space) => (&rest[..space], rest[space + 1..].trim_ascii()),
                None => (rest, &[][..]),
            };
            return number(status)
                .and_then(|status| u16::try_from(status).ok())
                .map_or(Self::Unreadable, |status| Self::Response { status, phrase });
        }
        let Some(line) = line.strip_suffix(b" SIP/2.0") else {
            return Self::Unreadable;
        };
        match memchr(b' ', line) {
            Some(space) => Self::Request {
                method: &line[..space],
                uri: line[space + 1..].trim_ascii(),
            },
            None => Self::Unreadable,
        }
    }
}

impl<'a> Party<'a> {
    fn read(value: &'a [u8]) -> Self {
        // A display name in quotes may have anything in it.
        let value = match value.strip_prefix(b"\"") {
            Some(quoted) => after_quotes(quoted),
            None => value,
        };
        let (uri, params) = match memchr(b'<', value) {
            Some(open) => {
                let rest = &value[open + 1..];
                let close = memchr(b'>', rest).unwrap_or(rest.len());
                (&rest[..close], &rest[close..])
            }
            None => {
                let end = memchr(b';', value).unwrap_or(value.len());
                (&value[..end], &value[end..])
            }
        };
        let tag = params.split(|byte| *byte == b';').find_map(|param| {
            let equals = memchr(b'=', param)?;
            let is_tag = param[..equals].trim_ascii().eq_ignore_ascii_case(b"tag");
            is_tag.then(|| param[equals + 1..].trim_ascii())
        });
        Self {
            user: user_of(uri),
            tag: tag.unwrap_or_default(),
        }
    }
}

/// What follows a quoted string whose beginning is gone.
fn after_quotes(quoted: &[u8]) -> &[u8] {
    let mut is_escaped = false;
    for (at, byte) in quoted.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return &quoted[at + 1..],
            _ => {}
        }
    }
    &[]
}

/// The user of a SIP URI, the number of a tel URI; empty for a URI without.
fn user_of(uri: &[u8]) -> &[u8] {
    let Some(colon) = memchr(b':', uri) else {
        return &[];
    };
    let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
    let end = match memchr(b'@', rest) {
        Some(at) => at,
        None if scheme.eq_ignore_ascii_case(b"tel") => rest.len(),
        None => return &[],
    };
    let user = &rest[..end];
    // A password, or parameters of a number.
    let end = user.iter().position(|byte| matches!(byte, b':' | b';'));
    &user[..end.unwrap_or(user.len())]
}

/// Whether a header proves who somebody is (RFC 3261 §22, RFC 7616 §3.5).
pub(crate) fn is_credentials(name: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    is(b"authorization")
        || is(b"proxy-authorization")
        || is(b"authentication-info")
        || is(b"proxy-authentication-info")
}

fn number(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read() {
        let message = b"\r\nINVITE sip:+493012;npdi@b.example;transport=tcp SIP/2.0\r\n\
            v: SIP/2.0/UDP a;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP second\r\n\
            f: \"x \\\"<sip:no@one>\" <sip:alice:pass@a.example;user=phone>;x=y; TAG = 88sja8x\r\n\
            T: tel:+493012;phone-context=x;tag=no\r\ni : id@host\r\nCSeq:  7 \t INVITE\r\n\r\nbody: x";
        let head = Head::read(message);
        assert_eq!(head.method(), b"INVITE");
        assert_eq!(head.request_user(), b"+493012");
        assert_eq!(
            (head.from.user, head.from.tag),
            (&b"alice"[..], &b"88sja8x"[..])
        );
        assert_eq!(head.to.user, b"+493012");
        assert_eq!((head.call_id, head.cseq), (&b"id@host"[..], 7));
        assert_eq!(head.cseq_method, b"INVITE");
        assert_eq!(head.via, b"SIP/2.0/UDP a;branch=z9hG4bK1");
        assert_eq!(&message[head.body_at..], b"body: x");
    }

    #[test]
    fn a_response_is_read_without_a_phrase_too() {
        let head = Head::read(b"SIP/2.0 200\nCSeq: 1 BYE\n\n");
        assert_eq!((head.status(), head.method()), (200, &b"BYE"[..]));
        let head = Head::read(b"SIP/2.0 486 Busy Here\r\n");
        let phrase = &b"Busy Here"[..];
        assert_eq!(
            head.start,
            Start::Response {
                status: 486,
                phrase
            }
        );
        assert_eq!(Head::read(b"hello\r\n\r\n").start, Start::Unreadable);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = Head::read(&bytes);
            let _ = Head::read(&[b"A b SIP/2.0\r\nFrom:", &bytes[..]].concat());
            let _ = Head::read(&[b"SIP/2.0 ", &bytes[..]].concat());
        }
    }
}
