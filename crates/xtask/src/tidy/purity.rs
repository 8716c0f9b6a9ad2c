//! Pure crates touch no socket, clock, thread or file: DESIGN.md section 2, rule 2.

use super::Findings;
use super::files::File;
use super::layers::{self, Package};

/// Checks what pure crates depend on.
pub(crate) fn check_dependencies(packages: &[Package], findings: &mut Findings) {
    for package in packages
        .iter()
        .filter(|package| layers::is_pure(&package.name))
    {
        for dependency in &package.dependencies {
            if BANNED_CRATES.contains(&dependency.as_str()) {
                findings.problem(format!(
                    "pure crate \"{}\" must not use \"{dependency}\"",
                    package.name
                ));
            }
        }
    }
}

/// Checks what a pure crate's source names, tests apart.
pub(crate) fn check_source(file: &File, findings: &mut Findings) {
    if !file.is_rust() || !file.source_of().is_some_and(layers::is_pure) {
        return;
    }
    for (number, line) in file.code().lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in BANNED_PATHS.iter().filter(|word| line.contains(**word)) {
            findings.problem_at(file, number + 1, &format!("\"{word}\" in a pure crate"));
        }
    }
}

const BANNED_CRATES: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "libc",
    "async-std",
    "smol",
    "futures-util",
    "crossbeam-channel",
    "getrandom",
    "rand",
    "rusqlite",
    "parking_lot",
];

const BANNED_PATHS: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::time::Instant",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::thread",
    "std::fs",
    "std::process",
    "std::env",
    "thread_rng",
    "RandomState::new",
    "RandomState::default",
    "async fn",
    ".await;",
    ".await?",
    ".await.",
    ".await)",
];

#[cfg(test)]
mod checks {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        let mut findings = Findings::default();
        check_source(
            &File {
                path: path.into(),
                text: text.into(),
            },
            &mut findings,
        );
        findings.problems.len()
    }

    #[test]
    fn a_pure_crate_may_use_sockets_in_its_tests_only() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests { use std::net::UdpSocket; }\n";
        assert_eq!(problems("crates/sip/src/lex.rs", text), 0);
        assert_eq!(
            problems("crates/sip/src/lex.rs", "use std::net::UdpSocket;\n"),
            1
        );
        assert_eq!(
            problems("crates/net/src/udp.rs", "use std::net::UdpSocket;\n"),
            0
        );
    }
}
