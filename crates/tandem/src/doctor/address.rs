//! Which address peers are told, and whether they can reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::Finding;
use crate::ports::PortFlags;

/// Judges the address that goes into SIP and SDP, and IPv6.
pub(super) fn check(ports: &PortFlags) -> Vec<Finding> {
    vec![advertised(ports), v6(ports)]
}

fn advertised(ports: &PortFlags) -> Finding {
    let local = if ports.bind.is_unspecified() {
        outgoing(V4_FAR)
    } else {
        Some(ports.bind)
    };
    if let Some(told) = ports.advertise {
        let through = local.map_or_else(String::new, |local| {
            format!(", which has to lead to {local}")
        });
        return Finding::ok("address", format!("peers are told {told}{through}"));
    }
    let Some(local) = local else {
        return Finding::fail(
            "address",
            "this machine has no IPv4 address that leads anywhere",
            "configure one, or choose an address with --bind",
        );
    };
    match reach(local) {
        Reach::Machine => Finding::warn(
            "address",
            format!("peers are told {local}: only this machine reaches it"),
            "choose another address with --bind",
        ),
        Reach::Site => Finding::warn(
            "address",
            format!(
                "peers are told {local}, a private address: phones in the same network reach it, others do not"
            ),
            "if carriers or phones are outside, give the public address with --advertise and forward the ports",
        ),
        Reach::World => Finding::ok(
            "address",
            format!("peers are told {local}, a public address"),
        ),
    }
}

fn v6(ports: &PortFlags) -> Finding {
    let usable = outgoing(V6_FAR).filter(|address| reach(*address) == Reach::World);
    match (usable, ports.bind) {
        (Some(address), IpAddr::V6(_)) => Finding::ok("ipv6", format!("available as {address}")),
        (Some(address), IpAddr::V4(_)) => Finding::ok(
            "ipv6",
            format!(
                "available as {address}, not used with --bind {}",
                ports.bind
            ),
        ),
        (None, IpAddr::V6(v6)) if !v6.is_loopback() => Finding::warn(
            "ipv6",
            "no public address: peers with IPv6 only cannot be reached",
            "ask the provider for IPv6, or use --bind 0.0.0.0",
        ),
        (None, _) => Finding::ok("ipv6", "not available, and not asked for"),
    }
}

/// The address that packets to a far one would carry. Connecting a UDP socket sends nothing.
fn outgoing(far: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match far {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(far, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// From where an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Machine,
    Site,
    World,
}

fn reach(address: IpAddr) -> Reach {
    match address {
        a if a.is_loopback() => Reach::Machine,
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // RFC 6598 §7: what providers put between themselves and their customers.
            let carrier_grade = a == 100 && (64..128).contains(&b);
            let inner = v4.is_private() || v4.is_link_local() || v4.is_documentation();
            if inner || carrier_grade {
                Reach::Site
            } else {
                Reach::World
            }
        }
        IpAddr::V6(v6) => {
            if v6.is_unique_local() || v6.is_unicast_link_local() {
                Reach::Site
            } else {
                Reach::World
            }
        }
    }
}

/// Addresses for documentation (RFC 5737 §3, RFC 3849 §2): far away, and nobody's.
const V4_FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const V6_FAR: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_by_who_reaches_them() {
        let of = |text: &str| reach(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), Reach::Machine);
        for site in [
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "169.254.1.1",
            "192.0.2.2",
            "fd00::1",
            "fe80::1",
        ] {
            assert_eq!(of(site), Reach::Site, "{site}");
        }
        for world in ["8.8.8.8", "100.128.0.1", "2001:4860::1"] {
            assert_eq!(of(world), Reach::World, "{world}");
        }
    }
}
