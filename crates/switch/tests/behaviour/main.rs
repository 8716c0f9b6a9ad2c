//! The switch driven by hand: datagrams in, outputs out, time as it is told.

#![allow(clippy::unwrap_used, reason = "a test that meets nothing has failed")]

mod bench;
mod bindings;
mod dispatchers;
mod lines;
mod messages;
mod records;
mod strangers;
mod takeover;
