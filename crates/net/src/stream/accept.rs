//! Accepting connections on one listener.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustls::ServerConfig;
use sip::{Flow, ListenerId, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::admission::Permit;
use super::session::Session;
use super::{Context, bytes, connect, link, websocket};
use crate::counters::DropReason;
use crate::listener::ListenerSpec;
use crate::tls::{self, ClientCertificates, ClientNames};

/// One listening socket of a stream transport. Dropping it ends the listening and closes what it
/// accepted.
#[derive(Debug)]
pub(crate) struct Acceptor {
    open: watch::Sender<()>,
    /// Disconnected once the socket is closed.
    ended: Receiver<()>,
}

impl Acceptor {
    /// Starts accepting.
    pub(crate) fn start(
        runtime: &Handle,
        context: Arc<Context>,
        socket: StdListener,
        spec: &ListenerSpec,
    ) -> std::io::Result<Self> {
        let (open, watched) = watch::channel(());
        let (ending, ended) = bounded(0);
        let _in_runtime = runtime.enter();
        let socket = TcpListener::from_std(socket)?;
        let listening = Listening {
            context,
            id: spec.id,
            transport: spec.transport,
            clients: spec.clients,
            open: watched,
        };
        runtime.spawn(listening.run(socket, ending));
        Ok(Self { open, ended })
    }

    /// Stops listening, and returns once the address is free; whether that was within `patience`.
    pub(crate) fn stop(self, patience: Duration) -> bool {
        drop(self.open);
        // Nothing is ever sent: what is waited for is the end of the task.
        matches!(
            self.ended.recv_timeout(patience),
            Err(crossbeam_channel::RecvTimeoutError::Disconnected)
        )
    }
}

/// A listening task, and what each of its connections starts with.
#[derive(Clone, Debug)]
struct Listening {
    context: Arc<Context>,
    id: ListenerId,
    transport: Transport,
    clients: ClientCertificates,
    open: watch::Receiver<()>,
}

impl Listening {
    async fn run(mut self, socket: TcpListener, ending: Sender<()>) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = self.open.changed() => break,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) => {
                    // Out of descriptors, most likely: those who wait will wait a little longer.
                    tracing::warn!(listener = self.id.0, %error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(socket);
        drop(ending);
    }

    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        let context = &self.context;
        match context
            .admission
            .accept(self.transport, remote.ip(), &context.limits)
        {
            Ok(permit) => {
                tokio::spawn(self.clone().serve(stream, remote, permit));
            }
            Err(reason) => context.counters.count_dropped(reason, 1),
        }
    }

    async fn serve(self, stream: TcpStream, remote: SocketAddr, permit: Permit) {
        connect::tune(&stream, &self.context.limits);
        let context = self.context;
        let (link, inbox) = link(&context.limits);
        let flow = Flow {
            transport: self.transport,
            listener: self.id,
            conn: Some(context.next_conn()),
            remote,
        };
        let mut session = Session::new(context.clone(), flow, inbox, self.open, permit);
        let patience = context.limits.handshake_timeout;
        let tls = Handshake {
            server: context.tls.server(self.clients),
            remote,
        };
        let link = Some(link);
        match self.transport {
            Transport::Udp => {}
            Transport::Tcp => bytes::run(session, stream, link).await,
            Transport::Tls => match timeout(patience, tls.accept(stream)).await {
                Ok(Some((stream, names))) => {
                    session.names = names;
                    bytes::run(session, stream, link).await;
                }
                _ => context.counters.count_dropped(DropReason::Handshake, 1),
            },
            Transport::Ws => {
                let handshake = websocket::accept(stream, &context);
                match timeout(patience, handshake).await {
                    Ok(Ok(stream)) => websocket::run(session, stream, link).await,
                    _ => context.counters.count_dropped(DropReason::Handshake, 1),
                }
            }
            Transport::Wss => {
                let handshake = async {
                    let (stream, names) = tls.accept(stream).await?;
                    let stream = websocket::accept(stream, &context).await.ok()?;
                    Some((stream, names))
                };
                match timeout(patience, handshake).await {
                    Ok(Some((stream, names))) => {
                        session.names = names;
                        websocket::run(session, stream, link).await;
                    }
                    _ => context.counters.count_dropped(DropReason::Handshake, 1),
                }
            }
        }
    }
}

/// How a connection becomes one of TLS.
struct Handshake {
    /// `None` if clients are to be judged and nobody can be.
    server: Option<Arc<ServerConfig>>,
    remote: SocketAddr,
}

impl Handshake {
    /// The stream, and whom the certificate is for that the client has shown.
    async fn accept(self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, ClientNames)> {
        let remote = self.remote;
        let accepted = TlsAcceptor::from(self.server?).accept(stream).await;
        let stream = accepted
            .inspect_err(|error| tracing::debug!(peer = %remote, %error, "no TLS handshake"))
            .ok()?;
        let names = tls::client_names(stream.get_ref().1);
        if !names.is_empty() {
            tracing::debug!(peer = %remote, ?names, "a client has shown its certificate");
        }
        Some((stream, names))
    }
}

/// The pause after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
