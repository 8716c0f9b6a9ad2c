//! Keys that are to be heard by a side, one after the other.

use std::collections::VecDeque;

/// The keys pressed towards a side.
#[derive(Debug, Default)]
pub(super) struct Keys {
    waiting: VecDeque<Press>,
    sounding: Option<Sounding>,
    /// How long the pause after the last key goes on.
    pause_ms: u32,
}

#[derive(Debug)]
struct Press {
    event: u8,
    volume_dbm0: u8,
    hold: Hold,
    presser: Presser,
}

/// Who presses a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presser {
    /// The peer, as one hears it: it falls behind by little, and what it says meanwhile is not heard.
    Peer,
    /// Somebody who has asked for it, with as many others as may wait.
    Order,
}

/// How long a key is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Until it is released, or for [`KEY_MAX_MS`].
    UntilReleased,
    For {
        ms: u32,
    },
}

impl Hold {
    /// How long it lasts, or may.
    fn ms(self) -> u32 {
        match self {
            Self::UntilReleased => KEY_MAX_MS,
            Self::For { ms } => ms.clamp(KEY_MIN_MS, KEY_MAX_MS),
        }
    }
}

#[derive(Debug)]
struct Sounding {
    press: Press,
    elapsed_ms: u32,
}

/// A packet time of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) event: u8,
    pub(super) volume_dbm0: u8,
    /// How long the key is down at the end of this packet.
    pub(super) elapsed_ms: u32,
    pub(super) place: Place,
}

/// Which packet of a key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Inner,
    Last,
}

impl Keys {
    /// Has a key pressed after those that wait. Beyond [`WAITING_MAX`] it is forgotten, and so is one
    /// of a peer whose keys already wait for [`BEHIND_MAX_MS`]: no phone is that fast.
    pub(super) fn press(&mut self, event: u8, volume_dbm0: u8, (presser, hold): (Presser, Hold)) {
        let is_ahead = presser == Presser::Peer && self.behind_ms() >= BEHIND_MAX_MS;
        if self.waiting.len() < WAITING_MAX && !is_ahead {
            self.waiting.push_back(Press {
                event,
                volume_dbm0,
                hold,
                presser,
            });
        }
    }

    /// Releases the key that the peer has pressed last, after `ms` in all.
    pub(super) fn release(&mut self, ms: u32) {
        let sounding = self.sounding.as_mut().map(|sounding| &mut sounding.press);
        let last = self.waiting.iter_mut().chain(sounding);
        let mut held = last.filter(|press| press.hold == Hold::UntilReleased);
        if let Some(press) = held.next() {
            press.hold = Hold::For { ms };
        }
    }

    /// How long the peer's keys that wait will take.
    fn behind_ms(&self) -> u32 {
        let theirs = |press: &&Press| press.presser == Presser::Peer;
        let waiting = self.waiting.iter().filter(theirs);
        waiting.map(|press| press.hold.ms() + PAUSE_MS).sum()
    }

    /// What is heard of keys in the next packet.
    pub(super) fn step(&mut self, packet_ms: u32) -> Option<Beat> {
        if self.sounding.is_none() {
            self.pause_ms = self.pause_ms.saturating_sub(packet_ms);
            if self.pause_ms > 0 {
                return None;
            }
            let press = self.waiting.pop_front()?;
            self.sounding = Some(Sounding {
                press,
                elapsed_ms: 0,
            });
        }
        let sounding = self.sounding.as_mut()?;
        let first = sounding.elapsed_ms == 0;
        sounding.elapsed_ms += packet_ms;
        let hold_ms = sounding.press.hold.ms();
        let beat = Beat {
            event: sounding.press.event,
            volume_dbm0: sounding.press.volume_dbm0,
            elapsed_ms: sounding.elapsed_ms,
            place: match sounding.elapsed_ms >= hold_ms {
                true => Place::Last,
                false if first => Place::First,
                false => Place::Inner,
            },
        };
        if beat.place == Place::Last {
            self.sounding = None;
            self.pause_ms = PAUSE_MS + packet_ms;
        }
        Some(beat)
    }

    /// Whether nothing is or will be heard.
    pub(super) fn is_idle(&self) -> bool {
        self.sounding.is_none() && self.waiting.is_empty()
    }
}

