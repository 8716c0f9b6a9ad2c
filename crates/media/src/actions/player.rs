//! Plays to a side in place of what the other side sends.
//!
//! It is a source of its own, with an SSRC of its own: whoever was relayed goes on where it was
//! when the player stops. Browsers, which hear one source only, are told otherwise where it leaves
//! (`full::splice`). Frames of 20 ms are made on the worker as their time comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use audio::{Codec, Encoder, Key, OpusOptions, ToneGenerator};
use rtp::{Header, TelephoneEvent};

use super::turns::{Turn, Turns};
use super::voice::{Heard, Voice};
use super::{DigitForm, Over, PlayOptions, Press, Prompt, Times};
use crate::engine::{MediaEvent, Side};
use crate::full::{Outbox, Packet, Part, Stage};

/// Plays to both sides or one.
#[derive(Debug)]
pub(crate) struct PlayerStage {
    session: u64,
    /// By the side that hears it. Shared with the stage that takes this one's place when
    /// something changes for the other side; locked once in 20 ms.
    playing: [Option<Arc<Mutex<Playing>>>; 2],
    /// Who hears what sides A and B send.
    hearers: [Side; 2],
}

/// What one side hears.
#[derive(Debug)]
pub(crate) struct Playing {
    source: Source,
    /// Playing it again, how often.
    again: Option<u32>,
    left_us: Option<u64>,
    target: Target,
    ear: Ear,
    /// `None`: it yields to nobody.
    turns: Option<Turns>,
    encoder: Encoder,
    header: Header,
    /// When the next frame is due; 0: at once.
    next_us: u64,
    over: bool,
    samples: Vec<i16>,
    payload: Vec<u8>,
    /// How keys are pressed.
    pace: KeyPace,
}

/// How a side hears what is played, and what else.
#[derive(Debug)]
pub(crate) struct Ear {
    /// By which voice it is played to.
    pub(crate) voice: Arc<Voice>,
    pub(crate) beside: Beside,
}

/// What a side hears when nothing is played.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) heard: Heard,
    /// Payload types of it that are no voice: keys, comfort noise.
    pub(crate) quiet: Vec<u8>,
}

/// How keys are pressed, in frames.
#[derive(Clone, Copy, Debug)]
struct KeyPace {
    /// How long each sounds.
    sound: u32,
    /// How long a key takes with the silence after it.
    whole: u32,
    volume_dbm0: u8,
}

/// What a side takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    /// The payload type of RFC 4733, if it takes that at the codec's clock rate.
    pub(crate) event: Option<u8>,
}

#[derive(Debug)]
enum Source {
    Audio {
        samples: Arc<[i16]>,
        at: usize,
    },
    Tone(Box<ToneGenerator>),
    /// Keys as tones. `frame` counts within the present one.
    Tones {
        keys: Vec<Key>,
        at: usize,
        frame: u32,
        tone: Option<Box<ToneGenerator>>,
    },
    /// Keys as events. `start` is the timestamp of the present one.
    Events {
        keys: Vec<Key>,
        at: usize,
        frame: u32,
        start: u32,
    },
}

impl PlayerStage {
    /// `hearers` says who hears what sides A and B send.
    pub(crate) fn new(
        session: u64,
        playing: [Option<Arc<Mutex<Playing>>>; 2],
        hearers: [Side; 2],
    ) -> Self {
        Self {
            session,
            playing,
            hearers,
        }
    }
}

impl Stage for PlayerStage {
    fn handle_packet(&mut self, packet: Packet<'_>, now_us: u64, out: &mut Outbox) {
        let hearer = self.hearers[packet.from as usize];
        let passes = match &self.playing[hearer as usize] {
            Some(playing) if packet.part == Part::Rtp => lock(playing).lets_pass(packet, now_us),
            _ => true,
        };
        if passes {
            out.push(packet);
        }
    }

    fn source(&self, to: Side) -> Option<u32> {
        let playing = self.playing[to as usize].as_ref()?;
        let playing = lock(playing);
        (!playing.over).then_some(playing.ear.voice.ssrc)
    }

    fn handle_timeout(&mut self, now_us: u64, out: &mut Outbox) {
        for side in [Side::A, Side::B] {
            let Some(playing) = &self.playing[side as usize] else {
                continue;
            };
            let mut playing = lock(playing);
            if playing.over {
                continue;
            }
            playing.play(now_us, side, out);
            if playing.over {
                out.report(MediaEvent::Played {
                    session: self.session,
                    side,
                });
            }
        }
    }

    fn poll_timeout(&self) -> Option<u64> {
        let playing = self.playing.iter().flatten();
        let due = playing.filter_map(|playing| {
            let playing = lock(playing);
            (!playing.over).then_some(playing.due_us())
        });
        due.min()
    }
}

