//! Pairs of ports: given out, released, and put to rest before they are given out again.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The pairs of one address family. A pair is named by its even port.
#[derive(Debug)]
pub(crate) struct Ports {
    /// In no order that could be guessed from outside: an attacker who knows the ports of one
    /// call learns nothing about the next.
    free: VecDeque<u16>,
    /// Released ones with the time they are free again, the earliest first.
    resting: VecDeque<(Instant, u16)>,
    used: usize,
    quarantine: Duration,
    /// When it was said last that none can be bound.
    said: Option<Instant>,
}

impl Ports {
    /// All pairs within a range.
    pub(crate) fn new(range: &RangeInclusive<u16>, quarantine: Duration) -> Self {
        let first = u32::from(*range.start()).next_multiple_of(2).max(2);
        let mut pairs: Vec<u16> = (first..u32::from(*range.end()))
            .step_by(2)
            .filter_map(|port| u16::try_from(port).ok())
            .collect();
        shuffle(&mut pairs);
        Self {
            free: pairs.into(),
            resting: VecDeque::new(),
            used: 0,
            quarantine,
            said: None,
        }
    }

    /// Takes the pair that has rested longest.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u16> {
        self.wake(now);
        let port = self.free.pop_front()?;
        self.used += 1;
        Some(port)
    }

    /// Puts a pair to rest.
    pub(crate) fn release(&mut self, port: u16, now: Instant) {
        self.used = self.used.saturating_sub(1);
        self.resting.push_back((now + self.quarantine, port));
    }

    /// Takes back a pair that was never used.
    pub(crate) fn give_back(&mut self, port: u16) {
        self.used = self.used.saturating_sub(1);
        self.free.push_front(port);
    }

    /// Whether it was not said within this time that none can be bound; then it is now.
    pub(crate) fn is_worth_saying(&mut self, now: Instant, again_after: Duration) -> bool {
        let recent = |said: Instant| now.saturating_duration_since(said) < again_after;
        let is_worth = !self.said.is_some_and(recent);
        if is_worth {
            self.said = Some(now);
        }
        is_worth
    }

    /// Pairs in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Pairs that could be taken now.
    pub(crate) fn free(&self, now: Instant) -> usize {
        self.free.len() + self.resting.partition_point(|(until, _)| *until <= now)
    }

    /// Pairs at rest.
    pub(crate) fn resting(&self, now: Instant) -> usize {
        self.resting.len() - self.resting.partition_point(|(until, _)| *until <= now)
    }

    fn wake(&mut self, now: Instant) {
        while let Some((_, port)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.free.push_back(port);
        }
    }
}

/// Fisher and Yates, with splitmix64 seeded by the process's random hash keys.
fn shuffle(ports: &mut [u16]) {
    let mut state = RandomState::new().build_hasher().finish();
    for i in (1..ports.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ports.swap(i, (z % (i as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REST: Duration = Duration::from_secs(5);

    #[test]
    fn gives_each_pair_once_and_no_odd_one() {
        let now = Instant::now();
        let mut ports = Ports::new(&(30_001..=30_008), REST);
        let mut taken: Vec<u16> = std::iter::from_fn(|| ports.take(now)).collect();
        taken.sort_unstable();
        assert_eq!(taken, [30_002, 30_004, 30_006]);
        assert_eq!((ports.used(), ports.free(now)), (3, 0));
    }

    #[test]
    fn a_released_pair_rests_and_comes_back() {
        let now = Instant::now();
        let mut ports = Ports::new(&(30_000..=30_001), REST);
        let port = ports.take(now).expect("one pair");
        ports.release(port, now);
        assert_eq!(ports.take(now), None);
        assert_eq!((ports.free(now), ports.resting(now)), (0, 1));
        assert_eq!(ports.free(now + REST), 1);
        assert_eq!(ports.take(now + REST), Some(port));
    }

    #[test]
    fn what_is_wrong_is_not_said_for_each_call() {
        let start = Instant::now();
        let mut ports = Ports::new(&(30_000..=30_001), REST);
        let seconds = [0, 1, 59, 60, 61].map(Duration::from_secs);
        let said = seconds.map(|after| ports.is_worth_saying(start + after, 12 * REST));
        assert_eq!(said, [true, false, false, true, false]);
    }

    #[test]
    fn an_unused_pair_is_free_at_once() {
        let now = Instant::now();
        let mut ports = Ports::new(&(30_000..=30_001), REST);
        let port = ports.take(now).expect("one pair");
        ports.give_back(port);
        assert_eq!(ports.take(now), Some(port));
    }

    proptest! {
        #[test]
        fn any_range_yields_whole_pairs_inside(start: u16, end: u16) {
            let now = Instant::now();
            let mut ports = Ports::new(&(start..=end), REST);
            while let Some(port) = ports.take(now) {
                prop_assert!(port % 2 == 0 && port >= start && port < end);
            }
        }
    }
}
