//! A packet: `HEP3`, its length, and chunks of vendor, type, length and value.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One message that was seen, or one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What carried it.
    pub protocol: Protocol,
    /// What it is.
    pub kind: Kind,
    /// When it was seen, in microseconds since 1970.
    pub at_us: u64,
    /// Which agent says so.
    pub node: u32,
    /// The name of the agent; empty: none is given.
    pub node_name: &'a str,
    /// What joins it to a call: a SIP Call-ID; empty: nothing.
    pub correlation: &'a [u8],
    /// The message.
    pub payload: &'a [u8],
}

/// The transport of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, and what goes over it.
    Tcp,
    /// UDP.
    Udp,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SIP message.
    Sip,
    /// An RTCP packet as JSON.
    RtcpJson,
    /// Figures of an RTP stream as JSON.
    RtpReport,
    /// Anything else.
    Other(u8),
}

/// Why bytes are no HEPv3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HepError {
    /// They do not begin with `HEP3`.
    #[error("no HEP version 3")]
    Version,
    /// A length goes beyond the bytes.
    #[error("ends before its length says")]
    Truncated,
    /// Addresses, ports, kind or payload are missing.
    #[error("a chunk that each packet has is missing")]
    Missing,
}

impl Packet<'_> {
    /// Appends the packet. Payloads beyond 64,000 bytes are cut off.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend([0; 2]);
        let family = match self.from.ip() {
            IpAddr::V4(_) => FAMILY_V4,
            IpAddr::V6(_) => FAMILY_V6,
        };
        chunk(out, FAMILY, &[family]);
        let protocol = match self.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        chunk(out, PROTOCOL, &[protocol]);
        address(out, self.from.ip(), [SOURCE_V4, SOURCE_V6]);
        // Both addresses are of one family.
        let to = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(_), IpAddr::V6(to)) => {
                to.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED).into()
            }
            (IpAddr::V6(_), IpAddr::V4(to)) => to.to_ipv6_mapped().into(),
            (_, to) => to,
        };
        address(out, to, [DESTINATION_V4, DESTINATION_V6]);
        chunk(out, SOURCE_PORT, &self.from.port().to_be_bytes());
        chunk(out, DESTINATION_PORT, &self.to.port().to_be_bytes());
        let seconds = (self.at_us / 1_000_000) as u32;
        chunk(out, SECONDS, &seconds.to_be_bytes());
        let rest_us = (self.at_us % 1_000_000) as u32;
        chunk(out, MICROSECONDS, &rest_us.to_be_bytes());
        chunk(out, KIND, &[self.kind.number()]);
        chunk(out, NODE, &self.node.to_be_bytes());
        if !self.node_name.is_empty() {
            chunk(out, NODE_NAME, cut(self.node_name.as_bytes(), TEXT_MAX));
        }
        if !self.correlation.is_empty() {
            chunk(out, CORRELATION, cut(self.correlation, TEXT_MAX));
        }
        chunk(out, PAYLOAD, cut(self.payload, PAYLOAD_MAX));
        let length = (out.len() - start) as u16;
        out[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
    }
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Sip => 1,
            Self::RtcpJson => 5,
            Self::RtpReport => 34,
            Self::Other(number) => number,
        }
    }

    fn of(number: u8) -> Self {
        match number {
            1 => Self::Sip,
            5 => Self::RtcpJson,
            34 => Self::RtpReport,
            other => Self::Other(other),
        }
    }
}

