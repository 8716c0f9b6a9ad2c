//! What was received from each side of a session, and what the sides say they received.

use rtp::Slice;

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

/// Both legs of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionReport {
    /// What came from side A.
    pub a: LegReport,
    /// What came from side B. Empty in an echo session.
    pub b: LegReport,
    /// The files of its recordings, part by part; the last may still be written.
    pub recordings: Vec<String>,
}

/// One medium of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediumReport {
    /// What is known of each side, by [`crate::Side`].
    pub legs: [MediumLeg; 2],
}

/// One side of a medium.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediumLeg {
    /// `audio`, `video`, as in `m=`; empty if the side has described nothing yet.
    pub kind: String,
    /// The transport, as in `m=`.
    pub protocol: String,
    /// Our RTP port that faces it.
    pub local_port: Option<u16>,
    /// The address of that port.
    pub local_address: Option<IpAddr>,
    /// Whether it says that it sends, and that it receives.
    pub sends: bool,
    /// As said of `sends`.
    pub receives: bool,
    /// Where it said that it wants RTP.
    pub described: Option<SocketAddr>,
    /// Where RTP for it goes: there, or where it has proved to be.
    pub endpoint: Option<SocketAddr>,
    /// What came from it.
    pub received: LegReport,
    /// The source that sends now; `None` before its first packet.
    pub ssrc: Option<u32>,
    /// When its last packet came.
    pub last_packet: Option<SystemTime>,
    /// What came from it of RTCP.
    pub rtcp: RtcpReport,
    /// How its media is protected.
    pub protection: ProtectionReport,
    /// Whether it takes RTCP by the port of RTP.
    pub shares_port: bool,
    /// Whether it speaks ICE with us.
    pub speaks_ice: bool,
    /// Whether the kernel relays what comes from it, or has.
    pub in_kernel: bool,
}

/// RTCP of one side of a medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtcpReport {
    /// Where RTCP for the side goes.
    pub endpoint: Option<SocketAddr>,
    /// Datagrams received.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last came.
    pub last_packet: Option<SystemTime>,
}

/// How media of one side is protected between it and us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtectionReport {
    /// It is not, or not with keys of ours.
    #[default]
    None,
    /// With keys of the descriptions, by the suite of this name.
    Sdes(&'static str),
    /// With keys of a handshake.
    Dtls,
}

/// What was received from one side, over all its RTP streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegReport {
    /// The codec of most packets of the first stream, as in `a=rtpmap` (`PCMA`), or `pt 97`;
    /// empty if nothing came.
    pub codec: String,
    /// RTP packets received.
    pub packets: u64,
    /// RTP bytes received, headers included.
    pub bytes: u64,
    /// Packets lost on the way to us (RFC 3550 §6.4.1).
    pub lost: u64,
    /// Interarrival jitter of the first stream in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u32,
    /// Estimated MOS of the first stream in hundredths (100 to 450), 0 if unknown: of what came to
    /// us, with half of `rtt_us` as delay.
    pub mos_centi: u16,
    /// The worst MOS of [`LegReport::slice_s`] seconds, 0 if unknown.
    pub mos_min_centi: u16,
    /// The mean MOS of those seconds, 0 if unknown.
    pub mos_avg_centi: u16,
    /// From us to the peer and back, mean over the call in microseconds; `None` if its RTCP never
    /// told.
    pub rtt_us: Option<u32>,
    /// The first stream from its beginning, slice by slice, 65 at most.
    pub slices: Vec<Slice>,
    /// How long each slice is in seconds; the last may be shorter.
    pub slice_s: u32,
    /// What the peer says of what was sent to it; `None` if its RTCP never told.
    pub peer: Option<PeerReport>,
    /// RFC 4733 packets received.
    pub telephone_events: u64,
}

/// What a peer says of the stream it received, in the reports of RFC 3550 §6.4 and RFC 3611 §4.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// Packets lost all the way from the other peer.
    pub lost: u64,
    /// Interarrival jitter there in microseconds.
    pub jitter_us: u32,
    /// Its own MOS in hundredths if it gave one, else estimated from its figures and the round
    /// trips of both legs; 0 if unknown.
    pub mos_centi: u16,
}
