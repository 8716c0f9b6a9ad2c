//! When a worker lets packets gather, and when it is woken by each.

use std::time::Duration;

/// Watches the rate of packets and switches the tick on and off.
#[derive(Debug)]
pub(crate) struct Pace {
    tick: Duration,
    busy: bool,
    /// Packets since `since_us`.
    packets: usize,
    since_us: u64,
}

impl Pace {
    /// Quiet, with the tick to use when busy; zero for none.
    pub(crate) fn new(tick: Duration) -> Self {
        Self {
            tick,
            busy: false,
            packets: 0,
            since_us: 0,
        }
    }

    /// How long to sleep before looking at the sockets; `None`: be woken.
    pub(crate) fn tick(&self) -> Option<Duration> {
        (self.busy && !self.tick.is_zero()).then_some(self.tick)
    }

    /// Takes note of what one look brought.
    pub(crate) fn record(&mut self, packets: usize, now_us: u64) {
        self.packets += packets;
        let passed_us = now_us.saturating_sub(self.since_us);
        if passed_us < WINDOW_US {
            return;
        }
        let rate_pps = self.packets as u64 * 1_000_000 / passed_us;
        let threshold_pps = if self.busy { QUIET_PPS } else { BUSY_PPS };
        self.busy = rate_pps >= threshold_pps;
        self.packets = 0;
        self.since_us = now_us;
    }
}

/// Over what time the rate is measured.
const WINDOW_US: u64 = 50_000;
/// From this rate on, a tick of 1 ms wakes the worker less often than its packets would.
const BUSY_PPS: u64 = 2_000;
/// Below this rate it no longer does.
const QUIET_PPS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    /// Feeds one second of packets at a rate, in looks of 10 ms.
    fn run(pace: &mut Pace, start_us: u64, rate_pps: usize) {
        for i in 1..=100 {
            pace.record(rate_pps / 100, start_us + i * 10_000);
        }
    }

    #[test]
    fn ticks_when_busy_and_stops_when_quiet() {
        let mut pace = Pace::new(TICK);
        assert_eq!(pace.tick(), None);
        run(&mut pace, 0, 5_000);
        assert_eq!(pace.tick(), Some(TICK));
        run(&mut pace, 1_000_000, 1_500);
        assert_eq!(pace.tick(), Some(TICK));
        run(&mut pace, 2_000_000, 500);
        assert_eq!(pace.tick(), None);
        run(&mut pace, 3_000_000, 1_500);
        assert_eq!(pace.tick(), None);
    }

    #[test]
    fn no_tick_is_none_at_any_rate() {
        let mut pace = Pace::new(Duration::ZERO);
        run(&mut pace, 0, 100_000);
        assert_eq!(pace.tick(), None);
    }
}
