//! Lines as control takes them: handshakes beside each other, so that a slow one keeps nobody
//! waiting, and refusals counted, and in the log with their reasons as long as there are not too many.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::authority::hex;
use crate::crowd::{Crowd, Stay};
use crate::tally::{Counted, Tally};
use crate::{Authority, LinkError, RefusedFor, RefusedLines, reason, tls};

/// One line, whose handshake is done.
pub struct Line {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    place: Place,
}

/// One of the lines that there may be.
enum Place {
    /// Of a node, for as long as it likes, and one of those of its server.
    Node {
        _place: OwnedSemaphorePermit,
        _of_server: Counted<String>,
    },
    /// Of whom we do not know.
    Stranger(Stranger),
}

/// What somebody may still do who has shown no certificate.
struct Stranger {
    /// When it has to be over.
    ends: Pin<Box<Sleep>>,
    /// Done when others need the room.
    stay: Stay,
    /// What it may still say.
    bytes_left: usize,
    refused: Arc<RefusedLines>,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where.
    pub address: SocketAddr,
    /// The certificate that was shown, if any: one of the authority's own, for a node.
    pub shown: Option<Arc<Shown>>,
}

/// What a node's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The server that it is for.
    pub server: String,
    /// The enrolment that it goes back to.
    pub enrolment: String,
    /// In hexadecimal digits.
    pub serial: String,
    /// Microseconds since the Unix epoch.
    pub expires_us: u64,
}

/// Takes lines at a socket until what it returns is dropped, and counts those that come to nothing.
/// Errors: `Misconfigured`.
pub fn accept(
    listener: TcpListener,
    authority: &Authority,
    now_us: u64,
    refused: Arc<RefusedLines>,
) -> Result<ReceiverStream<io::Result<Line>>, LinkError> {
    let config = Arc::new(tls::server(authority, now_us)?);
    let (done, ready) = mpsc::channel(READY_MAX);
    let door = Door {
        tls: TlsAcceptor::from(config),
        nodes: Arc::new(Semaphore::new(LINES_MAX)),
        servers: Tally::new(),
        strangers: Arc::new(Mutex::new(Crowd::new(STRANGERS_MAX))),
        refused,
    };
    tokio::spawn(door.watch(listener, done));
    Ok(ReceiverStream::new(ready))
}

/// Lets lines in.
#[derive(Clone)]
struct Door {
    tls: TlsAcceptor,
    nodes: Arc<Semaphore>,
    /// Lines of each server.
    servers: Tally<String>,
    strangers: Arc<Mutex<Crowd>>,
    refused: Arc<RefusedLines>,
}

impl Door {
    async fn watch(self, listener: TcpListener, done: mpsc::Sender<io::Result<Line>>) {
        let mut shaking = Crowd::new(HANDSHAKES_MAX);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = done.closed() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a node's connection was not taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (stay, _) = shaking.admit(address.ip());
            tokio::spawn(self.clone().pass(stream, address, stay, done.clone()));
        }
    }

    /// Sees somebody through the handshake, unless others need the room.
    async fn pass(
        self,
        stream: TcpStream,
        address: SocketAddr,
        stay: Stay,
        done: mpsc::Sender<io::Result<Line>>,
    ) {
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE_TIME, self.handshake(stream, address)) => shaken,
            _ = stay => {
                self.refuse(RefusedFor::Crowded, address, "others needed the room");
                return;
            }
        };
        match shaken {
            // Without a receiver control has ended.
            Ok(Ok(line)) => drop(done.send(Ok(line)).await),
            Ok(Err((cause, error))) => self.refuse(cause, address, &reason(&error)),
            Err(_) => self.refuse(RefusedFor::Slow, address, "the handshake took too long"),
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<Line, (RefusedFor, io::Error)> {
        let failed = |error| (RefusedFor::Handshake, error);
        stream.set_nodelay(true).map_err(failed)?;
        let stream = self.tls.accept(stream).await.map_err(failed)?;
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let shown = certificate.map(read).transpose().map_err(failed)?;
        let place = match &shown {
            Some(shown) => {
                let full = |why| (RefusedFor::Full, io::Error::other(why));
                let place = Arc::clone(&self.nodes).try_acquire_owned();
                let place = place.map_err(|_| full("there are too many lines of nodes"))?;
                // The certificate of a revoked node is good here until it ends: its lines must not
                // be everybody's.
                let of_server = self
                    .servers
                    .count(shown.server.clone(), LINES_OF_SERVER_MAX);
                let of_server =
                    of_server.ok_or_else(|| full("there are too many lines of this server"))?;
                Place::Node {
                    _place: place,
                    _of_server: of_server,
                }
            }
            None => Place::Stranger(self.admit_stranger(address)),
        };
        let shown = shown.map(Arc::new);
        Ok(Line {
            stream,
            peer: Peer { address, shown },
            place,
        })
    }

    fn admit_stranger(&self, address: SocketAddr) -> Stranger {
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (stay, _) = strangers.admit(address.ip());
        Stranger {
            ends: Box::pin(sleep(STRANGER_TIME)),
            stay,
            bytes_left: STRANGER_BYTES_MAX,
            refused: Arc::clone(&self.refused),
        }
    }

    fn refuse(&self, cause: RefusedFor, address: SocketAddr, reason: &str) {
        if self.refused.add(cause) {
            tracing::warn!(%address, reason, "a node's line was refused");
        }
    }
}

