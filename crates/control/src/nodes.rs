//! The nodes of the platform: how they join, what they are told, and how they are.
//!
//! Control is the server of the line (crate `link`): `service` answers, `enrol` gives certificates,
//! `fleet` remembers what was last heard of each.

mod asking;
mod distance;
mod enrol;
mod fleet;
mod follow;
mod happened;
mod media;
mod roles;
mod service;
mod turns;

use std::sync::Arc;

use link::{Authority, RefusedLines};
use tokio::net::TcpListener;

use crate::Control;
use crate::control::now;

pub(crate) use self::asking::{Asking, Silence};
pub use self::distance::{Distance, Neighbour, RoundTrips};
pub(crate) use self::fleet::{Fleet, Heard, Measured};
pub use self::fleet::{ProgramUpdate, Report, SocketReport};
pub(crate) use self::happened::EventsTaken;
pub(crate) use self::media::gone as media_servers_gone;
pub use self::roles::{DispatcherReport, MediaReport, TargetReport, TargetState};

/// Where nodes find control, and by whose word.
pub struct NodeSocket {
    /// It listens, and does not block.
    pub listener: std::net::TcpListener,
    /// The platform's authority.
    pub authority: Arc<Authority>,
    /// The secret that all nodes of the platform share.
    pub cluster_key: [u8; 32],
    /// Counts the lines that come to nothing.
    pub refused: Arc<RefusedLines>,
}

/// What control joins nodes with.
#[derive(Clone)]
pub(crate) struct Joining {
    pub(crate) authority: Arc<Authority>,
    pub(crate) cluster_key: [u8; 32],
    pub(crate) port: u16,
}

/// Serves the nodes until the API stops.
///
/// # Errors
/// No certificate can be made for control itself, or the socket is of no use.
pub async fn serve_nodes(control: Control, socket: NodeSocket) -> std::io::Result<()> {
    let NodeSocket {
        listener,
        authority,
        cluster_key,
        refused,
    } = socket;
    let port = listener.local_addr()?.port();
    let listener = TcpListener::from_std(listener)?;
    let lines = link::accept(listener, &authority, now().as_micros(), refused)
        .map_err(std::io::Error::other)?;
    control.join_nodes_with(Joining {
        authority,
        cluster_key,
        port,
    });
    let mut stopping = control.stopping();
    let stop = async move {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let service = service::Service(control);
    let service = link::proto::link_server::LinkServer::new(service)
        .max_decoding_message_size(link::UP_MAX_BYTES)
        .max_encoding_message_size(link::DOWN_MAX_BYTES);
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .concurrency_limit_per_connection(REQUESTS_MAX)
        .max_concurrent_streams(REQUESTS_MAX as u32)
        .serve_with_incoming_shutdown(service, lines, stop)
        .await
        .map_err(std::io::Error::other)
}

/// Requests of one line at a time; a node has five, and its answers to eight questions.
const REQUESTS_MAX: usize = 16;
/// A node that is silent for twice this time is not connected any more.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(5);
