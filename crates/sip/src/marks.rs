//! The headers that nearly everybody asks for, taken apart once, while the message is parsed.

use crate::lex::Params;
use crate::{AddressError, HeaderName, Message, NameAddr, Transport, Via, ViaError};

/// Where the parts of the topmost Via, of From and of To stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    via: Result<ViaMarks, ViaError>,
    from: Result<AddressMarks, AddressError>,
    to: Result<AddressMarks, AddressError>,
}

impl Marks {
    /// Of a message whose headers are not known yet.
    pub(crate) const NONE: Self = Self {
        via: Err(ViaError::Protocol),
        from: Err(AddressError::Form),
        to: Err(AddressError::Form),
    };

    /// Looks for the headers.
    pub(crate) fn find(message: &Message) -> Self {
        let raw = &message.raw;
        let via = message.values(HeaderName::Via).next();
        let via = via.ok_or(ViaError::Protocol).and_then(Via::parse);
        let address = |name| {
            let address = message.address(name)?;
            Ok(AddressMarks {
                display: Span::of(raw, address.display),
                uri: Span::of(raw, address.uri),
                params: Span::of(raw, address.params.0),
            })
        };
        Self {
            via: via.map(|via| ViaMarks {
                transport: via.transport,
                host: Span::of(raw, via.host),
                port: via.port,
                params: Span::of(raw, via.params.0),
            }),
            from: address(HeaderName::From),
            to: address(HeaderName::To),
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

    pub(crate) fn to<'a>(&self, raw: &'a [u8]) -> Result<NameAddr<'a>, AddressError> {
        self.to.map(|marks| marks.within(raw))
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
