//! The hosts of a test, a call between two of them, and the engine on the third.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use media::{
    AddressFamily, Counters, DropReason, Engine, EngineConfig, Interface, KernelPath, Negotiation,
    Options, Side,
};
use testkit::{Host, Network, wait_for};

/// A server with an engine, two phones in a call, and somebody else.
pub(crate) struct Stage {
    pub(crate) engine: Option<Engine>,
    pub(crate) a: Phone,
    pub(crate) b: Phone,
    /// Where A sends RTP to, and where B does.
    pub(crate) towards_b: SocketAddr,
    pub(crate) towards_a: SocketAddr,
    pub(crate) server: Host,
    /// Of A, B and the stranger.
    pub(crate) phones: [Host; 3],
    /// Of A and B.
    families: [AddressFamily; 2],
    _network: Network,
}

/// A phone with one stream.
pub(crate) struct Phone {
    pub(crate) rtp: UdpSocket,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

pub(crate) const SESSION: u64 = 7;
pub(crate) const PCMA: u8 = 8;
pub(crate) const EVENT: u8 = 101;
/// Both hooks; every test runs on each.
pub(crate) const HOOKS: [KernelPath; 2] = [KernelPath::Xdp, KernelPath::Tc];

/// Both hooks with every pair of families.
pub(crate) fn everywhere() -> impl Iterator<Item = (KernelPath, [AddressFamily; 2])> {
    use AddressFamily::{V4, V6};
    let pairs = [[V4, V4], [V6, V6], [V4, V6], [V6, V4]];
    HOOKS
        .into_iter()
        .flat_map(move |hook| pairs.map(|families| (hook, families)))
}

/// Addresses of host number `last` in both families.
fn addresses(last: u8) -> (Ipv4Addr, Ipv6Addr) {
    let v6 = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, last.into());
    (Ipv4Addr::new(10, 99, 0, last), v6)
}

impl Stage {
    /// An answered call that the kernel relays; `None`, with the reason printed, where the
    /// rights for it are missing.
    pub(crate) fn new(hook: KernelPath) -> Option<Self> {
        let mut stage = Self::answered(hook)?;
        stage.until_in_kernel();
        Some(stage)
    }

    /// The same before anybody has spoken.
    pub(crate) fn answered(hook: KernelPath) -> Option<Self> {
        Self::with(hook, |_| {})
    }

    /// The same with another configuration.
    pub(crate) fn with(hook: KernelPath, change: impl FnOnce(&mut EngineConfig)) -> Option<Self> {
        Self::between([AddressFamily::V4; 2], hook, change)
    }

    /// An answered call between phones of these families that the kernel relays.
    pub(crate) fn relayed(hook: KernelPath, families: [AddressFamily; 2]) -> Option<Self> {
        let mut stage = Self::between(families, hook, |_| {})?;
        stage.until_in_kernel();
        Some(stage)
    }

    /// Another phone at host 0 to 2, which are those of A, B and the stranger.
    pub(crate) fn phone_at(&self, host: usize, family: AddressFamily) -> Phone {
        Phone::at(&self.phones[host], address(family, host as u8 + 2))
    }

    /// The same between phones of these families, with another configuration.
    pub(crate) fn between(
        families: [AddressFamily; 2],
        hook: KernelPath,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Option<Self> {
        let mut network = match Network::new() {
            Ok(network) => network,
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("skipped: {error:#}");
                return None;
            }
            Err(error) => panic!("no network of its own: {error:#}"),
        };
        let mut host = |last| {
            let (v4, v6) = addresses(last);
            let host = network.host(v4).expect("a host");
            // Used at once, without asking whether somebody else has it.
            let add = format!("ip address add {v6}/64 dev eth0 nodad");
            host.run(&add).expect("an address");
            host
        };
        let server = host(1);
        let hosts = [host(2), host(3), host(4)];
        server
            .run("sysctl -q -w net.ipv4.conf.all.forwarding=0")
            .expect("a setting");
        let [of_a, of_b] = families;
        let phone = |host: usize, family| Phone::at(&hosts[host], address(family, host as u8 + 2));
        let [a, b] = [phone(0, of_a), phone(1, of_b)];
        let mut config = EngineConfig::new(20_000..=20_999);
        let (v4, v6) = addresses(1);
        config.v4 = Some(Interface::same(v4.into()));
        config.v6 = Some(Interface::same(v6.into()));
        config.kernel = hook;
        change(&mut config);
        let engine = server.enter(|| Engine::new(config, || {}));
        let mut stage = Self {
            engine: Some(engine.expect("an engine")),
            towards_a: a.address(),
            towards_b: a.address(),
            a,
            b,
            server,
            phones: hosts,
            families,
            _network: network,
        };
        (stage.towards_b, stage.towards_a) = stage.negotiate(SESSION, "sendrecv");
        Some(stage)
    }

