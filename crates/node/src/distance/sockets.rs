//! The sockets by which neighbours are asked, each opened when it is first needed.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::ask::{self, Echo};

/// Those that are open.
#[derive(Default)]
pub(super) struct Sockets {
    sip: [Option<UdpSocket>; FAMILIES],
    icmp: [Option<Pinger>; FAMILIES],
    /// Why ICMP cannot be sent: rights do not change while a program runs.
    refused: [Option<String>; FAMILIES],
}

struct Pinger {
    socket: UdpSocket,
    kind: Echo,
}

/// Which answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To OPTIONS.
    Sip(u64),
    /// To an echo.
    Icmp(u64),
}

impl Sockets {
    /// Sends OPTIONS.
    pub(super) fn ask_sip(&mut self, address: SocketAddr, token: u64) {
        let socket = &mut self.sip[family(address)];
        if socket.is_none() {
            *socket = sip_socket(address).ok();
        }
        if let Some(socket) = socket {
            send(socket, &ask::options(address, token), address);
        }
    }

    /// Sends an echo request. Errors: why this program cannot.
    pub(super) fn ask_icmp(&mut self, address: SocketAddr, token: u64) -> Result<(), String> {
        let family = family(address);
        if let Some(why) = &self.refused[family] {
            return Err(why.clone());
        }
        if self.icmp[family].is_none() {
            match Pinger::open(address) {
                Ok(pinger) => self.icmp[family] = Some(pinger),
                Err(error) => {
                    let why = format!(
                        "it may not send ICMP ({error}): give it CAP_NET_RAW, or its group a place in net.ipv4.ping_group_range"
                    );
                    tracing::info!(why, "how far other nodes are is measured by SIP alone");
                    self.refused[family] = Some(why.clone());
                    return Err(why);
                }
            }
        }
        if let Some(Pinger { socket, kind }) = &self.icmp[family] {
            let to = SocketAddr::new(address.ip(), 0);
            send(socket, &ask::echo(*kind, token), to);
        }
        Ok(())
    }

    /// Waits until there is something to be read.
    pub(super) async fn readable(&self) {
        let [sip_v4, sip_v6] = &self.sip;
        let [icmp_v4, icmp_v6] = &self.icmp;
        tokio::select! {
            () = readable(sip_v4.as_ref()) => {}
            () = readable(sip_v6.as_ref()) => {}
            () = readable(icmp_v4.as_ref().map(|pinger| &pinger.socket)) => {}
            () = readable(icmp_v6.as_ref().map(|pinger| &pinger.socket)) => {}
        }
    }

    /// Takes what has come, as far as it is an answer.
    pub(super) fn read(&self, buffer: &mut [u8], mut take: impl FnMut(Answer)) {
        for socket in self.sip.iter().flatten() {
            for_each(socket, buffer, |datagram| {
                if let Some(token) = ask::answered_options(datagram) {
                    take(Answer::Sip(token));
                }
            });
        }
        for Pinger { socket, kind } in self.icmp.iter().flatten() {
            for_each(socket, buffer, |packet| {
                if let Some(token) = ask::answered_echo(*kind, packet) {
                    take(Answer::Icmp(token));
                }
            });
        }
    }
}

impl Pinger {
    /// A socket for pings where the system lets groups have those, else a raw one.
    fn open(towards: SocketAddr) -> io::Result<Self> {
        let (domain, protocol) = match towards {
            SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let (socket, is_raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(_) => (Socket::new(domain, Type::RAW, Some(protocol))?, true),
        };
        socket.set_nonblocking(true)?;
        let kind = match (towards, is_raw) {
            (SocketAddr::V4(_), false) => Echo::V4,
            (SocketAddr::V4(_), true) => Echo::V4Raw,
            (SocketAddr::V6(_), _) => Echo::V6,
        };
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, kind })
    }
}

fn sip_socket(towards: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match towards {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Sends at once: the runtime does not know yet that a socket can be written which was just opened.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    // What cannot be sent is not answered, and seen by that.
    let _ = SockRef::from(socket).send_to(bytes, &to.into());
}

async fn readable(socket: Option<&UdpSocket>) {
    match socket {
        Some(socket) if socket.readable().await.is_ok() => {}
        _ => pending().await,
    }
}

/// What waits at a socket, as far as it is not more than is taken at a time.
fn for_each(socket: &UdpSocket, buffer: &mut [u8], mut take: impl FnMut(&[u8])) {
    for _ in 0..BURST_MAX {
        let Ok((length, _)) = socket.try_recv_from(buffer) else {
            return;
        };
        take(&buffer[..length]);
    }
}

const fn family(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(_) => 1,
    }
}

/// IPv4 and IPv6.
const FAMILIES: usize = 2;
/// Datagrams taken of a socket before the next; the others wait in the kernel, which drops what is
/// too much.
const BURST_MAX: usize = 64;
