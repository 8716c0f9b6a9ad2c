//! The line between control and the nodes: gRPC over mutual TLS, with certificates of the
//! platform's own authority.
//!
//! Control has the [`Authority`]. A machine becomes a node by a one-time [`Token`], which names the
//! authority by its fingerprint: who stands in between cannot pass for control. From then on the
//! node has an [`Identity`], and both sides show a certificate whenever they talk.
//!
//! Here are the messages ([`proto`]), certificates, and how a line is opened ([`dial()`]) and
//! accepted ([`accept()`]). What control does with what it hears is in the crate `control`, what a
//! node does in `node`.

mod accept;
mod authority;
mod crowd;
mod dial;
mod error;
mod identity;
mod refused;
mod request;
mod tally;
mod tls;
mod token;

#[rustfmt::skip]
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::wildcard_imports,
    clippy::needless_pass_by_value,
    clippy::too_many_lines
)]
pub mod proto;

pub use accept::{Line, Peer, Shown, accept};
pub use authority::{Authority, Issued};
pub use dial::{Caller, dial};
pub use error::{LinkError, reason};
pub use identity::{Identity, SigningRequest};
pub use refused::{RefusedFor, RefusedLines};
pub use token::{Fingerprint, Token, TokenError};

/// The largest message to a node: the configuration of a platform with 200,000 users is a third of it.
pub const DOWN_MAX_BYTES: usize = 256 << 20;
/// The largest message to control: a portion of CDRs is a tenth of it.
pub const UP_MAX_BYTES: usize = 16 << 20;
