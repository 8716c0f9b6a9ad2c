//! One medium: its `m=` line (RFC 8866 §5.14) and the attributes that follow it.

use core::ops::Range;
use std::net::{IpAddr, SocketAddr};

use crate::codec::static_codec;
use crate::description::{attribute_in, direction_in};
use crate::line::{Line, number, words};
use crate::{
    Candidate, Codec, Connection, Crypto, Description, Direction, Fingerprint, IceCredentials,
    SdpError, Setup,
};

/// One medium of a description.
#[derive(Clone, Copy, Debug)]
pub struct Media<'d> {
    description: &'d Description<'d>,
    index: usize,
}

impl<'d> Media<'d> {
    pub(crate) const fn new(description: &'d Description<'d>, index: usize) -> Self {
        Self { description, index }
    }

    /// Its place among the media, counted from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What is sent.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::from_name(self.kind_name())
    }

    /// What is sent, as written.
    #[must_use]
    pub fn kind_name(&self) -> &'d [u8] {
        self.slice(&self.section().kind)
    }

    /// The port; 0 refuses the medium (RFC 3264 §6).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.section().port
    }

    /// How many ports; 1 if not said.
    #[must_use]
    pub fn port_count(&self) -> u16 {
        self.section().port_count
    }

    /// The transport, as written: `RTP/AVP`.
    #[must_use]
    pub fn proto(&self) -> &'d [u8] {
        self.slice(&self.section().proto)
    }

    /// The transport.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile::from_name(self.proto())
    }

    /// The formats as written; payload types if it is RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'d [u8]> + use<'d> {
        words(self.slice(&self.section().formats))
    }

    /// The formats as codecs, in order of preference; dynamic payload types without
    /// `a=rtpmap` are left out, and so is all that is not RTP.
    pub fn codecs(&self) -> impl Iterator<Item = Codec<'d>> + use<'d> {
        let media = *self;
        let rtp = self.profile().is_rtp();
        self.formats()
            .filter_map(move |format| media.codec(number(format).filter(|_| rtp)?))
    }

    /// What a payload type means here, be it listed in `m=` or not.
    #[must_use]
    pub fn codec(&self, payload_type: u8) -> Option<Codec<'d>> {
        let mapped = self
            .for_payload_type("rtpmap", payload_type)
            .and_then(parse_rtpmap);
        let (name, clock_rate_hz, channels) = mapped.or_else(|| static_codec(payload_type))?;
        Some(Codec {
            payload_type,
            name,
            clock_rate_hz,
            channels,
            fmtp: self.for_payload_type("fmtp", payload_type),
        })
    }

    /// The direction: its own, else the session's, else `sendrecv`.
    #[must_use]
    pub fn direction(&self) -> Direction {
        let own = direction_in(self.description.as_bytes(), self.lines());
        own.unwrap_or_else(|| self.description.direction())
    }

    /// Milliseconds of media per packet; `None` if not said. A fraction is cut off.
    #[must_use]
    pub fn ptime_ms(&self) -> Option<u16> {
        let value = self.attribute("ptime")?.trim_ascii();
        number(value.split(|b| *b == b'.').next()?)
    }

    /// The connection: its own, else the session's. Of several only the first counts.
    ///
    /// # Errors
    /// [`SdpError::NoConnection`], [`SdpError::MalformedConnection`].
    pub fn connection(&self) -> Result<Connection<'d>, SdpError> {
        let bytes = self.description.as_bytes();
        let mut lines = self.lines().iter();
        match lines.find_map(|line| line.value(bytes, b'c')) {
            Some(value) => Connection::parse(value),
            None => self.description.connection()?.ok_or(SdpError::NoConnection),
        }
    }

    /// Where its author wants the media.
    ///
    /// # Errors
    /// As [`Media::connection`] and [`Connection::unicast`].
    pub fn rtp_address(&self) -> Result<SocketAddr, SdpError> {
        Ok(SocketAddr::new(self.connection()?.unicast()?, self.port()))
    }

    /// Where its author wants RTCP if it is not multiplexed: as `a=rtcp` says (RFC 3605), else
    /// one port above RTP (RFC 3550 §11).
    ///
    /// # Errors
    /// As [`Media::rtp_address`]. A malformed `a=rtcp` counts as none.
    pub fn rtcp_address(&self) -> Result<SocketAddr, SdpError> {
        if let Some((port, Some(ip))) = self.rtcp_attribute() {
            return Ok(SocketAddr::new(ip, port));
        }
        let mut address = self.rtp_address()?;
        let port = self.rtcp_attribute().map(|(port, _)| port);
        address.set_port(port.unwrap_or(address.port().saturating_add(1)));
        Ok(address)
    }

    /// Port and address of `a=rtcp:port [IN IP4 address]`.
    #[must_use]
    pub fn rtcp_attribute(&self) -> Option<(u16, Option<IpAddr>)> {
        let value = self.attribute("rtcp")?.trim_ascii();
        let (port, rest) = match value.iter().position(|b| *b == b' ') {
            Some(space) => value.split_at(space),
            None => (value, &[][..]),
        };
        let address = Connection::parse(rest).and_then(|c| c.unicast());
        Some((number(port)?, address.ok()))
    }

    /// Whether RTP and RTCP share one port (RFC 5761 §5.1.1).
    #[must_use]
    pub fn has_rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// Whether it speaks ICE: `a=ice-ufrag`, of its own or of the session.
    #[must_use]
    pub fn has_ice(&self) -> bool {
        self.inherited("ice-ufrag") || self.attribute("candidate").is_some()
    }

    /// Whether it carries SRTP keys (RFC 4568).
    #[must_use]
    pub fn has_crypto(&self) -> bool {
        self.attribute("crypto").is_some()
    }

    /// Whether a DTLS fingerprint applies to it (RFC 8122).
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.inherited("fingerprint")
    }

    /// The keys it offers or chooses, in its order of preference; those that cannot be read are
    /// left out.
    pub fn cryptos(&self) -> impl Iterator<Item = Crypto<'d>> + use<'d> {
        self.attributes("crypto").filter_map(Crypto::parse)
    }

    /// The fingerprint of its DTLS certificate, of its own or of the session.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint<'d>> {
        Fingerprint::parse(self.inherited_value("fingerprint")?)
    }

    /// Who begins the DTLS handshake, if it says so, of its own or of the session.
    #[must_use]
    pub fn setup(&self) -> Option<Setup> {
        Setup::parse(self.inherited_value("setup")?)
    }

    /// What its ICE agent is named by, of its own or of the session.
    #[must_use]
    pub fn ice_credentials(&self) -> Option<IceCredentials<'d>> {
        Some(IceCredentials {
            ufrag: self.inherited_value("ice-ufrag")?.trim_ascii(),
            password: self.inherited_value("ice-pwd")?.trim_ascii(),
        })
    }

    /// Where its ICE agent may be reached by UDP.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> + use<'d> {
        self.attributes("candidate").filter_map(Candidate::parse)
    }

    /// Whether it is refused: its port is 0, and it is not a bundled medium that only waits for
    /// its address (RFC 9143 §6).
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.port() == 0 && !self.is_bundle_only()
    }

    /// Whether its author takes it by the transport of another medium alone: its port is 0, but it
    /// is not refused (RFC 9143 §6).
    #[must_use]
    pub fn is_bundle_only(&self) -> bool {
        self.port() == 0 && self.attribute("bundle-only").is_some()
    }

    /// What it is named by in groups (RFC 5888 §4).
    #[must_use]
    pub fn mid(&self) -> Option<&'d [u8]> {
        self.attribute("mid").map(<[u8]>::trim_ascii)
    }

    /// What a header extension of this name is numbered (RFC 8285 §5).
    #[must_use]
    pub fn extension_id(&self, uri: &str) -> Option<u8> {
        let mut extensions = self.attributes("extmap");
        extensions.find_map(|value| {
            let mut words = words(value);
            let number_and_direction = words.next()?;
            let id = number_and_direction.split(|byte| *byte == b'/').next()?;
            (words.next() == Some(uri.as_bytes())).then(|| number(id))?
        })
    }

    /// Whether its address is the unspecified one, and not because ICE finds the true one, or
    /// another medium has it.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        let unspecified = self.connection().is_ok_and(|c| c.is_unspecified());
        unspecified && !self.has_ice() && !self.is_bundle_only()
    }

    /// Whether its author holds the other side: it does not receive (RFC 3264 §8.4), or its
    /// address is `0.0.0.0` (RFC 2543 §B.5).
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.direction().receives() || self.is_nowhere()
    }

    /// The value of its first attribute of a name; empty for one without a value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'d [u8]> {
        attribute_in(self.description.as_bytes(), self.lines(), name)
    }

    /// The values of all its attributes of a name.
    pub fn attributes(&self, name: &'static str) -> impl Iterator<Item = &'d [u8]> + use<'d> {
        let bytes = self.description.as_bytes();
        let mut lines = self.lines().iter();
        core::iter::from_fn(move || lines.find_map(|line| line.attribute(bytes, name.as_bytes())))
    }

    fn inherited(&self, name: &str) -> bool {
        self.inherited_value(name).is_some()
    }

    fn inherited_value(&self, name: &str) -> Option<&'d [u8]> {
        let own = self.attribute(name);
        own.or_else(|| self.description.attribute(name))
    }

    /// The value of `a=name:payload_type value`.
    fn for_payload_type(&self, name: &str, payload_type: u8) -> Option<&'d [u8]> {
        let bytes = self.description.as_bytes();
        let mut lines = self.lines().iter();
        lines.find_map(|line| {
            let value = line.attribute(bytes, name.as_bytes())?;
            let space = value.iter().position(|b| *b == b' ')?;
            let named = number::<u8>(&value[..space])? == payload_type;
            named.then(|| value[space..].trim_ascii())
        })
    }

    fn section(&self) -> &'d Section {
        self.description.section(self.index)
    }

    fn lines(&self) -> &'d [Line] {
        self.description.section_lines(self.index)
    }

    fn slice(&self, range: &Range<u16>) -> &'d [u8] {
        &self.description.as_bytes()[usize::from(range.start)..usize::from(range.end)]
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// Fax (T.38, RFC 3362).
    Image,
    /// Anything else.
    Other,
}

