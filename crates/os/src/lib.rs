//! System calls that the standard library lacks, each behind a safe function, for those crates that
//! own sockets.
#![allow(unsafe_code)]

mod address;
mod epoll;
mod fragments;

pub use address::socket_address;
pub use epoll::{Alarm, EVENTS_MAX, Epoll, Trigger, wait_writable};
pub use fragments::{LongDatagrams, is_too_long, set_long_datagrams};
