//! Indices of one source: guessing the rollover counter (RFC 3711 §3.3.1, appendix A) and the
//! replay window (RFC 3711 §3.3.2).

/// What is known of the packets of one source under one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// The highest index seen: rollover counter and sequence number.
    highest: u64,
    /// Bit `n` says whether `highest - n` was seen.
    seen: u128,
    /// Whether a packet under this key was seen. Before, `highest` is what was known of the
    /// source under an earlier key, if anything was.
    confirmed: bool,
    /// Added to the sequence numbers of what is sent: see [`Stream::outgoing`].
    offset: u16,
    /// What would follow the last packet to be sent, if that one was refused.
    refused: Option<u16>,
}

/// What index a packet may have, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guesses {
    pub(super) first: u64,
    /// What to try if the first turns out wrong.
    pub(super) second: Option<u64>,
}

impl Stream {
    /// Of a source nothing is known of.
    pub(super) fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            highest: 0,
            seen: 0,
            confirmed: false,
            offset: 0,
            refused: None,
        }
    }

    /// What is left of it when the key changes: the rollover counter goes on (RFC 3711 §8.1),
    /// but peers exist that begin at 0 again.
    pub(super) fn rekeyed(self) -> Self {
        Self {
            seen: 0,
            confirmed: false,
            ..self
        }
    }

    /// Whether there is anything to know of it.
    pub(super) fn is_known(&self) -> bool {
        self.confirmed || self.highest > 0
    }

    /// The index that a packet of this sequence number has.
    pub(super) fn guess(&self, sequence: u16) -> Guesses {
        let sequence = u64::from(sequence);
        if !self.is_known() {
            return Guesses {
                first: sequence,
                second: None,
            };
        }
        let rollovers = self.highest >> 16;
        let last = self.highest & 0xffff;
        let behind = sequence > last + HALF;
        let ahead = sequence + HALF < last;
        let first = match rollovers {
            0 if behind => sequence,
            _ if behind => (rollovers - 1) << 16 | sequence,
            _ if ahead => (rollovers + 1) << 16 | sequence,
            _ => rollovers << 16 | sequence,
        };
        let second = if !self.confirmed {
            Some(sequence)
        } else if first.wrapping_sub(self.highest) > NEAR {
            // It looks old, or far ahead: a whole round of sequence numbers may have been lost.
            Some(first + (1 << 16))
        } else {
            None
        };
        Guesses {
            first,
            second: second.filter(|second| *second != first),
        }
    }

    /// The sequence number and the index that a packet is sent with; `None` if it repeats another
    /// or comes too late.
    ///
    /// A source that begins anew at a lower number, as phones do after a transfer or a restart,
    /// would be refused until it has caught up. Its second packet in a row shows what it is
    /// (RFC 3550 appendix A.1), and from then on its numbers go on where the old ones ended.
    pub(super) fn outgoing(&mut self, sequence: u16) -> Option<(u16, u64)> {
        let sent = sequence.wrapping_add(self.offset);
        let index = self.guess(sent).first;
        if self.is_new(index) {
            self.refused = None;
            return Some((sent, index));
        }
        if self.refused.replace(sequence.wrapping_add(1)) != Some(sequence) {
            return None;
        }
        self.refused = None;
        let index = self.highest + 1;
        let sent = index as u16;
        self.offset = sent.wrapping_sub(sequence);
        Some((sent, index))
    }

    /// Whether an index was not seen yet and is not too old to tell.
    pub(super) fn is_new(&self, index: u64) -> bool {
        if !self.confirmed || index > self.highest {
            return true;
        }
        let age = self.highest - index;
        age < WINDOW && self.seen & 1 << age == 0
    }

    /// Takes note of an authentic packet.
    pub(super) fn record(&mut self, index: u64) {
        if !self.confirmed {
            self.confirmed = true;
            self.highest = index;
            self.seen = 1;
        } else if index > self.highest {
            let ahead = index - self.highest;
            self.seen = if ahead < WINDOW {
                self.seen << ahead | 1
            } else {
                1
            };
            self.highest = index;
        } else if self.highest - index < WINDOW {
            self.seen |= 1 << (self.highest - index);
        }
    }
}

/// The streams of one key.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

impl Streams {
    /// What is known of a source; nothing for one that is new.
    #[inline]
    pub(super) fn of(&self, ssrc: u32) -> Stream {
        let found = self.0.iter().find(|stream| stream.ssrc == ssrc);
        found.copied().unwrap_or_else(|| Stream::new(ssrc))
    }

    /// Keeps what is known of a source; whether there was room for it.
    #[inline]
    pub(super) fn keep(&mut self, stream: Stream) -> bool {
        let mut known = self.0.iter_mut();
        if let Some(known) = known.find(|known| known.ssrc == stream.ssrc) {
            *known = stream;
            return true;
        }
        let has_room = self.0.len() < SOURCES_MAX;
        if has_room {
            self.0.push(stream);
        }
        has_room
    }

    /// Forgets all but what outlives the key.
    pub(super) fn rekey(&mut self) {
        self.0
            .iter_mut()
            .for_each(|stream| *stream = stream.rekeyed());
    }
}

/// Sources kept for one key. The state of none may be forgotten: its indices would be used
/// twice.
const SOURCES_MAX: usize = 256;
/// Half of the sequence numbers.
const HALF: u64 = 1 << 15;
/// So far ahead there is no doubt that no round was lost: five minutes of speech.
const NEAR: u64 = 1 << 14;
/// Packets that the replay window covers.
const WINDOW: u64 = 128;
/// Indices have 48 bits.
pub(super) const INDEX_MAX: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> Stream {
        let mut stream = Stream::new(1);
        stream.record(index);
        stream
    }

    #[test]
    fn the_counter_rolls_over_and_late_packets_belong_before() {
        assert_eq!(at(0xffff).guess(0).first, 0x1_0000);
        assert_eq!(at(0x1_0000).guess(0xffff).first, 0xffff);
        assert_eq!(at(0x3_8000).guess(0x7fff).first, 0x3_7fff);
        assert_eq!(at(0x2_fff0).guess(0x10).first, 0x3_0010);
        // Nothing is before the beginning.
        assert_eq!(at(2).guess(0xfffe).first, 0xfffe);
    }

    #[test]
    fn a_long_loss_and_a_new_key_leave_a_second_guess() {
        let guesses = at(0x1_8000).guess(0x1000);
        assert_eq!(guesses.first, 0x1_1000);
        assert_eq!(guesses.second, Some(0x2_1000));
        let rekeyed = at(0x5_0007).rekeyed();
        assert_eq!(rekeyed.guess(8).first, 0x5_0008);
        assert_eq!(rekeyed.guess(8).second, Some(8));
    }

    #[test]
    fn what_was_seen_is_not_new_and_neither_is_what_is_too_old() {
        let mut stream = at(1_000);
        assert!(!stream.is_new(1_000));
        assert!(stream.is_new(999));
        stream.record(999);
        assert!(!stream.is_new(999));
        stream.record(1_127);
        assert!(!stream.is_new(1_000) && stream.is_new(1_001));
        assert!(!stream.is_new(999));
        stream.record(5_000);
        assert!(!stream.is_new(1_127) && stream.is_new(4_999));
    }
}
