//! Packets put back into their order, RFC 3550 §6.4.1 apart: what is late, double or beyond
//! measure is told, not kept.

/// Holds packets of one source until they are taken, in the order of their sequence numbers.
#[derive(Debug)]
pub struct JitterBuffer {
    /// By sequence number, modulo [`SLOTS`]. Buffers are kept for the next packet.
    slots: Vec<Slot>,
    /// What is taken next; `None` before the first packet.
    next: Option<u16>,
    held: usize,
    /// What must come next for a jump to be believed.
    after_jump: Option<u16>,
    /// Late packets since one was in time.
    late_in_a_row: u32,
}

/// A packet in the buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The payload type.
    pub payload_type: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is kept.
    Kept,
    /// Its turn is over.
    Late,
    /// It is there already.
    Double,
    /// It is longer than any packet of speech.
    Oversized,
    /// It is far from what was expected. If the next one follows it, the source has restarted.
    Jump,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A packet.
    Packet(&'a Held),
    /// It did not come, and later ones did; the one right after it, if it is there.
    Missing(Option<&'a Held>),
    /// Nothing is there.
    Nothing,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    sequence: u16,
    full: bool,
    packet: Held,
}

impl JitterBuffer {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            next: None,
            held: 0,
            after_jump: None,
            late_in_a_row: 0,
        }
    }

    /// Takes a packet.
    pub fn push(&mut self, sequence: u16, payload_type: u8, payload: &[u8]) -> Pushed {
        if payload.len() > PAYLOAD_MAX_BYTES {
            return Pushed::Oversized;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if usize::from(ahead) < SLOTS {
            return self.keep(sequence, payload_type, payload);
        }
        if usize::from(sequence.wrapping_neg().wrapping_add(next)) <= SLOTS {
            // A few behind: late. A source that only ever is late has gone back.
            self.late_in_a_row += 1;
            if self.late_in_a_row < LATE_MAX {
                return Pushed::Late;
            }
        } else if self.after_jump != Some(sequence) {
            self.after_jump = Some(sequence.wrapping_add(1));
            return Pushed::Jump;
        }
        self.clear();
        self.next = Some(sequence);
        self.keep(sequence, payload_type, payload)
    }

    /// Takes out what is next.
    pub fn take(&mut self) -> Taken<'_> {
        let Some(next) = self.next.filter(|_| self.held > 0) else {
            return Taken::Nothing;
        };
        let after = next.wrapping_add(1);
        self.next = Some(after);
        if self.slot(next).full {
            let at = usize::from(next) % SLOTS;
            self.slots[at].full = false;
            self.held -= 1;
            return Taken::Packet(&self.slots[at].packet);
        }
        let follows = self.slot(after);
        Taken::Missing(follows.full.then_some(&follows.packet))
    }

    /// Packets in it.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Forgets everything: the next packet is the first.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.full = false;
        }
        self.next = None;
        self.held = 0;
        self.after_jump = None;
        self.late_in_a_row = 0;
    }

    fn keep(&mut self, sequence: u16, payload_type: u8, payload: &[u8]) -> Pushed {
        self.after_jump = None;
        self.late_in_a_row = 0;
        let slot = &mut self.slots[usize::from(sequence) % SLOTS];
        if slot.full {
            return Pushed::Double;
        }
        slot.full = true;
        slot.sequence = sequence;
        slot.packet.payload_type = payload_type;
        slot.packet.payload.clear();
        slot.packet.payload.extend_from_slice(payload);
        self.held += 1;
        Pushed::Kept
    }

    /// The slots hold [`SLOTS`] numbers from `next` on, so that a full one is the one meant.
    fn slot(&self, sequence: u16) -> &Slot {
        &self.slots[usize::from(sequence) % SLOTS]
    }
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Packets held: more than a second at the usual 20 ms. Those beyond are taken for a jump.
const SLOTS: usize = 64;
/// Longer packets are dropped: no datagram of a usual network holds more.
const PAYLOAD_MAX_BYTES: usize = 1_600;
/// After so many late packets in a row the source has gone back.
const LATE_MAX: u32 = 25;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes all there is: packets by their one byte, `None` for missing ones.
    fn all(buffer: &mut JitterBuffer) -> Vec<Option<u8>> {
        let mut out = Vec::new();
        loop {
            match buffer.take() {
                Taken::Packet(held) => out.push(held.payload.first().copied()),
                Taken::Missing(_) => out.push(None),
                Taken::Nothing => return out,
            }
        }
    }

    fn push(buffer: &mut JitterBuffer, sequence: u16) -> Pushed {
        buffer.push(sequence, 0, &[sequence as u8])
    }

    #[test]
    fn packets_come_out_in_order_across_the_end_of_the_numbers() {
        let mut buffer = JitterBuffer::new();
        for sequence in [65_534, 0, 65_535, 2, 2] {
            push(&mut buffer, sequence);
        }
        assert_eq!(buffer.held(), 4);
        let wanted = [Some(254), Some(255), Some(0), None, Some(2)];
        assert_eq!(all(&mut buffer), wanted);
    }

    #[test]
    fn a_missing_packet_shows_the_one_after_it() {
        let mut buffer = JitterBuffer::new();
        push(&mut buffer, 1);
        push(&mut buffer, 3);
        assert!(matches!(buffer.take(), Taken::Packet(_)));
        let Taken::Missing(Some(next)) = buffer.take() else {
            panic!("2 is missing and 3 is there");
        };
        assert_eq!(next.payload, [3]);
    }

    #[test]
    fn late_and_double_packets_are_told() {
        let mut buffer = JitterBuffer::new();
        push(&mut buffer, 10);
        assert_eq!(push(&mut buffer, 10), Pushed::Double);
        all(&mut buffer);
        assert_eq!(push(&mut buffer, 10), Pushed::Late);
        assert_eq!(push(&mut buffer, 11), Pushed::Kept);
        assert_eq!(buffer.push(12, 0, &[0; 1_601]), Pushed::Oversized);
    }

    #[test]
    fn one_stray_packet_changes_nothing_and_two_are_a_restart() {
        let mut buffer = JitterBuffer::new();
        push(&mut buffer, 10);
        assert_eq!(push(&mut buffer, 40_000), Pushed::Jump);
        assert_eq!(push(&mut buffer, 11), Pushed::Kept);
        assert_eq!(push(&mut buffer, 50_000), Pushed::Jump);
        assert_eq!(push(&mut buffer, 50_001), Pushed::Kept);
        assert_eq!(all(&mut buffer), [Some(50_001_u16 as u8)]);
    }

    #[test]
    fn a_source_that_has_gone_back_a_little_is_heard_again() {
        let mut buffer = JitterBuffer::new();
        push(&mut buffer, 100);
        all(&mut buffer);
        let kept = (70..130).filter(|s| push(&mut buffer, *s) == Pushed::Kept);
        assert!(kept.count() > 25);
    }

    proptest! {
        #[test]
        fn never_holds_more_than_its_slots_and_never_hangs(
            pushes in proptest::collection::vec((any::<u16>(), any::<bool>()), 0..300),
        ) {
            let mut buffer = JitterBuffer::new();
            for (sequence, take) in pushes {
                push(&mut buffer, sequence);
                prop_assert!(buffer.held() <= SLOTS);
                if take {
                    let _ = buffer.take();
                }
            }
            prop_assert!(all(&mut buffer).len() <= SLOTS);
            prop_assert_eq!(buffer.held(), 0);
        }
    }
}
