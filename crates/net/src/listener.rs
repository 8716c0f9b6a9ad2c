//! Listening sockets: what is asked for, and what came of it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use os::{LongDatagrams, set_long_datagrams};
use sip::{ListenerId, Transport};
use socket2::{Domain, Protocol, Socket, Type};

use crate::sys::option::{self, Family};
use crate::tls::ClientCertificates;

/// One socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Its number, chosen by the caller; no two open listeners share one.
    pub id: ListenerId,
    /// What it speaks.
    pub transport: Transport,
    /// Where it listens. Port 0 takes a free one. On a machine with several addresses name one:
    /// with the wildcard, UDP answers leave from the address that the routing table picks.
    pub bind: SocketAddr,
    /// What we write about it into Via, Contact and Record-Route; `None`: the bound address.
    pub advertised: Option<Advertised>,
    /// Whether clients are asked for a certificate; of TLS and WSS alone.
    pub clients: ClientCertificates,
    /// Whose address it is.
    pub owner: AddressOwner,
}

/// Whose an address is that is listened on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressOwner {
    /// This machine's: without it there is no listener.
    #[default]
    Machine,
    /// A cluster's, which moves between its machines: it may come later, and go.
    Cluster,
}

/// An address as others see it, behind a NAT or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// A host name or an address; an IPv6 address without brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// An open listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// What was asked for.
    pub spec: ListenerSpec,
    /// The address it is bound to, with its real port.
    pub local: SocketAddr,
    /// The receive buffer the kernel granted, in bytes of its own accounting (it doubles what is
    /// asked for, see socket(7)); asked for: [`UDP_BUFFER_BYTES`]. UDP only.
    pub receive_buffer_bytes: Option<usize>,
    /// The send buffer likewise.
    pub send_buffer_bytes: Option<usize>,
}

impl ListenerStatus {
    /// Whether the kernel granted less receive buffer than asked for, as it does when
    /// `net.core.rmem_max` is small and the process lacks `CAP_NET_ADMIN`.
    #[must_use]
    pub fn is_receive_buffer_short(&self) -> bool {
        self.receive_buffer_bytes
            .is_some_and(|granted| granted < UDP_BUFFER_BYTES)
    }
}

/// Why a listener could not be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something else holds the port.
    #[error("{transport} {bind} is taken by another program or listener")]
    Taken {
        /// The transport.
        transport: Transport,
        /// The address.
        bind: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error("{transport} {bind}: this machine has no such address")]
    NoSuchAddress {
        /// The transport.
        transport: Transport,
        /// The address.
        bind: SocketAddr,
    },
    /// The process may not, as with ports below 1024.
    #[error("{transport} {bind}: permission denied")]
    Denied {
        /// The transport.
        transport: Transport,
        /// The address.
        bind: SocketAddr,
    },
    /// An open listener has this number already.
    #[error("listener {} is open already", .0.0)]
    Duplicate(ListenerId),
    /// No open listener has this number.
    #[error("listener {} is not open", .0.0)]
    Unknown(ListenerId),
    /// A TLS or WSS listener was asked for, and there is no certificate to show.
    #[error("{0} needs a certificate, and none is configured")]
    NoCertificate(Transport),
    /// Clients were to be asked for certificates, and no authority of theirs is known.
    #[error("{0} is to ask clients for certificates, and no authority of theirs is configured")]
    NoClientRoots(Transport),
    /// The thread that owns the sockets has ended or does not answer.
    #[error("the thread that owns the sockets does not answer")]
    ShardGone,
    /// The kernel refused for another reason.
    #[error("{transport} {bind}: {source}")]
    Io {
        /// The transport.
        transport: Transport,
        /// The address.
        bind: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

impl ListenError {
    pub(crate) fn from_io(spec: &ListenerSpec, source: io::Error) -> Self {
        let (transport, bind) = (spec.transport, spec.bind);
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { transport, bind },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { transport, bind },
            io::ErrorKind::PermissionDenied => Self::Denied { transport, bind },
            _ => Self::Io {
                transport,
                bind,
                source,
            },
        }
    }
}

/// Opens the UDP socket of a spec.
pub(crate) fn open_udp(spec: &ListenerSpec) -> Result<(UdpSocket, ListenerStatus), ListenError> {
    let open = || -> io::Result<(UdpSocket, ListenerStatus)> {
        let socket = Socket::new(domain(spec.bind), Type::DGRAM, Some(Protocol::UDP))?;
        if spec.bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // The plain option is capped by net.core.{r,w}mem_max, the forced one needs a capability:
        // take the better of the two, and report what came of it.
        if option::force_receive_buffer(&socket, UDP_BUFFER_BYTES).is_err() {
            socket.set_recv_buffer_size(UDP_BUFFER_BYTES)?;
        }
        if option::force_send_buffer(&socket, UDP_BUFFER_BYTES).is_err() {
            socket.set_send_buffer_size(UDP_BUFFER_BYTES)?;
        }
        option::report_receive_drops(&socket)?;
        let family = match spec.bind {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        };
        option::report_icmp(&socket, family)?;
        if family == Family::V4 {
            set_long_datagrams(&socket, LongDatagrams::Refused)?;
        }
        if spec.owner == AddressOwner::Cluster {
            bind_freely(&socket, spec.bind)?;
        }
        socket.bind(&spec.bind.into())?;
        let receive_buffer_bytes = Some(socket.recv_buffer_size()?);
        let send_buffer_bytes = Some(socket.send_buffer_size()?);
        let socket = UdpSocket::from(socket);
        let status = ListenerStatus {
            spec: spec.clone(),
            local: socket.local_addr()?,
            receive_buffer_bytes,
            send_buffer_bytes,
        };
        Ok((socket, status))
    };
    open().map_err(|source| ListenError::from_io(spec, source))
}

/// Opens the listening socket of a stream transport.
pub(crate) fn open_stream(
    spec: &ListenerSpec,
) -> Result<(std::net::TcpListener, ListenerStatus), ListenError> {
    let open = || -> io::Result<(std::net::TcpListener, ListenerStatus)> {
        let socket = Socket::new(domain(spec.bind), Type::STREAM, Some(Protocol::TCP))?;
        if spec.bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // For TCP this lets a restart take a port whose old connections linger in TIME-WAIT; it
        // does not let two listeners share a port.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if spec.owner == AddressOwner::Cluster {
            bind_freely(&socket, spec.bind)?;
        }
        socket.bind(&spec.bind.into())?;
        socket.listen(BACKLOG)?;
        let listener = std::net::TcpListener::from(socket);
        let status = ListenerStatus {
            spec: spec.clone(),
            local: listener.local_addr()?,
            receive_buffer_bytes: None,
            send_buffer_bytes: None,
        };
        Ok((listener, status))
    };
    open().map_err(|source| ListenError::from_io(spec, source))
}

/// Lets a socket be bound to an address that the machine does not have yet.
fn bind_freely(socket: &Socket, bind: SocketAddr) -> io::Result<()> {
    match bind {
        SocketAddr::V4(_) => socket.set_freebind_v4(true),
        SocketAddr::V6(_) => socket.set_freebind_v6(true),
    }
}

fn domain(bind: SocketAddr) -> Domain {
    match bind.ip() {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    }
}

/// The socket buffers asked for in each direction: some 3,000 messages of 1 kB as the kernel
/// accounts them, half a second of 1,000 calls per second.
pub const UDP_BUFFER_BYTES: usize = 8 << 20;
/// Connections waiting to be accepted; the kernel refuses or delays what exceeds it.
const BACKLOG: i32 = 1_024;
