//! Minutes of servers become the points of a graph.

use std::collections::BTreeMap;

use model::{DELAY_BUCKETS_MS, Sample};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is drawn over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Servers that were there.
    Servers,
    /// New calls.
    Attempts,
    /// Calls answered.
    Answered,
    /// Calls that ended without an answer.
    Failed,
    /// Calls in progress, on average.
    Channels,
    /// The most calls in progress. Of several servers: the sum of the highest of each within a minute.
    ChannelsPeak,
    /// New calls per second, on average.
    Cps,
    /// The most new calls within a second. Of several servers: the sum of the highest of each within a
    /// minute.
    CpsPeak,
    /// Answer-seizure ratio: calls answered, in per cent of those that were answered or failed.
    Asr,
    /// Average call duration: of answered calls that ended, in seconds.
    AcdS,
    /// Post-dial delay, in milliseconds: half of the calls had less. It is estimated within buckets.
    PddP50Ms,
    /// Post-dial delay, in milliseconds: 95 per cent of the calls had less.
    PddP95Ms,
    /// Mean opinion score of the legs of calls that ended, 1 to 4.5.
    Mos,
    /// Registered contacts.
    Registrations,
    /// Processor time, in per cent of one core.
    CpuPercent,
    /// Memory of the processes.
    MemoryBytes,
}

/// A graph of each figure: the same number of points for each.
pub(crate) struct Points {
    /// The beginning of each step; microseconds since the Unix epoch.
    pub(crate) at_us: Vec<u64>,
    /// The points; `None` where nothing is known.
    pub(crate) figures: BTreeMap<Figure, Vec<Option<f64>>>,
}

/// Adds up samples that come in the order of their minutes.
pub(crate) struct Fold {
    from_us: u64,
    step_us: u64,
    steps: Vec<Step>,
    /// The minute whose servers are being added up.
    minute: Option<(u64, Minute)>,
}

/// The servers of a minute.
#[derive(Default)]
struct Minute {
    servers: f64,
    channels: f64,
    channels_peak: f64,
    cps: f64,
    cps_peak: f64,
    registrations: f64,
    cpu_percent: Option<f64>,
    memory_bytes: Option<f64>,
}

/// The minutes of a step.
#[derive(Clone, Default)]
struct Step {
    /// What is counted, of all minutes and servers.
    counts: Sample,
    minutes: f64,
    servers: f64,
    channels: f64,
    channels_peak: f64,
    cps: f64,
    cps_peak: f64,
    registrations: f64,
    /// Sums, and of how many minutes.
    cpu_percent: (f64, f64),
    memory_bytes: (f64, f64),
}

impl Fold {
    pub(crate) fn new(from_us: u64, to_us: u64, step_us: u64) -> Self {
        let steps = to_us.saturating_sub(from_us).div_ceil(step_us) as usize;
        Self {
            from_us,
            step_us,
            steps: vec![Step::default(); steps],
            minute: None,
        }
    }

    pub(crate) fn add(&mut self, sample: &Sample) {
        if self
            .minute
            .as_ref()
            .is_none_or(|(at_us, _)| *at_us != sample.at_us)
        {
            self.end_minute();
            self.minute = Some((sample.at_us, Minute::default()));
        }
        if let Some((_, minute)) = &mut self.minute {
            minute.add(sample);
        }
        if let Some(step) = self.step(sample.at_us) {
            step.count(sample);
        }
    }

    pub(crate) fn points(mut self) -> Points {
        self.end_minute();
        let (from_us, step_us) = (self.from_us, self.step_us);
        let at_us = (0..self.steps.len() as u64).map(|n| from_us + n * step_us);
        let figures = FIGURES.into_iter().map(|figure| {
            let points = self.steps.iter().map(|step| step.figure(figure));
            (figure, points.collect())
        });
        Points {
            at_us: at_us.collect(),
            figures: figures.collect(),
        }
    }

    fn end_minute(&mut self) {
        let Some((at_us, minute)) = self.minute.take() else {
            return;
        };
        if let Some(step) = self.step(at_us) {
            step.take(&minute);
        }
    }

    fn step(&mut self, at_us: u64) -> Option<&mut Step> {
        let place = at_us.checked_sub(self.from_us)? / self.step_us;
        self.steps.get_mut(usize::try_from(place).ok()?)
    }
}

