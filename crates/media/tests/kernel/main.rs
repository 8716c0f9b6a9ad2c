//! The kernel path, between hosts of the test's own: two phones, a stranger, and the server.
//!
//! Needs root and clang at build time; says so and passes where it has not got them, unless
//! `CI` is set.

mod flow;
mod odd;
mod play;
mod recording;
mod stage;
mod statistics;
mod subscriber;
