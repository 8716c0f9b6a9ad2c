//! `cargo xtask fuzz`: every fuzz target for a while.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process;

/// Runs each target of `fuzz/` for `--seconds N`, and fails if one crashed; the input that
/// did it lies in `fuzz/artifacts`.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let seconds = crate::number(args, "--seconds", SECONDS)?;
    if !process::has_subcommand(root, "fuzz") {
        bail!("cargo-fuzz is missing: cargo install cargo-fuzz --locked");
    }
    let targets = process::cargo_output(root, &["+nightly", "fuzz", "list"])
        .context("fuzzing needs nightly Rust: rustup toolchain install nightly")?;
    let limit = format!("-max_total_time={seconds}");
    let mut crashed = Vec::new();
    for target in targets.lines() {
        let args = ["+nightly", "fuzz", "run", target, "--", &limit];
        if let Err(error) = process::cargo(root, &args) {
            eprintln!("{target}: {error:#}");
            crashed.push(target);
        }
    }
    if !crashed.is_empty() {
        bail!("these targets crashed: {}", crashed.join(", "));
    }
    Ok(())
}

const SECONDS: u64 = 60;
