//! SIP as values: messages, headers, URIs, digest, transactions and dialogs.
//!
//! Nothing here owns a socket, a clock or a random number generator.

pub mod transport;

pub use transport::{
    ConnId, Destination, Flow, ListenerId, Payload, Target, Targets, Transmit, Transport,
};
