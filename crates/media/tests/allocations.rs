//! The paths of packets ask for no memory: what the worker's thread allocates while it relays is
//! counted, beside what it relays.

#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be written without"
)]
#![allow(clippy::unwrap_used, reason = "a test that meets nothing has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media::{
    AddressFamily, Engine, EngineConfig, Feedback, Interface, Negotiation, Options, Side, Transport,
};
use rtp::Header;
use rtp::srtp::{MasterKey, OVERHEAD_BYTES_MAX, Protector, Suite};
use sdp::Description;

struct Counting;

/// Allocations of threads that do not test.
static ELSEWHERE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is one that tests.
    static TESTS: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    // Fails only while a thread ends.
    if !TESTS.try_with(Cell::get).unwrap_or(true) {
        ELSEWHERE.fetch_add(1, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as promised by our caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as promised by our caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What media travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Rtp,
    Sdes,
}

struct Phone {
    socket: UdpSocket,
    key: Option<(MasterKey, Protector)>,
    engine: Option<SocketAddr>,
    sequence: u16,
    /// The next packet, kept for its memory.
    packet: Vec<u8>,
}

impl Phone {
    fn new(way: Way, key_byte: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = Some(Duration::from_secs(10));
        socket.set_read_timeout(patience).unwrap();
        let material = vec![key_byte; SUITE.material_bytes()];
        let key = (way == Way::Sdes).then(|| {
            let key = MasterKey::new(SUITE, &material).unwrap();
            let protector = Protector::new(&key);
            (key, protector)
        });
        Self {
            socket,
            key,
            engine: None,
            sequence: 0,
            packet: Vec::new(),
        }
    }

    fn sdp(&self, tag: u32) -> String {
        let port = self.socket.local_addr().unwrap().port();
        let (profile, crypto) = match &self.key {
            None => ("RTP/AVP", String::new()),
            Some((key, _)) => {
                let key = STANDARD.encode(key.material());
                let name = SUITE.name();
                (
                    "RTP/SAVP",
                    format!("a=crypto:{tag} {name} inline:{key}\r\n"),
                )
            }
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} {profile} 8\r\na=rtpmap:8 PCMA/8000\r\na=rtcp-mux\r\n{crypto}"
        )
    }

    /// Learns where to send to, and under which tag the suite was offered.
    fn take(&mut self, sdp: &[u8]) -> u32 {
        let description = Description::parse(sdp).unwrap();
        let medium = description.medium(0).unwrap();
        self.engine = Some(medium.rtp_address().unwrap());
        let mut cryptos = medium.cryptos();
        let offered = cryptos.find(|crypto| crypto.suite == SUITE.name().as_bytes());
        offered.map_or(1, |crypto| crypto.tag)
    }

    fn send(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header {
            marker: false,
            payload_type: 8,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 7,
        };
        self.packet.clear();
        self.packet.extend(header.encode());
        self.packet.extend([0xd5; 160]);
        let mut len = self.packet.len();
        if let Some((_, protector)) = &mut self.key {
            self.packet.resize(len + OVERHEAD_BYTES_MAX, 0);
            len = protector.protect_rtp(&mut self.packet, len).unwrap();
        }
        let packet = &self.packet[..len];
        self.socket.send_to(packet, self.engine.unwrap()).unwrap();
    }

    fn hear(&self, packets: usize) {
        for _ in 0..packets {
            self.socket.recv(&mut [0; 2_048]).expect("a packet in time");
        }
    }
}

struct Call {
    engine: Engine,
    a: Phone,
    b: Phone,
}

impl Call {
    fn new(ways: [Way; 2]) -> Self {
        let config = EngineConfig {
            v4: Some(Interface::same("127.0.0.1".parse().unwrap())),
            ..EngineConfig::new(20_000..=29_999)
        };
        let mut engine = Engine::new(config, || {}).unwrap();
        let (mut a, mut b) = (Phone::new(ways[0], 1), Phone::new(ways[1], 2));
        let wanted = Options {
            transport: match ways[1] {
                Way::Rtp => Transport::Rtp(Feedback::Without),
                Way::Sdes => Transport::Sdes(Feedback::Without),
            },
            ..Options::default()
        };
        let offer = a.sdp(1);
        let offer = negotiation(Side::A, &offer, &wanted);
        let offer = engine.offer(1, offer, AddressFamily::V4).unwrap();
        let tag = b.take(&offer);
        let answer = b.sdp(tag);
        let answer = engine.answer(1, negotiation(Side::B, &answer, Options::relay()));
        a.take(&answer.unwrap());
        Self { engine, a, b }
    }

    /// Both say packets one by one, and then bursts.
    fn talk(&mut self, rounds: usize) -> usize {
        for _ in 0..rounds {
            self.a.send();
            self.b.hear(1);
            self.b.send();
            self.a.hear(1);
            (0..BURST).for_each(|_| self.a.send());
            self.b.hear(BURST);
        }
        rounds * (2 + BURST)
    }
}

fn negotiation<'a>(from: Side, sdp: &'a str, options: &'a Options) -> Negotiation<'a> {
    Negotiation {
        from,
        sdp: sdp.as_bytes(),
        signalling: "127.0.0.1".parse().ok(),
        options,
    }
}

/// One test, as threads of others would be counted, too.
#[test]
fn the_worker_allocates_for_no_packet() {
    TESTS.with(|tests| tests.set(true));
    for ways in [
        [Way::Rtp, Way::Rtp],
        [Way::Sdes, Way::Rtp],
        [Way::Sdes, Way::Sdes],
    ] {
        let mut call = Call::new(ways);
        call.talk(20);
        let (before, begun) = (ELSEWHERE.load(Relaxed), std::time::Instant::now());
        let packets = call.talk(200) as u64;
        let looks = 1 + begun.elapsed().as_millis() as u64 / 250;
        let allocated = ELSEWHERE.load(Relaxed) - before;
        println!("{ways:?}: {allocated} allocations, {packets} packets, {looks} looks");
        // One for each packet would be thousands, one for each burst hundreds.
        assert!(
            allocated <= packets / 100 + looks * EACH_LOOK_MAX,
            "{ways:?}: {allocated} allocations for {packets} packets"
        );
        assert_eq!(call.engine.counters().relayed_packets, packets + 440);
    }
}

const SUITE: Suite = Suite::AesCm128HmacSha1_80;
/// Packets that one system call may bring.
const BURST: usize = 20;
/// Four times a second a worker looks after its sessions, and may then ask for memory.
const EACH_LOOK_MAX: u64 = 4;
