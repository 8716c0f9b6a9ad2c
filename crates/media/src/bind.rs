//! Binding a pair of ports, as long as files may be open beside them.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use os::{LongDatagrams, set_long_datagrams};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
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
        match bound.map_err(MediaError::Socket).and_then(leave_files) {
            Ok(pair) => return Ok(pair),
            Err(MediaError::Socket(error)) if error.kind() == io::ErrorKind::AddrInUse => {
                ports.release(port, now);
            }
            Err(error) => {
                ports.give_back(port);
                let error = told_apart(error);
                if let MediaError::NoFiles(limit) = error {
                    say_full(ports, limit, now);
                }
                return Err(error);
            }
        }
    }
    Err(exhausted)
}

/// Refuses a pair that leaves no files for calls that are up, and for whoever looks what is wrong.
/// Descriptors are numbered from the lowest that is free: the number tells how many are open.
fn leave_files(pair: Pair) -> Result<Pair, MediaError> {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(pair);
    };
    let highest = pair.rtp.as_raw_fd().max(pair.rtcp.as_raw_fd());
    let open = u64::try_from(highest).unwrap_or_default() + 1;
    match open + FILES_KEPT > limit {
        true => Err(MediaError::NoFiles(limit)),
        false => Ok(pair),
    }
}

/// That there are no files may be what the kernel says, too.
fn told_apart(error: MediaError) -> MediaError {
    let MediaError::Socket(said) = &error else {
        return error;
    };
    let limit = getrlimit(Resource::Nofile).current;
    match limit.filter(|_| Errno::from_io_error(said) == Some(Errno::MFILE)) {
        Some(limit) => MediaError::NoFiles(limit),
        None => error,
    }
}

/// Says why calls are refused: not for each of them.
fn say_full(ports: &mut Ports, limit: u64, now: Instant) {
    if ports.is_worth_saying(now, SAID_AGAIN_AFTER) {
        tracing::warn!(
            limit,
            "calls are refused: as many files are open as may be. Each port of RTP is one; \
             LimitNOFILE of the systemd unit, or ulimit -n, allows more"
        );
    }
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
/// Files that media leaves to recordings, stores, and connections of operators.
const FILES_KEPT: u64 = 64;
/// How often it is said that there are no files.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// RTCP leaves the receive buffer as the kernel made it.
pub(crate) const RTCP_BUFFER_BYTES: usize = 0;
