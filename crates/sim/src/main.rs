//! `sim --seeds N [--from S]` explores; `sim --seed S [--trace]` replays one run.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use sim::{Keep, run};

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(seed) = number(&args, "--seed")? {
        return Ok(replay(seed, args.iter().any(|a| a == "--trace")));
    }
    let Some(seeds) = number(&args, "--seeds")? else {
        bail!("usage: sim --seeds N [--from S] | sim --seed S [--trace]");
    };
    let from = number(&args, "--from")?.unwrap_or_else(fresh);
    Ok(explore(from, seeds))
}

/// Runs seed after seed; names those that fail, and shows how the first of them ends.
fn explore(from: u64, seeds: u64) -> ExitCode {
    let begun = Instant::now();
    let (mut records, mut answered) = (0, 0);
    let mut failed = Vec::new();
    for seed in from..from.saturating_add(seeds) {
        let outcome = run(seed, Keep::Nothing);
        if let Some(violation) = outcome.violations.first() {
            eprintln!("seed {seed}: {violation}");
            failed.push(seed);
        }
        records += outcome.records;
        answered += outcome.answered;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seeds} seeds from {from}: {records} calls, {answered} answered, in {seconds:.1} s");
    match failed.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            println!("{} seeds failed; the first of them:", failed.len());
            replay(*first, false)
        }
    }
}

/// Runs one seed with its log: all of it, or the end of a failure's.
fn replay(seed: u64, whole: bool) -> ExitCode {
    let outcome = run(seed, Keep::Trace);
    let skipped = if whole {
        0
    } else {
        outcome.trace.len().saturating_sub(TAIL_LINES)
    };
    for line in &outcome.trace[skipped..] {
        println!("{line}");
    }
    for violation in &outcome.violations {
        eprintln!("broken: {violation}");
    }
    if outcome.violations.is_empty() {
        println!("seed {seed}: {} calls, no rule broken", outcome.records);
        return ExitCode::SUCCESS;
    }
    eprintln!("replay: cargo run -p sim -- --seed {seed} --trace");
    ExitCode::FAILURE
}

/// Another beginning each time.
fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs()) * 1_000_000
}

fn number(args: &[String], name: &str) -> Result<Option<u64>> {
    let Some(at) = args.iter().position(|a| a == name) else {
        return Ok(None);
    };
    match args.get(at + 1).map(|v| v.parse()) {
        Some(Ok(n)) => Ok(Some(n)),
        _ => bail!("{name} wants a whole number"),
    }
}

const TAIL_LINES: usize = 60;
