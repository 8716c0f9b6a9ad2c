//! Writing WAV files as their samples come.
//!
//! The header of a file that is being written says that it has no samples; many players then play
//! to the end, and [`repair`] makes it right after a crash.

use super::reader::head;
use super::{CHANNELS_MAX, SampleFormat, WavError, WavFormat};

/// Writes a file from its beginning; the bytes go to buffers of the caller.
#[derive(Clone, Debug)]
pub struct WavWriter {
    format: WavFormat,
    data_bytes: u32,
}

impl WavWriter {
    /// A file of 16 bit samples; its header is appended to `out`. The channels are limited to 8.
    #[must_use]
    pub fn new(sample_rate_hz: u32, channels: u16, out: &mut Vec<u8>) -> Self {
        let format = WavFormat {
            sample_rate_hz,
            channels: channels.clamp(1, CHANNELS_MAX),
            samples: SampleFormat::Pcm16,
        };
        out.extend_from_slice(&header(format));
        Self {
            format,
            data_bytes: 0,
        }
    }

    /// Appends samples, those of all channels alternating. How many of them fitted: a file holds
    /// 4 GB, which is 37 hours of stereo at 8 kHz; the rest needs another file.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<u8>) -> usize {
        let room = ((DATA_MAX_BYTES - self.data_bytes) / 2) as usize;
        let count = samples
            .len()
            .min(room - room % usize::from(self.format.channels));
        out.extend(samples[..count].iter().flat_map(|s| s.to_le_bytes()));
        self.data_bytes += count as u32 * 2;
        count
    }

    /// What the samples are.
    #[must_use]
    pub const fn format(&self) -> WavFormat {
        self.format
    }

    /// Bytes of the file so far.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + self.data_bytes as u64
    }

    /// What makes the header say how long the file is; written at the end, or whenever.
    #[must_use]
    pub fn patches(&self) -> [Patch; 2] {
        patches(HEADER_BYTES, self.data_bytes)
    }
}

/// Four bytes of a file to overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where, from the start of the file.
    pub offset: u64,
    /// With what.
    pub bytes: [u8; 4],
}

/// What makes the header right of a file whose writer died: `beginning` is the start of it, 4 kB
/// are plenty, and `file_bytes` its length. Half a frame at its end is not counted.
///
/// # Errors
/// See [`WavError`]; a file that ends before its samples begin is beyond repair.
pub fn repair(beginning: &[u8], file_bytes: u64) -> Result<[Patch; 2], WavError> {
    let (format, data_at) = head(beginning)?;
    let data_bytes = file_bytes.saturating_sub(data_at as u64);
    let data_bytes = data_bytes - data_bytes % format.frame_bytes() as u64;
    let data_bytes = u32::try_from(data_bytes).unwrap_or(DATA_MAX_BYTES);
    Ok(patches(data_at, data_bytes.min(DATA_MAX_BYTES)))
}

fn patches(data_at: usize, data_bytes: u32) -> [Patch; 2] {
    let riff_bytes = (data_at as u32)
        .saturating_sub(8)
        .saturating_add(data_bytes);
    [
        Patch {
            offset: 4,
            bytes: riff_bytes.to_le_bytes(),
        },
        Patch {
            offset: data_at as u64 - 4,
            bytes: data_bytes.to_le_bytes(),
        },
    ]
}

/// The header of a file without samples.
fn header(format: WavFormat) -> [u8; HEADER_BYTES] {
    let frame_bytes = format.frame_bytes() as u32;
    let bytes_per_second = format.sample_rate_hz.saturating_mul(frame_bytes);
    let bits = 8 * format.samples.bytes() as u16;
    let mut header = [0; HEADER_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&(HEADER_BYTES as u32 - 8).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&format.samples.tag().to_le_bytes());
    put(&format.channels.to_le_bytes());
    put(&format.sample_rate_hz.to_le_bytes());
    put(&bytes_per_second.to_le_bytes());
    put(&(frame_bytes as u16).to_le_bytes());
    put(&bits.to_le_bytes());
    put(b"data");
    put(&0_u32.to_le_bytes());
    header
}

/// Of the files written here.
const HEADER_BYTES: usize = 44;
/// What the 32 bits of the header can say, headers apart, in whole frames of any number of
/// channels up to 8.
const DATA_MAX_BYTES: u32 = u32::MAX - 0xffff;
