//! What became of the calls that ended lately: counts for each minute, so that a look reads the last
//! minutes alone however many calls there are.

use std::collections::BTreeMap;

use model::{CarrierId, Cdr};
use store::{CdrCursor, CdrFilter};

use super::CarrierFacts;
use crate::Control;

/// The calls that ended within `WINDOW_US`.
#[derive(Default)]
pub(super) struct Calls {
    /// By the minute in which they ended, since the Unix epoch.
    minutes: BTreeMap<u64, Minute>,
    /// The first minute that the next look reads again.
    open: u64,
}

/// Those of one minute.
#[derive(Default)]
struct Minute {
    carriers: BTreeMap<CarrierId, Tally>,
    /// Packets of media that were expected, and those lost of them.
    expected: u64,
    lost: u64,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    calls: u32,
    answered: u32,
}

impl Calls {
    /// Reads what has ended since the last look. False if the store does not say; then the next look
    /// reads all anew.
    pub(super) async fn look(&mut self, control: &Control, at_us: u64) -> bool {
        let first = self.begin(at_us);
        let mut after = None;
        loop {
            let Some(page) = page(control, first * MINUTE_US, after).await else {
                *self = Self::default();
                return false;
            };
            for cdr in &page {
                self.count(cdr);
            }
            after = page.last().map(CdrCursor::of);
            if page.len() < PAGE {
                return true;
            }
        }
    }

    /// Forgets what is too old, and what is read again: CDRs come some time after the end of their
    /// calls. The minute from which to read.
    fn begin(&mut self, at_us: u64) -> u64 {
        let now = at_us / MINUTE_US;
        let first = now.saturating_sub(WINDOW_MINUTES).max(self.open.min(now));
        let oldest = now.saturating_sub(WINDOW_MINUTES);
        self.minutes
            .retain(|minute, _| (oldest..first).contains(minute));
        self.open = now.saturating_sub(LATE_MINUTES);
        first
    }

    fn count(&mut self, cdr: &Cdr) {
        let minute = self.minutes.entry(cdr.end_us / MINUTE_US).or_default();
        if let Some(carrier) = cdr.carrier {
            let tally = minute.carriers.entry(carrier).or_default();
            tally.calls += 1;
            tally.answered += u32::from(cdr.answer_us.is_some());
        }
        for leg in [&cdr.media_a, &cdr.media_b].into_iter().flatten() {
            minute.expected += leg.packets + leg.lost;
            minute.lost += leg.lost;
        }
    }

    /// Packets that were expected, and those lost of them.
    pub(super) fn packets(&self) -> (u64, u64) {
        let sums =
            |(expected, lost), minute: &Minute| (expected + minute.expected, lost + minute.lost);
        self.minutes.values().fold((0, 0), sums)
    }

    /// Each carrier with its calls; `None` if the store does not say what people call it.
    pub(super) async fn carriers(&self, control: &Control) -> Option<Vec<CarrierFacts>> {
        let tallies = self.tallies();
        let named = control.records(move |records| {
            let name = |id: CarrierId| match records.read::<model::Carrier>(id) {
                Ok(stored) => Ok(stored.record.name),
                // Its calls go on to end after it was deleted.
                Err(store::StoreError::NotFound { .. }) => Ok(id.to_string()),
                Err(error) => Err(error),
            };
            let facts = tallies.into_iter().map(|(id, tally)| {
                Ok(CarrierFacts {
                    carrier: id.to_string(),
                    name: name(id)?,
                    calls: tally.calls,
                    answered: tally.answered,
                })
            });
            facts.collect()
        });
        named.await.ok()
    }

    fn tallies(&self) -> BTreeMap<CarrierId, Tally> {
        let mut sums: BTreeMap<CarrierId, Tally> = BTreeMap::new();
        for (id, tally) in self.minutes.values().flat_map(|minute| &minute.carriers) {
            let sum = sums.entry(*id).or_default();
            sum.calls += tally.calls;
            sum.answered += tally.answered;
        }
        sums
    }
}

async fn page(control: &Control, from_us: u64, after: Option<CdrCursor>) -> Option<Vec<Cdr>> {
    let filter = CdrFilter {
        from_us: Some(from_us),
        ..CdrFilter::default()
    };
    let found = control.cdrs(move |cdrs| cdrs.list(&filter, after, PAGE));
    found.await.ok()
}

const MINUTE_US: u64 = 60 * 1_000_000;
/// Calls that ended within a quarter of an hour.
const WINDOW_MINUTES: u64 = 15;
/// CDRs that come later than this after the end of their calls are not counted.
const LATE_MINUTES: u64 = 2;
/// CDRs in memory at a time.
const PAGE: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cdrs::sample;

    fn cdr(end_us: u64, is_answered: bool) -> Cdr {
        Cdr {
            carrier: Some(CarrierId::from_bits(1)),
            answer_us: is_answered.then_some(end_us),
            ..sample(end_us)
        }
    }

    fn sums(calls: &Calls) -> Vec<(u32, u32)> {
        let tallies = calls.tallies().into_values();
        tallies.map(|t| (t.calls, t.answered)).collect()
    }

    #[test]
    fn minutes_that_are_over_are_read_once_and_forgotten_in_the_end() {
        let mut calls = Calls::default();
        assert_eq!(calls.begin(100 * MINUTE_US), 85, "a quarter of an hour");
        for end in [86, 97, 99, 100] {
            calls.count(&cdr(end * MINUTE_US, end == 99));
        }
        assert_eq!(sums(&calls), [(4, 1)]);
        assert_eq!(
            calls.begin(100 * MINUTE_US + 20),
            98,
            "late ones are read again"
        );
        assert_eq!(
            sums(&calls),
            [(2, 0)],
            "what is read again is not counted twice"
        );
        assert_eq!(calls.begin(130 * MINUTE_US), 115);
        assert_eq!(sums(&calls), []);
    }
}
