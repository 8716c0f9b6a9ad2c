//! How far zones, and servers, are from each other: what nodes measure, put together.
//!
//! What was not measured is unknown and never 0, and what is old says so.

use std::collections::BTreeMap;

use model::{Server, ServerId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::nodes::{Measured, RoundTrips};

/// Round trips of one kind, of several measurements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Latency {
    /// Whether it is known.
    pub(crate) state: LatencyState,
    /// The same in a sentence.
    pub(crate) cause: String,
    /// The median of the medians of all measurements; microseconds. `None`: not known.
    pub(crate) median_us: Option<u32>,
    /// The longest of all measurements; microseconds.
    pub(crate) worst_us: Option<u32>,
    /// The newest answer came so long ago; seconds.
    pub(crate) age_s: Option<u64>,
    /// So many round trips were asked for lately, a minute at most.
    pub(crate) asked: u32,
    /// So many of them had no answer.
    pub(crate) lost: u32,
    /// Pairs of servers that it was measured between.
    pub(crate) pairs: u32,
}

/// Whether a latency is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LatencyState {
    /// Nobody has asked.
    Unknown,
    /// It was asked, and there was no answer.
    Unanswered,
    /// There was an answer, and there is none now: the figures are of then.
    Stale,
    /// It is measured now.
    Measured,
}

/// From the servers of one zone to those of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ZoneLatency {
    /// The zone whose servers ask.
    pub(crate) from: String,
    /// The zone whose servers answer; it may be the same.
    pub(crate) to: String,
    /// By SIP: OPTIONS and its answer.
    pub(crate) sip: Latency,
    /// By ICMP echo.
    pub(crate) icmp: Latency,
}

/// What is measured between some servers and others.
#[derive(Clone, Debug, Default)]
struct Gathered {
    sip: Vec<(RoundTrips, u64)>,
    icmp: Vec<(RoundTrips, u64)>,
    icmp_refused: Option<String>,
}

impl Gathered {
    fn add(&mut self, measured: &Measured, now_us: u64) {
        let since_ms = now_us.saturating_sub(measured.at_us) / 1_000;
        let aged = |mut trips: RoundTrips| {
            trips.age_ms = trips.age_ms.map(|age| age.saturating_add(since_ms));
            (trips, since_ms)
        };
        self.sip.push(aged(measured.distance.sip));
        match measured.distance.icmp {
            Some(icmp) => self.icmp.push(aged(icmp)),
            None => self.icmp_refused.clone_from(&measured.icmp_refused),
        }
    }

    fn sip(&self) -> Latency {
        Latency::of(&self.sip, None)
    }

    fn icmp(&self) -> Latency {
        Latency::of(&self.icmp, self.icmp_refused.as_deref())
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::of(&[], None)
    }
}

impl Latency {
    /// Of measurements, each with the time since it was told of; where there are none, why.
    fn of(told: &[(RoundTrips, u64)], refused: Option<&str>) -> Self {
        let within = |trips: &RoundTrips, most_ms: u64| trips.age_ms.is_some_and(|a| a <= most_ms);
        let answered = |most_ms: u64| -> Vec<&RoundTrips> {
            let all = told.iter().map(|(trips, _)| trips);
            all.filter(|trips| within(trips, most_ms)).collect()
        };
        // Who was not heard of for long has asked nobody lately.
        let lately = told.iter().filter(|(_, since)| *since <= FRESH_MS);
        let (asked, lost) = lately.fold((0_u32, 0_u32), |(asked, lost), (trips, _)| {
            (
                asked.saturating_add(trips.asked),
                lost.saturating_add(trips.lost),
            )
        });
        let (fresh, kept) = (answered(FRESH_MS), answered(KEPT_MS));
        let (state, of) = match (fresh.is_empty(), kept.is_empty()) {
            (false, _) => (LatencyState::Measured, fresh),
            (true, false) => (LatencyState::Stale, kept),
            (true, true) if asked > 0 => (LatencyState::Unanswered, Vec::new()),
            (true, true) => (LatencyState::Unknown, Vec::new()),
        };
        let mut medians: Vec<u32> = of.iter().filter_map(|trips| trips.median_us).collect();
        medians.sort_unstable();
        let age_ms = of.iter().filter_map(|trips| trips.age_ms).min();
        let age_s = age_ms.map(|age| age / 1_000);
        let cause = match state {
            LatencyState::Unknown => refused.unwrap_or("nobody has measured it").to_owned(),
            LatencyState::Unanswered => format!("asked {asked} times, without any answer"),
            LatencyState::Stale => {
                format!("the last answer came {} s ago", age_s.unwrap_or_default())
            }
            LatencyState::Measured => format!("{lost} of {asked} were lost"),
        };
        Self {
            state,
            cause,
            median_us: medians.get(medians.len() / 2).copied(),
            worst_us: of.iter().filter_map(|trips| trips.worst_us).max(),
            age_s,
            asked,
            lost,
            pairs: of.len() as u32,
        }
    }
}

/// Between all zones in which servers stand; a zone with itself where it has two.
pub(crate) fn between_zones(
    servers: &[&Server],
    measured: &[Measured],
    now_us: u64,
) -> Vec<ZoneLatency> {
    let zone_of: BTreeMap<ServerId, &str> = servers
        .iter()
        .filter(|server| !server.zone.is_empty())
        .map(|server| (server.id, &*server.zone))
        .collect();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for zone in zone_of.values() {
        *sizes.entry(*zone).or_default() += 1;
    }
    let mut gathered: BTreeMap<(&str, &str), Gathered> = BTreeMap::new();
    for one in measured {
        let (from, to) = (zone_of.get(&one.from), zone_of.get(&one.distance.server));
        if let Some((from, to)) = from.zip(to) {
            gathered.entry((*from, *to)).or_default().add(one, now_us);
        }
    }
    let zones = || sizes.iter().take(ZONES_MAX);
    let mut all = Vec::new();
    for (from, size) in zones() {
        for (to, _) in zones() {
            if from == to && *size < 2 {
                continue;
            }
            let cell = gathered.remove(&(*from, *to)).unwrap_or_default();
            all.push(ZoneLatency {
                from: (*from).to_owned(),
                to: (*to).to_owned(),
                sip: cell.sip(),
                icmp: cell.icmp(),
            });
        }
    }
    all
}

/// To each server, from all others that measure: by SIP, and by ICMP.
pub(crate) fn towards_servers(
    measured: &[Measured],
    now_us: u64,
) -> BTreeMap<ServerId, (Latency, Latency)> {
    let mut gathered: BTreeMap<ServerId, Gathered> = BTreeMap::new();
    for one in measured {
        let to = gathered.entry(one.distance.server).or_default();
        to.add(one, now_us);
    }
    let all = gathered.into_iter();
    all.map(|(server, told)| (server, (told.sip(), told.icmp())))
        .collect()
}

/// An answer counts as one of now for so long: nodes ask every five seconds.
const FRESH_MS: u64 = 20_000;
/// An older one is shown with its age for so long.
const KEPT_MS: u64 = 3_600_000;
/// Zones that are compared, by name: the table has the square of them.
const ZONES_MAX: usize = 64;

#[cfg(test)]
mod tests;
