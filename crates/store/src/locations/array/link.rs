//! One connection between two servers of an array: TLS, and frames on it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::LINE_PATIENCE;
use super::frame::{FRAME_BYTES_MAX, Frame};

/// A connection on which both sides have proved themselves.
pub(super) struct Link {
    stream: Box<dyn Duplex>,
    /// What went over it, TLS apart.
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    /// What was counted before the last question.
    asked_at_bytes: u64,
}

trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// Of a connection that we opened.
    pub(super) fn open(mut socket: TcpStream, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(ARRAY_NAME).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        prepare(&socket)?;
        shake_hands(&mut tls, &mut socket)?;
        Ok(Self::on(StreamOwned::new(tls, socket)))
    }

    /// Of a connection that we were asked for.
    pub(super) fn take(mut socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        prepare(&socket)?;
        shake_hands(&mut tls, &mut socket)?;
        Ok(Self::on(StreamOwned::new(tls, socket)))
    }

    fn on(stream: impl Duplex + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            sent_bytes: 0,
            received_bytes: 0,
            asked_at_bytes: 0,
        }
    }

    pub(super) fn send(&mut self, frame: &Frame) -> io::Result<()> {
        let content = frame.encode();
        let mut bytes = Vec::with_capacity(content.len() + LENGTH_BYTES);
        bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&content);
        self.asked_at_bytes = self.sent_bytes + self.received_bytes;
        self.stream.write_all(&bytes)?;
        self.stream.flush()?;
        self.sent_bytes += bytes.len() as u64;
        Ok(())
    }

    /// What the last question and its answer took.
    pub(super) fn last_bytes(&self) -> u64 {
        self.sent_bytes + self.received_bytes - self.asked_at_bytes
    }

    /// The next frame; an error if none comes in time.
    pub(super) fn receive(&mut self) -> io::Result<Frame> {
        let mut length = [0; LENGTH_BYTES];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other("a frame that is too long"));
        }
        let mut content = vec![0; length];
        self.stream.read_exact(&mut content)?;
        self.received_bytes += (length + LENGTH_BYTES) as u64;
        Frame::decode(&content).ok_or_else(|| io::Error::other("a frame that is none"))
    }
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(LINE_PATIENCE))
}

/// By hand, for all of it has to be done in time: whoever is at the other end is a stranger until then.
fn shake_hands<D>(tls: &mut rustls::ConnectionCommon<D>, socket: &mut TcpStream) -> io::Result<()> {
    let until = Instant::now() + LINE_PATIENCE;
    while tls.is_handshaking() || tls.wants_write() {
        while tls.wants_write() {
            tls.write_tls(socket)?;
        }
        if !tls.is_handshaking() {
            break;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        if tls.read_tls(socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = tls.process_new_packets() {
            // So that the other end learns why.
            let _ = tls.write_tls(socket);
            return Err(io::Error::other(error));
        }
    }
    socket.set_read_timeout(Some(READ_PATIENCE))
}

/// The name in the certificates of an array.
pub const ARRAY_NAME: &str = "array.tandem.invalid";
/// How long the other end may say nothing. Longer than it takes a server to take in a portion.
const READ_PATIENCE: Duration = Duration::from_secs(10);
const LENGTH_BYTES: usize = 4;
