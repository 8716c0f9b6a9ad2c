//! What packets look like on their way: the headers that sockets do not show.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

/// UDP packets of this host to some ports, from now on. Needs the right to see them.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
}

impl Wire {
    /// Begins to listen. What goes to other ports is not even kept: a busy host would fill the
    /// buffer.
    ///
    /// # Errors
    /// If the right is missing.
    pub fn listen_to(ports: &[u16]) -> Result<Self> {
        let all = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(all));
        let socket = socket.context("listening to all packets")?;
        let filter = filter(ports).context("more ports than a filter takes")?;
        socket
            .attach_filter(&filter)
            .context("attaching a filter")?;
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

/// A program of the kernel's classic filter that lets UDP to these ports pass, without extension
/// headers; `None` for more ports than it can jump over.
fn filter(ports: &[u16]) -> Option<Vec<SockFilter>> {
    let count = u8::try_from(ports.len())
        .ok()
        .filter(|count| *count < 200)?;
    let step = |code, yes, no, value| SockFilter::new(code, yes, no, value);
    let mut program = vec![
        step(LOAD_BYTE, 0, 0, 0),
        step(AND, 0, 0, 0xf0),
        step(IF_EQUAL, 6, 0, 0x60),
        step(IF_EQUAL, 0, 8 + count, 0x40),
        // IPv4: the length of the header says where the port is.
        step(LOAD_BYTE, 0, 0, 9),
        step(IF_EQUAL, 0, 6 + count, UDP.into()),
        step(LOAD_HEADER_BYTES, 0, 0, 0),
        step(LOAD_HALF_BEHIND, 0, 0, 2),
        step(JUMP, 0, 0, 3),
        // IPv6.
        step(LOAD_BYTE, 0, 0, 6),
        step(IF_EQUAL, 0, 1 + count, UDP.into()),
        step(LOAD_HALF, 0, 0, 42),
    ];
    for (port, left) in ports.iter().zip((1..=count).rev()) {
        program.push(step(IF_EQUAL, left, 0, u32::from(*port)));
    }
    program.extend([step(RETURN, 0, 0, 0), step(RETURN, 0, 0, u32::MAX)]);
    Some(program)
}

/// Codes of the classic filter (`linux/bpf_common.h`).
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_HALF_BEHIND: u16 = 0x48;
const LOAD_HEADER_BYTES: u16 = 0xb1;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
/// `ETH_P_ALL`.
const EVERY_PROTOCOL: u16 = 3;
const UDP: u8 = 17;
