//! Media quality of the calls that ended, for metrics.

use media::{LegReport, SessionReport};

/// Counts of legs, by what they were like.
#[derive(Debug, Default)]
pub(crate) struct Quality {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) mos: Spread<{ MOS_CENTI.len() }>,
    pub(crate) rtt: Spread<{ RTT_MS.len() }>,
}

/// How values spread over buckets whose bounds are known elsewhere; the last is beyond them all.
#[derive(Debug)]
pub(crate) struct Spread<const N: usize> {
    pub(crate) counts: [u64; N],
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl Quality {
    /// Takes the legs of a session that ended.
    pub(crate) fn record(&mut self, report: &SessionReport) {
        self.record_leg(&report.a);
        self.record_leg(&report.b);
    }

    fn record_leg(&mut self, leg: &LegReport) {
        self.packets += leg.packets;
        self.lost += leg.lost;
        if leg.mos_centi > 0 {
            self.mos.record(u64::from(leg.mos_centi), &MOS_CENTI);
        }
        if let Some(rtt_us) = leg.rtt_us {
            self.rtt.record(u64::from(rtt_us) / 1_000, &RTT_MS);
        }
    }
}

impl<const N: usize> Spread<N> {
    fn record(&mut self, value: u64, bounds: &[u64; N]) {
        if let Some(bucket) = bounds.iter().position(|bound| value <= *bound) {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum += value;
    }
}

impl<const N: usize> Default for Spread<N> {
    fn default() -> Self {
        Self {
            counts: [0; N],
            count: 0,
            sum: 0,
        }
    }
}

/// Upper bounds of MOS in hundredths: at 3.6 many users are satisfied, below 3.1 few (ITU-T
/// G.107 annex B).
pub(crate) const MOS_CENTI: [u64; 7] = [200, 260, 310, 360, 400, 430, 450];
/// Upper bounds of round trips in milliseconds.
pub(crate) const RTT_MS: [u64; 8] = [10, 25, 50, 100, 200, 300, 500, 1_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_without_packets_or_reports_counts_for_nothing() {
        let mut quality = Quality::default();
        let mut report = SessionReport::default();
        report.a.packets = 100;
        report.a.mos_centi = 430;
        report.a.rtt_us = Some(2_000_000);
        quality.record(&report);
        assert_eq!(quality.mos.counts, [0, 0, 0, 0, 0, 1, 0]);
        assert_eq!((quality.mos.count, quality.packets), (1, 100));
        assert_eq!((quality.rtt.count, quality.rtt.counts), (1, [0; 8]));
    }
}
