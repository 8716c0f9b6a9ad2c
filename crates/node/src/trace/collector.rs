//! Other systems that tell of their messages by HEPv3, over UDP and TCP; only those that are
//! configured are heard.
//!
//! One thread with small needs: sockets do not block, and it looks at them in turn, so that none that
//! talks without end keeps it from the others or from its orders. What is no HEPv3 of a SIP message
//! is counted and passed over; over TCP it ends the connection, for nobody knows where the next
//! packet begins.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, Sender, unbounded};
use ipnet::IpNet;
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll, Token, Waker};
use model::TraceSettings;
use trace::{Direction, Passage};

use super::{Teller, TraceLink, TraceTap};

/// Hears other systems; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    link: CollectorLink,
    thread: Option<JoinHandle<()>>,
}

/// Tells the collector where to listen.
#[derive(Clone, Debug)]
pub(crate) struct CollectorLink {
    orders: Sender<Option<TraceSettings>>,
    waker: Arc<Waker>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    heard: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
}

impl Collector {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there is none to be had.
    pub(crate) fn start(trace: &TraceLink) -> Result<Self> {
        let poll = Poll::new().context("no epoll for HEP")?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).context("no epoll for HEP")?);
        let (orders, ordered) = unbounded();
        let counts = Arc::<Counts>::default();
        let ears = Ears {
            poll,
            tap: trace.tap(Teller::Others),
            counts: Arc::clone(&counts),
            sources: Vec::new(),
            at: None,
            open: None,
            streams: HashMap::new(),
            next: STREAM_FIRST,
            looks: 0,
            room: vec![0; DATAGRAM_MAX],
        };
        let thread = thread::Builder::new()
            .name("hep-in".into())
            .spawn(move || ears.run(&ordered))
            .context("no thread for HEP")?;
        Ok(Self {
            link: CollectorLink {
                orders,
                waker,
                counts,
            },
            thread: Some(thread),
        })
    }

    pub(crate) fn link(&self) -> CollectorLink {
        self.link.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.link.orders.send(None);
        let _ = self.link.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that hears other systems had panicked");
        }
    }
}

impl CollectorLink {
    /// Listens elsewhere, and to others, from now on.
    pub(crate) fn configure(&self, settings: &TraceSettings) {
        // It lives until the platform ends.
        let _ = self.orders.send(Some(settings.clone()));
        let _ = self.waker.wake();
    }

    /// Messages that were heard, packets of strangers, and packets that are no HEPv3 of SIP.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let Counts {
            heard,
            refused,
            unreadable,
        } = &*self.counts;
        [heard, refused, unreadable].map(|count| count.load(Relaxed))
    }
}

/// The thread.
struct Ears {
    poll: Poll,
    tap: TraceTap,
    counts: Arc<Counts>,
    sources: Vec<IpNet>,
    at: Option<SocketAddr>,
    open: Option<(UdpSocket, TcpListener)>,
    streams: HashMap<Token, Stream>,
    next: usize,
    /// Looks at streams in which something came.
    looks: u64,
    room: Vec<u8>,
}

/// A system that tells over TCP.
struct Stream {
    socket: mio::net::TcpStream,
    peer: SocketAddr,
    /// What of a packet has come.
    begun: Vec<u8>,
    /// Grows with each look in which something came, of any stream.
    heard: u64,
}

/// Whether a socket has more to say at once; it is not told of again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    More,
    Nothing,
}

