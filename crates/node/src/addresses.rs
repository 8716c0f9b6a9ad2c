//! Which of our addresses to tell others.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::UpOptions;

/// The address we are reached at in the family of `bind`: as told, else the bound one, else the
/// one the routing table picks for the world outside, else loopback.
pub(crate) fn advertised(options: &UpOptions, bind: IpAddr) -> IpAddr {
    let told = options.advertise.filter(|a| a.is_ipv4() == bind.is_ipv4());
    if let Some(told) = told {
        return told;
    }
    if !bind.is_unspecified() {
        return bind;
    }
    outgoing(bind).unwrap_or_else(|| match bind {
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    })
}

/// Where the other nodes of a cluster find us: as told, else the bound address, else the one that the
/// routing table picks. What the world outside is told may be an address that leads here only from
/// outside. `None` where no other machine would find us.
pub(crate) fn among_nodes(options: &UpOptions) -> Option<IpAddr> {
    let bind = options.bind;
    if !bind.is_unspecified() {
        // Nodes that are bound to loopback are all on this machine.
        return options.cluster_address.or(Some(bind));
    }
    let found = options.cluster_address.or_else(|| outgoing(bind));
    found.filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Whether sockets can be bound to an address.
pub(crate) fn can_bind(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The source address of packets to the world outside. Connecting a UDP socket sends nothing;
/// the addresses are those set aside for documentation (RFC 5737, RFC 3849).
pub(crate) fn outgoing(family: IpAddr) -> Option<IpAddr> {
    let far: SocketAddr = match family {
        IpAddr::V4(_) => "192.0.2.1:9".parse().ok()?,
        IpAddr::V6(_) => "[2001:db8::1]:9".parse().ok()?,
    };
    let unspecified: IpAddr = match family {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect(far).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|a| a.ip())
        .filter(|ip| !ip.is_unspecified())
}
