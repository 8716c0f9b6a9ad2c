//! SIP over UDP, TCP, TLS and WebSocket, RFC 3263 resolution, and the drive loop.
//!
//! [`Net::open`] gives two things: a [`Shard`], which is consumed by the one thread that owns the
//! UDP sockets and runs the machine, and a [`Net`], a cloneable handle by which other
//! threads add and remove listeners, read counters and wake the shard. Stream connections live
//! on a small tokio runtime and exchange whole messages with the shard over bounded channels.

pub mod counters;
pub mod drive;
pub mod listener;
pub mod net;
mod presented;
pub mod resolve;
mod stream;
mod stun;
mod sys;
pub mod tls;
mod udp;

pub use counters::{Counters, DropReason};
pub use drive::{
    Clock, CloseReason, EXIT_PANIC, Host, Input, Machine, Output, ResolveQuery, Security, Shard,
    TransmitError, Waker,
};
pub use listener::{
    AddressOwner, Advertised, ListenError, ListenerSpec, ListenerStatus, UDP_BUFFER_BYTES,
};
pub use net::{Config, Net, OpenError};
pub use presented::{PresentedError, presented};
pub use resolve::{Located, ResolveError, ResolverConfig};
pub use rustls::pki_types::CertificateDer;
pub use stream::StreamLimits;
pub use tls::{
    Certificates, ClientCertificates, ClientNames, Identity, TlsConfig, TlsError, Trust,
    certificates_from_pem,
};
