//! Whether the clock is right: CDRs, digest nonces and certificates depend on it.

use super::Finding;
use crate::client::Client;
use crate::global::Global;

/// Asks the kernel whether something keeps its clock right.
pub(super) fn check() -> Vec<Finding> {
    vec![judge(kernel_state())]
}

/// What the platform of this data directory knows of other clocks, if it runs and is not alone.
pub(super) fn compare(global: &Global) -> Vec<Finding> {
    let page = Client::of(global).and_then(|client| client.read("/metrics", &[]));
    let page = page.map(|reply| reply.body);
    let lines = page.as_ref().ok().and_then(|page| page.as_str());
    lines.map(judge_others).unwrap_or_default()
}

fn judge_others(page: &str) -> Vec<Finding> {
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    let own = page.lines().filter_map(|line| {
        let skew_s = value(line.strip_prefix("tandem_clock_skew_seconds ")?)?;
        Some(("the live store".to_owned(), skew_s))
    });
    let others = page.lines().filter_map(|line| {
        let rest = line.strip_prefix("tandem_array_clock_skew_seconds{peer=\"")?;
        Some((rest.split('"').next()?.to_owned(), -value(rest)?))
    });
    let judged = own.chain(others).map(|(whom, ahead_s)| {
        let ms = (ahead_s * 1e3).round();
        match ahead_s.abs() <= AHEAD_S_MAX {
            true => Finding::ok("clock", format!("{ms} ms ahead of that of {whom}")),
            false => Finding::warn(
                "clock",
                format!("{ms} ms ahead of that of {whom}: the order of registrations may be wrong"),
                "keep both right with chrony or `timedatectl set-ntp true`",
            ),
        }
    });
    judged.collect()
}

/// What the kernel says of its clock, see adjtimex(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Kept right, to within so many microseconds.
    Synchronised { error_max_us: i64 },
    /// Nothing keeps it right.
    Free,
    /// The kernel does not tell.
    Unknown,
}

fn judge(state: State) -> Finding {
    match state {
        State::Synchronised { error_max_us } if error_max_us <= ERROR_MAX_US => Finding::ok(
            "clock",
            format!("kept right, to within {} ms", error_max_us / 1_000),
        ),
        State::Synchronised { error_max_us } => Finding::warn(
            "clock",
            format!("kept right, but only to within {} ms", error_max_us / 1_000),
            "look at the sources with `chronyc sources` or `timedatectl timesync-status`",
        ),
        State::Free => Finding::warn(
            "clock",
            "nothing keeps it right: times in CDRs will be wrong",
            "install chrony, or `timedatectl set-ntp true`",
        ),
        State::Unknown => Finding::warn(
            "clock",
            "the kernel does not tell whether it is right",
            "compare it with another clock",
        ),
    }
}

#[allow(unsafe_code, reason = "no safe interface to adjtimex(2) is at hand")]
fn kernel_state() -> State {
    // SAFETY: `timex` is plain data, for which all zeroes is a valid value; with `modes` 0
    // adjtimex only writes into it.
    let (code, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        let code = libc::adjtimex(&raw mut timex);
        (code, timex)
    };
    match code {
        -1 => State::Unknown,
        libc::TIME_ERROR => State::Free,
        _ if timex.status & libc::STA_UNSYNC != 0 => State::Free,
        _ => State::Synchronised {
            error_max_us: timex.maxerror,
        },
    }
}

/// How wrong the clock may be: a second, at which CDRs of two machines get out of order.
const ERROR_MAX_US: i64 = 1_000_000;

/// How far the clocks of two nodes may differ.
const AHEAD_S_MAX: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_that_runs_free_or_far_off_is_a_warning() {
        assert_eq!(
            judge(State::Synchronised {
                error_max_us: 20_000
            })
            .level,
            Level::Ok
        );
        assert_eq!(
            judge(State::Synchronised {
                error_max_us: 2_000_000
            })
            .level,
            Level::Warn
        );
        assert_eq!(judge(State::Free).level, Level::Warn);
    }

    #[test]
    fn clocks_that_differ_are_named() {
        let page = "tandem_clock_skew_seconds 0.002\n\
                    tandem_array_clock_skew_seconds{peer=\"b-1\"} 2.5\ntandem_calls 3\n";
        let found: Vec<String> = judge_others(page).iter().map(Finding::line).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("OK") && found[0].contains("2 ms"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("WARN") && found[1].contains("-2500 ms ahead of that of b-1"),
            "{found:?}"
        );
        assert!(judge_others("tandem_calls 3\n").is_empty());
    }
}
