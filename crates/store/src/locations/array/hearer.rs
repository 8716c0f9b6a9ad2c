//! Listening to another server: one thread for each, which connects, is told, and connects again.

use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame::Frame;
use super::link::Link;
use super::status::ThreadTime;
use super::{CONNECT_PATIENCE, Shared, clock_us};
use crate::locations::{KnownNode, LocationChange, LocationNode, codec};

/// Another server, as it was heard last.
#[derive(Debug)]
pub(super) struct Other {
    /// As it was said.
    pub(super) address: String,
    /// As it says of itself; `None` while it was never heard.
    pub(super) node: Option<LocationNode>,
    /// What came and was not taken yet. Nothing more is taken off the line before.
    pub(super) inbox: Option<Vec<LocationChange>>,
    pub(super) connection: Connection,
    /// How far it was heard, and of which start of it.
    start: u64,
    number: u64,
    /// How often something was missed that only its shelf has.
    pub(super) gaps: u64,
    pub(super) failures: u64,
    pub(super) error: Option<String>,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) changes: u64,
    /// Bindings that were seen on its shelf.
    pub(super) looked_at: u64,
}

/// The connection to another server.
#[derive(Debug)]
pub(super) enum Connection {
    /// There is one, since then; the socket is for closing it.
    Up(Instant, TcpStream),
    /// There is none, since then.
    Down(Instant),
}

