//! A phone with one audio stream, a call between two of them, and the engine between.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use media::{AddressFamily, Engine, EngineConfig, Interface, Negotiation, Options, Side};

/// A phone, with its RTP and RTCP sockets.
pub(crate) struct Peer {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    sequence: u16,
}

/// Two phones and the session between them, answered.
pub(crate) struct Call {
    pub(crate) engine: Engine,
    pub(crate) a: Peer,
    pub(crate) b: Peer,
    /// Where A sends RTP to, and where B does.
    pub(crate) towards_b: SocketAddr,
    pub(crate) towards_a: SocketAddr,
    /// Where A sends RTCP to.
    pub(crate) rtcp_towards_b: SocketAddr,
}

pub(crate) const SESSION: u64 = 7;
const OTHER_SESSION: u64 = 8;
pub(crate) const PCMA: u8 = 8;
pub(crate) const EVENT: u8 = 101;
/// A receiver report without blocks.
pub(crate) const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

impl Peer {
    pub(crate) fn new(ip: &str) -> Self {
        let bind = || {
            let socket = UdpSocket::bind((ip, 0)).expect("a free port");
            let timeout = Some(Duration::from_secs(5));
            socket.set_read_timeout(timeout).expect("a timeout");
            socket
        };
        Self {
            rtp: bind(),
            rtcp: bind(),
            sequence: 0,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("a bound socket")
    }

    /// Its description: PCMA and telephone events, RTCP wherever it got a port.
    pub(crate) fn sdp(&self) -> String {
        self.sdp_at(self.address(), "sendrecv")
    }

    /// The same with another address, or on hold.
    pub(crate) fn sdp_at(&self, address: SocketAddr, direction: &str) -> String {
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let (ip, port) = (address.ip(), address.port());
        let rtcp = self.rtcp.local_addr().expect("a bound socket").port();
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=rtcp:{rtcp}\r\na={direction}\r\n"
        )
    }

    /// The next packet of its stream, ending with `text`.
    pub(crate) fn packet(&mut self, payload_type: u8, text: &str) -> Vec<u8> {
        self.sequence += 1;
        let header = rtp::Header {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: u32::from(self.address().port()),
        };
        let mut packet = header.encode().to_vec();
        packet.extend(text.as_bytes());
        packet
    }

    pub(crate) fn say(&mut self, to: SocketAddr, text: &str) {
        let packet = self.packet(PCMA, text);
        self.rtp.send_to(&packet, to).expect("sending");
    }

    /// What the next packet says, and who sent it.
    pub(crate) fn hear(&self) -> (String, SocketAddr) {
        let (packet, from) = receive(&self.rtp);
        let parsed = rtp::Packet::parse(&packet).expect("RTP");
        let text = String::from_utf8(parsed.payload.to_vec()).expect("text");
        (text, from)
    }
}

impl Call {
    /// Both on the loopback of IPv4, and each has heard the other.
    pub(crate) fn new() -> Self {
        let mut call = Self::answered(config());
        call.a.say(call.towards_b, "a");
        assert_eq!(call.b.hear(), ("a".into(), call.towards_a));
        call.b.say(call.towards_a, "b");
        assert_eq!(call.a.hear(), ("b".into(), call.towards_b));
        call
    }

    /// Answered, and nobody has spoken yet.
    pub(crate) fn answered(config: EngineConfig) -> Self {
        let mut engine = Engine::new(config, || {}).expect("an engine");
        let (a, b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
        let offer = engine
            .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V4)
            .expect("an offer");
        let answer = engine
            .answer(SESSION, from(Side::B, &b.sdp()))
            .expect("an answer");
        Self {
            engine,
            a,
            b,
            towards_b: rtp_address(&answer),
            towards_a: rtp_address(&offer),
            rtcp_towards_b: rtcp_address(&answer),
        }
    }
}

/// Waits until what was asked of an engine is done. Its worker does it in its order, but may be
/// about to read one more packet before: so an echo is asked for, which is heard only then.
pub(crate) fn settle(engine: &mut Engine) {
    let mut other = Peer::new("127.0.0.1");
    let answer = engine.echo(OTHER_SESSION, from(Side::A, &other.sdp()));
    other.say(rtp_address(&answer.expect("an answer")), "settled");
    assert_eq!(other.hear().0, "settled");
    engine.delete(OTHER_SESSION).expect("a session");
}

/// The loopback of both families; ports out of the way of those the kernel chooses.
pub(crate) fn config() -> EngineConfig {
    let loopback = |ip: &str| Some(Interface::same(ip.parse().expect("an address")));
    EngineConfig {
        v4: loopback("127.0.0.1"),
        v6: loopback("::1"),
        ..EngineConfig::new(20_000..=29_999)
    }
}

/// A description whose signalling came from where its sender is said to be.
pub(crate) fn from(side: Side, sdp: &str) -> Negotiation<'_> {
    signalled(side, sdp, "127.0.0.1")
}

pub(crate) fn signalled<'a>(side: Side, sdp: &'a str, ip: &str) -> Negotiation<'a> {
    Negotiation {
        from: side,
        sdp: sdp.as_bytes(),
        signalling: Some(ip.parse::<IpAddr>().expect("an address")),
        options: Options::relay(),
    }
}

/// Where a description wants the RTP of its first medium.
pub(crate) fn rtp_address(sdp: &[u8]) -> SocketAddr {
    let description = sdp::Description::parse(sdp).expect("a description");
    let medium = description.medium(0).expect("a medium");
    medium.rtp_address().expect("an address")
}

/// Where a description wants the RTCP of its first medium.
pub(crate) fn rtcp_address(sdp: &[u8]) -> SocketAddr {
    let description = sdp::Description::parse(sdp).expect("a description");
    let medium = description.medium(0).expect("a medium");
    medium.rtcp_address().expect("an address")
}

pub(crate) fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 4_096];
    let (len, from) = socket.recv_from(&mut buffer).expect("a packet in time");
    (buffer[..len].to_vec(), from)
}
