//! What a journal says after a crash, or after an orderly end: the same reading.

use std::fs::OpenOptions;
use std::path::Path;

use clock::Time;
use model::Cdr;

use super::JournalError;
use super::open_calls::OpenCalls;
use super::segment::{carries, segment_path, segments};

/// What opening a journal found.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// The records of calls that a crash had left open; they are in the journal already.
    pub closed: Vec<Cdr>,
    /// The records of those of which it is not known whether they have ended, as if they had: see
    /// [`LeftOpen::Unsettled`](super::LeftOpen::Unsettled).
    pub unsettled: Vec<Cdr>,
    /// The last sign of life before; [`Time::ZERO`] if the journal is new.
    pub last: Time,
    /// The sequence of the next record of this node.
    pub next_sequence: u64,
    /// Bytes of an entry that was being written when the process died.
    pub torn_bytes: u64,
}

/// Reads the whole journal: its state, the number of the next segment, and how many bytes of
/// torn entries were cut off.
pub(super) fn recover(dir: &Path) -> Result<(OpenCalls, u64, u64), JournalError> {
    let carried = carries(dir)?.pop();
    let mut state = match carried {
        Some(number) => OpenCalls::load(dir, number)?,
        None => OpenCalls::default(),
    };
    let carried = carried.unwrap_or(0);
    let segments = segments(dir)?;
    let last = segments.last().map_or(carried, |last| carried.max(*last));
    let mut torn_bytes = 0;
    for number in segments.into_iter().filter(|number| *number > carried) {
        let end = state.apply_segment(dir, number)?;
        let file = OpenOptions::new()
            .write(true)
            .open(segment_path(dir, number))?;
        // Only the last segment was being written to; damage to others is left to the shipper.
        if number == last {
            torn_bytes = file.metadata()?.len() - end;
            file.set_len(end)?;
        }
        // What recovery builds on must not be lost after it.
        file.sync_data()?;
    }
    Ok((state, last + 1, torn_bytes))
}
