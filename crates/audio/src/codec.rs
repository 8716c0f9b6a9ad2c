//! The codecs by name, and coding with any of them.

use crate::g711;
use crate::g722::{G722Decoder, G722Encoder};
use crate::opus::{OpusDecoder, OpusEncoder, OpusOptions};
use crate::resample::Resampler;

/// A codec that is decoded and encoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 u-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus.
    Opus,
}

impl Codec {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// By what `a=rtpmap` says; `None` for codecs that are only passed through.
    #[must_use]
    pub fn from_rtpmap(name: &[u8], clock_rate_hz: u32) -> Option<Self> {
        let codec = Self::from_name(name)?;
        (codec.clock_rate_hz() == clock_rate_hz).then_some(codec)
    }

    /// By its name in SDP, in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|codec| codec.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Its name in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// What RTP timestamps count. G.722 counts 8,000 although it samples at 16,000
    /// (RFC 3551 §4.5.2); Opus always counts 48,000 (RFC 7587 §4.1).
    #[must_use]
    pub const fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Channels that `a=rtpmap` says; Opus always says 2 (RFC 7587 §7).
    #[must_use]
    pub const fn rtpmap_channels(self) -> u8 {
        match self {
            Self::Opus => 2,
            _ => 1,
        }
    }

    /// The rate that its quality needs.
    #[must_use]
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// The payload type that RFC 3551 §6 gives it; `None`: dynamic.
    #[must_use]
    pub const fn payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus => None,
        }
    }

    /// The packet time that comes nearest to `wanted_ms`: multiples of 10 up to 60, and for
    /// Opus what one frame may last.
    #[must_use]
    pub fn packet_ms(self, wanted_ms: u32) -> u32 {
        let choices: &[u32] = match self {
            Self::Opus => &[60, 40, 20, 10],
            _ => &[60, 50, 40, 30, 20, 10],
        };
        let mut fitting = choices.iter().filter(|choice| **choice <= wanted_ms);
        fitting.next().copied().unwrap_or(10)
    }
}

/// Samples to payloads.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    sample_rate_hz: u32,
    resampler: Option<Resampler>,
    resampled: Vec<i16>,
    engine: EncoderEngine,
}

#[derive(Debug)]
enum EncoderEngine {
    Ulaw,
    Alaw,
    G722(Box<G722Encoder>),
    Opus(OpusEncoder),
}

impl Encoder {
    /// For samples of `sample_rate_hz`: 8,000, 16,000 or 48,000. `options` are for Opus.
    ///
    /// # Errors
    /// [`CodecError::SampleRate`] for another rate, [`CodecError::Unavailable`] without memory.
    pub fn new(
        codec: Codec,
        sample_rate_hz: u32,
        options: OpusOptions,
    ) -> Result<Self, CodecError> {
        let native_hz = match codec {
            Codec::Opus => sample_rate_hz,
            _ => codec.sample_rate_hz(),
        };
        let engine = match codec {
            Codec::Pcmu => EncoderEngine::Ulaw,
            Codec::Pcma => EncoderEngine::Alaw,
            Codec::G722 => EncoderEngine::G722(Box::default()),
            Codec::Opus => EncoderEngine::Opus(OpusEncoder::new(sample_rate_hz, options)?),
        };
        Ok(Self {
            codec,
            sample_rate_hz,
            resampler: resampler(sample_rate_hz, native_hz)?,
            resampled: Vec::new(),
            engine,
        })
    }

    /// Appends the payload of one packet; how much it holds is [`Codec::packet_ms`].
    ///
    /// # Errors
    /// [`CodecError::FrameLength`] if Opus has no frame of this length.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let samples = match &mut self.resampler {
            Some(resampler) => {
                self.resampled.clear();
                resampler.push(samples, &mut self.resampled);
                &self.resampled
            }
            None => samples,
        };
        match &mut self.engine {
            EncoderEngine::Ulaw => out.extend(samples.iter().map(|s| g711::ulaw_encode(*s))),
            EncoderEngine::Alaw => out.extend(samples.iter().map(|s| g711::alaw_encode(*s))),
            EncoderEngine::G722(encoder) => encoder.encode(samples, out),
            EncoderEngine::Opus(encoder) => encoder.encode(samples, out)?,
        }
        Ok(())
    }

    /// What it encodes to.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Of the samples it takes.
    #[must_use]
    pub const fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }
}

