//! `cargo xtask ci`: every gate, all of them to their end, and one line that counts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{cargo, cargo_with};
use crate::tests::{self, Counts};
use crate::{deny, tidy};

/// Runs all gates, then prints `N passed, N failed` alone on the last line: the tests, and
/// each of the other gates as one.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut report = Report::default();
    report.gate("fmt", || cargo(root, &["fmt", "--all", "--check"]));
    report.gate("tidy", || tidy::run(root));
    report.gate("clippy", || cargo(root, &CLIPPY));
    report.tests("tests", || tests::run(root));
    report.tests("doc tests", || tests::run_doc_tests(root));
    report.gate("doc", || {
        cargo_with(root, &DOC, &[("RUSTDOCFLAGS", "--deny warnings")])
    });
    report.gate("deny", || deny::run(root));
    report.finish()
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    counts: Counts,
}

impl Report {
    /// A gate that passes or fails as a whole.
    fn gate(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        self.tests(name, || {
            run()?;
            Ok(Counts {
                passed: 1,
                failed: 0,
            })
        });
    }

    /// A gate that counts. One that could not even run counts as one failure.
    fn tests(&mut self, name: &str, run: impl FnOnce() -> Result<Counts>) {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let counts = run().unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            Counts {
                passed: 0,
                failed: 1,
            }
        });
        self.lines.push(format!(
            "{:10} {:5} passed {:3} failed  {:4} s",
            name,
            counts.passed,
            counts.failed,
            start.elapsed().as_secs(),
        ));
        self.counts.passed += counts.passed;
        self.counts.failed += counts.failed;
    }

    fn finish(self) -> Result<()> {
        println!("\n{}\n", self.lines.join("\n"));
        println!(
            "{} passed, {} failed",
            self.counts.passed, self.counts.failed
        );
        if self.counts.failed > 0 {
            bail!("not everything passed");
        }
        Ok(())
    }
}

const CLIPPY: [&str; 7] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--quiet",
    "--",
    "--deny",
    "warnings",
];

const DOC: [&str; 5] = [
    "doc",
    "--workspace",
    "--no-deps",
    "--document-private-items",
    "--quiet",
];
