//! Reading WAV files, finished or not.

use super::{CHANNELS_MAX, EXTENSIBLE, SAMPLE_RATE_MAX_HZ, SampleFormat, WavError, WavFormat};
use crate::g711;

/// A WAV file over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wav<'a> {
    format: WavFormat,
    data: &'a [u8],
}

impl<'a> Wav<'a> {
    /// Finds format and samples. A `data` chunk longer than the file, or of length 0 at its end,
    /// reaches to the end: its writer did not finish.
    ///
    /// # Errors
    /// See [`WavError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WavError> {
        let (format, data_at) = head(bytes)?;
        let data = &bytes[data_at..];
        let said = little_u32(bytes, data_at - 4).unwrap_or(0) as usize;
        let data = match data.get(..said) {
            Some(data) if said > 0 => data,
            _ => data,
        };
        let whole = data.len() - data.len() % format.frame_bytes();
        Ok(Self {
            format,
            data: &data[..whole],
        })
    }

    /// What the samples are.
    #[must_use]
    pub const fn format(&self) -> WavFormat {
        self.format
    }

    /// Samples of each channel.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.data.len() / self.format.frame_bytes()
    }

    /// The samples of all channels, alternating.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = i16> + use<'a> {
        let format = self.format.samples;
        self.data
            .chunks_exact(format.bytes())
            .map(move |sample| decode(format, sample))
    }

    /// One channel: the mean of all.
    #[must_use]
    pub fn mono(&self) -> Vec<i16> {
        let channels = usize::from(self.format.channels);
        let bytes = self.format.samples.bytes();
        let mean = |frame: &[u8]| {
            let samples = frame.chunks_exact(bytes);
            let sum: i32 = samples
                .map(|sample| i32::from(decode(self.format.samples, sample)))
                .sum();
            (sum / channels as i32) as i16
        };
        self.data.chunks_exact(channels * bytes).map(mean).collect()
    }
}

/// Format of a file, and where its samples begin.
pub(super) fn head(bytes: &[u8]) -> Result<(WavFormat, usize), WavError> {
    if !bytes.starts_with(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut at = 12;
    let mut format = None;
    loop {
        let id = bytes.get(at..at + 4).ok_or(WavError::Truncated)?;
        let size = little_u32(bytes, at + 4).ok_or(WavError::Truncated)? as usize;
        let body = at + 8;
        match id {
            b"fmt " => format = Some(parse_format(bytes, body, size)?),
            b"data" => {
                return format
                    .map(|format| (format, body))
                    .ok_or(WavError::Truncated);
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = body
            .checked_add(size + size % 2)
            .ok_or(WavError::Truncated)?;
    }
}

fn parse_format(bytes: &[u8], at: usize, size: usize) -> Result<WavFormat, WavError> {
    let word = |offset| little_u16(bytes, at + offset).ok_or(WavError::Truncated);
    let (mut tag, channels, bits) = (word(0)?, word(2)?, word(14)?);
    let sample_rate_hz = little_u32(bytes, at + 4).ok_or(WavError::Truncated)?;
    if tag == EXTENSIBLE && size >= 26 {
        tag = word(24)?;
    }
    let samples = SampleFormat::from_tag(tag, bits).ok_or(WavError::Unsupported { tag, bits })?;
    if !(1..=CHANNELS_MAX).contains(&channels)
        || !(1..=SAMPLE_RATE_MAX_HZ).contains(&sample_rate_hz)
    {
        return Err(WavError::Malformed {
            channels,
            sample_rate_hz,
        });
    }
    Ok(WavFormat {
        sample_rate_hz,
        channels,
        samples,
    })
}

/// A sample of [`SampleFormat::bytes`] bytes.
fn decode(format: SampleFormat, bytes: &[u8]) -> i16 {
    match (format, bytes) {
        (SampleFormat::Pcm16, [low, high, ..]) => i16::from_le_bytes([*low, *high]),
        (SampleFormat::Pcm8, [byte, ..]) => (i16::from(*byte) - 128) << 8,
        (SampleFormat::Alaw, [byte, ..]) => g711::alaw_decode(*byte),
        (SampleFormat::Ulaw, [byte, ..]) => g711::ulaw_decode(*byte),
        _ => 0,
    }
}

fn little_u16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn little_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
