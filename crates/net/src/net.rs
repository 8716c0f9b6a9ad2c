//! Opening the network side of a process, and the handle by which other threads steer it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use os::Epoll;
use rustls::ServerConfig;
use sip::{ListenerId, Transport};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::drive::{Clock, Command, Parts, Shard, Waker};
use crate::listener::{ListenError, ListenerSpec, ListenerStatus, open_stream, open_udp};
use crate::resolve::{Dns, Located, ResolveError, Resolver, ResolverConfig};
use crate::stream::{Acceptor, Admission, Connections, Context, StreamLimits};
use crate::tls::{Tls, TlsConfig, TlsError};
use crate::udp::UdpListener;

/// What a [`Net`] is opened with.
#[derive(Debug, Default)]
pub struct Config {
    /// Bounds of stream connections.
    pub streams: StreamLimits,
    /// Certificates.
    pub tls: TlsConfig,
    /// The origins from which a browser may open a WebSocket, such as `https://phone.example.com`;
    /// empty: any.
    pub allowed_origins: Vec<String>,
    /// Name servers.
    pub resolver: ResolverConfig,
}

/// Why the network side could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel gave no epoll or event descriptor, or no thread.
    #[error("the system is out of descriptors or threads: {0}")]
    System(#[from] io::Error),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    listeners: Mutex<BTreeMap<ListenerId, Listener>>,
    context: Arc<Context>,
    /// `None` without name servers.
    dns: Option<Dns>,
    resolve_timeout: Duration,
    /// Where connections and resolver live; taken when the last handle is dropped.
    runtime: Option<Runtime>,
}

/// An open listener.
#[derive(Debug)]
struct Listener {
    status: ListenerStatus,
    /// `None` for UDP, whose socket is the shard's.
    acceptor: Option<Acceptor>,
}

