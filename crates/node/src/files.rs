//! Open files: each port of RTP and each connection is one.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process open as many files as it may: up to the hard limit, and with the right to
/// (root outside of a container, as a rule) up to what the kernel allows any process.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    for wanted in [kernel_max(), before.maximum] {
        let Some(files) = wanted else { continue };
        if before.current.is_none_or(|current| current >= files) {
            break;
        }
        let limit = Rlimit {
            current: Some(files),
            maximum: Some(before.maximum.map_or(files, |hard| hard.max(files))),
        };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            tracing::debug!(files, "more files may be open");
            return;
        }
    }
}

/// How many files a process started by this user may come to open, as far as can be said
/// beforehand.
#[must_use]
pub fn files_max() -> Option<u64> {
    let hard = getrlimit(Resource::Nofile).maximum;
    match may_raise_hard_limit() {
        true => hard.max(kernel_max()),
        false => hard.or(kernel_max()),
    }
}

fn kernel_max() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/fs/nr_open").ok()?;
    text.trim().parse().ok()
}

/// Whether this process has `CAP_SYS_RESOURCE`: capabilities(7).
fn may_raise_hard_limit() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> CAP_SYS_RESOURCE & 1 == 1)
}

const CAP_SYS_RESOURCE: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_may_be_are_allowed_afterwards() {
        raise_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, files_max());
    }
}
