//! Codecs, resampling, tones, DTMF, jitter buffer, WAV and Ogg/Opus files.
//!
//! Pure: samples and bytes come in, samples and bytes go out. Samples are signed, 16 bits, one
//! channel unless said otherwise. Levels are in dBm0: a sine of 3.14 dBm0 fills the scale, as in
//! A-law (ITU-T G.711).

mod codec;
mod conceal;
mod dtmf;
pub mod g711;
mod g722;
mod jitter;
mod noise;
mod ogg;
mod opus;
mod playout;
mod resample;
mod tone;
mod wav;

pub use codec::{Codec, CodecError, Decoder, Encoder, PAYLOAD_MAX_MS};
pub use conceal::Concealer;
pub use dtmf::{DtmfDetector, Key, KeyEdge};
pub use g722::{G722Decoder, G722Encoder};
pub use jitter::{Held, JitterBuffer, Pushed, Taken};
pub use noise::ComfortNoise;
pub use ogg::{OGG_TAIL_BYTES, OggOpusWriter, OggRepair, ogg_length_ms, ogg_repair};
pub use opus::{Fec, OpusOptions};
pub use playout::{Incoming, Playout, PlayoutFigures, Pulled};
pub use resample::Resampler;
pub use tone::{Cadence, Sine, Tone, ToneGenerator};
pub use wav::{Patch, SampleFormat, Wav, WavError, WavFormat, WavWriter, repair};
