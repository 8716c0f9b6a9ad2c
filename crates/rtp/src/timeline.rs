//! Quality over the length of a call, in a bounded list.
//!
//! A sample is taken every few seconds. When the list is full, neighbours are merged and each
//! slice stands for twice as long: a call of a minute and one of a day are drawn alike. The worst
//! sample is kept apart, as merging would hide it.

/// What happened to a stream between two looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Packets that came.
    pub packets: u32,
    /// Packets that were lost.
    pub lost: u32,
    /// Interarrival jitter in microseconds.
    pub jitter_us: u32,
    /// Round trip in microseconds, 0 if unknown.
    pub rtt_us: u32,
    /// MOS in hundredths, 0 if nothing came.
    pub mos_centi: u16,
}

/// One point of the drawing: a [`Sample`], or several as one.
pub type Slice = Sample;

/// The slices of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    slices: Vec<Slice>,
    /// How often a slice has come to stand for twice as many samples.
    doublings: u32,
    /// Samples that do not make up a slice yet, and how many they are.
    open: Slice,
    open_samples: u32,
    worst_mos_centi: u16,
}

impl Timeline {
    /// Takes the next sample.
    pub fn record(&mut self, sample: Sample) {
        if sample.mos_centi > 0 {
            self.worst_mos_centi = match self.worst_mos_centi {
                0 => sample.mos_centi,
                worst => worst.min(sample.mos_centi),
            };
        }
        self.open = merge(self.open, sample);
        self.open_samples += 1;
        if self.open_samples < self.samples_per_slice() {
            return;
        }
        if self.slices.len() == MAX_SLICES {
            let halved = self.slices.chunks_exact(2).map(|two| merge(two[0], two[1]));
            self.slices = halved.collect();
            self.doublings += 1;
            // What is open is the first half of a slice now.
            return;
        }
        self.slices.push(self.open);
        self.open = Slice::default();
        self.open_samples = 0;
    }

    /// The slices from the beginning; what is not whole yet comes last.
    pub fn slices(&self) -> impl Iterator<Item = Slice> + '_ {
        let open = (self.open_samples > 0).then_some(self.open);
        self.slices.iter().copied().chain(open)
    }

    /// For how many samples a slice stands.
    #[must_use]
    pub fn samples_per_slice(&self) -> u32 {
        1 << self.doublings
    }

    /// The worst MOS of a sample, in hundredths; 0 if nothing came.
    #[must_use]
    pub fn mos_min_centi(&self) -> u16 {
        self.worst_mos_centi
    }

    /// The mean MOS, packets lost counted as much as packets that came; 0 if nothing came.
    #[must_use]
    pub fn mos_avg_centi(&self) -> u16 {
        self.slices().fold(Slice::default(), merge).mos_centi
    }
}

/// Two neighbours as one. Jitter and round trip are the worse of both, MOS is the mean.
fn merge(a: Slice, b: Slice) -> Slice {
    let weight = |slice: Slice| match slice.mos_centi {
        0 => 0,
        _ => u64::from(slice.packets) + u64::from(slice.lost),
    };
    let sum = weight(a) * u64::from(a.mos_centi) + weight(b) * u64::from(b.mos_centi);
    let total = weight(a) + weight(b);
    Slice {
        packets: a.packets.saturating_add(b.packets),
        lost: a.lost.saturating_add(b.lost),
        jitter_us: a.jitter_us.max(b.jitter_us),
        rtt_us: a.rtt_us.max(b.rtt_us),
        mos_centi: ((sum + total / 2).checked_div(total).unwrap_or(0)) as u16,
    }
}

/// Slices kept: 1.3 kB. At a sample every 5 s they are first merged after five minutes.
const MAX_SLICES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(mos_centi: u16) -> Sample {
        Sample {
            packets: 250,
            mos_centi,
            ..Sample::default()
        }
    }

    #[test]
    fn a_short_call_is_kept_sample_by_sample() {
        let mut timeline = Timeline::default();
        for mos in [440, 300, 420] {
            timeline.record(sample(mos));
        }
        let drawn: Vec<u16> = timeline.slices().map(|slice| slice.mos_centi).collect();
        assert_eq!(drawn, [440, 300, 420]);
        assert_eq!(timeline.mos_min_centi(), 300);
        assert_eq!(timeline.mos_avg_centi(), 387);
    }

    #[test]
    fn silence_is_drawn_but_has_no_mos() {
        let mut timeline = Timeline::default();
        for sample in [sample(440), Sample::default(), sample(420)] {
            timeline.record(sample);
        }
        assert_eq!(timeline.slices().count(), 3);
        assert_eq!(timeline.mos_avg_centi(), 430);
        assert_eq!(timeline.mos_min_centi(), 420);
    }

    #[test]
    fn the_worst_moment_of_a_day_is_not_averaged_away() {
        let mut timeline = Timeline::default();
        for i in 0..17_280 {
            timeline.record(sample(if i == 9_000 { 120 } else { 440 }));
        }
        assert_eq!(timeline.mos_min_centi(), 120);
        assert!(timeline.slices().count() <= MAX_SLICES + 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_by_merging(counts in prop::collection::vec(0_u32..1_000, 0..700)) {
            let mut timeline = Timeline::default();
            for packets in &counts {
                timeline.record(Sample { packets: *packets, ..sample(400) });
            }
            let drawn: u32 = timeline.slices().map(|slice| slice.packets).sum();
            prop_assert_eq!(drawn, counts.iter().sum::<u32>());
            prop_assert!(timeline.slices().count() <= MAX_SLICES + 1);
            let span = timeline.slices().count() as u32 * timeline.samples_per_slice();
            prop_assert!(span >= counts.len() as u32);
        }
    }
}
