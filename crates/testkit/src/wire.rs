//! What packets look like on their way: the headers that sockets do not show.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// All IP packets of this host, from now on. Needs the right to see them.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
}

impl Wire {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the right is missing.
    pub fn listen() -> Result<Self> {
        let all = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(all));
        let socket = socket.context("listening to all packets")?;
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .context("setting a timeout")?;
        Ok(Self { socket })
    }

    /// The traffic class (of IPv4: the type of service) of the next UDP packet to this port.
    ///
    /// # Errors
    /// If none comes in time.
    pub fn traffic_class_to(&self, port: u16) -> Result<u8> {
        let mut room = [0; 2_048];
        loop {
            let length = (&self.socket).read(&mut room).context("no packet came")?;
            if let Some((traffic_class, to)) = read(&room[..length])
                && to == port
            {
                return Ok(traffic_class);
            }
        }
    }
}

/// Traffic class and port of a UDP packet without extension headers.
fn read(packet: &[u8]) -> Option<(u8, u16)> {
    let (first, second) = (*packet.first()?, *packet.get(1)?);
    let (traffic_class, protocol, header_bytes) = match first >> 4 {
        4 => (second, *packet.get(9)?, usize::from(first & 0x0f) * 4),
        6 => (first << 4 | second >> 4, *packet.get(6)?, 40),
        _ => return None,
    };
    let port = packet.get(header_bytes + 2..header_bytes + 4)?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    (protocol == UDP).then_some((traffic_class, port))
}

/// `ETH_P_ALL`.
const EVERY_PROTOCOL: u16 = 3;
const UDP: u8 = 17;
