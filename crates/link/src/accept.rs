//! Lines as control takes them: handshakes beside each other, so that a slow one keeps nobody
//! waiting, and each refusal in the log with its reason.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
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
use crate::tally::{Counted, Tally};
use crate::{Authority, LinkError, reason, tls};

/// One line, whose handshake is done.
pub struct Line {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// What bounds it where we do not know whose it is.
    bounds: Option<Bounds>,
    /// One of the lines that there may be, and one of those of the same server.
    _place: (OwnedSemaphorePermit, Option<Counted<String>>),
}

/// What a stranger may take of us.
struct Bounds {
    /// When the line has to be over.
    ends: Pin<Box<Sleep>>,
    /// Bytes that are still listened to.
    left: usize,
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

/// Takes lines at a socket until what it returns is dropped. Errors: `Misconfigured`.
pub fn accept(
    listener: TcpListener,
    authority: &Authority,
    now_us: u64,
) -> Result<ReceiverStream<io::Result<Line>>, LinkError> {
    let config = Arc::new(tls::server(authority, now_us)?);
    let (done, ready) = mpsc::channel(READY_MAX);
    tokio::spawn(run(listener, TlsAcceptor::from(config), done));
    Ok(ReceiverStream::new(ready))
}

/// How many lines there may be.
#[derive(Clone)]
struct Places {
    nodes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// Lines of each server.
    servers: Tally<String>,
    /// Handshakes with each address.
    handshakes: Tally<IpAddr>,
}

impl Places {
    /// A line of whom the handshake has shown. Errors: there are too many of its kind.
    fn seat(&self, stream: TlsStream<TcpStream>, peer: Peer) -> io::Result<Line> {
        let (places, bounds) = match peer.shown {
            Some(_) => (&self.nodes, None),
            None => (&self.strangers, Some(Bounds::new())),
        };
        let full = || io::Error::other("there are too many lines of its kind");
        let place = Arc::clone(places).try_acquire_owned();
        let place = place.map_err(|_| full())?;
        // A revoked node shows a certificate that is good until it ends; its lines must not be
        // everybody's.
        let of_server = match &peer.shown {
            Some(shown) => {
                let counted = self
                    .servers
                    .count(shown.server.clone(), LINES_OF_SERVER_MAX);
                Some(counted.ok_or_else(full)?)
            }
            None => None,
        };
        Ok(Line {
            stream,
            peer,
            bounds,
            _place: (place, of_server),
        })
    }
}

impl Bounds {
    fn new() -> Self {
        Self {
            ends: Box::pin(sleep(STRANGER_TIME)),
            left: STRANGER_BYTES,
        }
    }
}

async fn run(listener: TcpListener, tls: TlsAcceptor, done: mpsc::Sender<io::Result<Line>>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let lines = Places {
        nodes: Arc::new(Semaphore::new(LINES_MAX)),
        strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
        servers: Tally::new(),
        handshakes: Tally::new(),
    };
    while let Ok(place) = places.clone().acquire_owned().await {
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
        let Some(counted) = lines
            .handshakes
            .count(address.ip(), HANDSHAKES_OF_ADDRESS_MAX)
        else {
            tracing::warn!(%address, "too many handshakes with this address: it may try again");
            continue;
        };
        let (tls, lines, done) = (tls.clone(), lines.clone(), done.clone());
        tokio::spawn(async move {
            let _places = (place, counted);
            match timeout(HANDSHAKE_TIME, handshake(tls, lines, stream, address)).await {
                // Without a receiver control has ended.
                Ok(Ok(line)) => drop(done.send(Ok(line)).await),
                Ok(Err(error)) => {
                    let reason = reason(&error);
                    tracing::warn!(%address, reason, "a node's line was refused");
                }
                Err(_) => tracing::warn!(%address, "a node's handshake took too long"),
            }
        });
    }
}

async fn handshake(
    tls: TlsAcceptor,
    lines: Places,
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<Line> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    let shown = certificate.map(read).transpose()?.map(Arc::new);
    lines.seat(stream, Peer { address, shown })
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
        let Self { stream, bounds, .. } = &mut *self;
        let Some(Bounds { ends, left }) = bounds else {
            return Pin::new(stream).poll_read(context, buffer);
        };
        if ends.as_mut().poll(context).is_ready() {
            let why = "whoever shows no certificate has a short time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        match left.checked_sub(buffer.filled().len() - before) {
            Some(rest) => *left = rest,
            None => {
                let why = "whoever shows no certificate has little to say";
                return Poll::Ready(Err(io::Error::other(why)));
            }
        }
        read
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

/// Handshakes at a time; further connections wait in the kernel.
const HANDSHAKES_MAX: usize = 64;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Lines at a time of those who show a certificate; more are refused.
const LINES_MAX: usize = 4_096;
/// Those of one server: a node has one, and the one before that has not ended yet.
const LINES_OF_SERVER_MAX: usize = 8;
/// Handshakes at a time with one address; more are refused.
const HANDSHAKES_OF_ADDRESS_MAX: usize = 16;
/// Lines at a time of those who show none, and want to join; more are refused.
const STRANGERS_MAX: usize = 64;
/// How long those may last.
const STRANGER_TIME: Duration = Duration::from_secs(30);
/// Bytes that are read of one of them: an enrolment has some 2,000.
const STRANGER_BYTES: usize = 64 * 1_024;
/// After an error of the socket, which is most often a want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Lines that wait to be served, after which handshakes wait.
const READY_MAX: usize = 16;
