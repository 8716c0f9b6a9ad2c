//! Bindings shared by servers that are no cluster and have no store in common: an array.
//!
//! Each server keeps its shelf itself, and pushes what changes there to whoever listens to it, over
//! TLS with certificates on both sides. It pushes what it holds and nothing that it heard, so nothing
//! goes round in circles; each server has to listen to each other one. Portions are numbered: who was
//! cut off for a while goes on where it stopped, and who has missed too much looks through the shelf,
//! in portions too. One portion is on its way at a time, and what waits is bounded: a slow server
//! delays nobody and costs no memory.

mod frame;
mod hearer;
mod link;
mod shelf;
mod status;
mod teller;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::{ClientConfig, ServerConfig};

use self::frame::Frame;
use self::hearer::Other;
pub use self::link::ARRAY_NAME;
use self::link::Link;
use self::shelf::Shelf;
pub use self::status::{ArrayHeard, ArrayLink, ArrayPeer, ArrayStatus, ArrayTold};
use self::teller::Listener;
use super::{Exchanged, HeardChange, KnownNode, LocationChange, LocationNode, LocationStore, Rest};
use crate::StoreError;

/// What an array needs.
#[derive(Debug)]
pub struct ArrayOptions {
    /// Where other servers listen to this one.
    pub socket: TcpListener,
    /// The servers that this one listens to, each as `host:port`.
    pub peers: Vec<String>,
    /// How this server proves itself to those, and what they have to prove.
    pub client: Arc<ClientConfig>,
    /// The same for those that listen to this one.
    pub server: Arc<ServerConfig>,
    /// Tells this start from others; random.
    pub start: u64,
}

/// This server's part in an array; its threads end with the value.
#[derive(Debug)]
pub struct ArrayLocations {
    shared: Arc<Shared>,
    /// Where shelves are looked through at present, by the ids of their servers.
    looks: BTreeMap<String, Link>,
    cpu: status::ThreadTime,
}

/// Tells how an array does.
#[derive(Clone, Debug)]
pub struct ArrayWatch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    listen: SocketAddr,
    start: u64,
    state: Mutex<State>,
    /// Something was told, taken or has ended.
    changed: Condvar,
    cpu: status::Spent,
}

#[derive(Debug)]
struct State {
    /// This server, since its first exchange.
    us: Option<LocationNode>,
    shelf: Shelf,
    /// The servers that this one listens to, in the order in which they were said.
    others: Vec<Other>,
    /// Those that listen to this one, by their ids.
    listeners: BTreeMap<String, Listener>,
    /// Connections that others have opened, by their numbers, to be closed at the end.
    taken: BTreeMap<u64, TcpStream>,
    taken_ever: u64,
    has_ended: bool,
}

impl ArrayLocations {
    /// Begins to listen to the others, and takes those that listen.
    ///
    /// # Errors
    /// `Unavailable` if there are no threads to be had, `Misconfigured` if there are too many peers.
    pub fn start(options: ArrayOptions) -> Result<Self, StoreError> {
        if options.peers.len() > PEERS_MAX {
            let why = format!("an array has {PEERS_MAX} other servers at most");
            return Err(StoreError::Misconfigured(why));
        }
        let peers = options.peers.iter().map(|peer| Other::new(peer));
        let shared = Arc::new(Shared {
            client: options.client,
            server: options.server,
            listen: options.socket.local_addr()?,
            start: options.start,
            state: Mutex::new(State {
                us: None,
                shelf: Shelf::default(),
                others: peers.collect(),
                listeners: BTreeMap::new(),
                taken: BTreeMap::new(),
                taken_ever: 0,
                has_ended: false,
            }),
            changed: Condvar::new(),
            cpu: status::Spent::default(),
        });
        let array = Self {
            shared: Arc::clone(&shared),
            looks: BTreeMap::new(),
            cpu: status::ThreadTime::default(),
        };
        let socket = options.socket;
        let taking = Arc::clone(&shared);
        thread::Builder::new()
            .name("array-accept".into())
            .spawn(move || teller::accept(&taking, &socket))?;
        for at in 0..options.peers.len() {
            let hearing = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("array-{at}"))
                .spawn(move || hearer::run(&hearing, at))?;
        }
        Ok(array)
    }

    /// Tells how it does.
    #[must_use]
    pub fn watch(&self) -> ArrayWatch {
        ArrayWatch(Arc::clone(&self.shared))
    }
}