impl Kind {
    fn from_name(name: &[u8]) -> Self {
        match name {
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"image" => Self::Image,
            _ => Self::Other,
        }
    }
}

/// The transports we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `RTP/AVP` (RFC 3551) and `RTP/AVPF` (RFC 4585).
    Rtp,
    /// `RTP/SAVP` (RFC 3711) and `RTP/SAVPF` (RFC 5124), with keys in `a=crypto`.
    Srtp,
    /// The same with keys from DTLS (RFC 5764).
    DtlsSrtp,
    /// `udptl`, fax.
    Udptl,
    /// Anything else.
    Other,
}

impl Profile {
    fn from_name(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name {
            _ if is("RTP/AVP") || is("RTP/AVPF") => Self::Rtp,
            _ if is("RTP/SAVP") || is("RTP/SAVPF") => Self::Srtp,
            _ if is("UDP/TLS/RTP/SAVP") || is("UDP/TLS/RTP/SAVPF") => Self::DtlsSrtp,
            _ if is("udptl") => Self::Udptl,
            _ => Self::Other,
        }
    }

    /// Whether its packets are RTP, encrypted or not.
    #[must_use]
    pub const fn is_rtp(self) -> bool {
        matches!(self, Self::Rtp | Self::Srtp | Self::DtlsSrtp)
    }

