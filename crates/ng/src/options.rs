//! What a request asks of a description or a call, beyond its command.

mod attributes;
mod codecs;
pub(crate) mod read;
mod sdes;
mod write;

use std::net::IpAddr;

use crate::flag::{Flag, Replace};
use crate::keys::KeyForm;
use crate::word::{Set, words};

pub use attributes::{AttributeChange, AttributePlace, Attributes};
pub use codecs::{CodecRule, Codecs};
pub use sdes::{Sdes, SdesFlag};

/// The options of one request; what it does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Words that stand alone.
    pub flags: Set<Flag>,
    /// Which fields of the description are replaced.
    pub replace: Set<Replace>,
    /// What the other side is offered to send media in.
    pub transport: Option<Transport>,
    /// What happens to ICE.
    pub ice: Option<Ice>,
    /// Towards whom ICE is lite.
    pub ice_lite: Option<IceLite>,
    /// How DTLS is used.
    pub dtls: Option<Dtls>,
    /// The hash of the certificate's fingerprint, as in `a=fingerprint`.
    pub dtls_fingerprint: Option<String>,
    /// How keys in the description are used.
    pub sdes: Sdes,
    /// Opportunistic SRTP (RFC 8643).
    pub osrtp: Set<Osrtp>,
    /// Whether RTP and RTCP share a port.
    pub rtcp_mux: Set<RtcpMux>,
    /// Whether media share a transport (RFC 9143).
    pub bundle: Set<Bundle>,
    /// Which codecs are offered and transcoded.
    pub codecs: Codecs,
    /// The interface that faces the sender of the description, by name.
    pub from_interface: Option<String>,
    /// The interface that faces the other side, by name.
    pub to_interface: Option<String>,
    /// Said to the other side instead of our own address.
    pub media_address: Option<IpAddr>,
    /// The address family that the other side is offered.
    pub address_family: Option<Family>,
    /// Where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// A name that the participant is given.
    pub set_label: Option<String>,
    /// The packet time towards the other side in milliseconds.
    pub ptime_ms: Option<u8>,
    /// The packet time towards the sender in milliseconds.
    pub ptime_reverse_ms: Option<u8>,
    /// The traffic class of packets that are sent; below 0: as before, above 255: the usual one.
    pub tos: Option<i16>,
    /// Attributes that are changed.
    pub attributes: Attributes,
    /// Whether the call is recorded from now on.
    pub record_call: Option<Switch>,
    /// Kept with the recording.
    pub metadata: Option<String>,
    /// Which echo of media is wanted instead of a relay.
    pub media_echo: Option<MediaEcho>,
    /// All media of the call is dropped, or no longer.
    pub drop_traffic: Option<DropTraffic>,
    /// Facsimile relay.
    pub t38: Set<T38>,
    /// Kinds of media that are taken off the offer, by the name in `m=`.
    pub remove_media: Vec<String>,
    /// What the proxy understands; `load limit` is the one known.
    pub supports: Vec<String>,
    /// How sources are learned.
    pub endpoint_learning: Option<EndpointLearning>,
    /// In what form the sender and the other side give and take keys, if they differ; of our own
    /// making.
    pub key_forms: Option<[KeyForm; 2]>,
    /// What a server of ours calls the call in what it tells a HEP collector, if that is not the
    /// Call-ID of the request; of our own making.
    pub correlation: Option<String>,
    /// Media is delayed by this many milliseconds.
    pub delay_buffer_ms: Option<u32>,
}

impl Options {
    /// Whether the proxy understands `load limit` as a result.
    #[must_use]
    pub fn understands_load_limit(&self) -> bool {
        let limit = |word: &String| crate::word::same(word.as_bytes(), b"load-limit");
        self.supports.iter().any(limit)
    }
}

words! {
    /// What media travels in, as `m=` says it.
    Transport {
        /// Plain RTP.
        RtpAvp = "RTP/AVP",
        /// Plain RTP with feedback.
        RtpAvpf = "RTP/AVPF",
        /// SRTP with keys in the description.
        RtpSavp = "RTP/SAVP",
        /// The same with feedback.
        RtpSavpf = "RTP/SAVPF",
        /// SRTP with keys by DTLS.
        UdpTlsRtpSavp = "UDP/TLS/RTP/SAVP",
        /// The same with feedback.
        UdpTlsRtpSavpf = "UDP/TLS/RTP/SAVPF",
        /// In an answer: what the answer says, not what was offered.
        Accept = "accept",
    }
}

