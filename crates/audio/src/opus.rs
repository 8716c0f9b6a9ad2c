//! Opus (RFC 6716) by libopus, one channel, at 8, 16 or 48 kHz.
//!
//! libopus resamples inside and for next to nothing: a call between Opus and G.711 is coded at
//! 8 kHz throughout. Stereo that comes is mixed down by the decoder.

use ::opus::{Application, Bitrate, Channels, Signal};

use crate::codec::CodecError;

/// What an encoder is asked for beyond the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusOptions {
    /// Bits per second, `maxaveragebitrate` of RFC 7587 §6.1; 6,000 to 510,000.
    pub bitrate_bps: u32,
    /// Whether a packet repeats the one before it coarsely (`useinbandfec`).
    pub fec: Fec,
    /// How much computing goes into quality, 0 to 10.
    pub complexity: u8,
}

/// In-band forward error correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fec {
    /// Not sent.
    Off,
    /// Sent, as the far end is able to use it.
    On,
}

impl Default for OpusOptions {
    fn default() -> Self {
        Self {
            bitrate_bps: 24_000,
            fec: Fec::Off,
            complexity: 5,
        }
    }
}

/// Codes frames.
#[derive(Debug)]
pub(crate) struct OpusEncoder(::opus::Encoder);

impl OpusEncoder {
    pub(crate) fn new(sample_rate_hz: u32, options: OpusOptions) -> Result<Self, CodecError> {
        let new = || {
            let mut encoder =
                ::opus::Encoder::new(sample_rate_hz, Channels::Mono, Application::Voip)?;
            let bitrate_bps = options.bitrate_bps.clamp(BITRATE_MIN_BPS, BITRATE_MAX_BPS);
            encoder.set_bitrate(Bitrate::Bits(bitrate_bps as i32))?;
            encoder.set_complexity(options.complexity.min(10).into())?;
            encoder.set_signal(Signal::Voice)?;
            if options.fec == Fec::On {
                encoder.set_inband_fec(true)?;
                encoder.set_packet_loss_perc(ASSUMED_LOSS_PERCENT)?;
            }
            Ok(encoder)
        };
        let encoder = new().map_err(|_: ::opus::Error| CodecError::Unavailable)?;
        Ok(Self(encoder))
    }

    /// Appends the packet of one frame.
    pub(crate) fn encode(&mut self, frame: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        out.resize(start + PACKET_MAX_BYTES, 0);
        let coded = self.0.encode(frame, &mut out[start..]);
        out.truncate(start + *coded.as_ref().unwrap_or(&0));
        coded.map(|_| ()).map_err(|_| CodecError::FrameLength)
    }
}

/// Decodes packets.
#[derive(Debug)]
pub(crate) struct OpusDecoder {
    decoder: ::opus::Decoder,
    sample_rate_hz: u32,
}

impl OpusDecoder {
    pub(crate) fn new(sample_rate_hz: u32) -> Result<Self, CodecError> {
        let decoder = ::opus::Decoder::new(sample_rate_hz, Channels::Mono);
        Ok(Self {
            decoder: decoder.map_err(|_| CodecError::Unavailable)?,
            sample_rate_hz,
        })
    }

    /// Appends the samples of a packet, at most 120 ms.
    pub(crate) fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), CodecError> {
        if packet.is_empty() {
            return Err(CodecError::Malformed);
        }
        let room = self.sample_rate_hz as usize * PACKET_MAX_MS / 1_000;
        self.append(packet, room, false, out)
    }

    /// Appends `count` samples in the place of a lost packet; `next`, if it is there already,
    /// may repeat it.
    pub(crate) fn conceal(
        &mut self,
        count: usize,
        next: Option<&[u8]>,
        out: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        // libopus conceals in steps of 2.5 ms.
        let step = self.sample_rate_hz as usize / 400;
        let count = count.next_multiple_of(step);
        match next.filter(|next| !next.is_empty()) {
            Some(next) => self.append(next, count, true, out),
            None => self.append(&[], count, false, out),
        }
    }

    fn append(
        &mut self,
        packet: &[u8],
        room: usize,
        fec: bool,
        out: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        let start = out.len();
        out.resize(start + room, 0);
        let decoded = self.decoder.decode(packet, &mut out[start..], fec);
        out.truncate(start + *decoded.as_ref().unwrap_or(&0));
        decoded.map(|_| ()).map_err(|_| CodecError::Malformed)
    }
}

/// RFC 7587 §6.1.
const BITRATE_MIN_BPS: u32 = 6_000;
const BITRATE_MAX_BPS: u32 = 510_000;
/// What correction is made for; libopus sends none if it expects no loss.
const ASSUMED_LOSS_PERCENT: i32 = 5;
/// RFC 6716 §3.4: more never helps at the bit rates of speech, and fits a datagram.
const PACKET_MAX_BYTES: usize = 1_275;
/// RFC 6716 §3.2.5.
const PACKET_MAX_MS: usize = 120;