/// Payloads to samples.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    resampler: Option<Resampler>,
    decoded: Vec<i16>,
    engine: DecoderEngine,
}

#[derive(Debug)]
enum DecoderEngine {
    Ulaw,
    Alaw,
    G722(Box<G722Decoder>),
    Opus(OpusDecoder),
}

impl Decoder {
    /// To samples of `sample_rate_hz`: 8,000, 16,000 or 48,000.
    ///
    /// # Errors
    /// [`CodecError::SampleRate`] for another rate, [`CodecError::Unavailable`] without memory.
    pub fn new(codec: Codec, sample_rate_hz: u32) -> Result<Self, CodecError> {
        let native_hz = match codec {
            Codec::Opus => sample_rate_hz,
            _ => codec.sample_rate_hz(),
        };
        let engine = match codec {
            Codec::Pcmu => DecoderEngine::Ulaw,
            Codec::Pcma => DecoderEngine::Alaw,
            Codec::G722 => DecoderEngine::G722(Box::default()),
            Codec::Opus => DecoderEngine::Opus(OpusDecoder::new(sample_rate_hz)?),
        };
        Ok(Self {
            codec,
            resampler: resampler(native_hz, sample_rate_hz)?,
            decoded: Vec::new(),
            engine,
        })
    }

    /// Appends the samples of a payload.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] for an empty payload, one longer than [`PAYLOAD_MAX_MS`], and
    /// one that Opus does not take; nothing is appended then.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), CodecError> {
        if payload.is_empty() || self.codec != Codec::Opus && payload.len() > PAYLOAD_MAX_MS * 8 {
            return Err(CodecError::Malformed);
        }
        let direct = self.resampler.is_none();
        let decoded = if direct { &mut *out } else { &mut self.decoded };
        match &mut self.engine {
            DecoderEngine::Ulaw => decoded.extend(payload.iter().map(|c| g711::ulaw_decode(*c))),
            DecoderEngine::Alaw => decoded.extend(payload.iter().map(|c| g711::alaw_decode(*c))),
            DecoderEngine::G722(decoder) => decoder.decode(payload, decoded),
            DecoderEngine::Opus(decoder) => decoder.decode(payload, decoded)?,
        }
        if let Some(resampler) = &mut self.resampler {
            resampler.push(&self.decoded, out);
            self.decoded.clear();
        }
        Ok(())
    }

    /// Appends what the codec itself puts in the place of `count` lost samples, perhaps a few
    /// more; `next` is the payload after them, if it is there. `false`: it has no such means.
    pub(crate) fn conceal(
        &mut self,
        count: usize,
        next: Option<&[u8]>,
        out: &mut Vec<i16>,
    ) -> bool {
        match &mut self.engine {
            DecoderEngine::Opus(decoder) => decoder.conceal(count, next, out).is_ok(),
            _ => false,
        }
    }

    /// What it decodes.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }
}

/// Why coding failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The peer sent something that is no payload of this codec.
    #[error("no payload of this codec")]
    Malformed,
    /// The codec has no frame of this length.
    #[error("the codec has no frame of this length")]
    FrameLength,
    /// Only 8,000, 16,000 and 48,000 are known.
    #[error("a sample rate other than 8, 16 and 48 kHz")]
    SampleRate,
    /// The codec's library gave no state.
    #[error("the codec is not available")]
    Unavailable,
}

fn resampler(from_hz: u32, to_hz: u32) -> Result<Option<Resampler>, CodecError> {
    let resampler = Resampler::new(from_hz, to_hz).ok_or(CodecError::SampleRate)?;
    Ok((from_hz != to_hz).then_some(resampler))
}

/// The longest packet that is decoded, in milliseconds; one of G.711 fills a datagram then.
pub const PAYLOAD_MAX_MS: usize = 200;

#[cfg(test)]
mod tests;
