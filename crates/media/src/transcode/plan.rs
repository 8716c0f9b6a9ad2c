//! What a transcoder is to do, as negotiated.

use audio::{Codec, Incoming, OpusOptions};

/// Both directions, by the side that the media comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) directions: [DirectionPlan; 2],
}

/// What comes from one side, and what the other gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirectionPlan {
    /// Speech and comfort noise that may come, by payload type.
    pub(crate) incoming: Vec<(u8, Incoming)>,
    /// In what form keys come.
    pub(crate) keys_in: KeysIn,
    /// What leaves.
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    /// Its packet time, one that the codec has.
    pub(crate) packet_ms: u32,
    /// How keys leave.
    pub(crate) keys_out: KeysOut,
    pub(crate) opus: OpusOptions,
}

/// In what form keys come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeysIn {
    /// As telephone events.
    Events(Vec<EventFormat>),
    /// As tones: they are listened for.
    Tones,
    /// Not with media at all.
    Elsewhere,
}

/// In what form keys leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeysOut {
    /// As telephone events.
    Events(EventFormat),
    /// As tones.
    Tones,
    /// Not with media: they are only told to the switch.
    Told,
}

/// RFC 4733 events on a payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFormat {
    pub(crate) payload_type: u8,
    pub(crate) clock_rate_hz: u32,
}

impl DirectionPlan {
    /// The rate of the samples in between: what both codecs can carry. Opus takes any.
    pub(crate) fn sample_rate_hz(&self) -> u32 {
        let rates = self.incoming.iter().filter_map(|(_, format)| match format {
            Incoming::Codec(codec) => Some(codec.sample_rate_hz()),
            Incoming::Noise => None,
        });
        let best_hz = rates.max().unwrap_or(8_000);
        best_hz.min(self.codec.sample_rate_hz())
    }

    /// Whether a payload type is one of those that may come.
    pub(crate) fn may_come(&self, payload_type: u8) -> bool {
        let mut speech = self.incoming.iter();
        speech.any(|(known, _)| *known == payload_type) || self.event_format(payload_type).is_some()
    }

    /// Telephone events that may come.
    pub(crate) fn events(&self) -> &[EventFormat] {
        match &self.keys_in {
            KeysIn::Events(events) => events,
            KeysIn::Tones | KeysIn::Elsewhere => &[],
        }
    }

    /// Which events a payload type carries, if it does.
    pub(crate) fn event_format(&self, payload_type: u8) -> Option<EventFormat> {
        let mut events = self.events().iter();
        events
            .find(|format| format.payload_type == payload_type)
            .copied()
    }
}
