//! Sending SIP messages on without keeping state (RFC 3261 §16.11), for whoever stands between
//! two others: the dispatcher before switches, and a switch before the phones whose flows it holds
//! for its cluster.
//!
//! What must be known of a message stands in messages: [`Seal`] makes the user parts of
//! Record-Route and Path and the branch of Via, each with a proof; an [`End`] is one side in them.
//! [`Hops`] are our listeners, and [`rewrite`] changes what has to change on the way.

mod end;
mod hop;
pub mod rewrite;
mod routes;
mod seal;

pub use end::End;
pub use hop::{Hop, Hops, Listener};
pub use routes::{OwnRoutes, Token};
pub use seal::{Branch, Dialog, KeySeal, NextHop, Origin, Pass, Seal};