words! {
    /// What happens to ICE (RFC 8839).
    Ice {
        /// It is taken off.
        Remove = "remove",
        /// It is offered, by our candidates alone.
        Force = "force",
        /// It is offered if it was; the default.
        Default = "default",
        /// We are one more candidate, of type relay.
        ForceRelay = "force-relay",
        /// We are one more candidate.
        Optional = "optional",
    }
}

words! {
    /// Towards whom ICE is lite.
    IceLite {
        /// The other side.
        Forward = "forward" | "offer" | "fwd" | "fw",
        /// The sender.
        Backward = "backward" | "backwards" | "reverse" | "answer" | "back" | "bkw" | "bk",
        /// Both.
        Both = "both",
        /// Neither.
        Off = "off" | "none" | "no",
    }
}

words! {
    /// How DTLS is used (RFC 5763).
    Dtls {
        /// Not at all.
        Off = "off" | "no" | "disable" | "disabled",
        /// As the server of the handshake.
        Passive = "passive",
        /// As its client.
        Active = "active",
    }
}

words! {
    /// How opportunistic SRTP is used (RFC 8643).
    Osrtp {
        /// It is offered.
        Offer = "offer" | "offer-RFC",
        /// Each medium is offered twice.
        OfferLegacy = "offer-legacy",
        /// It is accepted towards the offerer.
        AcceptRfc = "accept-RFC",
        /// Media offered twice are understood.
        AcceptLegacy = "accept-legacy",
        /// Both ways are accepted.
        Accept = "accept",
    }
}

words! {
    /// Whether RTP and RTCP share a port (RFC 5761).
    RtcpMux {
        /// It is offered, though it was not.
        Offer = "offer",
        /// No other way is offered.
        Require = "require",
        /// It is not offered, but accepted.
        Demux = "demux",
        /// It is accepted and offered.
        Accept = "accept",
        /// It is refused.
        Reject = "reject",
    }
}

words! {
    /// Whether media share a transport (RFC 9143).
    Bundle {
        /// A bundled offer is answered bundled.
        Accept = "accept",
        /// It is offered.
        Offer = "offer",
        /// No other way is offered.
        Require = "require",
        /// The other media of a group have port 0.
        Strict = "strict",
        /// Groups are taken apart.
        Reject = "reject",
    }
}

words! {
    /// Facsimile relay (T.38).
    T38 {
        /// T.38 becomes audio.
        Decode = "decode",
        /// Audio becomes T.38.
        Force = "force",
        /// The gateway ends.
        Stop = "stop",
        /// No error correction.
        NoEcm = "no-ECM",
        /// Forward error correction instead of redundancy.
        Fec = "FEC",
    }
}

words! {
    /// An address family.
    Family {
        /// IPv4.
        Ip4 = "IP4" | "IPv4",
        /// IPv6.
        Ip6 = "IP6" | "IPv6",
    }
}

words! {
    /// On or off.
    Switch {
        /// On.
        On = "on" | "yes" | "true" | "1" | "enable" | "enabled",
        /// Off.
        Off = "off" | "no" | "false" | "0" | "disable" | "disabled",
    }
}

words! {
    /// Media that goes back instead of across.
    MediaEcho {
        /// All media is dropped.
        Blackhole = "blackhole" | "sinkhole",
        /// The other side hears itself.
        Forward = "forward" | "fwd" | "fw",
        /// The sender hears itself.
        Backwards = "backwards" | "backward" | "reverse" | "back" | "bkw" | "bk",
        /// Both do.
        Both = "both",
    }
}

words! {
    /// Whether all media of a call is dropped.
    DropTraffic {
        /// From now on.
        Start = "start",
        /// No longer.
        Stop = "stop",
    }
}

words! {
    /// How a source is learned.
    EndpointLearning {
        /// It is not.
        Off = "off",
        /// By the first packet.
        Immediate = "immediate",
        /// After some seconds.
        Delayed = "delayed",
        /// After some seconds, by likeness to the description.
        Heuristic = "heuristic",
    }
}
