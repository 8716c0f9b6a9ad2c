//! Something like speech, coded.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use audio::{Codec, ComfortNoise, Encoder, OpusOptions, Sine, Tone, ToneGenerator};

use crate::load::message::put;
use crate::load::voice::Voice;

/// A phone that says the same seconds again and again.
pub(crate) struct Speech {
    codec: Codec,
    packets: Arc<Vec<Vec<u8>>>,
    ssrc: u32,
    spoken: u32,
}

impl Speech {
    /// Each phone begins at another place.
    pub(crate) fn new(codec: Codec, packets: Arc<Vec<Vec<u8>>>, ssrc: u32) -> Self {
        Self {
            codec,
            packets,
            ssrc,
            spoken: ssrc.wrapping_mul(7) % 1_000,
        }
    }
}

impl Voice for Speech {
    fn speak(&mut self, _now: Duration, out: &mut Vec<u8>) {
        self.spoken = self.spoken.wrapping_add(1);
        let timestamp = self.spoken.wrapping_mul(self.codec.clock_rate_hz() / 50);
        let payload_type = self.codec.payload_type().unwrap_or(OPUS);
        let packet = &self.packets[self.spoken as usize % self.packets.len()];
        put(
            out,
            &[
                &[0x80, payload_type],
                &(self.spoken as u16).to_be_bytes(),
                &timestamp.to_be_bytes(),
                &self.ssrc.to_be_bytes(),
                packet,
            ],
        );
    }
}

/// Packets of 20 ms: five seconds of vowels of changing pitch over noise, with pauses.
pub(crate) fn speech(codec: Codec) -> Result<Vec<Vec<u8>>> {
    let rate_hz = codec.sample_rate_hz();
    let mut encoder = Encoder::new(codec, rate_hz, OpusOptions::default())?;
    let mut noise = ComfortNoise::from_payload(&[50]);
    let mut packets = Vec::new();
    for syllable in 0..25_u32 {
        let pitch_hz = 110.0 + f64::from(syllable * 37 % 60);
        let sines = (1..=8).map(|harmonic| Sine {
            frequency_hz: pitch_hz * f64::from(harmonic),
            level_dbm0: -18.0 - 2.0 * f64::from(harmonic),
        });
        let tone = Tone {
            sines: sines.collect(),
            cadence: Vec::new(),
        };
        let mut voice = ToneGenerator::new(&tone, rate_hz);
        for part in 0..10 {
            let mut frame = Vec::new();
            noise.generate(rate_hz as usize / 50, &mut frame);
            if part < 7 {
                voice.mix(&mut frame);
            }
            let mut packet = Vec::new();
            encoder.encode(&frame, &mut packet)?;
            packets.push(packet);
        }
    }
    Ok(packets)
}

/// The payload type that both sides are told.
pub(crate) const OPUS: u8 = 96;
