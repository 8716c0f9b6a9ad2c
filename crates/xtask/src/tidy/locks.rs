//! No packet waits for a lock: ARCHITECTURE.md, "Invariants".

use super::Findings;
use super::files::File;

/// Checks that the code every packet passes names no lock.
pub(crate) fn check(file: &File, findings: &mut Findings) {
    if !is_passed_by_packets(&file.path) {
        return;
    }
    for (number, line) in file.code().lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in LOCKS.iter().filter(|word| line.contains(**word)) {
            findings.problem_at(file, number + 1, &format!("\"{word}\" where packets pass"));
        }
    }
}

fn is_passed_by_packets(path: &str) -> bool {
    let rest = PACKET_PATHS.iter().find_map(|of| path.strip_prefix(of));
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

const LOCKS: &[&str] = &["Mutex", "RwLock", "Condvar", "OnceLock", ".lock("];

/// Relaying, plain or protected, transcoding and recording. Not the figures (`tally`, `quality`), which
/// the engine reads: a worker takes their locks where an address is learned and four times a second.
/// Nor what is played to somebody, which another may stop.
const PACKET_PATHS: &[&str] = &[
    "crates/media/src/worker",
    "crates/media/src/channel",
    "crates/media/src/source",
    "crates/media/src/formats",
    "crates/media/src/counters",
    "crates/media/src/full",
    "crates/media/src/transcode",
    "crates/media/src/kernel",
    "crates/media/src/sys",
    "crates/media/src/recording/tap",
    "crates/rtp/src",
    "crates/audio/src",
    "crates/os/src",
];

#[cfg(test)]
mod checks {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        let mut findings = Findings::default();
        let file = File {
            path: path.into(),
            text: text.into(),
        };
        check(&file, &mut findings);
        findings.problems.len()
    }

    #[test]
    fn a_lock_is_found_where_packets_pass_and_nowhere_else() {
        let text = "use std::sync::Mutex;\n";
        assert_eq!(problems("crates/media/src/worker.rs", text), 1);
        assert_eq!(problems("crates/media/src/worker/session.rs", text), 1);
        assert_eq!(problems("crates/media/src/workers.rs", text), 0);
        assert_eq!(problems("crates/media/src/actions/player.rs", text), 0);
        let in_tests = format!("\n#[cfg(test)]\nmod tests {{ {text} }}\n");
        assert_eq!(problems("crates/media/src/worker.rs", &in_tests), 0);
    }
}