impl Drop for ArrayLocations {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_ended = true;
        for taken in std::mem::take(&mut state.taken).into_values() {
            let _ = taken.shutdown(std::net::Shutdown::Both);
        }
        for other in &mut state.others {
            other.close();
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes whoever waits for connections.
        let _ = TcpStream::connect_timeout(&woken_at(self.shared.listen), CONNECT_PATIENCE);
    }
}

/// Where a socket is reached from this machine.
fn woken_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => [127, 0, 0, 1].into(),
        _ => [0, 0, 0, 0, 0, 0, 0, 1].into(),
    };
    SocketAddr::new(ip, listen.port())
}

impl LocationStore for ArrayLocations {
    fn exchange(
        &mut self,
        us: &LocationNode,
        told: &[LocationChange],
    ) -> Result<Exchanged, StoreError> {
        self.shared.cpu.add(self.cpu.lap());
        let mut us = us.clone();
        if !us.filled.is_empty() {
            // Another start fills its shelf anew.
            us.filled = format!("{}.{:x}", us.filled, self.shared.start);
        }
        let mut state = self.shared.lock();
        let mut changes = Vec::new();
        let mut nodes = vec![KnownNode {
            node: us.clone(),
            is_buried: false,
            is_away: false,
        }];
        for other in &mut state.others {
            nodes.extend(other.known());
            let (Some(node), Some(heard)) = (&other.node, other.inbox.take()) else {
                continue;
            };
            changes.extend(heard.into_iter().map(|change| HeardChange {
                from: node.id.clone(),
                change,
            }));
        }
        state.us = Some(us);
        state.shelf.put(told);
        drop(state);
        self.shared.changed.notify_all();
        Ok(Exchanged::Heard {
            era: ERA.to_owned(),
            changes,
            rest: Rest::Nothing,
            nodes,
        })
    }

    fn clear(&mut self, _us: &LocationNode) -> Result<(), StoreError> {
        self.shared.lock().shelf.clear();
        Ok(())
    }

    fn look(&mut self, node: &str, from: u64) -> Result<(Vec<LocationChange>, u64), StoreError> {
        let mut link = match self.looks.remove(node) {
            Some(link) if from != 0 => link,
            _ => {
                let address = self.shared.lock().address_of(node);
                let address = address
                    .ok_or_else(|| StoreError::Unavailable(format!("{node} is not connected")))?;
                hearer::connect(&self.shared, &address)?
            }
        };
        link.send(&Frame::Look { from })?;
        let Frame::Part { next, changes } = link.receive()? else {
            return Err(StoreError::Corrupt(format!("{node} shows no shelf")));
        };
        let part = changes.unpack();
        let part = part.ok_or_else(|| StoreError::Corrupt(format!("the shelf of {node}")))?;
        let mut state = self.shared.lock();
        if let Some(other) = state.others.iter_mut().find(|other| other.is(node)) {
            other.note_look(&link, part.len());
        }
        drop(state);
        if next != 0 {
            self.looks.insert(node.to_owned(), link);
        }
        Ok((part, next))
    }

    fn forget(&mut self, _node: &str) -> Result<(), StoreError> {
        // Its shelf is its own.
        Ok(())
    }
}

impl ArrayWatch {
    /// How it does now.
    #[must_use]
    pub fn status(&self) -> ArrayStatus {
        status::of(&self.0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed, or for so long.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// This server, as soon as it knows its own name; `None` if it does not come to that.
    fn us(&self) -> Option<LocationNode> {
        let until = Instant::now() + LINE_PATIENCE;
        let mut state = self.lock();
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            if state.has_ended {
                return None;
            }
            if let Some(us) = &state.us {
                return Some(us.clone());
            }
            state = self.wait(state, left);
        }
    }
}

impl State {
    fn address_of(&self, node: &str) -> Option<String> {
        let mut others = self.others.iter();
        let other = others.find(|other| other.is(node) && other.is_connected())?;
        Some(other.address.clone())
    }
}

/// Microseconds since the Unix epoch.
fn clock_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// Shelves of an array are never forgotten but by their own servers.
const ERA: &str = "array";
/// Other servers of an array.
const PEERS_MAX: usize = 32;
/// How long opening a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long nothing may come over a connection on which something is due.
const LINE_PATIENCE: Duration = Duration::from_secs(5);
/// After what time something is said where nothing has changed.
const BEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
