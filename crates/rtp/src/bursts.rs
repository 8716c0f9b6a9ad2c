//! Bursts of loss and the gaps between them, as the VoIP metrics of RFC 3611 §4.7.2 want them.
//!
//! A burst begins and ends with a loss, and fewer than Gmin packets in a row arrive within it. A
//! loss that stands alone belongs to the gap around it. A packet that comes after its successor
//! counts as lost: a receiver that plays in time discards it.

/// Follows the sequence numbers of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts {
    /// The highest sequence number.
    last: Option<u16>,
    /// Packets that came since the last loss.
    run: u32,
    /// Losses that are near each other, so far.
    cluster: Stretch,
    burst: Stretch,
    gap: Stretch,
    bursts: u32,
}

/// What is said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BurstFigures {
    /// Part of the packets within bursts that was lost, in 256ths.
    pub burst_density: u8,
    /// The same between bursts.
    pub gap_density: u8,
    /// Mean length of a burst in packets.
    pub burst_packets: u32,
    /// Mean length of a gap in packets.
    pub gap_packets: u32,
}

/// Packets in a row, and how many of them were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stretch {
    packets: u32,
    lost: u32,
}

impl Bursts {
    /// Takes the sequence number of a packet that came.
    #[inline]
    pub fn record(&mut self, sequence: u16) {
        let ahead = self.last.map_or(1, |last| sequence.wrapping_sub(last));
        if ahead == 0 || ahead > u16::MAX - MISORDER {
            return;
        }
        self.last = Some(sequence);
        if ahead <= JUMP {
            (1..ahead).for_each(|_| self.lose());
        }
        self.run = self.run.saturating_add(1);
    }

    /// What was found so far.
    #[must_use]
    pub fn figures(&self) -> BurstFigures {
        let mut now = *self;
        now.close();
        now.gap.packets = now.gap.packets.saturating_add(now.run);
        BurstFigures {
            burst_density: now.burst.density(),
            gap_density: now.gap.density(),
            burst_packets: now.burst.packets.checked_div(now.bursts).unwrap_or(0),
            gap_packets: now.gap.packets / (now.bursts + 1),
        }
    }

    fn lose(&mut self) {
        if self.cluster.lost > 0 && self.run < GMIN {
            self.cluster.packets += self.run + 1;
            self.cluster.lost += 1;
        } else {
            self.close();
            self.gap.packets = self.gap.packets.saturating_add(self.run);
            self.cluster = Stretch {
                packets: 1,
                lost: 1,
            };
        }
        self.run = 0;
    }

    /// The losses that were near each other are over.
    fn close(&mut self) {
        let cluster = core::mem::take(&mut self.cluster);
        let home = match cluster.lost {
            0 | 1 => &mut self.gap,
            _ => {
                self.bursts += 1;
                &mut self.burst
            }
        };
        home.packets = home.packets.saturating_add(cluster.packets);
        home.lost = home.lost.saturating_add(cluster.lost);
    }
}

impl Stretch {
    fn density(self) -> u8 {
        let packets = u64::from(self.packets);
        let parts = (u64::from(self.lost) * 256).checked_div(packets);
        parts.map_or(0, |parts| u8::try_from(parts).unwrap_or(u8::MAX))
    }
}

/// So many packets in a row end a burst: the value that RFC 3611 §4.7.2 recommends.
pub const GMIN: u32 = 16;
/// A packet further behind is of a source that began anew.
const MISORDER: u16 = 100;
/// A longer hole is a source that began anew.
const JUMP: u16 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(lost: impl Fn(u16) -> bool, packets: u16) -> BurstFigures {
        let mut bursts = Bursts::default();
        let came = (0..packets).filter(|number| !lost(*number));
        came.for_each(|number| bursts.record(number.wrapping_add(65_500)));
        bursts.figures()
    }

    #[test]
    fn without_loss_all_is_one_gap() {
        let expected = BurstFigures {
            gap_packets: 100,
            ..BurstFigures::default()
        };
        assert_eq!(figures(|_| false, 100), expected);
    }

    #[test]
    fn losses_far_apart_belong_to_the_gap() {
        let figures = figures(|number| number % 50 == 25, 200);
        assert_eq!((figures.burst_packets, figures.burst_density), (0, 0));
        assert_eq!((figures.gap_packets, figures.gap_density), (200, 5));
    }

    #[test]
    fn losses_near_each_other_are_a_burst_from_the_first_to_the_last() {
        let lost = |number| matches!(number, 100 | 102 | 105 | 109 | 300);
        let figures = figures(lost, 400);
        assert_eq!((figures.burst_packets, figures.burst_density), (10, 102));
        assert_eq!((figures.gap_packets, figures.gap_density), (195, 0));
    }

    #[test]
    fn packets_out_of_order_and_sources_that_begin_anew_do_no_harm() {
        let mut bursts = Bursts::default();
        for number in [1, 2, 4, 3, 5, 5, 40_000, 40_001, 20] {
            bursts.record(number);
        }
        let figures = bursts.figures();
        assert_eq!(figures.burst_packets, 0);
        assert_eq!(figures.gap_packets, 8, "the third counts as lost");
    }
}
