//! Outgoing connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use sip::{ConnId, Flow, ListenerId, Transport};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::admission::Permit;
use super::outbox::Outbox;
use super::session::Session;
use super::{Context, Inbox, StreamEvent, StreamLimits, bytes, websocket};
use crate::counters::DropReason;
use crate::drive::{CloseReason, TransmitError};

/// A connection to be opened.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) conn: ConnId,
    pub(crate) transport: Transport,
    /// Whose address the connection leaves from.
    pub(crate) listener: ListenerId,
    pub(crate) remote: SocketAddr,
    /// The name to verify; empty: the address itself.
    pub(crate) name: Box<str>,
    pub(crate) inbox: Inbox,
    pub(crate) permit: Permit,
}

impl Dial {
    /// Connects and serves the connection until it ends; or reports what waited for it as failed.
    pub(crate) async fn run(self, context: Arc<Context>) {
        match self.connect(&context).await {
            Ok(stream) => self.serve(context, stream).await,
            Err(error) => {
                tracing::debug!(peer = %self.remote, %error, "cannot connect");
                if matches!(error, TransmitError::Tls | TransmitError::WebSocket) {
                    context.counters.count_dropped(DropReason::Handshake, 1);
                }
                let conn = self.conn;
                drop(self.permit);
                Outbox::new(self.inbox.queue).fail(error, &context).await;
                context
                    .tell(StreamEvent::Closed {
                        conn,
                        flow: None,
                        why: CloseReason::Peer,
                    })
                    .await;
            }
        }
    }

    async fn connect(&self, context: &Context) -> Result<Stream, TransmitError> {
        let limits = &context.limits;
        let local = context
            .local_ip(self.listener)
            .ok_or(TransmitError::NoListener)?;
        let tcp = timeout(limits.connect_timeout, open(local, self.remote))
            .await
            .map_err(|_| TransmitError::TimedOut)?
            .map_err(|error| TransmitError::from_io(&error))?;
        tune(&tcp, limits);
        let handshake = async {
            Ok(match self.transport {
                Transport::Udp | Transport::Tcp => Stream::Tcp(tcp),
                Transport::Tls => Stream::Tls(Box::new(self.tls(tcp, context).await?)),
                Transport::Ws => {
                    let socket = websocket::connect(tcp, &self.host()).await;
                    Stream::Ws(Box::new(socket.map_err(|_| TransmitError::WebSocket)?))
                }
                Transport::Wss => {
                    let tls = self.tls(tcp, context).await?;
                    let socket = websocket::connect(tls, &self.host()).await;
                    Stream::Wss(Box::new(socket.map_err(|_| TransmitError::WebSocket)?))
                }
            })
        };
        timeout(limits.handshake_timeout, handshake)
            .await
            .map_err(|_| TransmitError::TimedOut)?
    }

    async fn tls(
        &self,
        tcp: TcpStream,
        context: &Context,
    ) -> Result<TlsStream<TcpStream>, TransmitError> {
        let name = if self.name.is_empty() {
            ServerName::from(self.remote.ip())
        } else {
            ServerName::try_from(self.name.to_string()).map_err(|_| TransmitError::Tls)?
        };
        let connector = TlsConnector::from(context.tls.client());
        connector.connect(name, tcp).await.map_err(|error| {
            tracing::debug!(peer = %self.remote, %error, "TLS handshake");
            TransmitError::Tls
        })
    }

    /// What an HTTP Host header says of the peer.
    fn host(&self) -> String {
        if self.name.is_empty() {
            self.remote.to_string()
        } else {
            format!("{}:{}", self.name, self.remote.port())
        }
    }

    async fn serve(self, context: Arc<Context>, stream: Stream) {
        let flow = Flow {
            transport: self.transport,
            listener: self.listener,
            conn: Some(self.conn),
            remote: self.remote,
        };
        // An outgoing connection outlives the listener whose address it has.
        let (_always, listener_open) = watch::channel(());
        let session = Session::new(context, flow, self.inbox, listener_open, self.permit);
        match stream {
            Stream::Tcp(stream) => bytes::run(session, stream, None).await,
            Stream::Tls(stream) => bytes::run(session, *stream, None).await,
            Stream::Ws(stream) => websocket::run(session, *stream, None).await,
            Stream::Wss(stream) => websocket::run(session, *stream, None).await,
        }
    }
}

/// A connection after its handshakes.
enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Ws(Box<websocket::Socket<TcpStream>>),
    Wss(Box<websocket::Socket<TlsStream<TcpStream>>>),
}

async fn open(local: IpAddr, remote: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match remote {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if !local.is_unspecified() {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    socket.connect(remote).await
}

/// Sets what every connection has: no delay, and the kernel's own watch over dead peers.
pub(crate) fn tune(stream: &TcpStream, limits: &StreamLimits) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    // A socket that cannot be tuned still works.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(limits.write_timeout));
}

/// Silence after which the kernel probes the peer.
const KEEPALIVE_TIME: std::time::Duration = std::time::Duration::from_secs(60);
/// Time between its probes.
const KEEPALIVE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(15);
/// Probes unanswered before it gives up the connection.
const KEEPALIVE_RETRIES: u32 = 4;