    /// Whether its packets are encrypted RTP.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Srtp | Self::DtlsSrtp)
    }
}

/// The index of one `m=` line and its section; ranges are offsets into the description.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Lines of the section, `m=` first.
    pub(crate) lines: Range<u16>,
    pub(crate) kind: Range<u16>,
    /// Port and count as written.
    pub(crate) ports: Range<u16>,
    pub(crate) port: u16,
    pub(crate) port_count: u16,
    pub(crate) proto: Range<u16>,
    pub(crate) formats: Range<u16>,
}

impl Section {
    pub(crate) fn parse(bytes: &[u8], line: Line, lines: Range<u16>) -> Option<Self> {
        let mut cursor = line.start + 2;
        let mut word = || {
            let blank = |at: u16| matches!(bytes[usize::from(at)], b' ' | b'\t');
            let start = (cursor..line.end).find(|at| !blank(*at))?;
            let end = (start..line.end).find(|at| blank(*at)).unwrap_or(line.end);
            cursor = end;
            Some(start..end)
        };
        let (kind, ports, proto) = (word()?, word()?, word()?);
        let formats = cursor..line.end;
        let written = &bytes[usize::from(ports.start)..usize::from(ports.end)];
        let mut parts = written.splitn(2, |b| *b == b'/');
        let port = number(parts.next()?)?;
        let port_count = parts.next().map_or(Some(1), number)?;
        Some(Self {
            lines,
            kind,
            ports,
            port,
            port_count,
            proto,
            formats,
        })
    }
}

/// Reads `name/clock[/channels]`.
fn parse_rtpmap(value: &[u8]) -> Option<(&[u8], u32, u8)> {
    let mut parts = value.split(|b| *b == b'/');
    let name = parts.next().filter(|name| !name.is_empty())?;
    let clock_rate_hz = number(parts.next()?)?;
    let channels = parts.next().and_then(number).unwrap_or(1);
    Some((name, clock_rate_hz, channels))
}
