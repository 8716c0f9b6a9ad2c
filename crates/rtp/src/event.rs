//! Telephone events, RFC 4733 §2.3: DTMF digits as RTP payload.

/// One report of an event; an event is reported several times while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Which one: 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for `A` to `D` (RFC 4733 §3.2).
    pub event: u8,
    /// Whether it is over.
    pub end: bool,
    /// Loudness in dBm0 without the sign, 0 to 63.
    pub volume_dbm0: u8,
    /// How long it has lasted, in units of the payload's clock rate.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads the first event of a payload; `None` if it is too short for one.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk::<4>()?;
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume_dbm0: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        let flags = u8::from(self.end) << 7 | self.volume_dbm0 & 0x3f;
        [self.event, flags, high, low]
    }

    /// The key of a telephone, if it is one.
    #[must_use]
    pub fn digit(&self) -> Option<char> {
        KEYS.get(usize::from(self.event))
            .map(|key| char::from(*key))
    }
}

/// The keys of events 0 to 15.
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_end_of_a_nine() {
        let event = TelephoneEvent::parse(&[9, 0x8a, 0x03, 0x20]).expect("four bytes");
        assert_eq!(event.digit(), Some('9'));
        assert!(event.end);
        assert_eq!((event.volume_dbm0, event.duration), (10, 800));
    }

    #[test]
    fn names_keys_only() {
        let key = |event| TelephoneEvent::parse(&[event, 0, 0, 0]).and_then(|e| e.digit());
        assert_eq!(key(10), Some('*'));
        assert_eq!(key(11), Some('#'));
        assert_eq!(key(15), Some('D'));
        assert_eq!(key(16), None);
    }

    #[test]
    fn three_bytes_are_no_event() {
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn any_event_reads_back(
            event: u8, end: bool, volume_dbm0 in 0_u8..64, duration: u16,
        ) {
            let event = TelephoneEvent { event, end, volume_dbm0, duration };
            prop_assert_eq!(TelephoneEvent::parse(&event.encode()), Some(event));
        }
    }
}