impl Minute {
    fn add(&mut self, sample: &Sample) {
        let covered_ms = (sample.covered_ms.max(1)) as f64;
        self.servers += 1.0;
        self.channels += sample.channel_ms as f64 / covered_ms;
        self.channels_peak += f64::from(sample.channels_peak);
        self.cps += sample.attempts as f64 * 1_000.0 / covered_ms;
        self.cps_peak += f64::from(sample.cps_peak);
        self.registrations += f64::from(sample.registrations);
        if let Some(cpu_ms) = sample.cpu_ms {
            *self.cpu_percent.get_or_insert(0.0) += cpu_ms as f64 * 100.0 / covered_ms;
        }
        if let Some(bytes) = sample.memory_bytes {
            *self.memory_bytes.get_or_insert(0.0) += bytes as f64;
        }
    }
}

impl Step {
    fn count(&mut self, sample: &Sample) {
        let counts = &mut self.counts;
        let add = |sum: &mut u64, one: u64| *sum = sum.saturating_add(one);
        add(&mut counts.attempts, sample.attempts);
        add(&mut counts.answered, sample.answered);
        add(&mut counts.failed, sample.failed);
        add(&mut counts.talks, sample.talks);
        add(&mut counts.talk_ms, sample.talk_ms);
        add(&mut counts.mos_legs, sample.mos_legs);
        add(&mut counts.mos_centi, sample.mos_centi);
        counts.delays.resize(DELAY_BUCKETS_MS.len() + 1, 0);
        for (sum, one) in counts.delays.iter_mut().zip(&sample.delays) {
            add(sum, *one);
        }
    }

    fn take(&mut self, minute: &Minute) {
        self.minutes += 1.0;
        self.servers = self.servers.max(minute.servers);
        self.channels += minute.channels;
        self.channels_peak = self.channels_peak.max(minute.channels_peak);
        self.cps += minute.cps;
        self.cps_peak = self.cps_peak.max(minute.cps_peak);
        self.registrations += minute.registrations;
        for (sum, one) in [
            (&mut self.cpu_percent, minute.cpu_percent),
            (&mut self.memory_bytes, minute.memory_bytes),
        ] {
            if let Some(one) = one {
                *sum = (sum.0 + one, sum.1 + 1.0);
            }
        }
    }

    fn figure(&self, figure: Figure) -> Option<f64> {
        let minutes = Some(self.minutes).filter(|minutes| *minutes > 0.0)?;
        let counts = &self.counts;
        let share = |part: u64, whole: u64, scale: f64| {
            (whole > 0).then(|| part as f64 * scale / whole as f64)
        };
        let mean = |(sum, count): (f64, f64)| (count > 0.0).then(|| sum / count);
        let value = match figure {
            Figure::Servers => self.servers,
            Figure::Attempts => counts.attempts as f64,
            Figure::Answered => counts.answered as f64,
            Figure::Failed => counts.failed as f64,
            Figure::Channels => self.channels / minutes,
            Figure::ChannelsPeak => self.channels_peak,
            Figure::Cps => self.cps / minutes,
            Figure::CpsPeak => self.cps_peak,
            Figure::Asr => {
                let ended = counts.answered.saturating_add(counts.failed);
                share(counts.answered, ended, 100.0)?
            }
            Figure::AcdS => share(counts.talk_ms, counts.talks, 0.001)?,
            Figure::PddP50Ms => quantile(&counts.delays, 0.5)?,
            Figure::PddP95Ms => quantile(&counts.delays, 0.95)?,
            Figure::Mos => share(counts.mos_centi, counts.mos_legs, 0.01)?,
            Figure::Registrations => self.registrations / minutes,
            Figure::CpuPercent => mean(self.cpu_percent)?,
            Figure::MemoryBytes => mean(self.memory_bytes)?,
        };
        Some((value * 1_000.0).round() / 1_000.0)
    }
}

/// What so many of the values are below; values spread evenly within their bucket, and those beyond all
/// buckets count as their end.
fn quantile(counts: &[u64], share: f64) -> Option<f64> {
    let all: u64 = counts.iter().fold(0, |sum, n| sum.saturating_add(*n));
    if all == 0 {
        return None;
    }
    let wanted = share * all as f64;
    let (mut below, mut lower) = (0.0, 0.0);
    for (count, upper) in counts.iter().zip(DELAY_BUCKETS_MS) {
        let (count, upper) = (*count as f64, upper as f64);
        if count > 0.0 && below + count >= wanted {
            return Some(lower + (upper - lower) * (wanted - below) / count);
        }
        below += count;
        lower = upper;
    }
    Some(lower)
}