fn lock(playing: &Mutex<Playing>) -> MutexGuard<'_, Playing> {
    playing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Playing {
    /// For a side that hears so. `None` if the codec's library gives no encoder.
    pub(crate) fn new(
        prompt: Prompt,
        options: PlayOptions,
        target: Target,
        ear: Ear,
    ) -> Option<Self> {
        let mut sample_rate_hz = match target.codec {
            Codec::Pcma | Codec::Pcmu => 8_000,
            Codec::G722 | Codec::Opus => 16_000,
        };
        let mut pace = KeyPace::USUAL;
        let source = match prompt {
            Prompt::Audio(audio) => {
                sample_rate_hz = audio.sample_rate_hz;
                Source::Audio {
                    samples: audio.samples,
                    at: 0,
                }
            }
            Prompt::Tone(tone) => Source::Tone(Box::new(ToneGenerator::new(&tone, sample_rate_hz))),
            Prompt::Digits { keys, form } => Source::keys(keys, form, target),
            Prompt::Press(press) => {
                pace = KeyPace::of(&press);
                Source::keys(vec![press.key], press.form, target)
            }
        };
        let again = match options.times {
            Times::Exactly(times) => Some(times.saturating_sub(1)),
            Times::Forever => None,
        };
        Some(Self {
            source,
            again,
            left_us: options.duration.map(micros),
            encoder: Encoder::new(target.codec, sample_rate_hz, OpusOptions::default()).ok()?,
            header: Header {
                marker: true,
                payload_type: target.payload_type,
                sequence: 0,
                timestamp: 0,
                ssrc: ear.voice.ssrc,
            },
            target,
            ear,
            turns: match options.over {
                Over::Everything => None,
                Over::Silence => Some(Turns::default()),
            },
            next_us: 0,
            over: false,
            samples: Vec::new(),
            payload: Vec::new(),
            pace,
        })
    }

    /// Whether RTP of the other side is heard.
    fn lets_pass(&mut self, packet: Packet<'_>, now_us: u64) -> bool {
        let Some(turns) = self.turns.as_mut().filter(|_| !self.over) else {
            return self.over;
        };
        let payload_type = packet.bytes.get(1).map(|second| second & 0x7f);
        if payload_type.is_some_and(|known| !self.ear.beside.quiet.contains(&known)) {
            turns.handle_voice(now_us);
        }
        let passes = turns.turn() == Turn::Other;
        if passes {
            // It goes on where it was, behind what the other side has said by then.
            (self.next_us, self.header.marker) = (0, true);
        }
        passes
    }

    /// When there is something to do.
    fn due_us(&self) -> u64 {
        let yields = self.turns.as_ref().and_then(Turns::poll_timeout);
        yields.unwrap_or(self.next_us)
    }

    /// Goes on as its side takes it from now on, beside what it hears otherwise from now on.
    pub(crate) fn take_up(&mut self, target: Target, beside: Beside) {
        self.ear.beside = beside;
        if target == self.target {
            return;
        }
        let rate_hz = self.encoder.sample_rate_hz();
        // Without an encoder it goes on as before: nobody was to hear nothing.
        let Ok(encoder) = Encoder::new(target.codec, rate_hz, OpusOptions::default()) else {
            return;
        };
        self.encoder = encoder;
        self.header.payload_type = target.payload_type;
        // Keys that are under way as events stay so.
        let event = target.event.or(self.target.event);
        self.target = Target { event, ..target };
        // Its times are counted anew, in units of its clock.
        (self.next_us, self.header.marker) = (0, true);
    }

    /// Makes the frames that are due.
    fn play(&mut self, now_us: u64, to: Side, out: &mut Outbox) {
        if let Some(turns) = &mut self.turns {
            turns.handle_timeout(now_us);
            if turns.turn() == Turn::Other {
                return;
            }
        }
        if self.next_us == 0 {
            let first = self.ear.voice.begin(&self.ear.beside.heard, self.ticks());
            self.header.sequence = first.sequence;
            self.header.timestamp = first.timestamp;
        }
        if now_us.saturating_sub(self.next_us) > BEHIND_US {
            // The first frame, or the machine slept: what was missed is not made up for.
            self.next_us = now_us;
        }
        while self.next_us <= now_us && !self.over {
            self.next_us += FRAME_US;
            self.frame(to, out);
            self.header.timestamp = self.header.timestamp.wrapping_add(self.ticks());
            self.ear
                .voice
                .go_on(self.header.sequence, self.header.timestamp);
            if let Some(left_us) = &mut self.left_us {
                *left_us = left_us.saturating_sub(FRAME_US);
                self.over |= *left_us == 0;
            }
        }
    }

    fn frame(&mut self, to: Side, out: &mut Outbox) {
        if let Source::Events { .. } = self.source {
            return self.event(to, out);
        }
        let count = self.encoder.sample_rate_hz() as usize / FRAMES_PER_S;
        self.samples.clear();
        self.samples.resize(count, 0);
        self.fill();
        self.payload.clear();
        if self
            .encoder
            .encode(&self.samples, &mut self.payload)
            .is_ok()
        {
            let payload = std::mem::take(&mut self.payload);
            self.send(&payload, to, out);
            self.payload = payload;
        }
    }

    fn fill(&mut self) {
        match &mut self.source {
            Source::Audio { samples, at } => {
                let count = self.samples.len().min(samples.len() - *at);
                self.samples[..count].copy_from_slice(&samples[*at..*at + count]);
                *at += count;
                if *at == samples.len() {
                    *at = 0;
                    self.over = samples.is_empty() || !again(&mut self.again);
                }
            }
            Source::Tone(tone) => tone.fill(&mut self.samples),
            Source::Tones {
                keys,
                at,
                frame,
                tone,
            } => {
                let Some(key) = keys.get(*at) else {
                    self.over = true;
                    return;
                };
                if *frame < self.pace.sound {
                    let rate_hz = self.encoder.sample_rate_hz();
                    let sounding = self.pace.tone(*key);
                    let make = || Box::new(ToneGenerator::new(&sounding, rate_hz));
                    tone.get_or_insert_with(make).fill(&mut self.samples);
                }
                *frame += 1;
                if *frame == self.pace.whole {
                    (*frame, *tone) = (0, None);
                    *at += 1;
                    if *at == keys.len() {
                        *at = 0;
                        self.over = !again(&mut self.again);
                    }
                }
            }
            Source::Events { .. } => {}
        }
    }

    /// One frame of a key as events: reports while it lasts, its end three times (RFC 4733
    /// §2.5.1.4), silence of the same length.
    fn event(&mut self, to: Side, out: &mut Outbox) {
        let ticks = self.ticks();
        let KeyPace {
            sound,
            whole,
            volume_dbm0,
        } = self.pace;
        let now = self.header.timestamp;
        let Source::Events {
            keys,
            at,
            frame,
            start,
        } = &mut self.source
        else {
            return;
        };
        let Some(key) = keys.get(*at).copied() else {
            self.over = true;
            return;
        };
        if *frame == 0 {
            *start = now;
        }
        let (number, start) = (*frame, *start);
        *frame += 1;
        if *frame == whole {
            *frame = 0;
            *at += 1;
            if *at == keys.len() {
                *at = 0;
                self.over = !again(&mut self.again);
            }
        }
        if number > sound {
            return;
        }
        let end = number == sound;
        let event = TelephoneEvent {
            event: key.event(),
            end,
            volume_dbm0,
            duration: u16::try_from(ticks * (number + 1).min(sound)).unwrap_or(u16::MAX),
        };
        let voice = self.header.payload_type;
        self.header.timestamp = start;
        self.header.marker = number == 0;
        self.header.payload_type = self.target.event.unwrap_or(voice);
        for _ in 0..if end { 3 } else { 1 } {
            self.send(&event.encode(), to, out);
        }
        self.header.payload_type = voice;
        self.header.timestamp = now;
    }

    fn send(&mut self, payload: &[u8], to: Side, out: &mut Outbox) {
        let header = self.header.encode();
        out.push_played(to, |room| {
            let (head, rest) = room.split_at_mut(header.len());
            head.copy_from_slice(&header);
            rest.get_mut(..payload.len())?.copy_from_slice(payload);
            Some(header.len() + payload.len())
        });
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
    }

    /// Of the timestamp, in a frame.
    fn ticks(&self) -> u32 {
        self.target.codec.clock_rate_hz() / FRAMES_PER_S as u32
    }
}

