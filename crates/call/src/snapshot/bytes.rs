//! Numbers, texts and options as compact bytes.
//!
//! Written by hand as the journal's are: it runs on the call path, and a derived format would tie
//! what nodes tell each other to the order of fields.

use std::net::{IpAddr, SocketAddr};

use sip::{ConnId, Destination, Flow, ListenerId, Transport};

/// Appends values.
#[derive(Debug)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// With room for so many bytes; more are taken as well.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was appended.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// One byte.
    pub fn put_u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Whether something holds.
    pub fn put_flag(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// A number, seven bits to a byte, the lowest first: small ones are short.
    pub fn put_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number that may be missing.
    pub fn put_optional_u64(&mut self, value: Option<u64>) {
        self.put_flag(value.is_some());
        if let Some(value) = value {
            self.put_u64(value);
        }
    }

    /// An identifier.
    pub fn put_u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// An identifier that may be missing.
    pub fn put_optional_u128(&mut self, value: Option<u128>) {
        self.put_flag(value.is_some());
        if let Some(value) = value {
            self.put_u128(value);
        }
    }

    /// Bytes behind their length.
    pub fn put_bytes(&mut self, value: &[u8]) {
        self.put_u64(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Bytes that may be missing.
    pub fn put_optional_bytes(&mut self, value: Option<&[u8]>) {
        self.put_flag(value.is_some());
        if let Some(value) = value {
            self.put_bytes(value);
        }
    }

    /// An address and port.
    pub fn put_address(&mut self, value: SocketAddr) {
        match value.ip() {
            IpAddr::V4(ip) => {
                self.put_u8(4);
                self.0.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.put_u8(6);
                self.0.extend_from_slice(&ip.octets());
            }
        }
        self.0.extend_from_slice(&value.port().to_be_bytes());
    }

    /// The path to a peer.
    pub fn put_flow(&mut self, flow: Flow) {
        self.put_u8(match flow.transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
            Transport::Tls => 2,
            Transport::Ws => 3,
            Transport::Wss => 4,
        });
        self.put_u64(flow.listener.0.into());
        self.put_optional_u64(flow.conn.map(|conn| conn.0));
        self.put_address(flow.remote);
    }

    /// Where something is sent.
    pub fn put_destination(&mut self, to: &Destination) {
        let (flow, name) = match to {
            Destination::Flow(flow) => (*flow, None),
            Destination::Address {
                transport,
                listener,
                remote,
                name,
            } => {
                let flow = Flow {
                    transport: *transport,
                    listener: *listener,
                    conn: None,
                    remote: *remote,
                };
                (flow, Some(name.as_bytes()))
            }
        };
        self.put_flow(flow);
        self.put_optional_bytes(name);
    }
}

/// Reads values in the order in which they were appended; `None` if they are not there.
#[derive(Debug)]
pub struct Unpacker<'a>(pub &'a [u8]);

impl<'a> Unpacker<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Whether something holds.
    pub fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// See [`Packer::put_u64`].
    pub fn u64(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A number of things.
    pub fn usize(&mut self) -> Option<usize> {
        self.u64()?.try_into().ok()
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.u64()?.try_into().ok()
    }

    /// See [`Packer::put_optional_u64`].
    pub fn optional_u64(&mut self) -> Option<Option<u64>> {
        match self.flag()? {
            true => self.u64().map(Some),
            false => Some(None),
        }
    }

    /// An identifier.
    pub fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_be_bytes)
    }

    /// See [`Packer::put_optional_u128`].
    pub fn optional_u128(&mut self) -> Option<Option<u128>> {
        match self.flag()? {
            true => self.u128().map(Some),
            false => Some(None),
        }
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    /// A text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    /// See [`Packer::put_optional_bytes`].
    pub fn optional_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.flag()? {
            true => self.bytes().map(Some),
            false => Some(None),
        }
    }

    /// An address and port.
    pub fn address(&mut self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.u8()? {
            4 => self.array::<4>()?.into(),
            6 => self.array::<16>()?.into(),
            _ => return None,
        };
        let port = u16::from_be_bytes(self.array()?);
        Some(SocketAddr::new(ip, port))
    }

    /// The path to a peer.
    pub fn flow(&mut self) -> Option<Flow> {
        let transport = match self.u8()? {
            0 => Transport::Udp,
            1 => Transport::Tcp,
            2 => Transport::Tls,
            3 => Transport::Ws,
            4 => Transport::Wss,
            _ => return None,
        };
        Some(Flow {
            transport,
            listener: ListenerId(self.u64()?.try_into().ok()?),
            conn: self.optional_u64()?.map(ConnId),
            remote: self.address()?,
        })
    }

    /// See [`Packer::put_destination`].
    pub fn destination(&mut self) -> Option<Destination> {
        let flow = self.flow()?;
        let Some(name) = self.optional_bytes()? else {
            return Some(Destination::Flow(flow));
        };
        Some(Destination::Address {
            transport: flow.transport,
            listener: flow.listener,
            remote: flow.remote,
            name: core::str::from_utf8(name).ok()?.into(),
        })
    }
}
