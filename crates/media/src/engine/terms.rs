//! What a description says of each medium, as far as a relay cares.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sdp::{Description, Media, Profile};

use super::Negotiation;
use crate::channel::{Kind, RtcpPort, Terms, Xr};
use crate::config::AddressFamily;
use crate::formats::Formats;
use crate::options::SourcePolicy;

/// One medium of a description that one side sent.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// What the RTP or UDPTL port carries; `None` if the medium is refused or not relayed.
    pub(crate) kind: Option<Kind>,
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    sends: bool,
    receives: bool,
    signalling: Option<IpAddr>,
    policy: SourcePolicy,
    /// As in `m=`.
    pub(crate) name: Box<str>,
    pub(crate) proto: Box<str>,
    rtcp_port: RtcpPort,
    /// Whether its author names a port of its own for RTCP, which it may send from whatever was
    /// agreed on.
    names_rtcp: bool,
    xr: Xr,
    /// Names of payload types as far as they are known.
    codecs: Vec<(u8, String)>,
}

impl Wish {
    /// What the author of a description wants, medium by medium.
    pub(crate) fn all(description: &Description<'_>, from: &Negotiation<'_>) -> Vec<Self> {
        let media = description.media();
        let session = description.attribute(XR);
        media
            .map(|media| Self::new(&media, session, from))
            .collect()
    }

    fn new(media: &Media<'_>, session_xr: Option<&[u8]>, from: &Negotiation<'_>) -> Self {
        let believed = |described: SocketAddr| {
            let address = from.options.peer_address.unwrap_or(described.ip());
            SocketAddr::new(address, described.port())
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        let kind = kind_of(media);
        let rtp_port = media.rtp_address().ok().map(|address| address.port());
        let direction = media.direction();
        let codecs = media.codecs().map(|codec| {
            let name = String::from_utf8_lossy(codec.name).into_owned();
            (codec.payload_type, name)
        });
        Self {
            kind,
            rtp: media.rtp_address().ok().map(believed),
            rtcp: media.rtcp_address().ok().map(believed),
            sends: kind.is_some() && direction.sends(),
            receives: kind.is_some() && direction.receives() && !media.is_nowhere(),
            signalling: from.signalling,
            policy: from.options.source,
            name: text(media.kind_name()),
            proto: text(media.proto()),
            rtcp_port: match media.has_rtcp_mux() {
                true => RtcpPort::Shared,
                false => RtcpPort::Own,
            },
            names_rtcp: media
                .rtcp_attribute()
                .is_some_and(|(port, _)| port != DISCARD_PORT && Some(port) != rtp_port),
            xr: xr(media.attribute(XR).or(session_xr)),
            codecs: codecs.take(MAX_CODECS).collect(),
        }
    }

    /// The name of a payload type; empty if it has none here.
    pub(crate) fn codec(&self, payload_type: u8) -> &str {
        let mut codecs = self.codecs.iter();
        let found = codecs.find(|(known, _)| *known == payload_type);
        found.map_or("", |(_, name)| name)
    }

    /// Payload types with their names, in the order of preference.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = (u8, &str)> {
        let codecs = self.codecs.iter();
        codecs.map(|(payload_type, name)| (*payload_type, name.as_str()))
    }

    /// Where its author wants RTP.
    pub(crate) fn described(&self) -> Option<SocketAddr> {
        self.rtp
    }

    /// Whether its author sends.
    pub(crate) fn sends(&self) -> bool {
        self.sends
    }

    /// Whether its author takes media.
    pub(crate) fn receives(&self) -> bool {
        self.receives
    }

    /// Whether a packet is to be expected from its author, given what the other side wants.
    pub(crate) fn will_send_to(&self, other: &Self) -> bool {
        self.sends && other.receives
    }

    /// Whether its author takes RTCP by the port of RTP.
    pub(crate) fn shares_port(&self) -> bool {
        self.rtcp_port == RtcpPort::Shared
    }

    /// Whether nothing but RTP's own port will see RTCP of its author, if sharing is agreed on.
    pub(crate) fn needs_one_port(&self) -> bool {
        self.shares_port() && !self.names_rtcp
    }

    /// The terms of the RTP or UDPTL channel.
    pub(crate) fn rtp_terms(&self, formats: &Arc<Formats>) -> Terms {
        self.terms(self.kind.unwrap_or(Kind::Rtp), self.rtp, formats)
    }

    /// The terms of the RTCP channel.
    pub(crate) fn rtcp_terms(&self, formats: &Arc<Formats>) -> Terms {
        self.terms(Kind::Rtcp, self.rtcp, formats)
    }

    fn terms(&self, kind: Kind, described: Option<SocketAddr>, formats: &Arc<Formats>) -> Terms {
        Terms {
            kind,
            described: described.filter(|address| !address.ip().is_unspecified()),
            signalling: self.signalling,
            policy: self.policy,
            receives: self.receives,
            rtcp: self.rtcp_port,
            xr: self.xr,
            formats: Arc::clone(formats),
        }
    }
}

/// Which media of a description are relayed.
pub(crate) fn relayed(description: &Description<'_>) -> Vec<bool> {
    let media = description.media();
    media.map(|media| kind_of(&media).is_some()).collect()
}

/// What the ports of a medium carry; `None` if it is refused, or nothing that is relayed.
fn kind_of(media: &Media<'_>) -> Option<Kind> {
    if media.is_rejected() {
        return None;
    }
    match media.profile() {
        Profile::Rtp | Profile::Srtp | Profile::DtlsSrtp => Some(Kind::Rtp),
        Profile::Udptl => Some(Kind::Opaque),
        Profile::Other => None,
    }
}

/// The family that the author of a description wants media in; `None` if it names no address.
pub(crate) fn family_of(description: &Description<'_>) -> Option<AddressFamily> {
    let mut media = description.media().filter(|media| !media.is_rejected());
    let address = media.find_map(|media| media.rtp_address().ok())?;
    Some(AddressFamily::from(address))
}

/// The payload types of each medium, from both sides together: RFC 3264 §6.1 lets an answer use
/// other numbers than the offer for the same codec.
pub(crate) fn formats(offer: Option<&Media<'_>>, answer: Option<&Media<'_>>) -> Arc<Formats> {
    let mut formats = Formats::none();
    for media in offer.into_iter().chain(answer) {
        formats.allow(media);
    }
    Arc::new(formats)
}

/// RFC 3611 §5.1: formats with parameters, parted by blanks. One at the level of the session holds
/// for each medium without its own.
fn xr(attribute: Option<&[u8]>) -> Xr {
    let mut formats = attribute.unwrap_or_default().split(|byte| *byte == b' ');
    if formats.any(|format| format == b"voip-metrics") {
        Xr::VoipMetrics
    } else {
        Xr::Unwanted
    }
}

/// The attribute that asks for extended reports.
const XR: &str = "rtcp-xr";
/// What stands where there is no port yet: discard (RFC 863).
const DISCARD_PORT: u16 = 9;
/// Codec names kept of one medium; those beyond are reported by number.
const MAX_CODECS: usize = 32;
