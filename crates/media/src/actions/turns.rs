//! Whose turn it is where what is played yields to what the other side says.
//!
//! A holder that plays music of its own is heard, and one that says nothing leaves the held party
//! to ours. Some packets that come late after a talk are not yet a reason to stop.

/// Watches for the other side.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: Turn,
    /// When a packet of voice came last.
    heard_us: u64,
    /// How many have come without a pause, up to as many as it takes.
    packets: u32,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// What is played is heard.
    #[default]
    Player,
    /// The other side is.
    Other,
}

impl Turns {
    /// Whose turn it is now.
    pub(super) fn turn(&self) -> Turn {
        self.turn
    }

    /// A packet of voice has come from the other side.
    pub(super) fn handle_voice(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.heard_us) > PAUSE_US {
            self.packets = 0;
        }
        self.heard_us = now_us;
        self.packets = (self.packets + 1).min(PACKETS);
        if self.packets == PACKETS {
            self.turn = Turn::Other;
        }
    }

    /// Gives the turn back once the other side has been silent for long enough.
    pub(super) fn handle_timeout(&mut self, now_us: u64) {
        if self.poll_timeout().is_some_and(|due_us| due_us <= now_us) {
            *self = Self::default();
        }
    }

    /// When [`Turns::handle_timeout`] is due; `None` while it is the player's turn.
    pub(super) fn poll_timeout(&self) -> Option<u64> {
        match self.turn {
            Turn::Player => None,
            Turn::Other => Some(self.heard_us + SILENCE_US),
        }
    }
}

/// Packets in a row that are more than what was left over: a tenth of a second of 20 ms each.
const PACKETS: u32 = 5;
/// What is further apart is not in a row.
const PAUSE_US: u64 = 200_000;
/// Who says nothing for so long has ended.
const SILENCE_US: u64 = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_US: u64 = 20_000;

    /// So many packets, so far apart, from one second on; when the last came.
    fn heard(turns: &mut Turns, packets: u64, apart_us: u64) -> u64 {
        let times = (0..packets).map(|i| 1_000_000 + i * apart_us);
        times
            .inspect(|us| turns.handle_voice(*us))
            .last()
            .unwrap_or(0)
    }

    #[test]
    fn what_is_left_over_of_a_talk_takes_no_turn() {
        let mut turns = Turns::default();
        heard(&mut turns, 4, FRAME_US);
        assert_eq!((turns.turn(), turns.poll_timeout()), (Turn::Player, None));
        let mut turns = Turns::default();
        heard(&mut turns, 20, PAUSE_US + 1);
        assert_eq!(turns.turn(), Turn::Player, "now and then is not in a row");
    }

    #[test]
    fn who_goes_on_is_heard_until_it_is_silent_for_long() {
        let mut turns = Turns::default();
        let last_us = heard(&mut turns, 5, FRAME_US);
        assert_eq!(turns.turn(), Turn::Other);
        assert_eq!(turns.poll_timeout(), Some(last_us + SILENCE_US));
        turns.handle_timeout(last_us + SILENCE_US - 1);
        assert_eq!(turns.turn(), Turn::Other);
        // A hole that is no end.
        turns.handle_voice(last_us + SILENCE_US - 1);
        turns.handle_timeout(last_us + SILENCE_US);
        assert_eq!(turns.turn(), Turn::Other);
        turns.handle_timeout(last_us + 2 * SILENCE_US);
        assert_eq!((turns.turn(), turns.poll_timeout()), (Turn::Player, None));
        turns.handle_voice(last_us + 2 * SILENCE_US);
        assert_eq!(turns.turn(), Turn::Player, "it has to begin anew");
    }
}
