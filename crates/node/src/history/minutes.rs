//! Minutes in the making, from looks at counters that only grow.

use std::collections::BTreeMap;

use model::{DELAY_BUCKETS_MS, SAMPLE_US, Sample};

/// What is counted since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) attempts: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) talks: u64,
    pub(super) talk_us: u64,
    pub(super) delays: [u64; DELAY_BUCKETS_MS.len() + 1],
    pub(super) mos_legs: u64,
    pub(super) mos_centi: u64,
    pub(super) cpu_ms: Option<u64>,
}

/// The node at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) totals: Totals,
    pub(super) channels: u32,
    pub(super) cps: u32,
    pub(super) registrations: u32,
    pub(super) memory_bytes: Option<u64>,
}

/// Minutes that are not kept yet, the present one among them.
pub(super) struct Minutes {
    host: String,
    present: Sample,
    unkept: BTreeMap<u64, Sample>,
    before: Totals,
    looked_us: u64,
}

impl Minutes {
    /// Of a process that began then, with all its counters at 0.
    pub(super) fn new(host: String, started_us: u64) -> Self {
        Self {
            present: Sample {
                at_us: minute_of(started_us),
                host: host.clone(),
                ..Sample::default()
            },
            host,
            unkept: BTreeMap::new(),
            before: Totals::default(),
            looked_us: started_us,
        }
    }

    /// The process before this one has seen a part of the present minute.
    pub(super) fn go_on_with(&mut self, begun: Sample) {
        if begun.at_us == self.present.at_us {
            self.present = begun;
        }
    }

    /// There was no look for a while.
    pub(super) fn pass_over(&mut self, now_us: u64) {
        self.looked_us = now_us;
    }

    /// Takes a look; whether it is the first one of a minute.
    pub(super) fn take(&mut self, now_us: u64, look: Look) -> bool {
        let minute_us = minute_of(now_us);
        let is_another = minute_us != self.present.at_us;
        if is_another {
            self.present = Sample {
                at_us: minute_us,
                host: self.host.clone(),
                ..Sample::default()
            };
        }
        let passed_ms = now_us.saturating_sub(self.looked_us) / 1_000;
        self.looked_us = now_us;
        add(
            &mut self.present,
            passed_ms.min(LOOK_MAX_MS),
            &self.before,
            &look,
        );
        self.before = look.totals;
        self.unkept.insert(minute_us, self.present.clone());
        while self.unkept.len() > UNKEPT_MAX {
            self.unkept.pop_first();
        }
        is_another
    }

    pub(super) fn unkept(&self) -> Vec<Sample> {
        self.unkept.values().cloned().collect()
    }

    pub(super) fn are_kept(&mut self) {
        self.unkept.clear();
    }
}

fn add(sample: &mut Sample, passed_ms: u64, before: &Totals, look: &Look) {
    let now = &look.totals;
    let rest_ms = (SAMPLE_US / 1_000).saturating_sub(sample.covered_ms);
    sample.covered_ms += passed_ms.min(rest_ms);
    sample.channel_ms += u64::from(look.channels) * passed_ms.min(rest_ms);
    sample.attempts += now.attempts.saturating_sub(before.attempts);
    sample.answered += now.answered.saturating_sub(before.answered);
    sample.failed += now.failed.saturating_sub(before.failed);
    sample.talks += now.talks.saturating_sub(before.talks);
    sample.talk_ms += now.talk_us.saturating_sub(before.talk_us) / 1_000;
    sample.mos_legs += now.mos_legs.saturating_sub(before.mos_legs);
    sample.mos_centi += now.mos_centi.saturating_sub(before.mos_centi);
    if now.delays != before.delays {
        sample.delays.resize(now.delays.len(), 0);
        let buckets = now.delays.iter().zip(&before.delays);
        for (known, (now, before)) in sample.delays.iter_mut().zip(buckets) {
            *known += now.saturating_sub(*before);
        }
    }
    if let Some(now_ms) = now.cpu_ms {
        let used_ms = now_ms.saturating_sub(before.cpu_ms.unwrap_or(0));
        sample.cpu_ms = Some(sample.cpu_ms.unwrap_or(0) + used_ms);
    }
    sample.channels_peak = sample.channels_peak.max(look.channels);
    sample.cps_peak = sample.cps_peak.max(look.cps);
    sample.registrations = look.registrations;
    sample.memory_bytes = look.memory_bytes.or(sample.memory_bytes);
}

