//! What is heard: packets decoded, gaps filled, silence kept alive.

use super::ear::Ear;
use super::{Incoming, PlayoutFigures};
use crate::conceal::{Concealer, ms, pitch};
use crate::jitter::Held;
use crate::noise::ComfortNoise;
use crate::{Codec, Decoder};

/// Turns packets, and their absence, into samples.
#[derive(Debug)]
pub(super) struct Voice {
    sample_rate_hz: u32,
    formats: Vec<(u8, Incoming)>,
    /// With the payload type it is for.
    decoder: Option<(u8, Decoder)>,
    concealer: Concealer,
    /// `None` if nobody wants to know of keys.
    ear: Option<Ear>,
    /// While the peer describes its silence instead of sending it.
    noise: Option<ComfortNoise>,
    /// Samples made and not pulled yet.
    ready: Vec<i16>,
    /// Of the last packet; at first a guess.
    packet_samples: usize,
    /// Samples put out since the last packet, as none was there.
    starved: usize,
    /// Whether a pitch period is to be taken out of the next packet.
    shorten_next: bool,
    figures: PlayoutFigures,
}

/// Whether a packet was there when it was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played {
    InTime,
    TooLate,
}

impl Voice {
    pub(super) fn new(sample_rate_hz: u32, formats: Vec<(u8, Incoming)>) -> Self {
        Self {
            sample_rate_hz,
            formats,
            decoder: None,
            concealer: Concealer::new(sample_rate_hz),
            ear: None,
            noise: None,
            ready: Vec::new(),
            packet_samples: ms(sample_rate_hz, 20),
            starved: 0,
            shorten_next: false,
            figures: PlayoutFigures::default(),
        }
    }

    pub(super) fn format(&self, payload_type: u8) -> Option<Incoming> {
        let mut formats = self.formats.iter();
        let found = formats.find(|(known, _)| *known == payload_type);
        found.map(|(_, format)| *format)
    }

    pub(super) fn play(&mut self, packet: &Held) -> Played {
        match self.format(packet.payload_type) {
            Some(Incoming::Codec(codec)) => return self.decode(codec, packet),
            Some(Incoming::Noise) => {
                self.noise = Some(ComfortNoise::from_payload(&packet.payload));
                self.starved = 0;
            }
            None => {}
        }
        Played::InTime
    }

    pub(super) fn listen(&mut self) {
        self.ear = Some(Ear::new(self.sample_rate_hz));
    }

    pub(super) fn ear(&self) -> Option<&Ear> {
        self.ear.as_ref()
    }

    pub(super) fn ear_mut(&mut self) -> Option<&mut Ear> {
        self.ear.as_mut()
    }

    /// A packet is missing. What was put out while nothing was there has taken its place.
    pub(super) fn fill_gap(&mut self, next: Option<&Held>) {
        self.figures.concealed_packets += 1;
        if self.starved > 0 {
            self.starved = self.starved.saturating_sub(self.packet_samples);
            return;
        }
        self.miss(self.packet_samples);
        let own = self.decoder.as_ref().map(|(payload_type, _)| *payload_type);
        let next = next.filter(|held| own == Some(held.payload_type));
        let next = next.map(|held| held.payload.as_slice());
        self.conceal(self.packet_samples, next);
    }

    /// Nothing is there, and `count` samples are needed; `false` if that has been so for too
    /// long.
    pub(super) fn starve(&mut self, count: usize) -> bool {
        let longest_ms = match (&self.noise, self.decoder.as_ref()) {
            (Some(_), _) => NOISE_MAX_MS,
            (None, Some((_, decoder))) if decoder.codec() == Codec::Opus => OPUS_SILENCE_MAX_MS,
            _ => STARVED_MAX_MS,
        };
        if self.starved >= ms(self.sample_rate_hz, longest_ms) {
            return false;
        }
        if self.starved == 0 && self.noise.is_none() {
            self.figures.underruns += 1;
        }
        self.starved += count;
        self.miss(count);
        match &mut self.noise {
            Some(noise) => noise.generate(count, &mut self.ready),
            None => self.conceal(count, None),
        }
        true
    }

