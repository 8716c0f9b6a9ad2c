//! WAV files: RIFF with a `fmt ` and a `data` chunk, little-endian.
//!
//! Reads 8 and 16 bit PCM and G.711, writes 16 bit PCM. Nothing here opens a file: the writer
//! says which bytes to append and, at the end, which to overwrite ([`Patch`]).

mod reader;
mod writer;

pub use reader::Wav;
pub use writer::{Patch, WavWriter, repair};

/// What the samples of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavFormat {
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// Channels; their samples alternate.
    pub channels: u16,
    /// How a sample is stored.
    pub samples: SampleFormat,
}

impl WavFormat {
    /// 16 bit samples.
    #[must_use]
    pub const fn pcm(sample_rate_hz: u32, channels: u16) -> Self {
        Self {
            sample_rate_hz,
            channels,
            samples: SampleFormat::Pcm16,
        }
    }

    /// Bytes of one sample of each channel.
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        self.channels as usize * self.samples.bytes()
    }
}

/// How a sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// Unsigned, one byte.
    Pcm8,
    /// Signed, two bytes.
    Pcm16,
    /// G.711 A-law.
    Alaw,
    /// G.711 u-law.
    Ulaw,
}

impl SampleFormat {
    /// Bytes of one sample.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::Pcm8 | Self::Alaw | Self::Ulaw => 1,
        }
    }

    /// The format tag of `fmt `.
    const fn tag(self) -> u16 {
        match self {
            Self::Pcm8 | Self::Pcm16 => PCM,
            Self::Alaw => ALAW,
            Self::Ulaw => ULAW,
        }
    }

    fn from_tag(tag: u16, bits: u16) -> Option<Self> {
        match (tag, bits) {
            (PCM, 8) => Some(Self::Pcm8),
            (PCM, 16) => Some(Self::Pcm16),
            (ALAW, 8) => Some(Self::Alaw),
            (ULAW, 8) => Some(Self::Ulaw),
            _ => None,
        }
    }
}

/// Why bytes are no WAV file that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// They do not begin with `RIFF` and `WAVE`.
    #[error("no WAV file")]
    NotWav,
    /// The file ends before its samples begin.
    #[error("the file ends before its samples begin")]
    Truncated,
    /// The samples are stored in a way that is not supported.
    #[error("WAV format {tag} with {bits} bits per sample is not supported")]
    Unsupported {
        /// The format tag.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// No channel, or no sample rate, or too many of them.
    #[error("{channels} channels at {sample_rate_hz} Hz make no sense")]
    Malformed {
        /// The channels it names.
        channels: u16,
        /// The sample rate it names.
        sample_rate_hz: u32,
    },
}

const PCM: u16 = 1;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
/// The true tag is the first two bytes of the subformat.
const EXTENSIBLE: u16 = 0xfffe;
/// Channels of a file that is read or written.
const CHANNELS_MAX: u16 = 8;
/// Samples per second of a file that is read.
const SAMPLE_RATE_MAX_HZ: u32 = 192_000;

#[cfg(test)]
mod tests;
