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

/// Whether an address is one of this machine's at the moment: what the routing table has to say, as
/// binding may be allowed to addresses of others, too (`net.ipv4.ip_nonlocal_bind`).
pub(crate) fn is_here(address: IpAddr) -> bool {
    source_towards(SocketAddr::new(address, 9)) == Some(address)
}

/// The source address of packets to the world outside; the addresses are those set aside for documentation (RFC 5737, RFC 3849).
pub(crate) fn outgoing(family: IpAddr) -> Option<IpAddr> {
    let far: SocketAddr = match family {
        IpAddr::V4(_) => "192.0.2.1:9".parse().ok()?,
        IpAddr::V6(_) => "[2001:db8::1]:9".parse().ok()?,
    };
    source_towards(far)
}

/// The source address of packets to another. Connecting a UDP socket sends nothing.
fn source_towards(far: SocketAddr) -> Option<IpAddr> {
    let unspecified: IpAddr = match far {
        SocketAddr::V4(_) => IpAddr::from([0; 4]),
        SocketAddr::V6(_) => IpAddr::from([0; 16]),
    };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect(far).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|a| a.ip())
        .filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_documentation_is_nobodys() {
        assert!(is_here([127, 0, 0, 1].into()));
        assert!(!is_here([192, 0, 2, 1].into()));
    }
}