/// Reads the first packet of `bytes`, and how long it is.
///
/// # Errors
/// See [`HepError`].
pub fn parse(bytes: &[u8]) -> Result<(Packet<'_>, usize), HepError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(HepError::Version)?;
    let length = rest.first_chunk().ok_or(HepError::Truncated)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let mut rest = bytes
        .get(MAGIC.len() + 2..length)
        .ok_or(HepError::Truncated)?;
    let mut found = Found::default();
    while !rest.is_empty() {
        let [vendor_high, vendor_low, high, low, len_high, len_low] =
            *rest.first_chunk().ok_or(HepError::Truncated)?;
        let size = usize::from(u16::from_be_bytes([len_high, len_low]));
        let value = rest.get(CHUNK_BYTES..size).ok_or(HepError::Truncated)?;
        if [vendor_high, vendor_low] == [0; 2] {
            found.take(u16::from_be_bytes([high, low]), value);
        }
        rest = &rest[size..];
    }
    Ok((found.packet().ok_or(HepError::Missing)?, length))
}

/// What chunks have said so far.
#[derive(Default)]
struct Found<'a> {
    from: (Option<IpAddr>, Option<u16>),
    to: (Option<IpAddr>, Option<u16>),
    protocol: Option<Protocol>,
    kind: Option<Kind>,
    seconds: u32,
    rest_us: u32,
    node: u32,
    node_name: &'a str,
    correlation: &'a [u8],
    payload: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn take(&mut self, kind: u16, value: &'a [u8]) {
        let v4 = || Some(Ipv4Addr::from(*value.first_chunk::<4>()?).into());
        let v6 = || Some(Ipv6Addr::from(*value.first_chunk::<16>()?).into());
        let short = || Some(u16::from_be_bytes(*value.first_chunk()?));
        let long = || Some(u32::from_be_bytes(*value.first_chunk()?));
        match kind {
            PROTOCOL => {
                self.protocol = match value {
                    [TCP] => Some(Protocol::Tcp),
                    [UDP] => Some(Protocol::Udp),
                    _ => None,
                };
            }
            SOURCE_V4 => self.from.0 = v4(),
            DESTINATION_V4 => self.to.0 = v4(),
            SOURCE_V6 => self.from.0 = v6(),
            DESTINATION_V6 => self.to.0 = v6(),
            SOURCE_PORT => self.from.1 = short(),
            DESTINATION_PORT => self.to.1 = short(),
            SECONDS => self.seconds = long().unwrap_or(0),
            MICROSECONDS => self.rest_us = long().unwrap_or(0),
            KIND => self.kind = value.first().copied().map(Kind::of),
            NODE => self.node = long().unwrap_or(0),
            NODE_NAME => self.node_name = str::from_utf8(value).unwrap_or_default(),
            CORRELATION => self.correlation = value,
            PAYLOAD => self.payload = Some(value),
            _ => {}
        }
    }

    fn packet(self) -> Option<Packet<'a>> {
        Some(Packet {
            from: SocketAddr::new(self.from.0?, self.from.1?),
            to: SocketAddr::new(self.to.0?, self.to.1?),
            protocol: self.protocol?,
            kind: self.kind?,
            at_us: u64::from(self.seconds) * 1_000_000 + u64::from(self.rest_us),
            node: self.node,
            node_name: self.node_name,
            correlation: self.correlation,
            payload: self.payload?,
        })
    }
}

fn address(out: &mut Vec<u8>, ip: IpAddr, [v4, v6]: [u16; 2]) {
    match ip {
        IpAddr::V4(ip) => chunk(out, v4, &ip.octets()),
        IpAddr::V6(ip) => chunk(out, v6, &ip.octets()),
    }
}

fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend([0; 2]);
    out.extend(kind.to_be_bytes());
    out.extend(((CHUNK_BYTES + value.len()) as u16).to_be_bytes());
    out.extend_from_slice(value);
}