    /// Does something with the engine, on the server.
    pub(crate) fn engine<T: Send>(&mut self, act: impl FnOnce(&mut Engine) -> T + Send) -> T {
        let engine = self.engine.as_mut().expect("an engine");
        self.server.enter(|| act(engine))
    }

    /// Offer by A and answer by B, whose media goes in a direction; where A and B send to.
    pub(crate) fn negotiate(&mut self, session: u64, direction: &str) -> (SocketAddr, SocketAddr) {
        let (a, b) = (self.a.sdp("sendrecv"), self.b.sdp(direction));
        let toward = self.families[1];
        let (offer, answer) = self.engine(|engine| {
            let offer = engine.offer(session, from(Side::A, &a), toward);
            let answer = engine.answer(session, from(Side::B, &b));
            (offer.expect("an offer"), answer.expect("an answer"))
        });
        (rtp_address(&answer), rtp_address(&offer))
    }

    pub(crate) fn counters(&self) -> Counters {
        self.engine.as_ref().expect("an engine").counters()
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.counters().dropped(reason)
    }

    /// How many packets user space has relayed.
    pub(crate) fn in_user_space(&self) -> u64 {
        let counters = self.counters();
        counters.relayed_packets - counters.kernel_packets
    }

    /// A packet each way, which arrives as it was sent.
    pub(crate) fn talk(&mut self) {
        self.a.say(self.towards_b, "from a");
        assert_eq!(self.b.hear(), ("from a".into(), self.towards_a));
        self.b.say(self.towards_a, "from b");
        assert_eq!(self.a.hear(), ("from b".into(), self.towards_b));
    }

    /// Talks until user space sees nothing of it.
    pub(crate) fn until_in_kernel(&mut self) {
        wait_for("the kernel to relay", || {
            let before = self.in_user_space();
            self.talk();
            (self.in_user_space() == before).then_some(())
        });
    }
}

impl Phone {
    fn at(host: &Host, address: IpAddr) -> Self {
        let socket = host.enter(|| UdpSocket::bind((address, 0)));
        let rtp = socket.expect("a free port");
        rtp.set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        let ssrc = u32::from(rtp.local_addr().expect("bound").port());
        Self {
            rtp,
            // Both begin again soon, each by itself.
            sequence: 65_500,
            timestamp: u32::MAX - 50 * 160,
            ssrc,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("a bound socket")
    }

    pub(crate) fn sdp(&self, direction: &str) -> String {
        let (ip, port) = (self.address().ip(), self.address().port());
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        )
    }

    /// The next packet of its stream, ending with `text`.
    pub(crate) fn packet(&mut self, payload_type: u8, text: &str) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        let header = rtp::Header {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
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
        let mut buffer = [0; 4_096];
        let (len, from) = self.rtp.recv_from(&mut buffer).expect("a packet in time");
        let parsed = rtp::Packet::parse(&buffer[..len]).expect("RTP");
        let text = String::from_utf8(parsed.payload.to_vec()).expect("text");
        (text, from)
    }
}

fn address(family: AddressFamily, last: u8) -> IpAddr {
    let (v4, v6) = addresses(last);
    match family {
        AddressFamily::V4 => v4.into(),
        AddressFamily::V6 => v6.into(),
    }
}

fn from(side: Side, sdp: &str) -> Negotiation<'_> {
    Negotiation {
        from: side,
        sdp: sdp.as_bytes(),
        signalling: None,
        options: Options::relay(),
    }
}

/// Where a description wants the RTP of its first medium.
fn rtp_address(sdp: &[u8]) -> SocketAddr {
    let description = sdp::Description::parse(sdp).expect("a description");
    let medium = description.medium(0).expect("a medium");
    medium.rtp_address().expect("an address")
}
