//! The programs that are measured, each behind the same few methods.

pub(crate) mod dispatcher;
pub(crate) mod engine;
pub(crate) mod kamailio;
pub(crate) mod media_server;
pub(crate) mod ng;
pub(crate) mod rtpengine;
pub(crate) mod tandem;

/// The processor of the generator.
pub(crate) const GENERATOR_CPU: usize = 0;
/// The processor of the server, whichever is measured.
pub(crate) const SERVER_CPU: &str = "1";