/// The beginning of the minute that a moment is in.
pub(super) const fn minute_of(us: u64) -> u64 {
    us - us % SAMPLE_US
}

/// A look stands for no longer than that: of what was before, nobody knows.
const LOOK_MAX_MS: u64 = 5_000;
/// Minutes that wait for a store that is away: a day.
const UNKEPT_MAX: usize = 1_440;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    fn look(attempts: u64, channels: u32) -> Look {
        Look {
            totals: Totals {
                attempts,
                ..Totals::default()
            },
            channels,
            ..Look::default()
        }
    }

    #[test]
    fn each_minute_has_what_was_counted_in_it() {
        let mut minutes = Minutes::new("n".into(), SAMPLE_US + 58 * SECOND_US);
        assert!(!minutes.take(SAMPLE_US + 59 * SECOND_US, look(2, 3)));
        assert!(minutes.take(2 * SAMPLE_US, look(7, 1)));
        assert!(!minutes.take(2 * SAMPLE_US + SECOND_US, look(8, 2)));
        let [first, second] = minutes.unkept().try_into().unwrap();
        assert_eq!((first.at_us, first.covered_ms), (SAMPLE_US, 1_000));
        assert_eq!((first.attempts, first.channel_ms), (2, 3_000));
        assert_eq!((second.at_us, second.covered_ms), (2 * SAMPLE_US, 2_000));
        assert_eq!((second.attempts, second.channel_ms), (6, 3_000));
        assert_eq!(second.channels_peak, 2);
        minutes.are_kept();
        assert!(minutes.unkept().is_empty());
    }

    #[test]
    fn a_minute_goes_on_after_a_restart() {
        let begun = Sample {
            at_us: SAMPLE_US,
            covered_ms: 20_000,
            attempts: 5,
            channels_peak: 9,
            ..Sample::default()
        };
        let mut minutes = Minutes::new("n".into(), SAMPLE_US + 30 * SECOND_US);
        minutes.go_on_with(begun.clone());
        minutes.take(SAMPLE_US + 31 * SECOND_US, look(1, 2));
        let [sample] = minutes.unkept().try_into().unwrap();
        assert_eq!((sample.covered_ms, sample.attempts), (21_000, 6));
        assert_eq!(sample.channels_peak, 9);
        // What is of another minute is none of this one's.
        let mut later = Minutes::new("n".into(), 2 * SAMPLE_US);
        later.go_on_with(begun);
        later.take(2 * SAMPLE_US + SECOND_US, look(1, 2));
        assert_eq!(later.unkept()[0].attempts, 1);
    }

    #[test]
    fn time_that_nobody_has_seen_is_not_covered() {
        let mut minutes = Minutes::new("n".into(), SAMPLE_US);
        minutes.take(SAMPLE_US + 40 * SECOND_US, look(1, 1));
        minutes.pass_over(SAMPLE_US + 50 * SECOND_US);
        minutes.take(SAMPLE_US + 51 * SECOND_US, look(1, 1));
        assert_eq!(minutes.unkept()[0].covered_ms, LOOK_MAX_MS + 1_000);
    }

    #[test]
    fn a_store_that_is_away_for_long_costs_the_oldest_minutes() {
        let mut minutes = Minutes::new("n".into(), 0);
        for minute in 1..=UNKEPT_MAX as u64 + 3 {
            minutes.take(minute * SAMPLE_US, look(minute, 0));
        }
        let unkept = minutes.unkept();
        assert_eq!(unkept.len(), UNKEPT_MAX);
        assert_eq!(unkept[0].at_us, 4 * SAMPLE_US);
    }
}
