//! Round trips from reports, RFC 3550 §6.4.1, also for one who stands in the middle.
//!
//! A peer's report block names the last SR it got (LSR) and how long it kept it (DLSR). Whoever
//! saw that SR pass towards the peer, and now sees the answer, needs no clock but its own: the
//! time between is the peer's delay and the way there and back.

/// A moment in units of 1/65536 s, as LSR and DLSR count them. Wraps every 18 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportTime(pub u32);

impl ReportTime {
    /// From microseconds of any clock that does not go back.
    #[must_use]
    pub fn from_us(us: u64) -> Self {
        Self((u128::from(us) * 65_536 / 1_000_000) as u32)
    }

    /// The middle bits of an NTP time: how LSR names an SR.
    #[must_use]
    pub fn of_ntp(ntp: u64) -> Self {
        Self((ntp >> 16) as u32)
    }
}

/// Microseconds from the passing of an SR at `passed` to the passing of its answer at `now`,
/// without the peer's `delay`; `None` if that is no time a packet travels: the peer's delay is
/// wrong, or it answers to another SR.
#[must_use]
pub fn round_trip_us(passed: ReportTime, now: ReportTime, delay: u32) -> Option<u32> {
    let elapsed = now.0.wrapping_sub(passed.0);
    let trip = elapsed.wrapping_sub(delay).cast_signed();
    // Peers round their delay: what is a little below nothing is nothing.
    let trip = if (-ROUNDING..0).contains(&trip) {
        0
    } else {
        trip
    };
    let trip = u64::from(u32::try_from(trip).ok()?);
    (trip <= LONGEST).then_some((trip * 1_000_000 / 65_536) as u32)
}

/// 5 ms.
const ROUNDING: i32 = 328;
/// 10 s.
const LONGEST: u64 = 655_360;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_peer_kept_is_no_travel() {
        let at = |ms: u64| ReportTime::from_us(ms * 1_000);
        let trip = round_trip_us(at(1_000), at(3_080), 2 * 65_536);
        assert!((79_900..=80_100).contains(&trip.expect("a round trip")));
    }

    #[test]
    fn nonsense_is_no_round_trip() {
        let at = |ms: u64| ReportTime::from_us(ms * 1_000);
        assert_eq!(round_trip_us(at(1_000), at(2_000), 65_536 + 100), Some(0));
        assert_eq!(round_trip_us(at(1_000), at(2_000), 2 * 65_536), None);
        assert_eq!(round_trip_us(at(1_000), at(60_000), 0), None);
    }

    proptest! {
        #[test]
        fn any_clock_measures_the_same(start_us in 0_u64..1 << 50, trip_us in 0_u64..9_000_000) {
            let passed = ReportTime::from_us(start_us);
            let now = ReportTime::from_us(start_us + 500_000 + trip_us);
            let found = round_trip_us(passed, now, 32_768).expect("a round trip");
            prop_assert!(u64::from(found).abs_diff(trip_us) < 100);
        }
    }
}
