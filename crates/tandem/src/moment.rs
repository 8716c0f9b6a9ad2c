//! Moments and spans of time, as people write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `90s`, `15m`, `24h` or `7d` in microseconds.
pub(crate) fn span_us(text: &str) -> Result<u64, String> {
    let wanted = || "a number and s, m, h or d is wanted, as 24h".to_owned();
    let unit = text.chars().last().ok_or_else(wanted)?;
    let unit_s = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wanted()),
    };
    let count: u64 = text.trim_end_matches(unit).parse().map_err(|_| wanted())?;
    count.checked_mul(unit_s * 1_000_000).ok_or_else(wanted)
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A moment in microseconds since the Unix epoch as RFC 3339, in UTC, to the second.
pub(crate) fn text(us: u64) -> String {
    format!("{}Z", seconds(us))
}

/// A moment in microseconds since the Unix epoch as RFC 3339, in UTC, exactly.
pub(crate) fn exact_text(us: u64) -> String {
    format!("{}.{:06}Z", seconds(us), us % 1_000_000)
}

fn seconds(us: u64) -> String {
    let (days, seconds) = (us / 86_400_000_000, us / 1_000_000 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The date so many days after 1970-01-01, in the Gregorian calendar: years begin in March, so
/// that the leap day is the last of its year, and 400 years have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        assert_eq!(span_us("90s"), Ok(90_000_000));
        assert_eq!(span_us("7d"), Ok(604_800_000_000));
        assert!(span_us("90").is_err() && span_us("").is_err() && span_us("h").is_err());
    }

    #[test]
    fn moments_are_right_on_leap_days_and_at_the_end_of_years() {
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(1_709_210_096_000_000), "2024-02-29T12:34:56Z");
        assert_eq!(
            exact_text(1_767_225_599_999_999),
            "2025-12-31T23:59:59.999999Z"
        );
        assert_eq!(text(4_107_542_400_000_000), "2100-03-01T00:00:00Z");
    }
}