impl Other {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            node: None,
            inbox: None,
            connection: Connection::Down(Instant::now()),
            start: 0,
            number: 0,
            gaps: 0,
            failures: 0,
            error: None,
            messages: 0,
            bytes: 0,
            changes: 0,
            looked_at: 0,
        }
    }

    pub(super) fn is(&self, id: &str) -> bool {
        self.node.as_ref().is_some_and(|node| node.id == id)
    }

    pub(super) const fn is_connected(&self) -> bool {
        matches!(self.connection, Connection::Up(..))
    }

    /// As the registrar's side is to know it.
    pub(super) fn known(&self) -> Option<KnownNode> {
        let mut node = self.node.clone()?;
        let is_away = match self.connection {
            Connection::Up(..) => false,
            Connection::Down(since) => since.elapsed() >= AWAY_AFTER,
        };
        if !self.is_connected() {
            // Nobody can look at its shelf.
            node.filled.clear();
        } else if !node.filled.is_empty() {
            // After a gap it is to be looked at again.
            node.filled = format!("{}/{}", node.filled, self.gaps);
        }
        Some(KnownNode {
            node,
            is_buried: false,
            is_away,
        })
    }

    pub(super) fn note_look(&mut self, link: &Link, bindings: usize) {
        self.messages += 2;
        self.looked_at += bindings as u64;
        self.bytes += link.last_bytes();
    }

    pub(super) fn close(&mut self) {
        if let Connection::Up(_, socket) = &self.connection {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Connects to another server, and proves itself to it.
pub(super) fn connect(shared: &Shared, address: &str) -> std::io::Result<Link> {
    Link::open(socket(address)?, &shared.client)
}

fn socket(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in address.to_socket_addrs()?.take(ADDRESSES_TRIED_MAX) {
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens to the server of this place in the list until the array ends.
pub(super) fn run(shared: &Arc<Shared>, at: usize) {
    let mut cpu = ThreadTime::default();
    loop {
        let ended = listen(shared, at, &mut cpu);
        shared.cpu.add(cpu.lap());
        let mut state = shared.lock();
        if state.has_ended {
            return;
        }
        let other = &mut state.others[at];
        let error = ended.err().map(|error| error.to_string());
        let why = error.unwrap_or_else(|| "it has ended the connection".to_owned());
        let is_new = other.error.as_ref() != Some(&why) || other.is_connected();
        if other.is_connected() {
            other.connection = Connection::Down(Instant::now());
        }
        other.failures += 1;
        if is_new {
            tracing::warn!(
                peer = other.address,
                why,
                "a server of the array is not heard"
            );
        }
        other.error = Some(why);
        let until = Instant::now() + RETRY;
        while !state.has_ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = shared.wait(state, left);
        }
    }
}

/// One connection; ends with it.
fn listen(shared: &Shared, at: usize, cpu: &mut ThreadTime) -> std::io::Result<()> {
    let Some(us) = shared.us() else {
        return Ok(());
    };
    let (address, start, number) = {
        let state = shared.lock();
        let other = &state.others[at];
        (other.address.clone(), other.start, other.number)
    };
    let socket = socket(&address)?;
    let closer = socket.try_clone()?;
    let mut link = Link::open(socket, &shared.client)?;
    link.send(&Frame::Hear {
        id: us.id.clone(),
        start,
        number,
    })?;
    let welcome = link.receive()?;
    join(shared, at, &us, &welcome, closer)?;
    let mut counted_bytes = 0;
    loop {
        let frame = link.receive()?;
        take(shared, at, frame)?;
        link.send(&Frame::Heard {
            clock_us: clock_us(),
        })?;
        shared.cpu.add(cpu.lap());
        let bytes = link.sent_bytes + link.received_bytes;
        let mut state = shared.lock();
        if state.has_ended {
            return Ok(());
        }
        let other = &mut state.others[at];
        other.messages += 2;
        other.bytes += bytes - counted_bytes;
        counted_bytes = bytes;
    }
}

/// The other server has said who it is.
fn join(
    shared: &Shared,
    at: usize,
    us: &LocationNode,
    welcome: &Frame,
    closer: TcpStream,
) -> std::io::Result<()> {
    let Frame::Welcome {
        start,
        number,
        id,
        node,
    } = welcome
    else {
        return Err(std::io::Error::other("another frame than a welcome"));
    };
    let node = codec::read_node(id, node)
        .ok_or_else(|| std::io::Error::other("it says nothing of itself that can be read"))?;
    let mut state = shared.lock();
    if node.id == us.id {
        return Err(std::io::Error::other("it is this server, or a copy of it"));
    }
    let mut others = state.others.iter().enumerate();
    if others.any(|(place, other)| place != at && other.is(id) && other.is_connected()) {
        return Err(std::io::Error::other("it is in the list twice"));
    }
    let other = &mut state.others[at];
    let goes_on = other.start == *start && other.number == *number && other.is(id);
    if !goes_on {
        other.gaps += 1;
    }
    (other.start, other.number) = (*start, *number);
    other.inbox = None;
    other.node = Some(node);
    other.error = None;
    other.connection = Connection::Up(Instant::now(), closer);
    tracing::info!(
        peer = other.address,
        id,
        goes_on,
        "a server of the array is heard"
    );
    Ok(())
}

/// Takes what came, as soon as the last was taken on.
fn take(shared: &Shared, at: usize, frame: Frame) -> std::io::Result<()> {
    let mut state = shared.lock();
    let other = &mut state.others[at];
    match frame {
        Frame::Beat { node } => {
            let id = other.node.as_ref().map(|node| node.id.clone());
            let node = codec::read_node(&id.unwrap_or_default(), &node);
            if node.is_some() {
                other.node = node;
            }
        }
        Frame::Lost { number } => {
            other.gaps += 1;
            other.number = number;
        }
        Frame::Told { number, changes } => {
            let changes = changes.unpack();
            let changes = changes.ok_or_else(|| std::io::Error::other("changes that are none"))?;
            other.changes += changes.len() as u64;
            other.inbox = Some(changes);
            while state.others[at].inbox.is_some() {
                if state.has_ended {
                    return Ok(());
                }
                state = shared.wait(state, RETRY);
            }
            // From here on it is not told again.
            state.others[at].number = number;
        }
        _ => return Err(std::io::Error::other("a frame that belongs elsewhere")),
    }
    Ok(())
}

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_secs(1);
/// Addresses of a name that are tried.
const ADDRESSES_TRIED_MAX: usize = 4;
/// After what time a server that is not heard is not called either: a connection that breaks, or a quick
/// restart, is nothing that callers are to notice.
const AWAY_AFTER: Duration = Duration::from_secs(5);
