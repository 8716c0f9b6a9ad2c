//! What the kernel grants: socket buffers and open files.

use std::fs;

use super::Finding;
use crate::ports::PortFlags;

/// Compares what the kernel grants with what the platform asks for.
pub(super) fn check(ports: &PortFlags) -> Vec<Finding> {
    let mut findings = buffers();
    findings.push(files(node::files_max(), files_wanted(ports)));
    findings
}

/// What sockets may have waiting.
pub(super) fn buffers() -> Vec<Finding> {
    let buffer_bytes = |name: &str| {
        fs::read_to_string(format!("/proc/sys/net/core/{name}"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    vec![
        buffer("rmem_max", buffer_bytes("rmem_max")),
        buffer("wmem_max", buffer_bytes("wmem_max")),
    ]
}

fn buffer(name: &str, granted_bytes: Option<u64>) -> Finding {
    match granted_bytes {
        // The kernel doubles what it grants, for its own accounting: socket(7).
        Some(granted) if 2 * granted >= BUFFER_BYTES => {
            Finding::ok("buffers", format!("net.core.{name} is {granted} bytes"))
        }
        Some(granted) => Finding::warn(
            "buffers",
            format!("net.core.{name} is {granted} bytes: at bursts UDP packets are lost"),
            format!(
                "sudo sysctl -w net.core.{name}={BUFFER_BYTES}, and the same in /etc/sysctl.d/ to keep it"
            ),
        ),
        None => Finding::warn(
            "buffers",
            format!("net.core.{name} cannot be read"),
            "look with `sysctl net.core`",
        ),
    }
}

fn files(limit: Option<u64>, wanted: u64) -> Finding {
    match limit {
        Some(limit) if limit >= wanted => Finding::ok(
            "files",
            format!("{limit} open files are allowed{}", calls(limit)),
        ),
        Some(limit) => Finding::warn(
            "files",
            format!(
                "{limit} open files are allowed{}; all RTP ports and many connections need {wanted}",
                calls(limit)
            ),
            format!(
                "ulimit -Hn {wanted}, or LimitNOFILE={wanted} in the systemd unit; of itself the \
                 process takes all that it may, beyond the hard limit where it has CAP_SYS_RESOURCE"
            ),
        ),
        None => Finding::warn(
            "files",
            "the limit of open files cannot be read",
            "look with `ulimit -Hn`",
        ),
    }
}

/// How many calls a limit of files carries, in words.
fn calls(limit: u64) -> String {
    let sockets = limit.saturating_sub(OWN_FILES);
    let [apart, shared] = [FILES_PER_CALL, FILES_PER_CALL_SHARED].map(|files| sockets / files);
    format!(
        ": at most {apart} calls with media here, or {shared} where RTP and RTCP share a port on both sides"
    )
}

/// A file for each RTP port, and room for connections.
fn files_wanted(ports: &PortFlags) -> u64 {
    let (first, last) = ports.rtp_ports;
    u64::from(last - first) + 1 + CONNECTION_FILES
}

/// What the platform asks for each UDP socket, see `net`.
const BUFFER_BYTES: u64 = 8 * 1024 * 1024;
/// A port for RTP and one for RTCP, towards each side.
const FILES_PER_CALL: u64 = 4;
/// One for both, towards each side (RFC 5761).
const FILES_PER_CALL_SHARED: u64 = 2;
/// Stores, listeners and the like.
const OWN_FILES: u64 = 100;
/// Connections of phones that are to have room.
const CONNECTION_FILES: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_limit_of_files_says_how_many_calls_it_allows() {
        let finding = files(Some(50_000), 30_000);
        assert_eq!(finding.level, Level::Ok);
        for calls in ["12475 calls", "24950 where"] {
            assert!(finding.message.contains(calls), "{}", finding.message);
        }
        let finding = files(Some(20_000), 30_000);
        assert_eq!(finding.level, Level::Warn);
        assert!(
            finding.message.contains("4975 calls"),
            "{}",
            finding.message
        );
        assert!(finding.advice.contains("LimitNOFILE=30000"));
    }

    #[test]
    fn small_buffers_are_a_warning_with_the_command_that_helps() {
        let finding = buffer("rmem_max", Some(212_992));
        assert_eq!(finding.level, Level::Warn);
        assert!(
            finding
                .advice
                .contains("sysctl -w net.core.rmem_max=8388608")
        );
    }
}