    /// Appends `count` samples of those that are ready.
    pub(super) fn pull(&mut self, count: usize, out: &mut Vec<i16>) {
        out.extend_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
    }

    /// Has a pitch period taken out of the next packet.
    pub(super) fn shorten_next(&mut self) {
        self.shorten_next = true;
    }

    /// The talk spurt is over.
    pub(super) fn rest(&mut self) {
        self.miss(self.sample_rate_hz as usize);
        self.ready.clear();
        self.starved = 0;
        self.noise = None;
        self.shorten_next = false;
    }

    /// Another source begins.
    pub(super) fn restart(&mut self) {
        self.miss(self.sample_rate_hz as usize);
        self.decoder = None;
        self.concealer = Concealer::new(self.sample_rate_hz);
    }

    /// Samples that are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn packet_samples(&self) -> usize {
        self.packet_samples
    }

    pub(super) fn figures(&self) -> PlayoutFigures {
        self.figures
    }

    fn decode(&mut self, codec: Codec, packet: &Held) -> Played {
        let start = self.ready.len();
        let decoder = match self.decoder.take() {
            Some((payload_type, decoder)) if payload_type == packet.payload_type => Ok(decoder),
            _ => Decoder::new(codec, self.sample_rate_hz),
        };
        let decoded = decoder.and_then(|mut decoder| {
            let decoded = decoder.decode(&packet.payload, &mut self.ready);
            self.decoder = Some((packet.payload_type, decoder));
            decoded
        });
        if decoded.is_err() {
            self.figures.malformed += 1;
            return Played::InTime;
        }
        if let Some(ear) = &mut self.ear {
            ear.hear(&self.ready[start..]);
        }
        let starved = core::mem::take(&mut self.starved);
        let silent = self.noise.take().is_some();
        self.packet_samples = (self.ready.len() - start).max(1);
        self.concealer.record(&mut self.ready[start..]);
        if core::mem::take(&mut self.shorten_next) {
            self.shorten(start);
        }
        if starved > 0 && !silent {
            Played::TooLate
        } else {
            Played::InTime
        }
    }

    fn miss(&mut self, count: usize) {
        if let Some(ear) = &mut self.ear {
            ear.miss(count);
        }
    }

    fn conceal(&mut self, count: usize, next: Option<&[u8]>) {
        let start = self.ready.len();
        let decoder = self.decoder.as_mut();
        let own = decoder.is_some_and(|(_, d)| d.conceal(count, next, &mut self.ready));
        if own && self.ready.len() > start {
            self.concealer.record(&mut self.ready[start..]);
        } else {
            self.concealer.conceal(count, &mut self.ready);
        }
    }

    /// Takes a pitch period out of the samples from `start` on, blending its ends.
    fn shorten(&mut self, start: usize) {
        let at_hand = &mut self.ready[start..];
        let lag = pitch(self.concealer.history(), self.sample_rate_hz).min(at_hand.len() / 2);
        let from = at_hand.len() - 2 * lag;
        for at in from..from + lag {
            let share = (at - from + 1) as f32 / (lag + 1) as f32;
            let (old, new) = (f32::from(at_hand[at]), f32::from(at_hand[at + lag]));
            at_hand[at] = (old + (new - old) * share) as i16;
        }
        self.ready.truncate(self.ready.len() - lag);
        self.figures.shortened += 1;
    }
}

/// How long a silent peer is heard: its last sound fading; the noise it described; what Opus
/// makes of its own silence, which is refreshed every 400 ms (RFC 6716 §2.1.9).
const STARVED_MAX_MS: usize = 120;
const NOISE_MAX_MS: usize = 30_000;
const OPUS_SILENCE_MAX_MS: usize = 1_000;
