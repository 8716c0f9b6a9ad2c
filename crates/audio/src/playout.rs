//! From packets that come when they come to samples at the pace of our own clock.
//!
//! Samples are pulled at a steady pace. What is there beyond that is the delay: it grows when a
//! packet comes too late for its turn (what is put in its place takes time, and the packet is
//! played after it), and shrinks by a pitch period now and then while more is there than the
//! last second has needed. So it follows the jitter, and a sender whose clock runs faster or
//! slower than ours is followed, too.

mod ear;
mod voice;

use crate::conceal::ms;
use crate::jitter::{JitterBuffer, Pushed, Taken};
use crate::{Codec, CodecError, Key, KeyEdge};
use voice::{Played, Voice};

/// Decodes one peer's stream.
#[derive(Debug)]
pub struct Playout {
    sample_rate_hz: u32,
    buffer: JitterBuffer,
    voice: Voice,
    state: State,
    /// How long the first packet of a talk spurt waits.
    delay_us: u64,
    surplus: Surplus,
    late_packets: u64,
}

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Speech.
    Codec(Codec),
    /// Comfort noise (RFC 3389).
    Noise,
}

/// What [`Playout::pull`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// As many samples as asked for.
    Samples,
    /// None: the peer is silent.
    Nothing,
}

/// What was done to the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutFigures {
    /// Packets whose place was filled, as they did not come.
    pub concealed_packets: u64,
    /// Times that nothing was there when it was needed.
    pub underruns: u64,
    /// Packets that came after their turn.
    pub late_packets: u64,
    /// Times that a pitch period was taken out.
    pub shortened: u64,
    /// Payloads that could not be decoded.
    pub malformed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing comes.
    Idle,
    /// The first packet waits for others.
    Priming {
        until_us: u64,
    },
    Playing,
}

impl Playout {
    /// Decodes `formats` by payload type to samples of `sample_rate_hz`: 8,000, 16,000 or
    /// 48,000. Other payload types are passed over; they keep their place in the sequence.
    ///
    /// # Errors
    /// [`CodecError::SampleRate`] for another rate.
    pub fn new(sample_rate_hz: u32, formats: Vec<(u8, Incoming)>) -> Result<Self, CodecError> {
        if !matches!(sample_rate_hz, 8_000 | 16_000 | 48_000) {
            return Err(CodecError::SampleRate);
        }
        Ok(Self {
            sample_rate_hz,
            buffer: JitterBuffer::new(),
            voice: Voice::new(sample_rate_hz, formats),
            state: State::Idle,
            delay_us: DELAY_MIN_US,
            surplus: Surplus::NONE,
            late_packets: 0,
        })
    }

    /// Takes a packet.
    pub fn push(&mut self, sequence: u16, payload_type: u8, payload: &[u8], now_us: u64) {
        if self.buffer.push(sequence, payload_type, payload) == Pushed::Late {
            self.late_packets += 1;
        }
        if self.state == State::Idle && self.voice.format(payload_type).is_some() {
            let until_us = now_us + self.delay_us;
            self.state = State::Priming { until_us };
        }
    }

    /// Appends the next `count` samples, or none.
    pub fn pull(&mut self, count: usize, now_us: u64, out: &mut Vec<i16>) -> Pulled {
        match self.state {
            State::Idle => return Pulled::Nothing,
            State::Priming { until_us } if now_us < until_us => return Pulled::Nothing,
            State::Priming { .. } => self.state = State::Playing,
            State::Playing => {}
        }
        self.drop_excess();
        while self.voice.ready() < count {
            if !self.step(count) {
                self.rest();
                return Pulled::Nothing;
            }
        }
        self.voice.pull(count, out);
        self.watch_surplus(count);
        Pulled::Samples
    }

    /// Has keys looked for among the sound of what comes.
    pub fn listen(&mut self) {
        self.voice.listen();
    }

