//! SIP as values: messages, headers, URIs, digest, transactions and dialogs.
//!
//! Nothing here owns a socket, a clock or a random number generator.

pub mod address;
pub mod check;
pub mod dialog;
pub mod digest;
pub mod digits;
pub mod framing;
pub mod lex;
mod marks;
mod message;
mod method;
mod multipart;
mod name;
pub mod parse;
mod scan;
pub mod status;
pub mod transaction;
pub mod transport;
pub mod uri;
mod via;
mod writer;

pub use address::{AddressError, NameAddr};
pub use check::Violation;
pub use dialog::{Dialog, Replaces};
pub use message::{CSeq, Field, Message};
pub use method::Method;
pub use name::HeaderName;
pub use parse::{Framing, Malformed, ParseError};
pub use transport::{
    ConnId, Destination, Flow, ListenerId, Payload, Target, Targets, Transmit, Transport,
};
pub use uri::{Scheme, Uri, UriError};
pub use via::{Via, ViaError};
pub use writer::Writer;
