//! The stream of all that is played to a side, one prompt after the other.
//!
//! It is one source for as long as the session lives: what SRTP knows of a source may never be
//! forgotten under a key, so that keys bear only so many of them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::tally::StreamStats;

/// The source of what a side is played.
#[derive(Debug)]
pub(crate) struct Voice {
    pub(super) ssrc: u32,
    numbers: Mutex<Numbers>,
}

/// What packets are numbered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// When numbers were last taken from what the side hears otherwise: packets of it until then,
    /// and packets played since. `None` before.
    taken: Option<(u64, u64)>,
}

/// What the side hears otherwise, if that passes as it came.
pub(crate) type Heard = Option<Arc<StreamStats>>;

impl Voice {
    /// One whose numbers nobody can guess; `None` without randomness.
    pub(crate) fn new() -> Option<Self> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).ok()?;
        let [a, b, c, d, e, f, g, h, i, j] = random;
        Some(Self {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            numbers: Mutex::new(Numbers {
                sequence: u16::from_be_bytes([e, f]),
                timestamp: u32::from_be_bytes([g, h, i, j]),
                taken: None,
            }),
        })
    }

    /// What the first packet of a prompt is numbered, a frame of `ticks` after what the side heard
    /// last. To be asked on the worker, where all is known that has come.
    ///
    /// Phones that hear another source may still drop what seems to come from the past. For the
    /// same reason numbers are just so far ahead of those of the other side that both what is
    /// played and, half a second later, what the other side goes on with count as newer than the
    /// other: a number is newer than those up to 32,767 before it (RFC 1982 §3.2). libre's jitter
    /// buffer remembers the last number of a source that is gone.
    ///
    /// As long as less has come than was played, those numbers were used already: then they just
    /// go on.
    pub(super) fn begin(&self, heard: &Heard, ticks: u32) -> Numbers {
        let mut numbers = self.lock();
        if let Some(heard) = heard {
            let came = heard.read().packets;
            let used = numbers.taken;
            if used.is_none_or(|(until, played)| came.saturating_sub(until) >= played) {
                *numbers = Numbers {
                    sequence: heard.sequence().wrapping_add(SEQUENCE_STEP),
                    timestamp: heard.timestamp().wrapping_add(ticks),
                    taken: Some((came, 0)),
                };
            }
        }
        *numbers
    }

    /// A frame was played: what comes next.
    pub(super) fn go_on(&self, sequence: u16, timestamp: u32) {
        let mut numbers = self.lock();
        let played = u64::from(sequence.wrapping_sub(numbers.sequence));
        if let Some((_, count)) = &mut numbers.taken {
            *count += played;
        }
        numbers.sequence = sequence;
        numbers.timestamp = timestamp;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far what is played is ahead of what the side hears otherwise.
const SEQUENCE_STEP: u16 = 0x7FFF - 25;
