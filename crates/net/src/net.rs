//! Opening the network side of a process, and the handle by which other threads steer it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use sip::{ListenerId, Transport};
use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::drive::{Clock, Command, Parts, Shard, Waker};
use crate::listener::{ListenError, ListenerSpec, ListenerStatus, open_udp};
use crate::resolve::Resolver;
use crate::stream::{Connections, StreamEvent};
use crate::sys::epoll::Epoll;
use crate::udp::UdpListener;

/// What a [`Net`] is opened with.
#[derive(Clone, Debug, Default)]
pub struct Config {}

/// Why the network side could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel gave no epoll or event descriptor, or no thread.
    #[error("the system is out of descriptors or threads: {0}")]
    System(#[from] io::Error),
}

/// A handle on the network side of a process, for other threads. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Net(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    waker: Waker,
    counters: Arc<Counters>,
    commands: Sender<Command>,
    /// Held while a listener is added or removed, so that these happen one after another.
    listeners: Mutex<BTreeMap<ListenerId, ListenerStatus>>,
    events: mpsc::Sender<StreamEvent>,
}

impl Net {
    /// Opens the network side without any listener, and the shard that will serve it.
    ///
    /// # Errors
    /// If the system is out of descriptors or threads.
    pub fn open(_config: Config) -> Result<(Self, Shard), OpenError> {
        let counters = Arc::new(Counters::default());
        let (commands, commands_received) = unbounded();
        let (events, events_received) = mpsc::channel(EVENTS_MAX);
        let (clock, waker) = (Clock::start(), Waker::new()?);
        let shard = Shard::new(Parts {
            clock,
            poll: Epoll::new()?,
            waker: waker.clone(),
            commands: commands_received,
            events: events_received,
            connections: Connections::new(counters.clone()),
            resolver: Resolver,
            counters: counters.clone(),
        })?;
        let net = Self(Arc::new(Inner {
            clock,
            waker,
            counters,
            commands,
            listeners: Mutex::default(),
            events,
        }));
        Ok((net, shard))
    }

    /// Opens a listener. The others are not disturbed. The shard must be running, or about to:
    /// an added UDP socket is read from when it is.
    ///
    /// # Errors
    /// If the number is in use, the address is taken or not ours, or the shard has ended.
    pub fn add_listener(&self, spec: &ListenerSpec) -> Result<ListenerStatus, ListenError> {
        let mut listeners = self.listeners_locked();
        if listeners.contains_key(&spec.id) {
            return Err(ListenError::Duplicate(spec.id));
        }
        let status = match spec.transport {
            Transport::Udp => self.add_udp(spec)?,
            _ => return Err(ListenError::NoCertificate(spec.transport)),
        };
        listeners.insert(spec.id, status.clone());
        Ok(status)
    }

    /// Closes a listener and, for streams, the connections it accepted. The others are not
    /// disturbed. Its address is free when this returns.
    ///
    /// # Errors
    /// If it is not open, or the shard does not answer within [`COMMAND_TIMEOUT`].
    pub fn remove_listener(&self, id: ListenerId) -> Result<(), ListenError> {
        let mut listeners = self.listeners_locked();
        let status = listeners.remove(&id).ok_or(ListenError::Unknown(id))?;
        if status.spec.transport == Transport::Udp {
            let (reply, answer) = bounded(1);
            self.command(Command::Remove(id, reply))?;
            answer
                .recv_timeout(COMMAND_TIMEOUT)
                .map_err(|_| ListenError::ShardGone)?;
        }
        Ok(())
    }

    /// The open listeners, by number.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        self.listeners_locked().values().cloned().collect()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// The shard's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// A waker of the shard.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.0.waker.clone()
    }

    /// Ends [`Shard::run`] after its current round.
    pub fn stop(&self) {
        // Without a receiver the shard has ended already.
        let _ = self.command(Command::Stop);
    }

    fn add_udp(&self, spec: &ListenerSpec) -> Result<ListenerStatus, ListenError> {
        let (socket, status) = open_udp(spec)?;
        self.command(Command::Add(spec.id, UdpListener::new(spec.id, socket)))?;
        Ok(status)
    }

    fn command(&self, command: Command) -> Result<(), ListenError> {
        self.0
            .commands
            .send(command)
            .map_err(|_| ListenError::ShardGone)?;
        self.0.waker.wake();
        Ok(())
    }

    fn listeners_locked(&self) -> MutexGuard<'_, BTreeMap<ListenerId, ListenerStatus>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long removing a listener waits for the shard.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// Stream messages waiting for the shard; while there are more, connections are not read.
const EVENTS_MAX: usize = 4_096;
