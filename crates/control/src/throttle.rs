//! How often a source may do something: a token bucket for each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Token buckets by source. IPv6 sources are told apart by their /64, which is what one
/// subscriber has.
pub(crate) struct Throttle {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Throttle {
    /// Allows `burst` at once and `per_second` in the long run.
    pub(crate) fn new(burst: u32, per_second: f64) -> Self {
        Self {
            burst: f64::from(burst),
            per_second,
            buckets: Mutex::default(),
        }
    }

    /// Whether the source has anything left; if not, how many seconds until it has.
    pub(crate) fn check(&self, source: IpAddr, now: Instant) -> Result<(), u64> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let left = buckets
            .get(&group(source))
            .map_or(self.burst, |b| self.level(b, now));
        if left >= 1.0 {
            Ok(())
        } else {
            Err(self.wait_s(left))
        }
    }

    /// Takes one from the source's bucket; the error says how many seconds until that works.
    pub(crate) fn take(&self, source: IpAddr, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SOURCES_MAX && !buckets.contains_key(&group(source)) {
            buckets.retain(|_, bucket| self.level(bucket, now) < self.burst);
            if buckets.len() >= SOURCES_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(group(source)).or_insert(Bucket {
            level: self.burst,
            at: now,
        });
        bucket.level = self.level(bucket, now);
        bucket.at = now;
        if bucket.level < 1.0 {
            return Err(self.wait_s(bucket.level));
        }
        bucket.level -= 1.0;
        Ok(())
    }

    fn level(&self, bucket: &Bucket, now: Instant) -> f64 {
        let elapsed: Duration = now.saturating_duration_since(bucket.at);
        (bucket.level + elapsed.as_secs_f64() * self.per_second).min(self.burst)
    }

    fn wait_s(&self, level: f64) -> u64 {
        ((1.0 - level) / self.per_second).ceil().max(1.0) as u64
    }
}

struct Bucket {
    level: f64,
    at: Instant,
}

fn group(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Sources remembered. Beyond it those with a full bucket are forgotten, then all: a flood from
/// so many addresses is not stopped by counting them.
const SOURCES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_stopped_after_its_burst_and_let_on_later() {
        let throttle = Throttle::new(2, 0.5);
        let now = Instant::now();
        let source = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(throttle.take(source, now), Ok(()));
        assert_eq!(throttle.take(source, now), Ok(()));
        assert_eq!(throttle.take(source, now), Err(2));
        assert_eq!(throttle.check(source, now), Err(2));
        assert_eq!(throttle.take(IpAddr::from([192, 0, 2, 2]), now), Ok(()));
        assert_eq!(throttle.take(source, now + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_share_a_bucket() {
        let throttle = Throttle::new(1, 1.0);
        let now = Instant::now();
        let address = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert_eq!(throttle.take(address(1), now), Ok(()));
        assert_eq!(throttle.take(address(2), now), Err(1));
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let throttle = Throttle::new(1, 0.001);
        let now = Instant::now();
        for n in 0..u32::try_from(SOURCES_MAX).unwrap() + 5 {
            let _ = throttle.take(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(throttle.buckets.lock().unwrap().len() <= SOURCES_MAX);
    }
}
