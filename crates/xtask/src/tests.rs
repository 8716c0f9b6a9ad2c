//! Runs the tests and counts them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

/// How many tests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// Runs all tests but those in documents with nextest: one process per test, its time bounded, and
/// no more real peers at once than the processors carry. It is installed where it is missing.
pub(crate) fn run(root: &Path) -> Result<Counts> {
    if !process::has_subcommand(root, "nextest") {
        // Without optimisation: it only starts the tests, and is built sooner.
        let install = ["install", CARGO_NEXTEST, "--locked", "--debug", "--quiet"];
        process::cargo(root, &install)?;
    }
    let args = [
        "nextest",
        "run",
        "--workspace",
        "--profile",
        "ci",
        "--color",
        "never",
    ];
    counted(&mut process::command(root, &args), nextest_counts)
}

/// Runs the examples in the documentation of the crates, which nextest leaves out.
pub(crate) fn run_doc_tests(root: &Path) -> Result<Counts> {
    let args = ["test", "--workspace", "--doc", "--no-fail-fast", "--quiet"];
    counted(&mut process::command(root, &args), libtest_counts)
}

/// With its version, so that the tests run the same way everywhere.
const CARGO_NEXTEST: &str = "cargo-nextest@0.9.143";

/// Runs a test program, shows what it says, and adds up the counts found in its lines.
fn counted(command: &mut Command, count: fn(&str) -> Option<Counts>) -> Result<Counts> {
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    let stderr = writer.try_clone().context("sharing a pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(stderr)
        .spawn()
        .context("starting the tests")?;
    // The command still holds the writing ends; the pipe ends when they are closed.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let mut sum = Counts::default();
    let mut seen = false;
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("reading what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        writeln!(std::io::stderr(), "{line}").context("showing what the tests print")?;
        if let Some(counts) = count(&line) {
            seen = true;
            sum.passed += counts.passed;
            sum.failed += counts.failed;
        }
    }
    let status = child.wait().context("waiting for the tests")?;
    if !seen {
        bail!("the tests did not run");
    }
    if !status.success() && sum.failed == 0 {
        sum.failed = 1;
    }
    Ok(sum)
}

/// `     Summary [  12.3s] 42 tests run: 40 passed (1 slow), 1 failed, 1 timed out, 0 skipped`
fn nextest_counts(line: &str) -> Option<Counts> {
    let line = line.trim_start().strip_prefix("Summary [")?;
    let (_, result) = line.split_once("run: ")?;
    let number = |word: &str| sum_before(result, word);
    Some(Counts {
        passed: number(" passed"),
        failed: number(" failed") + number(" timed out") + number(" exec failed"),
    })
}

/// `test result: FAILED. 3 passed; 1 failed; 0 ignored; ...`
fn libtest_counts(line: &str) -> Option<Counts> {
    let result = line.strip_prefix("test result: ")?;
    Some(Counts {
        passed: sum_before(result, " passed"),
        failed: sum_before(result, " failed"),
    })
}

/// The number that stands right before `word`; 0 where there is none.
fn sum_before(text: &str, word: &str) -> u64 {
    text.split(word)
        .next()
        .filter(|before| before.len() < text.len())
        .and_then(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_nextest_summary_counts_time_outs_as_failures() {
        let line = "     Summary [   7.1s] 9 tests run: 5 passed (1 slow), 3 failed, 1 timed out, 2 skipped";
        assert_eq!(
            nextest_counts(line),
            Some(Counts {
                passed: 5,
                failed: 4
            })
        );
        assert_eq!(nextest_counts("        PASS [ 0.1s] sip message"), None);
    }

    #[test]
    fn counts_add_up_and_a_silent_end_is_an_error() {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "echo 'test result: ok. 2 passed;'; echo 'test result: ok. 3 passed;'",
        ]);
        let counts = counted(&mut shell, libtest_counts).expect("it says how many");
        assert_eq!(
            counts,
            Counts {
                passed: 5,
                failed: 0
            }
        );

        let mut shell = Command::new("sh");
        shell.args(["-c", "echo 'test result: ok. 2 passed;' >&2; exit 1"]);
        let counts = counted(&mut shell, libtest_counts).expect("it says how many");
        assert_eq!(
            counts,
            Counts {
                passed: 2,
                failed: 1
            }
        );

        assert!(counted(&mut Command::new("false"), libtest_counts).is_err());
    }

    #[test]
    fn a_libtest_summary_counts() {
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(
            libtest_counts(line),
            Some(Counts {
                passed: 3,
                failed: 1
            })
        );
    }
}
