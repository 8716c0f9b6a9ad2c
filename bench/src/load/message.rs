//! Just enough of a SIP message, found in one pass over its lines.

use std::io::Write;

use memchr::{memchr, memmem};

/// The parts the generators look at; header values without the name.
#[derive(Default)]
pub(crate) struct Message<'a> {
    pub(crate) start: &'a [u8],
    /// Values of Via, one per line.
    pub(crate) vias: Vec<&'a [u8]>,
    /// Values of Record-Route, one per line.
    pub(crate) record_routes: Vec<&'a [u8]>,
    pub(crate) from: &'a [u8],
    pub(crate) to: &'a [u8],
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: &'a [u8],
    pub(crate) contact: &'a [u8],
    pub(crate) challenge: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Why a request was refused: Reason or Warning.
    pub(crate) why: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Self {
        let mut message = Self::default();
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let line = rest[..end].trim_ascii_end();
            rest = &rest[end + 1..];
            if message.start.is_empty() {
                message.start = line;
            } else if line.is_empty() {
                message.body = rest;
                break;
            } else {
                message.header(line);
            }
        }
        message
    }

    /// The status of a response, 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        self.start
            .strip_prefix(b"SIP/2.0 ")
            .and_then(|rest| number(rest.get(..3)?))
            .unwrap_or(0)
    }

    /// What a refusal says, its status first.
    pub(crate) fn refusal(&self) -> String {
        let status = self.start.strip_prefix(b"SIP/2.0 ").unwrap_or(self.start);
        let status = String::from_utf8_lossy(status).into_owned();
        match self.why {
            b"" => status,
            why => format!("{status} ({})", String::from_utf8_lossy(why)),
        }
    }

    /// The method, from CSeq.
    pub(crate) fn method(&self) -> &'a [u8] {
        let at = self
            .cseq
            .iter()
            .rposition(|&byte| byte == b' ')
            .map_or(0, |at| at + 1);
        &self.cseq[at..]
    }

    /// The URI of Contact.
    pub(crate) fn contact_uri(&self) -> &'a [u8] {
        let start = memchr(b'<', self.contact).map_or(0, |at| at + 1);
        let rest = &self.contact[start..];
        &rest[..memchr(b'>', rest).unwrap_or(rest.len())]
    }

    /// The port of the first audio line of the session description.
    pub(crate) fn audio_port(&self) -> Option<u16> {
        let at = memmem::find(self.body, b"m=audio ")? + b"m=audio ".len();
        let digits = self.body[at..].split(|&byte| byte == b' ').next()?;
        number(digits)
    }

    fn header(&mut self, line: &'a [u8]) {
        let Some(colon) = memchr(b':', line) else {
            return;
        };
        let value = line[colon + 1..].trim_ascii_start();
        match &line[..colon] {
            b"Via" | b"v" => self.vias.push(value),
            b"Record-Route" => self.record_routes.push(value),
            b"From" | b"f" => self.from = value,
            b"To" | b"t" => self.to = value,
            b"Call-ID" | b"i" => self.call_id = value,
            b"CSeq" => self.cseq = value,
            b"Contact" | b"m" => self.contact = value,
            b"Reason" | b"Warning" => self.why = value,
            // Of several challenges the MD5 one: it is what every peer here can check.
            b"WWW-Authenticate"
                if self.challenge.is_empty() || memmem::find(value, b"=MD5").is_some() =>
            {
                self.challenge = value;
            }
            _ => {}
        }
    }
}

/// Writes a response to `request`; `tag` goes to To where it has none.
pub(crate) fn write_response(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    status: &str,
    tag: u64,
    contact: &str,
    body: &str,
) {
    put(out, &[b"SIP/2.0 ", status.as_bytes(), b"\r\n"]);
    for via in &request.vias {
        put(out, &[b"Via: ", via, b"\r\n"]);
    }
    for route in &request.record_routes {
        put(out, &[b"Record-Route: ", route, b"\r\n"]);
    }
    put(out, &[b"From: ", request.from, b"\r\nTo: ", request.to]);
    if memmem::find(request.to, b";tag=").is_none() {
        text(out, format_args!(";tag={tag:x}"));
    }
    put(
        out,
        &[
            b"\r\nCall-ID: ",
            request.call_id,
            b"\r\nCSeq: ",
            request.cseq,
            b"\r\n",
        ],
    );
    text(out, format_args!("Contact: <{contact}>\r\n"));
    if !body.is_empty() {
        put(out, &[b"Content-Type: application/sdp\r\n"]);
    }
    text(
        out,
        format_args!("Content-Length: {}\r\n\r\n{body}", body.len()),
    );
}

/// Appends pieces.
pub(crate) fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Appends formatted text.
pub(crate) fn text(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments)
        .expect("writing to memory does not fail");
}

/// The tag of the first `a=crypto` line of a session description that names a suite.
pub(crate) fn crypto_tag(sdp: &[u8], suite: &str) -> Option<u32> {
    let lines = sdp.split(|&byte| byte == b'\n');
    let mut tags = lines.filter_map(|line| {
        let line = str::from_utf8(line).ok()?.trim_end();
        let mut words = line.strip_prefix("a=crypto:")?.split(' ');
        let tag = words.next()?.parse().ok()?;
        (words.next()? == suite).then_some(tag)
    });
    tags.next()
}

fn number(digits: &[u8]) -> Option<u16> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_apart() {
        let bytes = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\n\
            CSeq: 2 BYE\r\nContact: <sip:x@h:5>;q=1\r\n\r\nv=0\r\nm=audio 4000 RTP/AVP 8\r\n";
        let message = Message::parse(bytes);
        assert_eq!(message.status(), 200);
        assert_eq!(message.method(), b"BYE");
        assert_eq!(message.vias.len(), 2);
        assert_eq!(message.contact_uri(), b"sip:x@h:5");
        assert_eq!(message.audio_port(), Some(4_000));
    }
}
