//! Listeners for streams.

pub(crate) mod http;
mod room;
pub(crate) mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::error::StartError;
use crate::server::{Order, Orders};

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen { address, source })
}

/// Has the desk answer a message; `None` if it cannot be answered.
pub(crate) async fn ask(orders: &Orders, source: SocketAddr, bytes: Vec<u8>) -> Option<Arc<[u8]>> {
    let (reply, answer) = oneshot::channel();
    orders.send(Order::Message {
        source,
        bytes,
        reply,
    });
    answer.await.ok()
}
