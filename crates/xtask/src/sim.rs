//! `cargo xtask sim`: the simulator, on random seeds or on one.

use std::path::Path;

use anyhow::Result;

use crate::process::cargo;

/// Runs the simulator: `--seeds N [--from S]` on so many seeds, `--seed S` on one, with its log;
/// `--scene NAME` in one scene of them only.
///
/// Built in the debug profile: there overflow checks and debug assertions are on.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let mut line = vec!["run", "--quiet", "--package", "sim", "--"];
    line.extend(args.iter().map(String::as_str));
    if !args.iter().any(|arg| arg == "--seed" || arg == "--seeds") {
        line.extend(["--seeds", SEEDS]);
    }
    cargo(root, &line)
}

const SEEDS: &str = "1000";
