//! How a worker looks at its sockets, and how much it reads of each.
//!
//! A socket seldom holds more than one packet, and one read of one packet is the cheapest. To read
//! again only to learn that it is empty would be a system call more for each packet. So each socket
//! is read once; those that hold more are named again by the next look, which costs the kernel far
//! less than the call, and then they are read by many. A worker that lets packets gather looks twice
//! each time, lest what is left waits for a tick.

use std::time::Duration;

/// Counts the looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    look: Look,
    /// Whether a socket had as much as could be read at once.
    has_more: bool,
    /// Whether what this look has left is looked for at once.
    again: Again,
}

/// Numbers a look; goes round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look(u32);

/// When the next look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to read.
    AtOnce,
    /// After packets have gathered.
    After(Duration),
    /// When there is something.
    WhenWoken,
}

/// How much is read of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    One,
    Batch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Again {
    #[default]
    No,
    Yes,
}

impl Looks {
    /// Begins another look. `named` are the sockets that the last one was told of.
    pub(super) fn next(&mut self, tick: Option<Duration>, named: usize) -> Next {
        let is_full = named == os::EVENTS_MAX || std::mem::take(&mut self.has_more);
        let (next, again, step) = match (tick, self.again) {
            // What was not reported or not read because there was too much must not wait on top.
            _ if is_full => (Next::AtOnce, Again::No, FOLLOWS),
            (Some(_), Again::Yes) if named > 0 => (Next::AtOnce, Again::No, FOLLOWS),
            (Some(tick), _) => (Next::After(tick), Again::Yes, RESTED),
            (None, _) => (Next::WhenWoken, Again::No, FOLLOWS),
        };
        self.again = again;
        self.look = Look(self.look.0.wrapping_add(step));
        next
    }

    /// How much to read of a socket that this look has named; `before` is the look that had named it
    /// last.
    pub(super) fn read(&self, before: &mut Look) -> Depth {
        let follows = self.look.0.wrapping_sub(before.0) == FOLLOWS;
        *before = self.look;
        match follows {
            true => Depth::Batch,
            false => Depth::One,
        }
    }

    /// A socket may still hold something, after as much as is read at once.
    pub(super) fn leave_more(&mut self) {
        self.has_more = true;
    }
}

/// From a look to one that finds what it has left.
const FOLLOWS: u32 = 1;
/// From a look to one before which new packets have come.
const RESTED: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Option<Duration> = Some(Duration::from_millis(1));
    const AFTER: Next = Next::After(Duration::from_millis(1));

    #[test]
    fn who_lets_packets_gather_looks_once_more_for_what_is_left() {
        let mut looks = Looks::default();
        assert_eq!(looks.next(TICK, 0), AFTER);
        assert_eq!(looks.next(TICK, 10), Next::AtOnce);
        assert_eq!(looks.next(TICK, 3), AFTER);
        assert_eq!(looks.next(TICK, 0), AFTER, "there was nothing");
    }

    #[test]
    fn a_socket_that_is_named_again_at_once_is_read_by_many() {
        let mut looks = Looks::default();
        let (mut full, mut usual) = (Look::default(), Look::default());
        for _ in 0..3 {
            assert_eq!(looks.next(TICK, 0), AFTER);
            assert_eq!(looks.read(&mut full), Depth::One);
            assert_eq!(looks.read(&mut usual), Depth::One);
            assert_eq!(looks.next(TICK, 2), Next::AtOnce);
            assert_eq!(looks.read(&mut full), Depth::Batch);
            looks.leave_more();
            assert_eq!(looks.next(TICK, 1), Next::AtOnce, "it holds more");
            assert_eq!(looks.read(&mut full), Depth::Batch);
        }
    }

    #[test]
    fn who_is_woken_by_each_packet_reads_on_while_there_are_more() {
        let mut looks = Looks::default();
        let mut socket = Look::default();
        looks.next(None, 0);
        looks.next(None, 0);
        assert_eq!(looks.read(&mut socket), Depth::One);
        assert_eq!(looks.next(None, 1), Next::WhenWoken);
        assert_eq!(looks.read(&mut socket), Depth::Batch);
    }

    #[test]
    fn more_sockets_than_a_look_can_name_are_not_waited_for() {
        let mut looks = Looks::default();
        looks.next(TICK, 0);
        for _ in 0..3 {
            assert_eq!(looks.next(TICK, os::EVENTS_MAX), Next::AtOnce);
        }
    }
}
