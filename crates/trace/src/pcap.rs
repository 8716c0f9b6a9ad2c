//! Messages as a capture file (libpcap 2.4), which Wireshark, tshark and sngrep read.
//!
//! Each message is one UDP datagram in an IP packet of its own, whatever carried it: what was
//! encrypted is readable, and no reader has to put streams together. Via says what carried it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::Seen;

/// The media type of such a file.
pub const PCAP_MEDIA_TYPE: &str = "application/vnd.tcpdump.pcap";

/// The file with these messages.
#[must_use]
pub fn pcap(messages: &[Seen]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC.to_le_bytes());
    out.extend(2_u16.to_le_bytes());
    out.extend(4_u16.to_le_bytes());
    out.extend([0; 8]);
    out.extend(SNAP_LENGTH.to_le_bytes());
    out.extend(LINK_RAW.to_le_bytes());
    for seen in messages {
        let packet = packet(seen);
        let (seconds, us) = (seen.at_us / 1_000_000, seen.at_us % 1_000_000);
        out.extend((seconds as u32).to_le_bytes());
        out.extend((us as u32).to_le_bytes());
        for _ in 0..2 {
            out.extend((packet.len() as u32).to_le_bytes());
        }
        out.extend(packet);
    }
    out
}

fn packet(seen: &Seen) -> Vec<u8> {
    let payload = &seen.payload[..seen.payload.len().min(PAYLOAD_MAX)];
    let udp = datagram(seen.from, seen.to, payload);
    let mut out = Vec::with_capacity(IPV6_BYTES + udp.len());
    match (seen.from.ip(), seen.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = (IPV4_BYTES + udp.len()) as u16;
            out.extend([0x45, 0]);
            out.extend(length.to_be_bytes());
            // No identification, "don't fragment", 64 hops, UDP.
            out.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let sum = checksum(&out);
            out[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            out.extend([0x60, 0, 0, 0]);
            out.extend((udp.len() as u16).to_be_bytes());
            out.extend([UDP, 64]);
            out.extend(mapped(from).octets());
            out.extend(mapped(to).octets());
        }
    }
    out.extend(udp);
    out
}

fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = (UDP_BYTES + payload.len()) as u16;
    let mut out = Vec::with_capacity(usize::from(length));
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend([0, 0]);
    out.extend_from_slice(payload);
    // IPv6 demands one (RFC 8200 §8.1).
    let mut pseudo = Vec::with_capacity(40 + out.len() + 1);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            pseudo.extend(from.octets());
            pseudo.extend(to.octets());
        }
        (from, to) => {
            pseudo.extend(mapped(from).octets());
            pseudo.extend(mapped(to).octets());
        }
    }
    pseudo.extend([0, UDP]);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend_from_slice(&out);
    let sum = match checksum(&pseudo) {
        0 => 0xffff,
        sum => sum,
    };
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    out
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Microseconds, little endian.
const MAGIC: u32 = 0xa1b2_c3d4;
const SNAP_LENGTH: u32 = 65_535;
/// Packets begin with their IP header.
const LINK_RAW: u32 = 101;
const UDP: u8 = 17;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
/// So that the packet is no longer than 65,535 bytes.
const PAYLOAD_MAX: usize = 65_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Direction;
    use crate::seen::tests::seen;

    #[test]
    fn packets_say_their_ends_and_sum_up() {
        let ends = ("192.0.2.1:5060", "192.0.2.2:5070");
        let file = pcap(&[seen(Direction::Sent, ends, "hello")]);
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        let packet = &file[40..];
        assert_eq!(packet.len(), 20 + 8 + 5);
        assert_eq!(packet[12..20], [192, 0, 2, 1, 192, 0, 2, 2]);
        assert_eq!(packet[20..24], [0x13, 0xc4, 0x13, 0xce]);
        assert_eq!(
            checksum(&packet[..20]),
            0,
            "a header with its sum sums up to nothing"
        );
        let pseudo = [&packet[12..20], &[0, UDP, 0, 13], &packet[20..]].concat();
        assert_eq!(checksum(&pseudo), 0);
        assert!(packet.ends_with(b"hello"));
    }

    #[test]
    fn families_may_differ_and_lengths_are_bounded() {
        let ends = ("[2001:db8::1]:5060", "192.0.2.2:5070");
        let long = "x".repeat(80_000);
        let file = pcap(&[seen(Direction::Sent, ends, &long)]);
        assert_eq!(file[40] >> 4, 6);
        assert_eq!(file.len(), 40 + 40 + 8 + PAYLOAD_MAX);
    }
}
