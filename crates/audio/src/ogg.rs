//! Ogg/Opus files of stereo speech (RFC 3533, RFC 7845), written as their samples come.
//!
//! The channels are two streams of one voice each, not a stereo pair: nothing of one side is
//! heard on the other's, and silence costs little. Nothing here opens a file: the writer
//! says which bytes to append, and [`ogg_repair`] how a file ends whose writer died.
//!
//! A page is whole and checked or it is not there: a file that breaks off anywhere plays up to its
//! last whole page.

mod page;
mod repair;
mod writer;

pub use repair::{OGG_TAIL_BYTES, OggRepair, ogg_length_ms, ogg_repair};
pub use writer::OggOpusWriter;

/// What granule positions count, whatever is coded (RFC 7845 §4).
const GRANULES_HZ: u64 = 48_000;

#[cfg(test)]
mod tests;
