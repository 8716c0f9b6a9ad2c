//! The headers that nearly everybody asks for, taken apart once, while the message is parsed.

use crate::lex::{Params, commas, is_lws, number, trim};
use crate::message::CSeq;
use crate::{AddressError, HeaderName, Message, Method, NameAddr, Transport, Via, ViaError};

/// Where the parts of the topmost Via, of From, CSeq and, in requests, of To stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    via: Result<ViaMarks, ViaError>,
    from: Result<AddressMarks, AddressError>,
    /// Few ask for that of a response: it is looked for then.
    to: Option<Result<AddressMarks, AddressError>>,
    cseq: Option<CSeqMarks>,
}

impl Marks {
    /// Of a message whose headers are not known yet.
    pub(crate) const NONE: Self = Self {
        via: Err(ViaError::Protocol),
        from: Err(AddressError::Form),
        to: None,
        cseq: None,
    };

    /// Looks for the headers.
    pub(crate) fn find(message: &Message) -> Self {
        let raw = &message.raw;
        let [mut via, mut from, mut to, mut cseq] = [None; 4];
        for field in &message.fields {
            let first = match field.name {
                HeaderName::Via => &mut via,
                HeaderName::From => &mut from,
                HeaderName::To => &mut to,
                HeaderName::CSeq => &mut cseq,
                _ => continue,
            };
            first.get_or_insert(message.field_value(field));
        }
        // A line may have no value; then the next one has the first.
        let first = |name, line: Option<_>| {
            let value = line.and_then(|line| commas(line).next());
            value.or_else(|| message.values(name).next())
        };
        let via = first(HeaderName::Via, via).ok_or(ViaError::Protocol);
        let address = |name, line| {
            let address = NameAddr::parse(first(name, line).ok_or(AddressError::Form)?)?;
            Ok(AddressMarks {
                display: Span::of(raw, address.display),
                uri: Span::of(raw, address.uri),
                params: Span::of(raw, address.params.0),
            })
        };
        Self {
            via: via.and_then(Via::parse).map(|via| ViaMarks {
                transport: via.transport,
                host: Span::of(raw, via.host),
                port: via.port,
                params: Span::of(raw, via.params.0),
            }),
            from: address(HeaderName::From, from),
            to: message.is_request().then(|| address(HeaderName::To, to)),
            cseq: cseq.and_then(|cseq| CSeqMarks::find(raw, cseq)),
        }
    }

    pub(crate) fn via<'a>(&self, raw: &'a [u8]) -> Result<Via<'a>, ViaError> {
        self.via.map(|marks| Via {
            transport: marks.transport,
            host: marks.host.within(raw),
            port: marks.port,
            params: Params(marks.params.within(raw)),
        })
    }

    pub(crate) fn from<'a>(&self, raw: &'a [u8]) -> Result<NameAddr<'a>, AddressError> {
        self.from.map(|marks| marks.within(raw))
    }

    /// `None` if it was not looked for.
    pub(crate) fn to<'a>(&self, raw: &'a [u8]) -> Option<Result<NameAddr<'a>, AddressError>> {
        self.to.map(|to| to.map(|marks| marks.within(raw)))
    }

    pub(crate) fn cseq<'a>(&self, raw: &'a [u8]) -> Option<CSeq<'a>> {
        self.cseq.map(|marks| CSeq {
            number: marks.number,
            method: marks.method,
            method_text: marks.text.within(raw),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct ViaMarks {
    transport: Option<Transport>,
    host: Span,
    port: Option<u16>,
    params: Span,
}

#[derive(Clone, Copy, Debug)]
struct CSeqMarks {
    number: u32,
    method: Method,
    text: Span,
}

impl CSeqMarks {
    /// `None` if it is malformed.
    fn find(raw: &[u8], value: &[u8]) -> Option<Self> {
        let space = value.iter().position(|b| is_lws(*b))?;
        let number = number::<u32>(&value[..space]).filter(|n| *n < 1 << 31)?;
        let text = trim(&value[space..]);
        Some(Self {
            number,
            method: Method::from_bytes(text),
            text: Span::of(raw, text),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct AddressMarks {
    display: Span,
    uri: Span,
    params: Span,
}

impl AddressMarks {
    fn within(self, raw: &[u8]) -> NameAddr<'_> {
        NameAddr {
            display: self.display.within(raw),
            uri: self.uri.within(raw),
            params: Params(self.params.within(raw)),
        }
    }
}

/// A part of the buffer, which [`crate::parse::MESSAGE_BYTES_MAX`] keeps below 2^16 bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u16,
    len: u16,
}

impl Span {
    /// Where a part of `raw` stands in it. An empty one may be no part of it.
    fn of(raw: &[u8], part: &[u8]) -> Self {
        if part.is_empty() {
            return Self { start: 0, len: 0 };
        }
        Self {
            start: (part.as_ptr() as usize - raw.as_ptr() as usize) as u16,
            len: part.len() as u16,
        }
    }

    fn within(self, raw: &[u8]) -> &[u8] {
        &raw[usize::from(self.start)..usize::from(self.start) + usize::from(self.len)]
    }
}
