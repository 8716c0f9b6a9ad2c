//! How an array does, and what it costs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Shared;
use super::hearer::Connection;

/// A server's part in an array.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayStatus {
    /// What it is called; empty while it is starting.
    pub id: String,
    /// Where it is listened to.
    pub listen: std::net::SocketAddr,
    /// Bindings and ends on its shelf.
    pub shelf: usize,
    /// Processor time of its threads.
    pub cpu: Duration,
    /// The others: those that it listens to, in their order, then those that only listen to it.
    pub peers: Vec<ArrayPeer>,
}

/// Another server of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayPeer {
    /// What it is called; empty if it was never heard.
    pub id: String,
    /// How it is heard; `None` if it is not listened to.
    pub heard: Option<ArrayHeard>,
    /// How it is told; `None` if it never listened.
    pub told: Option<ArrayTold>,
}

/// What came from another server.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayHeard {
    /// As it was said.
    pub address: String,
    /// Whether there is a connection.
    pub link: ArrayLink,
    /// Since when that is so.
    pub since: Duration,
    /// Connections that failed or broke.
    pub failures: u64,
    /// Why there is none.
    pub error: Option<String>,
    /// Messages in both directions.
    pub messages: u64,
    /// Bytes in both directions, TLS apart.
    pub bytes: u64,
    /// Changes.
    pub changes: u64,
    /// How often its shelf had to be looked through.
    pub looks: u64,
    /// Bindings that were seen there.
    pub looked_at: u64,
}

/// What another server was told.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayTold {
    /// Whether it listens.
    pub link: ArrayLink,
    /// Messages in both directions.
    pub messages: u64,
    /// Bytes in both directions, TLS apart.
    pub bytes: u64,
    /// Changes.
    pub changes: u64,
    /// From a change here until it was taken there, of the last portion.
    pub lag: Option<Duration>,
    /// Portions that it has not taken yet.
    pub behind: u64,
    /// How often portions were gone before it came.
    pub lost: u64,
    /// How far its clock is ahead of ours, in microseconds.
    pub skew_us: Option<i64>,
}

/// Whether there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayLink {
    /// There is.
    Up,
    /// There is none.
    Down,
}

impl From<bool> for ArrayLink {
    fn from(is_up: bool) -> Self {
        match is_up {
            true => Self::Up,
            false => Self::Down,
        }
    }
}

pub(super) fn of(shared: &Shared) -> ArrayStatus {
    let state = shared.lock();
    let last = state.shelf.last();
    let told = |id: &str| {
        let listener = state.listeners.get(id)?;
        Some(ArrayTold {
            link: listener.connection.is_some().into(),
            messages: listener.messages,
            bytes: listener.bytes,
            changes: listener.changes,
            lag: listener.lag,
            behind: match listener.connection {
                Some(_) => last.saturating_sub(listener.number),
                None => 0,
            },
            lost: listener.lost,
            skew_us: listener.skew_us,
        })
    };
    let heard = state.others.iter().map(|other| {
        let id = other.node.as_ref().map(|node| node.id.clone());
        let id = id.unwrap_or_default();
        let since = match &other.connection {
            Connection::Up(since, _) | Connection::Down(since) => since.elapsed(),
        };
        ArrayPeer {
            told: told(&id),
            id,
            heard: Some(ArrayHeard {
                address: other.address.clone(),
                link: other.is_connected().into(),
                since,
                failures: other.failures,
                error: other.error.clone(),
                messages: other.messages,
                bytes: other.bytes,
                changes: other.changes,
                looks: other.gaps,
                looked_at: other.looked_at,
            }),
        }
    });
    let mut peers: Vec<ArrayPeer> = heard.collect();
    let others = state.listeners.keys();
    let only: Vec<&String> = others
        .filter(|id| !peers.iter().any(|peer| peer.id == **id))
        .collect();
    peers.extend(only.into_iter().map(|id| ArrayPeer {
        id: id.clone(),
        heard: None,
        told: told(id),
    }));
    ArrayStatus {
        id: state
            .us
            .as_ref()
            .map(|us| us.id.clone())
            .unwrap_or_default(),
        listen: shared.listen,
        shelf: state.shelf.len(),
        cpu: shared.cpu.total(),
        peers,
    }
}

/// Processor time that several threads have spent.
#[derive(Debug, Default)]
pub(super) struct Spent(AtomicU64);

impl Spent {
    pub(super) fn add(&self, time: Duration) {
        let ns = time.as_nanos() as u64;
        if ns > 0 {
            self.0.fetch_add(ns, Ordering::Relaxed);
        }
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Reads the processor time of the thread that it is used on, now and then.
#[derive(Debug, Default)]
pub(super) struct ThreadTime {
    last: Option<(Instant, u64)>,
}

impl ThreadTime {
    /// What the thread has spent since the last time that this said something; seldom, for it is read
    /// from a file.
    pub(super) fn lap(&mut self) -> Duration {
        if self.last.is_some_and(|(at, _)| at.elapsed() < LAP) {
            return Duration::ZERO;
        }
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let spent_ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
        let spent_ns: u64 = spent_ns.unwrap_or(0);
        let before_ns = self.last.map_or(spent_ns, |(_, ns)| ns);
        self.last = Some((Instant::now(), spent_ns));
        Duration::from_nanos(spent_ns.saturating_sub(before_ns))
    }
}

/// Between two readings.
const LAP: Duration = Duration::from_millis(500);
