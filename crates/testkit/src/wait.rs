//! The one place where tests wait.

use std::time::{Duration, Instant};

/// How long [`wait_for`] waits: generous, for machines that are busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the condition gives a value, and hands it over.
///
/// # Panics
/// If it gives none within [`PATIENCE`]; the message names what was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_for_within(PATIENCE, what, condition)
}

/// As [`wait_for`], with another patience.
///
/// # Panics
/// If the condition gives no value in that time.
#[track_caller]
pub fn wait_for_within<T>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {patience:?} in vain for: {what}"
        );
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
