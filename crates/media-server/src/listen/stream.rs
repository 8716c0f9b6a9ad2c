//! Requests in TCP streams: message after message, without any other frame.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::ask;
use crate::gate::Gate;
use crate::server::Orders;

/// Accepts connections for ever.
pub(crate) async fn serve(listener: TcpListener, orders: Orders, gate: Arc<Gate>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = Arc::clone(&room).try_acquire_owned();
        let (true, Ok(place)) = (gate.admits(source.ip()), place) else {
            continue;
        };
        let orders = orders.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = converse(stream, source, &orders).await {
                tracing::debug!(%source, %error, "a connection ended");
            }
        });
    }
}

/// Answers one connection until it ends, breaks the protocol, or is silent for too long in the
/// middle of a message.
async fn converse(
    mut stream: TcpStream,
    source: SocketAddr,
    orders: &Orders,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let length = match ng::stream_length(&buffer) {
            Ok(length) => length,
            Err(error) => return Err(std::io::Error::other(error)),
        };
        if let Some(length) = length {
            let message = buffer.drain(..length).collect::<Vec<u8>>();
            let message = message.trim_ascii_start().to_vec();
            if let Some(reply) = ask(orders, source, message).await {
                timeout(WRITE_TIME, stream.write_all(&reply)).await??;
            }
            continue;
        }
        let whole = buffer.trim_ascii().is_empty();
        let read = stream.read_buf(&mut buffer);
        let count = match whole {
            true => read.await?,
            false => timeout(MESSAGE_TIME, read).await??,
        };
        if count == 0 {
            return Ok(());
        }
    }
}

/// Connections at a time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 256;
/// After an error of `accept`: mostly there are no descriptors, and soon there are again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the rest of a message may take.
const MESSAGE_TIME: Duration = Duration::from_secs(10);
/// How long a client may not read.
const WRITE_TIME: Duration = Duration::from_secs(10);
