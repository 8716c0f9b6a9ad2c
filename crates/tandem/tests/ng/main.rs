//! What proxies ask over `ng`, on a running media server: each command shows its effect on real
//! RTP where it arrives.
//!
//! That a packet does not arrive is shown by one sent after it on the same path that does.

mod actions;
mod call;
mod drachtio;
mod files;
mod flags;
mod kernel;
mod query;
mod sections;
mod shapes;
mod subscriptions;
mod ways;
