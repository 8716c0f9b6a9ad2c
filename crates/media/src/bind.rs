//! Binding a pair of ports.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use os::{LongDatagrams, set_long_datagrams};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{AddressFamily, Interface};
use crate::error::MediaError;
use crate::ports::Ports;

/// Sockets for RTP and RTCP. Dropping one that was not claimed closes the sockets but leaves the
/// port taken: give it back.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The RTP port; RTCP is one above.
    pub(crate) port: u16,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

/// Takes ports until both of a pair can be bound. A pair that somebody else uses is put to rest.
pub(crate) fn pair(
    ports: &mut Ports,
    interface: Interface,
    receive_buffer_bytes: usize,
    now: Instant,
) -> Result<Pair, MediaError> {
    let exhausted = MediaError::NoPorts(AddressFamily::from(interface.bind));
    for _ in 0..ATTEMPTS {
        let Some(port) = ports.take(now) else {
            return Err(exhausted);
        };
        let bound = socket(interface.bind, port, receive_buffer_bytes).and_then(|rtp| {
            let rtcp = socket(interface.bind, port + 1, RTCP_BUFFER_BYTES)?;
            Ok(Pair { port, rtp, rtcp })
        });
        match bound {
            Ok(pair) => return Ok(pair),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => ports.release(port, now),
            Err(error) => {
                ports.give_back(port);
                return Err(MediaError::Socket(error));
            }
        }
    }
    Err(exhausted)
}

/// A bound socket that never blocks.
pub(crate) fn socket(
    address: IpAddr,
    port: u16,
    receive_buffer_bytes: usize,
) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(address, port);
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if address.is_ipv4() {
        set_long_datagrams(&socket, LongDatagrams::Refused)?;
    }
    if receive_buffer_bytes > 0 {
        socket.set_recv_buffer_size(receive_buffer_bytes)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// How many pairs are tried: each costs system calls on the switch's thread.
const ATTEMPTS: usize = 16;
/// RTCP leaves the receive buffer as the kernel made it.
pub(crate) const RTCP_BUFFER_BYTES: usize = 0;
