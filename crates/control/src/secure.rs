//! The API over TLS: handshakes beside each other, so that a slow one keeps nobody waiting.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::http::Request;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A socket for the API over TLS.
#[derive(Debug)]
pub struct SecureSocket {
    /// It listens.
    pub listener: TcpListener,
    /// What is shown in handshakes.
    pub tls: Arc<ServerConfig>,
}

/// Connections whose handshakes are done.
pub(crate) struct Secured {
    local: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Secured {
    /// Accepts from now on, until it is dropped.
    pub(crate) fn new(socket: SecureSocket) -> io::Result<Self> {
        let local = socket.listener.local_addr()?;
        let (done, ready) = mpsc::channel(READY_MAX);
        tokio::spawn(accept(socket, done));
        Ok(Self { local, ready })
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends with its receiver only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// Who has connected over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source(SocketAddr);

impl Connected<IncomingStream<'_, Secured>> for Source {
    fn connect_info(stream: IncomingStream<'_, Secured>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Says of a request over TLS what is said of all others, too: where it comes from.
pub(crate) async fn name_source<B>(mut request: Request<B>) -> Request<B> {
    let source = request.extensions().get::<ConnectInfo<Source>>().copied();
    if let Some(ConnectInfo(Source(address))) = source {
        request.extensions_mut().insert(ConnectInfo(address));
    }
    request
}

async fn accept(socket: SecureSocket, done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let SecureSocket { mut listener, tls } = socket;
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let (stream, source) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = done.closed() => return,
        };
        let (tls, done) = (TlsAcceptor::from(tls.clone()), done.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                // Without a receiver the API has ended.
                Ok(Ok(stream)) => drop(done.send((stream, source)).await),
                Ok(Err(error)) => tracing::debug!(%source, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%source, "a TLS handshake took too long"),
            }
        });
    }
}

/// Handshakes at a time; further connections wait in the kernel.
const HANDSHAKES_MAX: usize = 256;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Connections that wait to be served, after which handshakes wait.
const READY_MAX: usize = 16;
