//! The socket towards a collector.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use hep::{Kind, Packet};
use model::HepTransport;

use super::{Note, Target};

/// Makes packets and sends them.
#[derive(Debug)]
pub(super) struct HepSender {
    node_name: String,
    target: Option<Target>,
    socket: Option<Socket>,
    /// When a name is looked up anew, as UDP tells nobody that a collector has moved.
    look_up_at: Option<Instant>,
    /// No attempt to reach the collector before.
    again: Option<Instant>,
    packet: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl HepSender {
    pub(super) fn new(node_name: String) -> Self {
        Self {
            node_name,
            target: None,
            socket: None,
            look_up_at: None,
            again: None,
            packet: Vec::new(),
        }
    }

    /// Sends there from now on.
    pub(super) fn aim(&mut self, target: Option<Target>) {
        if self.target != target {
            self.target = target;
            self.socket = None;
            self.look_up_at = None;
            self.again = None;
        }
    }

    /// Sends a note; one that has nothing for a collector in it (RTCP that is encrypted) counts as
    /// sent.
    pub(super) fn send(&mut self, note: &Note) -> io::Result<()> {
        let Some(target) = &self.target else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let json;
        let (payload, correlation) = match note.kind {
            Kind::RtcpJson => {
                let Some(found) = hep::rtcp_json(&note.payload) else {
                    return Ok(());
                };
                json = found;
                (json.as_bytes(), note.correlation.as_bytes())
            }
            Kind::Sip => (&*note.payload, call_id(&note.payload)),
            _ => (&*note.payload, note.correlation.as_bytes()),
        };
        self.packet.clear();
        Packet {
            from: note.from,
            to: note.to,
            protocol: note.protocol,
            kind: note.kind,
            at_us: note.at_us,
            node: target.node,
            node_name: &self.node_name,
            correlation,
            payload,
        }
        .encode(&mut self.packet);
        self.transmit()
    }

    fn transmit(&mut self) -> io::Result<()> {
        self.follow(Instant::now());
        if self.socket.is_none() {
            self.connect()?;
        }
        let result = match &mut self.socket {
            Some(Socket::Udp(socket)) => match socket.send(&self.packet) {
                // Said of an earlier packet: nobody listens there, or not yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    let soon = Instant::now() + AGAIN;
                    self.look_up_at = self.look_up_at.map(|at| at.min(soon));
                    socket.send(&self.packet).map(|_| ())
                }
                sent => sent.map(|_| ()),
            },
            Some(Socket::Tcp(stream)) => stream.write_all(&self.packet),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        if let (Err(error), Some(Socket::Tcp(_))) = (&result, &self.socket) {
            tracing::warn!(%error, "the HEP collector hung up");
            self.socket = None;
        }
        result
    }

    /// Looks up now and then where the collector is, as nobody hangs up UDP when it moves. What
    /// cannot be looked up stays where it was.
    fn follow(&mut self, now: Instant) {
        let (Some(Socket::Udp(socket)), Some(target)) = (&self.socket, &self.target) else {
            return;
        };
        if self.look_up_at.is_none_or(|at| now < at) {
            return;
        }
        self.look_up_at = Some(now + LOOK_UP_INTERVAL);
        let found: Vec<SocketAddr> = match target.address.to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(error) => {
                tracing::debug!(collector = target.address, %error, "not looked up anew");
                return;
            }
        };
        let stays = socket.peer_addr().is_ok_and(|peer| found.contains(&peer));
        if let Some(address) = found.first().filter(|_| !stays)
            && let Ok(socket) = open_udp(*address)
        {
            tracing::info!(collector = target.address, %address, "the HEP collector has moved");
            self.socket = Some(Socket::Udp(socket));
        }
    }

    fn connect(&mut self) -> io::Result<()> {
        if self.again.is_some_and(|again| Instant::now() < again) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.again = Some(Instant::now() + AGAIN);
        let Some(target) = &self.target else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let result = open(target);
        match &result {
            Ok(_) => tracing::info!(collector = target.address, "telling a HEP collector"),
            Err(error) => {
                tracing::warn!(collector = target.address, %error, "no way to the HEP collector");
            }
        }
        self.socket = Some(result?);
        self.look_up_at = Some(Instant::now() + LOOK_UP_INTERVAL);
        Ok(())
    }
}

fn open(target: &Target) -> io::Result<Socket> {
    let address = resolve(&target.address)?;
    match target.transport {
        HepTransport::Udp => open_udp(address).map(Socket::Udp),
        HepTransport::Tcp => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        }
    }
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    Ok(socket)
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    let mut found = address.to_socket_addrs()?;
    found
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// The Call-ID of a SIP message; empty if it has none.
fn call_id(bytes: &[u8]) -> &[u8] {
    let lines = bytes.split(|byte| *byte == b'\n').skip(1);
    for line in lines.take_while(|line| !line.trim_ascii().is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return value[1..].trim_ascii();
        }
    }
    &[]
}

/// Between two attempts to reach a collector.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at where a collector is that is told by UDP.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(60);
/// A collector that takes nothing for so long is given up; the queue holds what comes meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_moves_is_followed() {
        let [old, new] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut sender = HepSender::new("node".into());
        sender.target = Some(Target {
            address: new.local_addr().unwrap().to_string(),
            transport: HepTransport::Udp,
            node: 1,
        });
        let then = Instant::now();
        let before = open_udp(old.local_addr().unwrap()).unwrap();
        sender.socket = Some(Socket::Udp(before));
        sender.look_up_at = Some(then + LOOK_UP_INTERVAL);
        let port = |sender: &HepSender| match &sender.socket {
            Some(Socket::Udp(socket)) => socket.peer_addr().unwrap().port(),
            other => panic!("{other:?}"),
        };
        sender.follow(then);
        assert_eq!(port(&sender), old.local_addr().unwrap().port());
        sender.follow(then + LOOK_UP_INTERVAL);
        assert_eq!(port(&sender), new.local_addr().unwrap().port());
    }

    #[test]
    fn the_call_id_is_found_in_both_its_forms() {
        let long = b"BYE sip:a SIP/2.0\r\nVia: x\r\nCall-ID: one@two\r\n\r\ni: body";
        assert_eq!(call_id(long), b"one@two");
        assert_eq!(call_id(b"SIP/2.0 200 OK\r\ni:short\r\n\r\n"), b"short");
        assert_eq!(call_id(b"SIP/2.0 200 OK\r\n\r\ni: body"), b"");
        assert_eq!(call_id(b"\r\n\r\n"), b"");
    }
}