    /// What was found since this was asked last, edge by edge. A key is found when its packets are
    /// decoded, at the latest when their samples are pulled.
    pub fn poll_key(&mut self) -> Option<KeyEdge> {
        self.voice.ear_mut()?.poll()
    }

    /// The key that is held down, if one is.
    #[must_use]
    pub fn held_key(&self) -> Option<Key> {
        self.voice.ear()?.held()
    }

    /// Whether the peer is silent and nothing of it waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Another source begins: nothing of the old one is played.
    pub fn restart(&mut self) {
        self.voice.restart();
        self.rest();
    }

    /// What is there and not pulled, in milliseconds: the delay that is added.
    #[must_use]
    pub fn delay_ms(&self) -> u32 {
        (self.level() * 1_000 / self.sample_rate_hz as usize) as u32
    }

    /// What was done so far.
    #[must_use]
    pub fn figures(&self) -> PlayoutFigures {
        PlayoutFigures {
            late_packets: self.late_packets,
            ..self.voice.figures()
        }
    }

    /// Samples that are there, those of packets not decoded included.
    fn level(&self) -> usize {
        self.voice.ready() + self.buffer.held() * self.voice.packet_samples()
    }

    /// Makes more samples ready, `wanted` at most if nothing comes; `false` if the peer is
    /// silent.
    fn step(&mut self, wanted: usize) -> bool {
        match self.buffer.take() {
            Taken::Packet(held) => {
                if self.voice.play(held) == Played::TooLate {
                    // Jitter is more than was thought.
                    self.delay_us = (self.delay_us + DELAY_STEP_US).min(DELAY_MAX_US);
                }
                true
            }
            Taken::Missing(next) => {
                self.voice.fill_gap(next);
                true
            }
            Taken::Nothing => self.voice.starve(wanted - self.voice.ready()),
        }
    }

    /// The talk spurt is over.
    fn rest(&mut self) {
        self.state = State::Idle;
        self.buffer.clear();
        self.voice.rest();
        self.surplus = Surplus::NONE;
        let shorter_us = self.delay_us.saturating_sub(DELAY_STEP_US / 2);
        self.delay_us = shorter_us.max(DELAY_MIN_US);
    }

    /// A burst after a pause of the network is not played to its end, seconds late.
    fn drop_excess(&mut self) {
        let most = ms(self.sample_rate_hz, LEVEL_MAX_MS);
        if self.level() <= most {
            return;
        }
        while self.level() > most / 2 && self.buffer.held() > 0 {
            let _ = self.buffer.take();
        }
    }

    fn watch_surplus(&mut self, pulled: usize) {
        let level = self.level();
        let surplus = &mut self.surplus;
        surplus.pulled += pulled;
        surplus.floor = surplus.floor.min(level);
        if surplus.pulled >= ms(self.sample_rate_hz, SURPLUS_WINDOW_MS) {
            if surplus.floor > ms(self.sample_rate_hz, SURPLUS_MS) {
                self.voice.shorten_next();
            }
            *surplus = Surplus::NONE;
        }
    }
}

/// The least that was left over after a pull, over a while.
#[derive(Clone, Copy, Debug)]
struct Surplus {
    floor: usize,
    pulled: usize,
}

impl Surplus {
    const NONE: Self = Self {
        floor: usize::MAX,
        pulled: 0,
    };
}

/// The wait of the first packet of a talk spurt: at the beginning, how it grows, and at most.
const DELAY_MIN_US: u64 = 20_000;
const DELAY_STEP_US: u64 = 10_000;
const DELAY_MAX_US: u64 = 120_000;
/// More than this is never kept waiting.
const LEVEL_MAX_MS: usize = 400;
/// What may be left over although nothing needed it, and over what time that is judged.
const SURPLUS_MS: usize = 25;
const SURPLUS_WINDOW_MS: usize = 1_000;

#[cfg(test)]
mod tests;
