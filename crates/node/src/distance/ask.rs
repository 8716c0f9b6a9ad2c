//! What is asked of a neighbour, and what counts as an answer: OPTIONS (RFC 3261 §11) and ICMP echo
//! (RFC 792, RFC 4443 §4). What is asked carries a random token, which only those on the way can know.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::{Framing, Message, Writer};

/// OPTIONS from outside any dialog. The answer comes back to where it was sent from (RFC 3581).
pub(super) fn options(address: SocketAddr, token: u64) -> Bytes {
    let uri = format!("sip:{address}");
    let mut writer = Writer::request("OPTIONS", uri.as_bytes());
    writer.header_fmt(
        "Via",
        format_args!("SIP/2.0/UDP {NOBODY};branch=z9hG4bK{token:016x};rport"),
    );
    writer.header("Max-Forwards", b"1");
    writer.header_fmt(
        "From",
        format_args!("<sip:distance@{NOBODY}>;tag={:08x}", token >> 32),
    );
    writer.header_fmt("To", format_args!("<{uri}>"));
    writer.header_fmt("Call-ID", format_args!("{token:016x}"));
    writer.header("CSeq", b"1 OPTIONS");
    writer.header("User-Agent", b"Tandem");
    writer.finish()
}

/// The token of a final answer to OPTIONS, whatever it says: the way there and back is the same.
pub(super) fn answered_options(datagram: &[u8]) -> Option<u64> {
    let message = Message::parse(Bytes::copy_from_slice(datagram), Framing::Datagram).ok()?;
    if message.status() < 200 {
        return None;
    }
    let text = core::str::from_utf8(message.call_id()?).ok()?;
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}

/// Which ICMP is spoken, and what the kernel hands over of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// Over IPv4 by a socket for pings, which leaves the header of IP away.
    V4,
    /// Over IPv4 by a raw socket, which hands it over.
    V4Raw,
    /// Over IPv6.
    V6,
}

/// An echo request.
pub(super) fn echo(kind: Echo, token: u64) -> [u8; ECHO_BYTES] {
    let mut packet = [0; ECHO_BYTES];
    packet[0] = match kind {
        Echo::V4 | Echo::V4Raw => V4_REQUEST,
        Echo::V6 => V6_REQUEST,
    };
    // The identifier and the sequence, as far as the kernel does not choose them.
    packet[4..8].copy_from_slice(&token.to_be_bytes()[..4]);
    packet[8..16].copy_from_slice(&token.to_be_bytes());
    // That of ICMPv6 covers the addresses: the kernel does it.
    if kind != Echo::V6 {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The token of an echo reply; `None`: it is something else.
pub(super) fn answered_echo(kind: Echo, packet: &[u8]) -> Option<u64> {
    let icmp = match kind {
        Echo::V4 | Echo::V6 => packet,
        Echo::V4Raw => {
            let words = usize::from(packet.first()? & 0x0f);
            packet.get(words * 4..)?
        }
    };
    let wanted = match kind {
        Echo::V4 | Echo::V4Raw => V4_REPLY,
        Echo::V6 => V6_REPLY,
    };
    if *icmp.first()? != wanted {
        return None;
    }
    let token = icmp.get(8..16)?.try_into().ok()?;
    Some(u64::from_be_bytes(token))
}

/// RFC 1071, of an even number of bytes.
fn checksum(packet: &[u8; ECHO_BYTES]) -> u16 {
    let words = packet.chunks_exact(2);
    let sum: u32 = words
        .map(|word| (u32::from(word[0]) << 8) | u32::from(word[1]))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// Answers come to the address that a request came from, so ours is not said.
const NOBODY: &str = "distance.invalid";
/// An echo with a token and nothing else.
const ECHO_BYTES: usize = 16;
const V4_REQUEST: u8 = 8;
const V4_REPLY: u8 = 0;
const V6_REQUEST: u8 = 128;
const V6_REPLY: u8 = 129;

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: u64 = 0x00c0_ffee_1234_5678;

    #[test]
    fn any_final_answer_to_options_is_one_and_a_provisional_is_none() {
        let asked = options("192.0.2.7:5060".parse().unwrap(), TOKEN);
        let asked = Message::parse(asked, Framing::Datagram).unwrap();
        let remote = "192.0.2.1:5060".parse().unwrap();
        for (status, token) in [(100, None), (200, Some(TOKEN)), (503, Some(TOKEN))] {
            let answer = Writer::response(&asked, remote, status, "", b"tag").finish();
            assert_eq!(answered_options(&answer), token, "{status}");
        }
        assert_eq!(answered_options(b"SIP/2.0 200 OK\r\n"), None);
        assert_eq!(answered_options(&[0xff; 40]), None);
        assert_eq!(answered_options(b""), None);
    }

    #[test]
    fn an_echo_comes_back_as_it_was_sent() {
        let sent = echo(Echo::V4, TOKEN);
        // Whoever checks it adds up to nothing.
        assert_eq!(checksum(&sent), 0);
        assert_eq!(answered_echo(Echo::V4, &sent), None, "our own request");
        let mut reply = sent;
        reply[0] = V4_REPLY;
        assert_eq!(answered_echo(Echo::V4, &reply), Some(TOKEN));
        let mut raw = vec![0x45; 20];
        raw.extend(reply);
        assert_eq!(answered_echo(Echo::V4Raw, &raw), Some(TOKEN));
        let mut v6 = echo(Echo::V6, TOKEN);
        assert_eq!(v6[2..4], [0, 0], "the kernel's");
        v6[0] = V6_REPLY;
        assert_eq!(answered_echo(Echo::V6, &v6), Some(TOKEN));
    }

    #[test]
    fn what_is_cut_short_is_no_answer() {
        let mut raw = vec![0x45; 20];
        raw.extend(echo(Echo::V4, TOKEN));
        raw[20] = V4_REPLY;
        for length in 0..raw.len() {
            assert_eq!(answered_echo(Echo::V4Raw, &raw[..length]), None);
        }
    }
}
