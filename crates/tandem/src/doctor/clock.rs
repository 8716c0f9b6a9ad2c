//! Whether the clock is right: CDRs, digest nonces and certificates depend on it.

use super::Finding;

/// Asks the kernel whether something keeps its clock right.
pub(super) fn check() -> Vec<Finding> {
    vec![judge(kernel_state())]
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
}
