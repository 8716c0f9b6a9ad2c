//! One side of a request, in as few bytes as it takes: Via and Record-Route carry it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sip::{ConnId, Destination, Flow, ListenerId, Transport};

/// Where messages to one side go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What is spoken with it.
    pub transport: Transport,
    /// Our listener that speaks with it.
    pub listener: ListenerId,
    /// Its address.
    pub remote: SocketAddr,
    /// Its connection, and the start of one of us that the connection belongs to.
    pub conn: Option<(u32, ConnId)>,
}

/// Bytes to be sealed, of which there are few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes {
    space: [u8; SEALED_MAX],
    len: usize,
}

impl Bytes {
    pub(crate) const fn new() -> Self {
        Self {
            space: [0; SEALED_MAX],
            len: 0,
        }
    }

    /// Appends; what has no room is left out, and the whole does not open any more.
    pub(crate) fn put(&mut self, part: &[u8]) {
        if let Some(space) = self.space.get_mut(self.len..self.len + part.len()) {
            space.copy_from_slice(part);
            self.len += part.len();
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.space[..self.len]
    }
}

impl End {
    /// The side a request came from; `instance` names this start of ours.
    #[must_use]
    pub fn of(flow: &Flow, instance: u32) -> Self {
        Self {
            transport: flow.transport,
            listener: flow.listener,
            remote: flow.remote,
            conn: flow.conn.map(|conn| (instance, conn)),
        }
    }

    /// The path to it. A connection of an earlier start, or of another process, is none of
    /// ours.
    #[must_use]
    pub fn flow(&self, instance: u32) -> Option<Flow> {
        let conn = match self.conn {
            None => None,
            Some((whose, conn)) if whose == instance => Some(conn),
            Some(_) => return None,
        };
        Some(Flow {
            transport: self.transport,
            listener: self.listener,
            conn,
            remote: self.remote,
        })
    }

    /// Where to send what is for it, if it is an address and no connection.
    #[must_use]
    pub fn destination(&self, instance: u32) -> Option<Destination> {
        if self.conn.is_none() && self.transport.is_reliable() {
            return Some(Destination::Address {
                transport: self.transport,
                listener: self.listener,
                remote: self.remote,
                name: "".into(),
            });
        }
        self.flow(instance).map(Destination::Flow)
    }

    pub(crate) fn write(&self, out: &mut Bytes) {
        let transport = TRANSPORTS.iter().position(|t| *t == self.transport);
        let mut head = transport.unwrap_or(0) as u8;
        if self.remote.is_ipv6() {
            head |= IS_V6;
        }
        if self.conn.is_some() {
            head |= HAS_CONN;
        }
        out.put(&[head]);
        out.put(&self.listener.0.to_be_bytes());
        match self.remote.ip() {
            IpAddr::V4(ip) => out.put(&ip.octets()),
            IpAddr::V6(ip) => out.put(&ip.octets()),
        }
        out.put(&self.remote.port().to_be_bytes());
        if let Some((instance, conn)) = self.conn {
            out.put(&instance.to_be_bytes());
            out.put(&conn.0.to_be_bytes());
        }
    }

    /// Reads one off the front.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [head] = take(bytes)?;
        let transport = *TRANSPORTS.get(usize::from(head & TRANSPORT))?;
        let listener = ListenerId(u16::from_be_bytes(take(bytes)?));
        let ip = if head & IS_V6 == 0 {
            IpAddr::from(Ipv4Addr::from(take::<4>(bytes)?))
        } else {
            IpAddr::from(Ipv6Addr::from(take::<16>(bytes)?))
        };
        let port = u16::from_be_bytes(take(bytes)?);
        let conn = if head & HAS_CONN == 0 {
            None
        } else {
            let instance = u32::from_be_bytes(take(bytes)?);
            Some((instance, ConnId(u64::from_be_bytes(take(bytes)?))))
        };
        Some(Self {
            transport,
            listener,
            remote: SocketAddr::new(ip, port),
            conn,
        })
    }
}

/// Takes so many bytes off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// By their numbers in sealed bytes: no entry may ever move.
const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];
const TRANSPORT: u8 = 0x07;
const IS_V6: u8 = 0x08;
const HAS_CONN: u8 = 0x10;
/// The longest that is sealed: two ends with IPv6 addresses and connections, and what else there
/// is.
pub(crate) const SEALED_MAX: usize = 96;
