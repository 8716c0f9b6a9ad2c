//! Which payload types a negotiation allows, and what a worker needs to know of each.

use sdp::Media;

/// All payload types of one medium, over both descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Formats([Format; 128]);

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Not negotiated.
    Unknown,
    /// A codec.
    Media {
        /// Of its timestamps.
        clock_rate_hz: u32,
    },
    /// RFC 4733.
    Event,
}

impl Formats {
    /// Nothing is allowed.
    pub(crate) fn none() -> Self {
        Self([Format::Unknown; 128])
    }

    /// Allows what a description lists. A payload type without `a=rtpmap` is allowed too.
    pub(crate) fn allow(&mut self, media: &Media<'_>) {
        for format in media.formats() {
            let parsed = str::from_utf8(format).ok().and_then(|f| f.parse().ok());
            let Some(payload_type) = parsed.filter(|pt: &u8| *pt < 128) else {
                continue;
            };
            self.0[usize::from(payload_type)] = match media.codec(payload_type) {
                Some(codec) if codec.is("telephone-event") => Format::Event,
                Some(codec) => Format::Media {
                    clock_rate_hz: codec.clock_rate_hz,
                },
                None => Format::Media { clock_rate_hz: 0 },
            };
        }
    }

    /// What a payload type stands for.
    #[inline]
    pub(crate) fn of(&self, payload_type: u8) -> Format {
        self.0[usize::from(payload_type & 0x7f)]
    }
}
