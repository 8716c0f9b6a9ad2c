//! A message as it was seen, and the bytes that it is kept as.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use sip::Transport;
use utoipa::ToSchema;

/// A message as it was seen: what encrypts it on the wire is taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What carried it.
    pub transport: Transport,
    /// Who has seen it which way.
    pub direction: Direction,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// The system that has told of it; empty: this node has seen it itself.
    pub node: Box<str>,
    /// The Call-ID of the call that system says it belongs to; empty: it says none.
    pub correlation: Box<[u8]>,
    /// Bytes of the body that are not kept.
    pub left_out_bytes: u32,
    /// The message, without what is not kept.
    pub payload: Vec<u8>,
}

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What carried it.
    pub transport: Transport,
    /// Who has seen it which way.
    pub direction: Direction,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// The system that has told of it; empty: this node has seen it itself.
    pub node: &'a str,
    /// The Call-ID of the call that system says it belongs to; empty: it says none.
    pub correlation: &'a [u8],
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To this node.
    Received,
    /// From this node.
    Sent,
    /// Seen by another system, which has told of it.
    Elsewhere,
}

/// Bytes that are no message that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no message that was kept")]
pub struct Unreadable;

impl Passage<'_> {
    /// Appends a message as it is kept.
    pub(crate) fn encode(&self, left_out_bytes: u32, message: &[u8], out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.at_us.to_le_bytes());
        out.push(transport_number(self.transport));
        out.push(match self.direction {
            Direction::Received => 0,
            Direction::Sent => 1,
            Direction::Elsewhere => 2,
        });
        for end in [self.from, self.to] {
            match end.ip() {
                IpAddr::V4(ip) => {
                    out.push(4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(6);
                    out.extend_from_slice(&ip.octets());
                }
            }
            out.extend_from_slice(&end.port().to_le_bytes());
        }
        for text in [self.node.as_bytes(), self.correlation] {
            let text = &text[..text.len().min(TEXT_MAX)];
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
            out.extend_from_slice(text);
        }
        out.extend_from_slice(&left_out_bytes.to_le_bytes());
        out.extend_from_slice(message);
    }
}

impl Seen {
    /// What is known of it beside its bytes.
    #[must_use]
    pub fn passage(&self) -> Passage<'_> {
        Passage {
            at_us: self.at_us,
            transport: self.transport,
            direction: self.direction,
            from: self.from,
            to: self.to,
            node: &self.node,
            correlation: &self.correlation,
        }
    }

    /// Appends the message as it is kept.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.passage()
            .encode(self.left_out_bytes, &self.payload, out);
    }

    /// Reads a message that was kept.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Rest(bytes);
        if rest.byte()? != VERSION {
            return Err(Unreadable);
        }
        let at_us = u64::from_le_bytes(rest.take()?);
        let transport = transport_of(rest.byte()?)?;
        let direction = match rest.byte()? {
            0 => Direction::Received,
            1 => Direction::Sent,
            2 => Direction::Elsewhere,
            _ => return Err(Unreadable),
        };
        let (from, to) = (rest.end()?, rest.end()?);
        let node = String::from_utf8_lossy(rest.text()?).into();
        let correlation = rest.text()?.into();
        let left_out_bytes = u32::from_le_bytes(rest.take()?);
        Ok(Self {
            at_us,
            transport,
            direction,
            from,
            to,
            node,
            correlation,
            left_out_bytes,
            payload: rest.0.to_vec(),
        })
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn end(&mut self) -> Result<SocketAddr, Unreadable> {
        let ip = match self.byte()? {
            4 => IpAddr::from(self.take::<4>()?),
            6 => IpAddr::from(self.take::<16>()?),
            _ => return Err(Unreadable),
        };
        Ok(SocketAddr::new(ip, u16::from_le_bytes(self.take()?)))
    }

    fn text(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let (text, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(text)
    }
}

const fn transport_number(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    }
}

fn transport_of(number: u8) -> Result<Transport, Unreadable> {
    let all = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ];
    all.get(usize::from(number)).copied().ok_or(Unreadable)
}

/// Of the layout.
const VERSION: u8 = 1;
/// The longest name of a system, and the longest Call-ID it says; the rest is cut off.
pub(crate) const TEXT_MAX: usize = 512;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message of the tests, seen at a time.
    pub(crate) fn seen(direction: Direction, (from, to): (&str, &str), payload: &str) -> Seen {
        Seen {
            at_us: 1_700_000_000_000_000,
            transport: Transport::Udp,
            direction,
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            node: "".into(),
            correlation: [].into(),
            left_out_bytes: 0,
            payload: payload.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_is_kept_reads_back() {
        for (from, to) in [
            ("192.0.2.1:5060", "[2001:db8::2]:5062"),
            ("[2001:db8::1]:5061", "192.0.2.2:5060"),
        ] {
            let message = Seen {
                transport: Transport::Wss,
                node: "proxy-1".into(),
                correlation: b"id@host"[..].into(),
                left_out_bytes: 300,
                ..seen(
                    Direction::Elsewhere,
                    (from, to),
                    "OPTIONS sip:a SIP/2.0\r\n\r\n",
                )
            };
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            assert_eq!(Seen::decode(&bytes), Ok(message));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = Seen::decode(&bytes);
            let _ = Seen::decode(&[&[VERSION], &bytes[..]].concat());
        }
    }
}