const FIGURES: [Figure; 16] = [
    Figure::Servers,
    Figure::Attempts,
    Figure::Answered,
    Figure::Failed,
    Figure::Channels,
    Figure::ChannelsPeak,
    Figure::Cps,
    Figure::CpsPeak,
    Figure::Asr,
    Figure::AcdS,
    Figure::PddP50Ms,
    Figure::PddP95Ms,
    Figure::Mos,
    Figure::Registrations,
    Figure::CpuPercent,
    Figure::MemoryBytes,
];

#[cfg(test)]
mod tests {
    use model::SAMPLE_US;

    use super::*;

    fn sample(minute: u64, attempts: u64) -> Sample {
        Sample {
            at_us: minute * SAMPLE_US,
            covered_ms: 60_000,
            attempts,
            channel_ms: attempts * 60_000,
            channels_peak: 3,
            ..Sample::default()
        }
    }

    fn fold(samples: &[Sample], steps: u64, minutes: u64) -> Points {
        let step_us = minutes * SAMPLE_US;
        let mut fold = Fold::new(0, steps * step_us, step_us);
        for sample in samples {
            fold.add(sample);
        }
        fold.points()
    }

    #[test]
    fn a_minute_that_nobody_has_seen_is_a_gap_and_not_a_zero() {
        let points = fold(&[sample(0, 4), sample(2, 0)], 3, 1);
        assert_eq!(points.at_us, [0, SAMPLE_US, 2 * SAMPLE_US]);
        let of = |figure| points.figures[&figure].clone();
        assert_eq!(of(Figure::Attempts), [Some(4.0), None, Some(0.0)]);
        assert_eq!(of(Figure::Channels), [Some(4.0), None, Some(0.0)]);
        // Where there was no call there is no ratio, and nobody has told of the processor.
        assert_eq!(of(Figure::Asr), [None; 3]);
        assert_eq!(of(Figure::CpuPercent), [None; 3]);
    }

    #[test]
    fn servers_of_a_minute_add_up_and_minutes_of_a_step_are_averaged() {
        let samples = [sample(0, 60), sample(0, 120), sample(1, 60)];
        let points = fold(&samples, 1, 2);
        let of = |figure| points.figures[&figure][0];
        assert_eq!(of(Figure::Servers), Some(2.0));
        assert_eq!(of(Figure::Attempts), Some(240.0));
        assert_eq!(of(Figure::Channels), Some(120.0));
        assert_eq!(of(Figure::ChannelsPeak), Some(6.0));
        assert_eq!(of(Figure::Cps), Some(2.0));
    }

    #[test]
    fn a_minute_that_was_seen_in_part_has_the_rate_of_that_part() {
        let part = Sample {
            covered_ms: 10_000,
            ..sample(0, 20)
        };
        let points = fold(&[part], 1, 1);
        assert_eq!(points.figures[&Figure::Cps][0], Some(2.0));
    }

    #[test]
    fn ratios_are_of_all_calls_of_a_step_and_not_means_of_means() {
        let one = Sample {
            answered: 1,
            failed: 0,
            talks: 1,
            talk_ms: 10_000,
            mos_legs: 2,
            mos_centi: 800,
            ..sample(0, 1)
        };
        let other = Sample {
            answered: 2,
            failed: 7,
            talks: 3,
            talk_ms: 2_000,
            mos_legs: 1,
            mos_centi: 430,
            ..sample(1, 9)
        };
        let points = fold(&[one, other], 1, 2);
        let of = |figure| points.figures[&figure][0];
        assert_eq!(of(Figure::Asr), Some(30.0));
        assert_eq!(of(Figure::AcdS), Some(3.0));
        assert_eq!(of(Figure::Mos), Some(4.1));
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        // Ten between 20 and 100 ms, ten between 100 and 500.
        let delays = [0, 0, 10, 10];
        assert_eq!(quantile(&delays, 0.5), Some(100.0));
        assert_eq!(quantile(&delays, 0.95), Some(460.0));
        assert_eq!(quantile(&[0; 13], 0.5), None);
        let beyond = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(quantile(&beyond, 0.5), Some(3_600_000.0));
    }

    #[test]
    fn what_is_outside_of_the_span_is_passed_over() {
        let mut fold = Fold::new(SAMPLE_US, 2 * SAMPLE_US, SAMPLE_US);
        fold.add(&sample(0, 1));
        fold.add(&sample(9, 1));
        assert_eq!(fold.points().figures[&Figure::Attempts], [None]);
    }
}
