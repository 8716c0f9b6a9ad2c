//! The connections of HTTP and WebSocket: of those who may ask, and as many at a time as there is
//! room for.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::gate::Gate;

/// A listener that hears only those on the list, and tells those who find no room.
pub(super) struct Gated {
    listener: TcpListener,
    gate: Arc<Gate>,
    room: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// A connection, and its place among those there may be.
pub(super) struct Seated {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Gated {
    pub(super) fn new(listener: TcpListener, gate: Arc<Gate>) -> Self {
        Self {
            listener,
            gate,
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        }
    }

    fn refuse(&self, stream: TcpStream, source: SocketAddr) {
        tracing::debug!(%source, "no room for another connection");
        let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            let _place = place;
            // Who hears nothing of it within the time is closed all the same.
            let _ = timeout(REFUSAL_TIME, say_no(stream)).await;
        });
    }
}

impl Listener for Gated {
    type Io = Seated;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seated, SocketAddr) {
        loop {
            let (stream, source) = Listener::accept(&mut self.listener).await;
            if !self.gate.admits(source.ip()) {
                continue;
            }
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(place) => {
                    let seated = Seated {
                        stream,
                        _place: place,
                    };
                    return (seated, source);
                }
                Err(_) => self.refuse(stream, source),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, room)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Answers what is asked first. It is read to its end: what is left unread when a connection closes
/// takes the answer with it.
async fn say_no(mut stream: TcpStream) -> io::Result<()> {
    let mut read = [0; 1_024];
    if stream.read(&mut read).await? == 0 {
        return Ok(());
    }
    stream.write_all(NO_ROOM).await?;
    stream.shutdown().await?;
    while stream.read(&mut read).await? > 0 {}
    Ok(())
}

/// Connections of a listener at a time, WebSockets among them; further ones are answered 503.
const CONNECTIONS_MAX: usize = 256;
/// Those that are being answered so; further ones are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long that may take.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n\
    content-length: 21\r\nretry-after: 1\r\nconnection: close\r\n\r\ntoo many connections\n";
