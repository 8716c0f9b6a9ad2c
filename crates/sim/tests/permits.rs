//! Limits that nodes share, under seeds that once broke a rule and others.

use std::time::{SystemTime, UNIX_EPOCH};

use sim::{Keep, permits};

/// Seeds of bugs that are mended, each with a word on what it was.
const MENDED: &[(u64, &str)] = &[
    (
        14,
        "who wanted most of a limit changed from second to second, and shares went to and fro",
    ),
    (
        234,
        "a node out of the store's reach was killed: what it had permitted just then did not count",
    ),
    (
        733,
        "a node was started again at once: what it had permitted before did not count",
    ),
    (
        50_018_424,
        "a node was stopped before its first answer came, and believed it after it was taken for dead",
    ),
];

/// The same in every run, so that a change that breaks one is known by it.
const FIXED: std::ops::Range<u64> = 1..201;
/// Others each time.
const FRESH: u64 = 100;

#[test]
fn mended_bugs_stay_mended() {
    for (seed, what) in MENDED {
        let broken = permits::run(*seed, Keep::Nothing).violations;
        assert!(broken.is_empty(), "seed {seed} ({what}): {broken:?}");
    }
}

#[test]
fn the_sum_over_all_nodes_is_what_the_limit_says() {
    let (mut offered, mut admitted) = (0, 0);
    for seed in FIXED {
        let outcome = permits::run(seed, Keep::Nothing);
        assert!(outcome.violations.is_empty(), "seed {seed}: {outcome:?}");
        offered += outcome.records;
        admitted += outcome.answered;
    }
    // A limit that nobody comes near proves nothing.
    assert!(admitted > 10_000, "only {admitted} calls were admitted");
    assert!(offered > 2 * admitted, "only {offered} calls came");
}

#[test]
fn so_it_is_under_seeds_nobody_has_tried() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let from = now.map_or(0, |since| since.as_micros() as u64);
    for seed in from..from + FRESH {
        let outcome = permits::run(seed, Keep::Nothing);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {outcome:?}; replay: cargo xtask sim --scene permits --seed {seed}"
        );
    }
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 1..5 {
        assert_eq!(
            permits::run(seed, Keep::Trace),
            permits::run(seed, Keep::Trace)
        );
    }
}