/// Keys that wait.
const WAITING_MAX: usize = 32;
/// Shorter keys are not recognised by everybody (ITU-T Q.24).
const KEY_MIN_MS: u32 = 50;
/// A key held longer is released: its end was lost. At 48 kHz, 16 bits of duration hold no more.
const KEY_MAX_MS: u32 = 1_340;
/// Between two keys.
const PAUSE_MS: u32 = 60;
/// What a peer's keys may wait for in all: more than those of a dialler that presses twenty in a row as
/// fast as anybody understands them.
const BEHIND_MAX_MS: u32 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    fn places(keys: &mut Keys, count: usize) -> Vec<Option<(u8, Place)>> {
        let steps = (0..count).map(|_| keys.step(20));
        steps
            .map(|beat| beat.map(|beat| (beat.event, beat.place)))
            .collect()
    }

    #[test]
    fn two_keys_are_parted_by_a_pause() {
        let mut keys = Keys::default();
        keys.press(1, 10, (Presser::Order, Hold::For { ms: 60 }));
        keys.press(1, 10, (Presser::Order, Hold::For { ms: 1 }));
        let (first, inner, last) = (Place::First, Place::Inner, Place::Last);
        let one = [Some((1, first)), Some((1, inner)), Some((1, last))];
        assert_eq!(places(&mut keys, 3), one);
        assert_eq!(places(&mut keys, 3), [None; 3]);
        assert_eq!(places(&mut keys, 3), one, "at least 50 ms");
        assert!(keys.is_idle());
    }

    #[test]
    fn a_key_lasts_until_it_is_released() {
        let mut keys = Keys::default();
        keys.press(5, 10, (Presser::Peer, Hold::UntilReleased));
        assert_eq!(places(&mut keys, 10).iter().flatten().count(), 10);
        keys.release(230);
        let rest = places(&mut keys, 5);
        assert_eq!(rest[1], Some((5, Place::Last)));
        assert_eq!(rest[2], None);
    }

    #[test]
    fn a_key_nobody_releases_ends_and_too_many_are_forgotten() {
        let mut keys = Keys::default();
        for _ in 0..100 {
            keys.press(0, 10, (Presser::Order, Hold::For { ms: 10_000 }));
        }
        let mut lasts = 0;
        while !keys.is_idle() {
            let last = keys.step(20).is_some_and(|beat| beat.place == Place::Last);
            lasts += usize::from(last);
        }
        assert_eq!(lasts, WAITING_MAX);
    }
    #[test]
    fn a_dialler_is_heard_to_its_last_key_and_who_is_faster_than_anybody_is_not() {
        let last = |keys: &mut Keys| {
            let beat = keys.step(20);
            usize::from(beat.is_some_and(|beat| beat.place == Place::Last))
        };
        let pressed = |count: u32, ms: u32| {
            let mut keys = Keys::default();
            let mut lasts = 0;
            let mut elapsed_ms = 0;
            for _ in 0..count {
                keys.press(1, 10, (Presser::Peer, Hold::UntilReleased));
                for beat in 0..ms / 20 {
                    if beat == ms / 40 {
                        keys.release(ms / 2);
                    }
                    lasts += last(&mut keys);
                }
            }
            while !keys.is_idle() {
                lasts += last(&mut keys);
                elapsed_ms += 20;
            }
            (lasts, elapsed_ms)
        };
        let (lasts, after_ms) = pressed(20, 80);
        assert_eq!(lasts, 20);
        assert!(after_ms <= BEHIND_MAX_MS, "{after_ms}");
        let (lasts, after_ms) = pressed(1_000, 20);
        assert!(lasts < 1_000);
        assert!(after_ms <= BEHIND_MAX_MS + 2 * KEY_MAX_MS, "{after_ms}");
    }

    #[test]
    fn a_key_that_is_forgotten_releases_none_of_those_that_are_not() {
        let mut keys = Keys::default();
        for _ in 0..4 {
            keys.press(1, 10, (Presser::Peer, Hold::UntilReleased));
            keys.release(KEY_MAX_MS);
        }
        let waiting = keys.waiting.len();
        assert!(waiting < 4, "{waiting}");
        keys.press(2, 10, (Presser::Order, Hold::For { ms: 100 }));
        keys.release(60);
        assert_eq!(
            keys.waiting.back().map(|press| press.hold),
            Some(Hold::For { ms: 100 })
        );
    }
}
