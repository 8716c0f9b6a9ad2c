//! `cargo xtask sim`: the simulator on random seeds.

use std::path::Path;

use anyhow::Result;

use crate::process::cargo;

/// Runs the simulator; `--seeds N` says on how many seeds.
///
/// Built in the debug profile: there overflow checks and debug assertions are on.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let seeds = crate::number(args, "--seeds", SEEDS)?.to_string();
    cargo(
        root,
        &[
            "run",
            "--quiet",
            "--package",
            "sim",
            "--",
            "--seeds",
            &seeds,
        ],
    )
}

const SEEDS: u64 = 1_000;
