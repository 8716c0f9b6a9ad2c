//! What a payload type means: `a=rtpmap`, else the static table of RFC 3551 §6.

/// A format of an RTP medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec<'a> {
    /// The payload type.
    pub payload_type: u8,
    /// The encoding name as written; compare by [`Codec::is`].
    pub name: &'a [u8],
    /// The RTP clock rate in hertz.
    pub clock_rate_hz: u32,
    /// Channels; 1 if not said.
    pub channels: u8,
    /// The value of `a=fmtp` without the payload type, if there is one.
    pub fmtp: Option<&'a [u8]>,
}

impl Codec<'_> {
    /// Whether it has this encoding name, whatever the case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether both name the same encoding, clock rate and channels; payload types and
    /// parameters may differ.
    #[must_use]
    pub fn same_encoding(&self, other: &Codec<'_>) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && self.clock_rate_hz == other.clock_rate_hz
            && self.channels == other.channels
    }
}

/// Name, clock rate in hertz and channels of a static payload type.
pub(crate) fn static_codec(payload_type: u8) -> Option<(&'static [u8], u32, u8)> {
    let mut table = STATIC.iter();
    let found = table.find(|(pt, ..)| *pt == payload_type)?;
    Some((found.1.as_bytes(), found.2, found.3))
}

/// RFC 3551 §6, tables 4 and 5. G.722 counts 8,000 although it samples at 16,000
/// (RFC 3551 §4.5.2).
const STATIC: [(u8, &str, u32, u8); 24] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
    (25, "CelB", 90_000, 1),
    (26, "JPEG", 90_000, 1),
    (28, "nv", 90_000, 1),
    (31, "H261", 90_000, 1),
    (32, "MPV", 90_000, 1),
    (33, "MP2T", 90_000, 1),
    (34, "H263", 90_000, 1),
];
