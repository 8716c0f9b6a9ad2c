//! Running other programs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `cargo` with these arguments, its output shown; fails when it fails.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Result<()> {
    cargo_with(root, args, &[])
}

/// As [`cargo`], with environment variables.
pub(crate) fn cargo_with(root: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    eprintln!("$ cargo {}", args.join(" "));
    let status = command(root, args)
        .envs(env.iter().copied())
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("cargo {} failed", args.first().copied().unwrap_or_default());
    }
    Ok(())
}

/// What `cargo` with these arguments prints on standard output; its errors are shown.
pub(crate) fn cargo_output(root: &Path, args: &[&str]) -> Result<String> {
    let output = command(root, args)
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    String::from_utf8(output.stdout).context("cargo printed something that is not UTF-8")
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_subcommand(root: &Path, name: &str) -> bool {
    command(root, &[name, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A `cargo` command at the top of the checkout.
pub(crate) fn command(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    command
}
