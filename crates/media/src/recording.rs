//! Recordings: what both sides say as one stereo file, A left and B right.
//!
//! Samples are 16 bit linear at 8 kHz, or at 16 kHz if a wide-band codec was negotiated when the
//! recording began, whatever codecs meet in the call; they become a WAV file or Ogg/Opus. A packet stands where
//! its RTP timestamp says, held to its arrival so that no clock drifts away; what is missing is
//! silence, and so is a pause.
//!
//! The worker copies payloads into chunks and never waits: chunks go to a thread of their own,
//! which decodes, mixes and writes. If that falls behind, packets are left out and the recording
//! is reported as damaged. A file is called `NAME-PART.wav.part` (or `.opus.part`) while it grows and is renamed when
//! it is finished; what a killed process left is repaired and renamed by the next start.

mod file;
mod mixer;
mod repair;
mod tap;
mod writer;

use std::sync::{Arc, OnceLock};

use audio::Codec;

pub use file::{RECEIPT, RECEIPTS, recording_receipt};
pub use repair::recording_length_ms;
pub(crate) use tap::{Switch, Tap};
pub(crate) use writer::{Recorder, Start};

use crate::engine::Side;

/// How a session is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingOptions {
    /// What the file is called after, usually the call. Characters other than letters, digits,
    /// `-`, `_` and `.` become `_`.
    pub name: String,
    /// The number of the first part: above 1 where a call goes on that was recorded elsewhere
    /// before. Further recordings of the session count on from it.
    pub first_part: u16,
}

impl RecordingOptions {
    /// The first recording of a call.
    #[must_use]
    pub fn first(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            first_part: 1,
        }
    }
}

/// What the file of a recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingFormat {
    /// WAV, 16 bit linear: 115 MB for an hour at 8 kHz.
    #[default]
    Wav,
    /// Ogg/Opus, a stream for each side: 18 MB for an hour at most, for some computing.
    Opus,
}

impl RecordingFormat {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Wav, Self::Opus];

    /// What its files are called at the end, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }

    /// By the name of a file; WAV if it says nothing.
    fn of(name: &str) -> Self {
        Self::named(name).unwrap_or_default()
    }

    /// By the name of a file that says it.
    fn named(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        let mut all = Self::ALL.into_iter();
        all.find(|format| format.extension() == extension)
    }
}

/// A recording that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The session; `None` for a file that an earlier process left.
    pub session: Option<u64>,
    /// The file in the directory of recordings.
    pub file: String,
    /// How it ended.
    pub outcome: RecordingOutcome,
    /// How long it is in milliseconds.
    pub length_ms: u64,
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingOutcome {
    /// All there was is in it.
    Finished,
    /// The disk was too slow: packets are missing.
    Damaged {
        /// How many.
        missing_packets: u64,
    },
    /// A process was killed while it wrote; the end is missing.
    Repaired,
    /// The disk refused it. What was written before is kept.
    Failed {
        /// What the system said.
        reason: String,
    },
}

/// The codecs that each side sends, by payload type.
pub(crate) type Codecs = [Vec<(u8, Codec)>; 2];

/// A recording that goes on.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) id: u64,
    pub(crate) switch: Arc<Switch>,
    /// Which medium.
    pub(crate) stream: usize,
}

/// What the file of a recording is called. Only the writer looks at the disk: it passes over names
/// that are taken.
#[derive(Debug)]
pub(crate) struct FileName {
    wanted: String,
    /// Empty until the file was made.
    given: OnceLock<String>,
}

impl FileName {
    fn new(wanted: String) -> Arc<Self> {
        Arc::new(Self {
            wanted,
            given: OnceLock::new(),
        })
    }

    /// What it is called, as far as is known.
    pub(crate) fn get(&self) -> &str {
        self.given.get().unwrap_or(&self.wanted)
    }

    fn give(&self, name: String) {
        // A recording has one file.
        let _ = self.given.set(name);
    }
}

/// The file of a part.
fn file_name(name: &str, part: u16, format: RecordingFormat) -> String {
    let kept = name.chars().take(NAME_MAX).map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
        '.' => '.',
        _ => '_',
    });
    let name: String = kept.collect();
    let name = name.trim_start_matches('.');
    format!("{name}-{part}.{}", format.extension())
}

fn channel(side: Side) -> usize {
    side as usize
}

/// What a file is called until it is finished, behind its name.
const UNFINISHED: &str = ".part";
/// Characters of a name; file systems allow 255 bytes with what is added.
const NAME_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::{RecordingFormat, file_name};

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let wav = |name: &str, part| file_name(name, part, RecordingFormat::Wav);
        assert_eq!(wav("call_1", 2), "call_1-2.wav");
        assert_eq!(wav("../../etc/passwd", 1), "_.._etc_passwd-1.wav");
        assert_eq!(wav("a b@c", 1), "a_b_c-1.wav");
        let long = file_name(&"x".repeat(1_000), 65_535, RecordingFormat::Opus);
        assert!(long.ends_with("-65535.opus") && long.len() < 250);
    }
}
