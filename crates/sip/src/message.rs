//! A message: one buffer, and an index of where its parts stand.
//!
//! Header values are found once, when the message is parsed, and taken apart when somebody asks.
//! Nothing is copied or normalised, so what is forwarded from here is what came in.

use core::fmt;
use core::ops::Range;

use bytes::Bytes;

use crate::lex::{self, Commas};
use crate::marks::Marks;
use crate::multipart::Part;
use crate::scan::find;
use crate::{AddressError, HeaderName, Method, NameAddr, Via, ViaError};

/// A request or response.
#[derive(Clone)]
pub struct Message {
    pub(crate) raw: Bytes,
    pub(crate) start: StartLine,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Range<u16>,
    pub(crate) marks: Marks,
}

/// The first line.
#[derive(Clone, Debug)]
pub(crate) enum StartLine {
    Request {
        method: Method,
        method_text: Range<u16>,
        uri: Range<u16>,
    },
    Response {
        status: u16,
        reason: Range<u16>,
    },
}

/// Where one header field stands in the buffer, which is below 2^16 bytes
/// ([`crate::parse::MESSAGE_BYTES_MAX`]).
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name, if we know it.
    pub name: HeaderName,
    pub(crate) start: u16,
    pub(crate) name_len: u16,
    pub(crate) value_start: u16,
    pub(crate) value_len: u16,
}

/// CSeq, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number; less than 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The method as written.
    pub method_text: &'a [u8],
}

impl Message {
    /// The whole message as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Whether it is a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method of a request; of a response the method in CSeq, `Other` if there is none.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.start {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => self.cseq().map_or(Method::Other, |c| c.method),
        }
    }

    /// The method of a request as written; empty for a response.
    #[must_use]
    pub fn method_text(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { method_text, .. } => self.slice(method_text),
            StartLine::Response { .. } => b"",
        }
    }

    /// The request URI as written; empty for a response.
    #[must_use]
    pub fn uri(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { uri, .. } => self.slice(uri),
            StartLine::Response { .. } => b"",
        }
    }

    /// The status of a response; 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.start {
            StartLine::Request { .. } => 0,
            StartLine::Response { status, .. } => status,
        }
    }

    /// The reason phrase of a response.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { .. } => b"",
            StartLine::Response { reason, .. } => self.slice(reason),
        }
    }

    /// The body; empty if there is none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.slice(&self.body)
    }

    /// All header fields in the order they came.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The name of a field as written.
    #[must_use]
    pub fn field_name(&self, field: &Field) -> &[u8] {
        let start = usize::from(field.start);
        &self.raw[start..start + usize::from(field.name_len)]
    }

    /// The value of a field, trimmed, folding kept.
    #[must_use]
    pub fn field_value(&self, field: &Field) -> &[u8] {
        let start = usize::from(field.value_start);
        &self.raw[start..start + usize::from(field.value_len)]
    }

    /// The value of the first field of a name.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|f| f.name == name)
            .map(|f| self.field_value(f))
    }

    /// The value of the first field of a name we have no constant for, in any case.
    #[must_use]
    pub fn header_named(&self, name: &str) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|f| {
                f.name == HeaderName::Other
                    && self.field_name(f).eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|f| self.field_value(f))
    }

    /// The values of all fields of a name, undivided.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |f| f.name == name)
            .map(|f| self.field_value(f))
    }

    /// The values of a header that is a comma list, whatever their layout (RFC 3261 §7.3.1).
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers(name)
            .flat_map(|v| -> Commas<'_> { lex::commas(v) })
    }

    /// Whether a comma list of tokens has one, whatever its case (Supported, Require, Allow).
    #[must_use]
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.values(name)
            .any(|v| v.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> Option<&[u8]> {
        self.header(HeaderName::CallId).filter(|v| !v.is_empty())
    }

    /// CSeq; `None` if missing or malformed.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        self.marks.cseq(&self.raw)
    }

    /// From, taken apart.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'_>, AddressError> {
        self.marks.from(&self.raw)
    }

    /// To, taken apart.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'_>, AddressError> {
        let to = self.marks.to(&self.raw);
        to.unwrap_or_else(|| self.address(HeaderName::To))
    }

    /// Where a header line stands in [`Message::raw`], its line end included; `at` counts
    /// [`Message::fields`]. Empty beyond the last.
    #[must_use]
    pub fn line(&self, at: usize) -> Range<usize> {
        let Some(field) = self.fields.get(at) else {
            return 0..0;
        };
        let value_end = usize::from(field.value_start) + usize::from(field.value_len);
        let end = match self.fields.get(at + 1) {
            Some(next) => usize::from(next.start),
            None => find(&self.raw[value_end..], b'\n').map_or(value_end, |lf| value_end + lf + 1),
        };
        usize::from(field.start)..end
    }

    /// Where the message ends in [`Message::raw`]: bytes of a datagram beyond it are not part of
    /// it (RFC 3261 §18.3).
    #[must_use]
    pub fn end(&self) -> usize {
        usize::from(self.body.end)
    }

    /// The first address of a header.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn address(&self, name: HeaderName) -> Result<NameAddr<'_>, AddressError> {
        let value = self.values(name).next().ok_or(AddressError::Form)?;
        NameAddr::parse(value)
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn via(&self) -> Result<Via<'_>, ViaError> {
        self.marks.via(&self.raw)
    }

    /// A header that is one number, parameters behind it ignored (Max-Forwards, Expires, RSeq,
    /// Session-Expires).
    #[must_use]
    pub fn number(&self, name: HeaderName) -> Option<u32> {
        let value = self.header(name)?;
        let end = find(value, b';').unwrap_or(value.len());
        lex::number(&value[..end])
    }

    /// Whether Content-Type is the given one, parameters ignored.
    #[must_use]
    pub fn has_content_type(&self, wanted: &str) -> bool {
        self.header(HeaderName::ContentType).is_some_and(|v| {
            let end = find(v, b';').unwrap_or(v.len());
            lex::trim(&v[..end]).eq_ignore_ascii_case(wanted.as_bytes())
        })
    }

    /// The session description in the body, if there is one: the whole body, or a part of a
    /// multipart/mixed.
    #[must_use]
    pub fn sdp(&self) -> Option<&[u8]> {
        if self.body().is_empty() {
            return None;
        }
        if self.has_content_type("application/sdp") {
            return Some(self.body());
        }
        let part = self.sdp_part()?;
        Some(&self.body()[part.content])
    }

    /// The body with another session description in the place of the one among its parts; `None`
    /// if it has no parts, or no description among them.
    #[must_use]
    pub fn multipart_with_sdp(&self, sdp: &[u8]) -> Option<Vec<u8>> {
        let part = self.sdp_part()?;
        Some(part.replaced(self.body(), sdp))
    }

    fn sdp_part(&self) -> Option<Part> {
        Part::of_sdp(self.header(HeaderName::ContentType)?, self.body())
    }

    fn slice(&self, range: &Range<u16>) -> &[u8] {
        &self.raw[usize::from(range.start)..usize::from(range.end)]
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.raw.split(|b| *b == b'\r').next().unwrap_or_default();
        write!(f, "Message({})", String::from_utf8_lossy(line))
    }
}