fn cut(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

/// So that the whole packet has a length that 16 bits hold.
pub(crate) const PAYLOAD_MAX: usize = 64_000;
/// The longest Call-ID and name that go with it.
const TEXT_MAX: usize = 512;
const MAGIC: &[u8] = b"HEP3";
/// Of vendor, type and length.
const CHUNK_BYTES: usize = 6;

const FAMILY: u16 = 1;
const PROTOCOL: u16 = 2;
const SOURCE_V4: u16 = 3;
const DESTINATION_V4: u16 = 4;
const SOURCE_V6: u16 = 5;
const DESTINATION_V6: u16 = 6;
const SOURCE_PORT: u16 = 7;
const DESTINATION_PORT: u16 = 8;
const SECONDS: u16 = 9;
const MICROSECONDS: u16 = 10;
const KIND: u16 = 11;
const NODE: u16 = 12;
const PAYLOAD: u16 = 15;
const CORRELATION: u16 = 17;
const NODE_NAME: u16 = 19;
/// Of the socket interface of Linux.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;
/// Of IP.
const TCP: u8 = 6;
const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet<'a>(from: &str, to: &str) -> Packet<'a> {
        Packet {
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            protocol: Protocol::Udp,
            kind: Kind::Sip,
            at_us: 1_700_000_000_000_007,
            node: 2_001,
            node_name: "sw1",
            correlation: b"id@host",
            payload: b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        }
    }

    #[test]
    fn chunks_stand_as_the_specification_draws_them() {
        let mut out = Vec::new();
        packet("192.0.2.1:5060", "192.0.2.2:5062").encode(&mut out);
        assert_eq!(out[..4], *b"HEP3");
        assert_eq!(usize::from(u16::from_be_bytes([out[4], out[5]])), out.len());
        assert_eq!(out[6..13], [0, 0, 0, 1, 0, 7, 2], "IPv4");
        assert_eq!(out[13..20], [0, 0, 0, 2, 0, 7, 17], "UDP");
        assert_eq!(out[20..30], [0, 0, 0, 3, 0, 10, 192, 0, 2, 1]);
        assert_eq!(out[30..40], [0, 0, 0, 4, 0, 10, 192, 0, 2, 2]);
        assert_eq!(out[40..48], [0, 0, 0, 7, 0, 8, 0x13, 0xc4]);
        let payload = [&[0, 0, 0, 15, 0, 31][..], b"OPTIONS sip:a SIP/2.0\r\n\r\n"].concat();
        assert!(out.ends_with(&payload));
    }

    #[test]
    fn what_is_written_reads_back() {
        for (from, to) in [
            ("192.0.2.1:5060", "192.0.2.2:5062"),
            ("[2001:db8::1]:5060", "[2001:db8::2]:5062"),
        ] {
            let packet = packet(from, to);
            let mut out = Vec::new();
            packet.encode(&mut out);
            let length = out.len();
            out.extend_from_slice(b"HEP3 next");
            assert_eq!(parse(&out), Ok((packet, length)));
        }
    }

    #[test]
    fn other_vendors_and_half_packets_are_told_apart() {
        let mut out = Vec::new();
        packet("192.0.2.1:5060", "192.0.2.2:5062").encode(&mut out);
        assert_eq!(parse(&out[..out.len() - 1]), Err(HepError::Truncated));
        assert_eq!(parse(b"HEP2xxxx"), Err(HepError::Version));
        assert_eq!(parse(b"HEP3\0\x06"), Err(HepError::Missing));
        let vendor = [0, 1, 0, 15, 0, 7, 9];
        out.extend_from_slice(&vendor);
        let length = out.len() as u16;
        out[4..6].copy_from_slice(&length.to_be_bytes());
        let (parsed, _) = parse(&out).expect("a packet");
        assert!(parsed.payload.starts_with(b"OPTIONS"));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, rest: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = parse(&[b"HEP3", &bytes[..], &rest].concat());
        }

        #[test]
        fn a_payload_of_any_length_makes_a_packet(length in 0_usize..70_000) {
            let payload = vec![7; length];
            let packet = Packet { payload: &payload, ..packet("192.0.2.1:1", "192.0.2.2:2") };
            let mut out = Vec::new();
            packet.encode(&mut out);
            let (parsed, size) = parse(&out).expect("a packet");
            prop_assert_eq!(size, out.len());
            prop_assert_eq!(parsed.payload.len(), length.min(PAYLOAD_MAX));
        }
    }
}
