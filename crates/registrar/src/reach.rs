//! How a contact is reached, as a value and in little space.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use sip::{ConnId, Flow, ListenerId, Transport, Uri};

use crate::peer::PeerId;

/// How a contact is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Back along the path its REGISTER came by. For a connection that is the only way.
    Flow(Flow),
    /// Through the proxies of its Path, which become Route; the first of them is resolved by
    /// RFC 3263. The flow is the one the REGISTER came by, and names our listener.
    Path(Flow),
    /// By another node of the cluster, to which the REGISTER came by this flow.
    Peer(PeerId, Flow),
}

impl Reach {
    /// The flow the REGISTER came by.
    #[must_use]
    pub const fn flow(&self) -> &Flow {
        match self {
            Self::Flow(flow) | Self::Path(flow) | Self::Peer(_, flow) => flow,
        }
    }
}

/// Whether a contact on UDP names the address that it sends from: then no NAT stands before it, or one
/// that it knows of.
#[must_use]
pub fn is_open(uri: &[u8], flow: &Flow) -> bool {
    let Ok(uri) = Uri::parse(uri) else {
        return false;
    };
    let port = uri.port.unwrap_or(Transport::Udp.default_port());
    flow.transport == Transport::Udp
        && matches!(uri.transport(), None | Some(Transport::Udp))
        && uri.host_ip() == Some(flow.remote.ip().to_canonical())
        && port == flow.remote.port()
}

/// Whether an address is of a network of one's own, in which no NAT stands between nodes and phones. A
/// phone with a public address may have learned it by STUN, and let in only the node that it speaks to.
#[must_use]
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// A [`Flow`] in 40 bytes instead of 64, for tables of millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedFlow {
    /// [`NO_CONN`] for UDP and for connections that a restart has ended.
    conn: u64,
    address: [u8; 16],
    scope: u32,
    port: u16,
    listener: ListenerId,
    family: Family,
    pub(crate) transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// In the first four bytes of the address.
    V4,
    V6,
}

impl PackedFlow {
    pub(crate) fn conn(&self) -> Option<ConnId> {
        (self.conn != NO_CONN).then_some(ConnId(self.conn))
    }

    /// Whether both lead over UDP to the same address, whichever of our listeners speaks.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        let is_udp = self.transport == Transport::Udp && other.transport == Transport::Udp;
        is_udp && self.unpack().remote == other.unpack().remote
    }

    pub(crate) fn unpack(&self) -> Flow {
        let remote = match self.family {
            Family::V4 => {
                let [a, b, c, d, ..] = self.address;
                SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), self.port)
            }
            Family::V6 => SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(self.address),
                self.port,
                0,
                self.scope,
            )),
        };
        Flow {
            transport: self.transport,
            listener: self.listener,
            conn: self.conn(),
            remote,
        }
    }
}

impl From<&Flow> for PackedFlow {
    fn from(flow: &Flow) -> Self {
        let mut address = [0; 16];
        let (family, scope) = match flow.remote {
            SocketAddr::V4(v4) => {
                address[..4].copy_from_slice(&v4.ip().octets());
                (Family::V4, 0)
            }
            SocketAddr::V6(v6) => {
                address = v6.ip().octets();
                (Family::V6, v6.scope_id())
            }
        };
        Self {
            conn: flow.conn.map_or(NO_CONN, |conn| conn.0),
            address,
            scope,
            port: flow.remote.port(),
            listener: flow.listener,
            family,
            transport: flow.transport,
        }
    }
}

/// Connections are numbered from below; this number is never reached.
const NO_CONN: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_networks_of_ones_own_are_reached_from_everywhere() {
        let local = |text: &str| is_local(text.parse().unwrap());
        for near in [
            "10.1.2.3",
            "192.168.0.7",
            "127.0.0.1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(local(near), "{near}");
        }
        for far in ["203.0.113.7", "100.64.0.1", "2001:db8::1"] {
            assert!(!local(far), "{far}");
        }
    }

    #[test]
    fn a_packed_flow_comes_back_as_it_was() {
        for (remote, conn) in [
            ("192.0.2.1:5060", None),
            ("[2001:db8::1]:49152", Some(ConnId(0))),
            ("[fe80::1%7]:5060", None),
            ("[::ffff:192.0.2.1]:5060", Some(ConnId(7))),
        ] {
            let flow = Flow {
                transport: Transport::Tls,
                listener: ListenerId(3),
                conn,
                remote: remote.parse().unwrap(),
            };
            assert_eq!(PackedFlow::from(&flow).unpack(), flow);
        }
        assert!(size_of::<PackedFlow>() <= 40);
    }
}
