//! The network side on real loopback sockets: a shard with a machine that reports all it is told
//! and puts out all it is asked to.

// Helpers of tests may fail a test wherever they are called from.
#![allow(clippy::unwrap_used)]

mod drive;
mod listeners;
mod resolve;
mod streams;
mod support;
mod tls;
mod udp;
mod websocket;
