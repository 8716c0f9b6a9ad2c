//! What is done to a call's media on request: parts of it blocked or silenced, prompts, tones and
//! digits played to a side.

mod gate;
mod player;
mod turns;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use audio::{Key, Tone, Wav, WavError};

pub(crate) use gate::{Gate, GateStage};
pub(crate) use player::{Beside, Ear, PlayerStage, Playing, Target};
pub(crate) use voice::Voice;

/// What is kept from passing on, of what one side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// All its RTP but telephone events, which have a barrier of their own.
    Media,
    /// RFC 4733 packets.
    Dtmf,
    /// Its voice: packets go on and hold silence. Those of a codec that has no silent payload of
    /// a fixed form (all but G.711 and Opus) do not go on.
    Voice,
}

/// Whether a [`Barrier`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Nothing passes it.
    Closed,
    /// All passes it.
    Open,
}

/// Something to play.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Samples of one channel.
    Audio(Audio),
    /// A tone, until it is stopped or its time is over.
    Tone(Tone),
    /// Keys, one after the other, 100 ms each and as long between them.
    Digits {
        /// Which.
        keys: Vec<Key>,
        /// In what form.
        form: DigitForm,
    },
    /// One key, pressed in a way of its own.
    Press(Press),
}

/// How a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Which.
    pub key: Key,
    /// In what form.
    pub form: DigitForm,
    /// For how long.
    pub duration: Duration,
    /// How long nothing follows.
    pub pause: Duration,
    /// How loud, in dB below the most there is (RFC 4733 §2.3.3).
    pub volume_dbm0: u8,
}

impl Press {
    /// For 100 ms, and as long nothing: twice what ITU-T Q.24 asks for.
    #[must_use]
    pub fn new(key: Key, form: DigitForm) -> Self {
        Self {
            key,
            form,
            duration: Duration::from_millis(100),
            pause: Duration::from_millis(100),
            volume_dbm0: 10,
        }
    }
}

/// In what form keys are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitForm {
    /// As RFC 4733 packets if the side takes them, else as tones.
    Events,
    /// As tones.
    InBand,
}

/// Samples of one channel, shared by all who play them.
#[derive(Clone, Debug)]
pub struct Audio {
    pub(crate) samples: Arc<[i16]>,
    pub(crate) sample_rate_hz: u32,
}

impl Audio {
    /// How long it is in milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.samples.len() as u64 * 1_000 / u64::from(self.sample_rate_hz)
    }

    /// The memory that it takes, in bytes, whoever shares it.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.samples)
    }

    /// From a WAV file's bytes; of several channels the mean. Longer than [`AUDIO_MAX_S`] is cut
    /// off.
    ///
    /// # Errors
    /// See [`WavError`]; a rate other than 8, 16 and 48 kHz is `Malformed`.
    pub fn from_wav(bytes: &[u8]) -> Result<Self, WavError> {
        let wav = Wav::parse(bytes)?;
        let sample_rate_hz = wav.format().sample_rate_hz;
        if !RATES_HZ.contains(&sample_rate_hz) {
            return Err(WavError::Malformed {
                channels: wav.format().channels,
                sample_rate_hz,
            });
        }
        let mut samples = wav.mono();
        samples.truncate((AUDIO_MAX_S * sample_rate_hz) as usize);
        Ok(Self {
            samples: samples.into(),
            sample_rate_hz,
        })
    }
}

/// How something is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayOptions {
    /// How often; tones go on anyway.
    pub times: Times,
    /// The longest it sounds; `None`: to its end.
    pub duration: Option<Duration>,
    /// What becomes of the other side meanwhile.
    pub over: Over,
}

/// What is played over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Whatever the other side sends: it is not heard.
    Everything,
    /// Its silence: as long as it sends voice, that is heard, and what is played waits.
    Silence,
}

/// How often something is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// So often, at least once.
    Exactly(u32),
    /// Until it is stopped.
    Forever,
}

impl PlayOptions {
    /// Once, to its end.
    #[must_use]
    pub const fn once() -> Self {
        Self {
            times: Times::Exactly(1),
            duration: None,
            over: Over::Everything,
        }
    }
}

/// What encoders take.
const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];
/// The longest audio that is kept, in seconds: 19 MB at 16 kHz.
pub const AUDIO_MAX_S: u32 = 600;
