//! Codecs, resampling, tones, DTMF, jitter buffer and WAV files.
//!
//! Pure: samples and bytes come in, samples and bytes go out. Samples are signed, 16 bits, one
//! channel unless said otherwise. Levels are in dBm0: a sine of 3.14 dBm0 fills the scale, as in
//! A-law (ITU-T G.711).

pub mod g711;
mod tone;
mod wav;

pub use tone::{Cadence, Sine, Tone, ToneGenerator};
pub use wav::{Patch, SampleFormat, Wav, WavError, WavFormat, WavWriter, repair};
