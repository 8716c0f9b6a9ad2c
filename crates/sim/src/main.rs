//! `sim --seeds N [--from S]` explores; `sim --seed S` replays one run with its log. Both do so in
//! each scene, or in one: `--scene NAME`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use sim::{Keep, SCENES, Scene};

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let scenes = scenes(value(&args, "--scene"))?;
    let outcomes: Vec<bool> = if let Some(seed) = number(&args, "--seed")? {
        let replayed = scenes
            .iter()
            .map(|scene| replay(scene, seed, LogPart::Whole));
        replayed.collect()
    } else if let Some(seeds) = number(&args, "--seeds")? {
        let from = number(&args, "--from")?.unwrap_or_else(fresh);
        let explored = scenes.iter().map(|scene| explore(scene, from, seeds));
        explored.collect()
    } else {
        bail!("usage: sim --seeds N [--from S] [--scene NAME] | sim --seed S [--scene NAME]");
    };
    Ok(match outcomes.iter().all(|is_good| *is_good) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs seed after seed; names those that fail, and shows how the first of them ends. Whether none
/// does.
fn explore(scene: &Scene, from: u64, seeds: u64) -> bool {
    let begun = Instant::now();
    let (mut records, mut answered) = (0, 0);
    let mut failed = Vec::new();
    for seed in from..from.saturating_add(seeds) {
        let outcome = (scene.run)(seed, Keep::Nothing);
        if let Some(violation) = outcome.violations.first() {
            eprintln!("{} seed {seed}: {violation}", scene.name);
            failed.push(seed);
        }
        records += outcome.records;
        answered += outcome.answered;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let Scene { name, did, .. } = scene;
    println!(
        "{name}: {seeds} seeds from {from}: {records} calls, {answered} {did}, in {seconds:.1} s"
    );
    if let Some(first) = failed.first() {
        println!("{} seeds failed; the first of them:", failed.len());
        replay(scene, *first, LogPart::End);
    }
    failed.is_empty()
}

/// How much of a log is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogPart {
    Whole,
    End,
}

/// Runs one seed with its log; whether no rule is broken.
fn replay(scene: &Scene, seed: u64, part: LogPart) -> bool {
    let outcome = (scene.run)(seed, Keep::Trace);
    let skipped = match part {
        LogPart::Whole => 0,
        LogPart::End => outcome.trace.len().saturating_sub(TAIL_LINES),
    };
    for line in &outcome.trace[skipped..] {
        println!("{line}");
    }
    for violation in &outcome.violations {
        eprintln!("broken: {violation}");
    }
    let name = scene.name;
    if outcome.violations.is_empty() {
        println!(
            "{name}, seed {seed}: {} calls, no rule broken",
            outcome.records
        );
        return true;
    }
    eprintln!("replay: cargo xtask sim --scene {name} --seed {seed}");
    false
}

/// Another beginning each time.
fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs()) * 1_000_000
}

/// The scene of this name, or all of them.
fn scenes(name: Option<&str>) -> Result<Vec<&'static Scene>> {
    let Some(name) = name else {
        return Ok(SCENES.iter().collect());
    };
    let Some(scene) = SCENES.iter().find(|scene| scene.name == name) else {
        let names: Vec<_> = SCENES.iter().map(|scene| scene.name).collect();
        bail!("--scene wants one of {}", names.join(", "));
    };
    Ok(vec![scene])
}

fn number(args: &[String], name: &str) -> Result<Option<u64>> {
    match value(args, name).map(str::parse) {
        None if args.iter().any(|a| a == name) => bail!("{name} wants a whole number"),
        None => Ok(None),
        Some(Ok(n)) => Ok(Some(n)),
        Some(Err(_)) => bail!("{name} wants a whole number"),
    }
}

fn value<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|a| a == name)?;
    args.get(at + 1).map(String::as_str)
}

const TAIL_LINES: usize = 60;
