//! `cargo xtask fuzz`: every fuzz target for a while.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs each target of `fuzz/` for `--seconds N`, and fails if one crashed; the input that
/// did it lies in `fuzz/artifacts`.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let seconds = crate::number(args, "--seconds", SECONDS)?;
    let list = fuzz(root, &["list"]).stderr(Stdio::inherit()).output();
    let list = list.context("fuzzing needs rustup, which is not here")?;
    if !list.status.success() {
        bail!(
            "fuzzing needs nightly Rust and cargo-fuzz:\n    \
             rustup toolchain install nightly && cargo install cargo-fuzz --locked"
        );
    }
    let limit = format!("-max_total_time={seconds}");
    let mut crashed = Vec::new();
    let targets = String::from_utf8_lossy(&list.stdout);
    for target in targets.lines() {
        let status = fuzz(root, &["run", target, "--", &limit]).status();
        if !status.context("starting cargo-fuzz")?.success() {
            crashed.push(target);
        }
    }
    if !crashed.is_empty() {
        bail!("these targets crashed: {}", crashed.join(", "));
    }
    Ok(())
}

/// `cargo fuzz` of the nightly toolchain: sanitizers are not on the stable one.
fn fuzz(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .current_dir(root)
        .args(["run", "nightly", "cargo", "fuzz"])
        .args(args);
    command
}

const SECONDS: u64 = 60;
