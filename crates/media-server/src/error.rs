//! Why a media server did not start.

use std::io;
use std::net::SocketAddr;

/// Why a media server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No listener is configured.
    #[error("no address to take requests at")]
    NoListener,
    /// An address for requests cannot be had.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Media cannot be had.
    #[error(transparent)]
    Media(#[from] media::StartError),
    /// The kernel refused a thread or a descriptor.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}
