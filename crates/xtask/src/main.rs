//! Development tasks: `cargo xtask ci | tidy | sim | fuzz`.

mod ci;
mod deny;
mod fuzz;
mod process;
mod sim;
mod tests;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let (task, rest) = match args.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => bail!(USAGE),
    };
    match task {
        "ci" => ci::run(&root()),
        "tidy" => tidy::run(&root()),
        "sim" => sim::run(&root(), rest),
        "fuzz" => fuzz::run(&root(), rest),
        _ => bail!("there is no task \"{task}\"\n{USAGE}"),
    }
}

/// The top of the checkout.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// The value of `--name VALUE` as a number, or the default where it is not given.
fn number(args: &[String], name: &str, default: u64) -> Result<u64> {
    let Some(at) = args.iter().position(|arg| arg == name) else {
        return Ok(default);
    };
    match args.get(at + 1).map(|value| value.parse()) {
        Some(Ok(value)) => Ok(value),
        _ => bail!("{name} wants a whole number"),
    }
}

const USAGE: &str = "usage: cargo xtask TASK
  ci                    every gate: format, lints, tests, documents, tidy, licences
  tidy                  the rules of the house that no compiler checks
  sim [--seeds N | --seed S] [--scene NAME]
                        the simulator on N random seeds, or on one with its log
  fuzz [--seconds N]    every fuzz target for N seconds";