impl Source {
    fn keys(keys: Vec<Key>, form: DigitForm, target: Target) -> Self {
        let (at, frame) = (0, 0);
        match (form, target.event) {
            (DigitForm::Events, Some(_)) => Self::Events {
                keys,
                at,
                frame,
                start: 0,
            },
            _ => Self::Tones {
                keys,
                at,
                frame,
                tone: None,
            },
        }
    }
}

impl KeyPace {
    const USUAL: Self = Self {
        sound: KEY_FRAMES,
        whole: 2 * KEY_FRAMES,
        volume_dbm0: 10,
    };

    fn of(press: &Press) -> Self {
        let frames = |time: Duration| {
            let frames = micros(time).div_ceil(FRAME_US).max(1);
            u32::try_from(frames).unwrap_or(u32::MAX / 4)
        };
        let sound = frames(press.duration);
        Self {
            sound,
            // The end of an event takes a frame of the silence.
            whole: sound + frames(press.pause),
            volume_dbm0: press.volume_dbm0,
        }
    }

    /// A key as loud as is asked.
    fn tone(self, key: Key) -> audio::Tone {
        let mut tone = key.tone();
        if self.volume_dbm0 != Self::USUAL.volume_dbm0 {
            for sine in &mut tone.sines {
                sine.level_dbm0 += KEY_DBM0 - f64::from(self.volume_dbm0);
            }
        }
        tone
    }
}

/// Whether it is played once more.
fn again(left: &mut Option<u32>) -> bool {
    match left {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const FRAME_US: u64 = 20_000;
const FRAMES_PER_S: usize = 50;
/// Frames of a key, and of the silence after it: 100 ms, twice what ITU-T Q.24 asks for.
const KEY_FRAMES: u32 = 5;
/// The mean level of [`Key::tone`], in dB below the most there is.
const KEY_DBM0: f64 = 8.0;
/// Frames that are late by more than this are left out.
const BEHIND_US: u64 = 100_000;
