//! The media server: media for proxies and switches that ask over `ng`, rtpengine's control
//! protocol.
//!
//! One thread, `ng`, owns the desk, which owns the [`media::Engine`]: requests of all transports
//! come to it in batches, and it alone answers. Datagrams are read on that thread; TCP, HTTP and
//! WebSocket on a runtime of one thread beside it. Packets of media never come near either.

mod calls;
mod config;
mod cookies;
mod desk;
mod error;
mod gate;
mod lines;
mod listen;
mod news;
mod pressed;
mod server;
mod tally;
mod wishes;

pub use config::{Config, MoreMetrics, SeenRtcp, loopback};
pub use error::StartError;
pub use server::{Addresses, Handle, Look, MediaServer};

/// Uploads that are told of at most before anybody has asked: more are forgotten.
pub const UPLOADS_TOLD_MAX: usize = news::KEPT_MAX;
