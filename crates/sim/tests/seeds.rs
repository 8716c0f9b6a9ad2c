//! Seeds that once broke a rule, and a span of others.

use std::time::{SystemTime, UNIX_EPOCH};

use sim::{Keep, run};

/// Seeds of bugs that are mended, each with a word on what it was.
const MENDED: &[(u64, &str)] = &[
    (
        6,
        "a request was being carried at hang-up and never got its answer",
    ),
    (51, "likewise"),
    (169, "the resolver failed, and the BYE was not sent"),
    (353, "the resolver failed, and a call that worked was ended"),
    (
        882,
        "a 2xx crossed a CANCEL after PRACK: the number of its BYE was used",
    ),
    (1_093, "likewise, to a phone"),
    (
        1_795_334_187_715_573,
        "a silent media relay kept a call up beyond its longest duration",
    ),
    (
        50_026_338,
        "of the simulation: a callee who was not heard of was to be cancelled",
    ),
];

/// The same in every run, so that a change that breaks one is known by it.
const FIXED: std::ops::Range<u64> = 1..1_001;
/// Others each time.
const FRESH: u64 = 200;

#[test]
fn mended_bugs_stay_mended() {
    for (seed, what) in MENDED {
        let broken = run(*seed, Keep::Nothing).violations;
        assert!(broken.is_empty(), "seed {seed} ({what}): {broken:?}");
    }
}

#[test]
fn every_call_ends_on_both_sides_with_one_record() {
    let (mut records, mut answered) = (0, 0);
    for seed in FIXED {
        let outcome = run(seed, Keep::Nothing);
        assert!(outcome.violations.is_empty(), "seed {seed}: {outcome:?}");
        records += outcome.records;
        answered += outcome.answered;
    }
    // A simulation in which nothing happens proves nothing.
    assert!(records > 4_000, "only {records} calls were made");
    assert!(answered > 2_000, "only {answered} calls were answered");
}

#[test]
fn so_it_does_under_seeds_nobody_has_tried() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let from = now.map_or(0, |since| since.as_micros() as u64);
    for seed in from..from + FRESH {
        let outcome = run(seed, Keep::Nothing);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {outcome:?}; replay: cargo xtask sim --scene switch --seed {seed}"
        );
    }
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 1..20 {
        assert_eq!(run(seed, Keep::Trace), run(seed, Keep::Trace));
    }
}