impl Net {
    /// Opens the network side without any listener, and the shard that will serve it.
    ///
    /// # Errors
    /// If the system is out of descriptors or threads, or a certificate cannot be used.
    pub fn open(config: Config) -> Result<(Self, Shard), OpenError> {
        let counters = Arc::new(Counters::default());
        let (commands, commands_received) = bounded(COMMANDS_MAX);
        let (events, events_received) = mpsc::channel(EVENTS_MAX);
        let (clock, waker) = (Clock::start(), Waker::new()?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(STREAM_THREADS)
            .thread_name("sip-streams")
            .enable_all()
            .build()?;
        let context = Arc::new(Context {
            limits: config.streams,
            counters: counters.clone(),
            admission: Admission::new(counters.clone()),
            tls: Tls::new(config.tls)?,
            allowed_origins: config.allowed_origins,
            local_ips: RwLock::default(),
            events,
            waker: waker.clone(),
            next_conn: AtomicU64::new(1),
        });
        let resolver = Resolver::new(&config.resolver, context.clone(), runtime.handle().clone());
        let dns = resolver.dns();
        let shard = Shard::new(Parts {
            clock,
            poll: Epoll::new()?,
            waker: waker.clone(),
            commands: commands_received,
            events: events_received,
            connections: Connections::new(context.clone(), runtime.handle().clone()),
            resolver,
            counters: counters.clone(),
        })?;
        let net = Self(Arc::new(Inner {
            clock,
            waker,
            counters,
            commands,
            listeners: Mutex::default(),
            context,
            dns,
            resolve_timeout: config.resolver.timeout,
            runtime: Some(runtime),
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
        let listener = match spec.transport {
            Transport::Udp => self.add_udp(spec)?,
            _ => self.add_stream(spec)?,
        };
        let status = listener.status.clone();
        self.0
            .context
            .note_listener(spec.id, Some(status.local.ip()));
        listeners.insert(spec.id, listener);
        Ok(status)
    }

    /// Closes a listener and, for streams, the connections it accepted. The others are not
    /// disturbed. Its address is free when this returns.
    ///
    /// # Errors
    /// If it is not open, or the shard does not answer within [`COMMAND_TIMEOUT`].
    pub fn remove_listener(&self, id: ListenerId) -> Result<(), ListenError> {
        let mut listeners = self.listeners_locked();
        let listener = listeners.remove(&id).ok_or(ListenError::Unknown(id))?;
        self.0.context.note_listener(id, None);
        if let Some(acceptor) = listener.acceptor {
            return acceptor
                .stop(COMMAND_TIMEOUT)
                .then_some(())
                .ok_or(ListenError::ShardGone);
        }
        let (reply, answer) = bounded(1);
        self.command(Command::Remove(id, reply))?;
        answer
            .recv_timeout(COMMAND_TIMEOUT)
            .map_err(|_| ListenError::ShardGone)
    }

    /// The open listeners, by number.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        self.listeners_locked()
            .values()
            .map(|listener| listener.status.clone())
            .collect()
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

    /// All addresses of a service that is to be shared among them: those of a host if there is a
    /// port, else those that its SRV records for the transport name, or if it has none, its own.
    /// Wants a tokio runtime around it.
    ///
    /// # Errors
    /// If the name servers fail or know none.
    pub async fn locate(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Transport,
    ) -> Result<Vec<Located>, ResolveError> {
        let dns = self.0.dns.as_ref().ok_or(ResolveError::ServerFailed)?;
        let asking = dns.located(host, port, transport);
        let answer = tokio::time::timeout(self.0.resolve_timeout, asking).await;
        answer.unwrap_or(Err(ResolveError::TimedOut))
    }

    /// Shows other certificates, and judges those of peers by others, from the next TLS
    /// handshake on. Open connections go on.
    ///
    /// # Errors
    /// If a certificate and its key do not fit together; then all stays as it was.
    pub fn replace_tls(&self, config: TlsConfig) -> Result<(), TlsError> {
        self.0.context.tls.replace(config)
    }

    /// A set-up of TLS for another protocol than SIP, such as `http/1.1`, that shows the same
    /// certificates, replaced ones included.
    ///
    /// # Errors
    /// If the library refuses.
    pub fn tls_server(&self, protocol: &str) -> Result<Arc<ServerConfig>, TlsError> {
        self.0.context.tls.other_server(protocol.as_bytes())
    }

    /// Ends [`Shard::run`] after its current round.
    pub fn stop(&self) {
        // Without a receiver the shard has ended already.
        let _ = self.command(Command::Stop);
    }

    /// Blocks until all connections are closed, or `patience` is at an end; whether they are. Once
    /// [`Shard::run`] has returned, each connection is closed as soon as what it still has to
    /// write is written. Not to be called from an async task.
    #[must_use]
    pub fn wait_closed(&self, patience: Duration) -> bool {
        self.0.context.admission.wait_none(patience)
    }

    fn add_udp(&self, spec: &ListenerSpec) -> Result<Listener, ListenError> {
        let (socket, status) = open_udp(spec)?;
        self.command(Command::Add(
            spec.id,
            UdpListener::new(spec.id, socket, spec.owner),
        ))?;
        Ok(Listener {
            status,
            acceptor: None,
        })
    }

    fn add_stream(&self, spec: &ListenerSpec) -> Result<Listener, ListenError> {
        let context = self.0.context.clone();
        if spec.transport.is_secure() && !context.tls.can_listen() {
            return Err(ListenError::NoCertificate(spec.transport));
        }
        if spec.transport.is_secure() && context.tls.server(spec.clients).is_none() {
            return Err(ListenError::NoClientRoots(spec.transport));
        }
        let runtime = self.0.runtime.as_ref().ok_or(ListenError::ShardGone)?;
        let (socket, status) = open_stream(spec)?;
        let acceptor = Acceptor::start(runtime.handle(), context, socket, spec)
            .map_err(|source| ListenError::from_io(spec, source))?;
        Ok(Listener {
            status,
            acceptor: Some(acceptor),
        })
    }

    fn command(&self, command: Command) -> Result<(), ListenError> {
        self.0
            .commands
            .send(command)
            .map_err(|_| ListenError::ShardGone)?;
        self.0.waker.wake();
        Ok(())
    }

    fn listeners_locked(&self) -> MutexGuard<'_, BTreeMap<ListenerId, Listener>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped by one of the runtime's own threads, which must not
            // wait for itself.
            runtime.shutdown_background();
        }
    }
}

/// How long removing a listener waits for the shard.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// Commands waiting for the shard; adding listeners waits while there are more.
const COMMANDS_MAX: usize = 1_024;
/// Threads that serve stream connections and the resolver.
const STREAM_THREADS: usize = 2;
/// Stream messages waiting for the shard; while there are more, connections are not read.
const EVENTS_MAX: usize = 4_096;
