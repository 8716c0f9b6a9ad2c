//! The dispatcher: a SIP proxy (RFC 3261 §16) in front of switches, as a value.
//!
//! [`Dispatcher`] takes messages and gives messages. What it must know of a call stands in the
//! call's own messages: Record-Route carries, sealed, where both sides are; its Via carries where
//! the response goes; Path carries the flow of a phone. So a dispatcher that was restarted, or
//! another one with the same key, serves the calls there are. State is kept only while a request
//! outside of dialogs may still have to be sent to another target, and to answer its CANCEL and
//! ACK in the same place; and the key of an INVITE that was refused at once.
//!
//! Deviation from RFC 3261 §16.4: requests of strict routers, which put our Record-Route into the
//! request URI, are not served.

mod calls;
mod client;
mod config;
mod counters;
mod dispatcher;
mod failover;
mod flows;
mod inside;
mod key;
mod moved;
mod onward;
mod overload;
mod own;
mod pending;
mod probe;
mod refused;
mod relief;
mod repeat;
mod reply;
mod request;
mod response;
mod retired;
mod targets;

pub use config::{Config, HashOn, Redirects, Target};
pub use counters::{Counters, METHODS};
pub use dispatcher::{Dispatcher, Output};
pub use forward::Listener;

#[cfg(test)]
mod tests;