impl Ears {
    fn run(mut self, orders: &Receiver<Option<TraceSettings>>) {
        let mut events = Events::with_capacity(64);
        // Those that had more to say than was listened to in one round.
        let mut talking: Vec<Token> = Vec::new();
        loop {
            let patience = (!talking.is_empty()).then_some(Duration::ZERO);
            if let Err(error) = self.poll.poll(&mut events, patience)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "other systems are not heard any more");
                return;
            }
            while let Ok(order) = orders.try_recv() {
                let Some(settings) = order else {
                    return;
                };
                self.configure(&settings);
            }
            let mut tokens = std::mem::take(&mut talking);
            tokens.extend(events.iter().map(mio::event::Event::token));
            tokens.sort_unstable();
            tokens.dedup();
            for token in tokens {
                let rest = match token {
                    WAKE => Rest::Nothing,
                    DATAGRAMS => self.hear_datagrams(),
                    CONNECTIONS => self.accept(),
                    token => self.hear_stream(token),
                };
                if rest == Rest::More {
                    talking.push(token);
                }
            }
            self.tap.flush();
        }
    }

    fn configure(&mut self, settings: &TraceSettings) {
        self.sources.clone_from(&settings.hep_sources);
        let sources = &self.sources;
        self.streams
            .retain(|_, stream| is_known(sources, stream.peer.ip()));
        if self.at == settings.hep_listen {
            return;
        }
        self.at = settings.hep_listen;
        self.open = None;
        self.streams.clear();
        let Some(at) = self.at else {
            return;
        };
        match self.listen(at) {
            Ok(open) => {
                tracing::info!(%at, "other systems may tell of their messages by HEP");
                self.open = Some(open);
            }
            Err(error) => {
                tracing::error!(%at, %error, "no socket for HEP; change the setting to try again");
            }
        }
    }

    fn listen(&self, at: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
        let (mut datagrams, mut connections) = (UdpSocket::bind(at)?, TcpListener::bind(at)?);
        let registry = self.poll.registry();
        registry.register(&mut datagrams, DATAGRAMS, Interest::READABLE)?;
        registry.register(&mut connections, CONNECTIONS, Interest::READABLE)?;
        Ok((datagrams, connections))
    }

    fn hear_datagrams(&mut self) -> Rest {
        let mut room = std::mem::take(&mut self.room);
        let mut rest = Rest::More;
        for _ in 0..ROUND_MAX {
            let Some((socket, _)) = &self.open else {
                rest = Rest::Nothing;
                break;
            };
            match socket.recv_from(&mut room) {
                Ok((size, peer)) => self.hear_datagram(&room[..size], peer),
                // Said of what was sent, which is nothing.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => {
                    rest = Rest::Nothing;
                    break;
                }
            }
        }
        self.room = room;
        rest
    }

    fn hear_datagram(&mut self, bytes: &[u8], peer: SocketAddr) {
        if !is_known(&self.sources, peer.ip()) {
            self.counts.refused.fetch_add(1, Relaxed);
        } else if self.hear(bytes, peer).is_none() {
            self.counts.unreadable.fetch_add(1, Relaxed);
        }
    }

    fn accept(&mut self) -> Rest {
        for _ in 0..ROUND_MAX {
            let Some((_, listener)) = &self.open else {
                return Rest::Nothing;
            };
            match listener.accept() {
                Ok((socket, peer)) => self.welcome(socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Rest::Nothing,
                Err(error) => {
                    // Out of open files: others may close some.
                    tracing::debug!(%error, "a connection for HEP is not taken");
                    thread::sleep(PAUSE);
                    return Rest::More;
                }
            }
        }
        Rest::More
    }

    fn welcome(&mut self, mut socket: mio::net::TcpStream, peer: SocketAddr) {
        if !is_known(&self.sources, peer.ip()) {
            self.counts.refused.fetch_add(1, Relaxed);
            return;
        }
        if self.streams.len() >= STREAMS_MAX {
            // Most likely its system went without a word.
            let silent = self.streams.iter().min_by_key(|(_, stream)| stream.heard);
            if let Some(token) = silent.map(|(token, _)| *token) {
                self.streams.remove(&token);
            }
        }
        let token = Token(self.next);
        self.next += 1;
        let registry = self.poll.registry();
        let registered = registry.register(&mut socket, token, Interest::READABLE);
        if registered.is_ok() {
            let begun = Vec::new();
            let stream = Stream {
                socket,
                peer,
                begun,
                heard: self.looks,
            };
            self.streams.insert(token, stream);
        }
    }

    fn hear_stream(&mut self, token: Token) -> Rest {
        let Some(mut stream) = self.streams.remove(&token) else {
            return Rest::Nothing;
        };
        let Some(rest) = self.read(&mut stream) else {
            return Rest::Nothing;
        };
        self.streams.insert(token, stream);
        rest
    }

    /// `None`: the connection is at its end.
    fn read(&mut self, stream: &mut Stream) -> Option<Rest> {
        let mut room = [0; 16_384];
        for _ in 0..ROUND_MAX {
            match stream.socket.read(&mut room) {
                Ok(0) => return None,
                Ok(size) => {
                    self.looks += 1;
                    stream.heard = self.looks;
                    stream.begun.extend_from_slice(&room[..size]);
                    if !self.hear_packets(stream) {
                        self.counts.unreadable.fetch_add(1, Relaxed);
                        tracing::warn!(peer = %stream.peer, "no HEPv3 came: the connection is closed");
                        return None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Some(Rest::Nothing);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(Rest::More)
    }

    /// Hears the packets that are whole; false if what came is none. A packet is no longer than
    /// 65,535 bytes, and so is what waits for its end.
    fn hear_packets(&mut self, stream: &mut Stream) -> bool {
        let mut at = 0;
        loop {
            let rest = &stream.begun[at..];
            let Some(begin) = rest.first_chunk::<6>() else {
                break;
            };
            let length = usize::from(u16::from_be_bytes([begin[4], begin[5]]));
            if !begin.starts_with(b"HEP3") || length < begin.len() {
                return false;
            }
            if rest.len() < length {
                break;
            }
            // Other kinds of reports go by the same connection.
            if self.hear(&rest[..length], stream.peer).is_none() {
                self.counts.unreadable.fetch_add(1, Relaxed);
            }
            at += length;
        }
        stream.begun.drain(..at);
        true
    }

    /// Hears one packet; `None` if it is no SIP message.
    fn hear(&mut self, bytes: &[u8], peer: SocketAddr) -> Option<()> {
        let (packet, _) = hep::parse(bytes).ok()?;
        if packet.kind != hep::Kind::Sip {
            return None;
        }
        self.counts.heard.fetch_add(1, Relaxed);
        if !self.tap.wants(packet.payload) {
            return Some(());
        }
        let unnamed;
        let node = match packet.node_name {
            "" => {
                unnamed = format!("{} ({})", peer.ip(), packet.node);
                unnamed.as_str()
            }
            name => name,
        };
        let passage = Passage {
            at_us: believed_us(packet.at_us, now_us()),
            transport: transport(&packet),
            direction: Direction::Elsewhere,
            from: packet.from,
            to: packet.to,
            node,
            correlation: packet.correlation,
        };
        self.tap.tell(&passage, packet.payload);
        Some(())
    }
}

/// When a message was seen, as its teller says; of a clock that is wrong by too much, when it came:
/// what is kept is found, and goes, by time.
fn believed_us(said_us: u64, now_us: u64) -> u64 {
    match said_us.abs_diff(now_us) <= SKEW_MAX_US {
        true => said_us,
        false => now_us,
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_micros() as u64)
}

/// What carried a message: HEP knows UDP and TCP; the topmost Via what ran over TCP.
fn transport(packet: &hep::Packet<'_>) -> sip::Transport {
    let via = trace::Head::read(packet.payload).via;
    let name = via.split(|byte| byte.is_ascii_whitespace() || *byte == b'/');
    let found = name.filter_map(sip::Transport::from_name).next();
    match (packet.protocol, found) {
        (hep::Protocol::Udp, _) => sip::Transport::Udp,
        (hep::Protocol::Tcp, Some(over)) if over.is_reliable() => over,
        (hep::Protocol::Tcp, _) => sip::Transport::Tcp,
    }
}

fn is_known(sources: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    sources.iter().any(|net| net.contains(&address))
}

const WAKE: Token = Token(0);
const DATAGRAMS: Token = Token(1);
const CONNECTIONS: Token = Token(2);
const STREAM_FIRST: usize = 3;
/// Systems that tell over TCP at a time; one more is refused.
const STREAMS_MAX: usize = 64;
/// What is taken of one socket before others have their turn.
const ROUND_MAX: usize = 256;
/// How far the time of a message may be beside ours: half of what a search allows for.
const SKEW_MAX_US: u64 = 1_800 * 1_000_000;
const DATAGRAM_MAX: usize = 65_536;
/// Where connections cannot be taken.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_not_believed() {
        let now = 1_700_000_000_000_000;
        assert_eq!(believed_us(now - 5_000_000, now), now - 5_000_000);
        assert_eq!(believed_us(0, now), now);
        assert_eq!(believed_us(now * 2, now), now);
    }
}
