//! The switch driven by hand: datagrams in, outputs out, time as it is told.

mod bench;
mod records;
mod strangers;
