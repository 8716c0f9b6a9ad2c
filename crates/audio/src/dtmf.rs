//! Telephone keys as pairs of tones: ITU-T Q.23 (frequencies), Q.24 (recognition).

mod detector;

pub use detector::{DtmfDetector, KeyEdge};

use crate::{Sine, Tone};

/// A key of a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for `A` to `D`.
    event: u8,
}

impl Key {
    /// By the number that RFC 4733 §3.2 gives it; `None` for events that are no keys.
    #[must_use]
    pub const fn from_event(event: u8) -> Option<Self> {
        if event < 16 {
            Some(Self { event })
        } else {
            None
        }
    }

    /// By what is printed on it.
    #[must_use]
    pub fn from_char(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        let event = KEYS.iter().position(|known| char::from(*known) == key)?;
        Self::from_event(event as u8)
    }

    /// Its number in RFC 4733 §3.2.
    #[must_use]
    pub const fn event(self) -> u8 {
        self.event
    }

    /// What is printed on it.
    #[must_use]
    pub fn to_char(self) -> char {
        char::from(KEYS[usize::from(self.event & 15)])
    }

    /// Its two frequencies; the higher one is 2 dB louder, as lines swallow more of it.
    #[must_use]
    pub fn tone(self) -> Tone {
        let place = GRID.iter().position(|event| *event == self.event);
        let place = place.unwrap_or(0);
        let sine = |frequency_hz, level_dbm0| Sine {
            frequency_hz,
            level_dbm0,
        };
        Tone {
            sines: vec![
                sine(ROWS_HZ[place / 4], ROW_DBM0),
                sine(COLUMNS_HZ[place % 4], COLUMN_DBM0),
            ],
            cadence: Vec::new(),
        }
    }
}

/// The keys of events 0 to 15.
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// Events by row and column of the key pad.
const GRID: [u8; 16] = [1, 2, 3, 12, 4, 5, 6, 13, 7, 8, 9, 14, 10, 0, 11, 15];
const ROWS_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const ROW_DBM0: f64 = -9.0;
const COLUMN_DBM0: f64 = -7.0;

#[cfg(test)]
mod tests;