impl Stranger {
    /// Whether it has to go, and why.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Option<io::Error> {
        let (cause, why) = if self.bytes_left == 0 {
            let why = "whoever shows no certificate may say so much and no more";
            (RefusedFor::Lingering, why)
        } else if self.ends.as_mut().poll(context).is_ready() {
            let why = "whoever shows no certificate has a short time";
            (RefusedFor::Lingering, why)
        } else if Pin::new(&mut self.stay).poll(context).is_ready() {
            (RefusedFor::Crowded, "others needed the room")
        } else {
            return None;
        };
        self.refused.add(cause);
        self.bytes_left = 0;
        Some(io::Error::new(io::ErrorKind::TimedOut, why))
    }
}

/// What a certificate says that was found to be good.
fn read(certificate: &CertificateDer<'_>) -> io::Result<Shown> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (_, parsed) = X509Certificate::from_der(certificate.as_ref())
        .map_err(|_| bad("the certificate cannot be read"))?;
    let name = parsed.subject().iter_common_name().next();
    let name = name.and_then(|name| name.as_str().ok());
    let server = name.ok_or_else(|| bad("the certificate names no server"))?;
    let enrolment = parsed.subject().iter_organizational_unit().next();
    let enrolment = enrolment.and_then(|name| name.as_str().ok());
    let end_s = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok(Shown {
        server: server.to_owned(),
        enrolment: enrolment.unwrap_or_default().to_owned(),
        serial: hex(parsed.raw_serial()),
        expires_us: end_s.saturating_mul(1_000_000),
    })
}

impl Connected for Line {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, place, .. } = &mut *self;
        let Place::Stranger(stranger) = place else {
            return Pin::new(stream).poll_read(context, buffer);
        };
        if let Some(error) = stranger.poll_end(context) {
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(context, buffer);
        let said = buffer.filled().len() - before;
        stranger.bytes_left = stranger.bytes_left.saturating_sub(said);
        polled
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Handshakes at a time; one more, and one of them is given up.
const HANDSHAKES_MAX: usize = 64;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Lines at a time of those who show a certificate; more are refused.
const LINES_MAX: usize = 4_096;
/// Those of one server: a node has one, and the one before that has not ended yet.
const LINES_OF_SERVER_MAX: usize = 8;
/// Lines at a time of those who show none, and want to join; one more, and one of them ends.
const STRANGERS_MAX: usize = 64;
/// How long those may last.
const STRANGER_TIME: Duration = Duration::from_secs(30);
/// What those may say: joining takes a fiftieth of it.
const STRANGER_BYTES_MAX: usize = 64 << 10;
/// After an error of the socket, which is most often a want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Lines that wait to be served, after which handshakes wait.
const READY_MAX: usize = 16;

#[cfg(test)]
mod tests;
