//! A whole cluster, under seeds that once broke a rule and others.
//!
//! A few are fresh in each run; more are for `cargo xtask sim --scene cluster --seeds N`. In a scene of
//! their own, `answers`, the answers to some calls are lost with their switches. Open, and left out by the rules: a
//! refusal that was lost with its switch is not said again.

use std::time::{SystemTime, UNIX_EPOCH};

use sim::{Keep, cluster};

/// Seeds of bugs that are mended, each with a word on what it was.
const MENDED: &[(u64, &str)] = &[
    (
        7_100_718,
        "a dispatcher that had refused an INVITE sent on what the caller had said again before",
    ),
    (
        6_100_201,
        "a switch that was stopped heard of its empty shelf before it heard that it was dead, and kept a call",
    ),
    (
        59,
        "a word to the live store that came late brought a call back that was over",
    ),
    (
        1_021,
        "a dispatcher kept a call that was cancelled at a switch which knew nothing of it",
    ),
    (
        1_080,
        "a dispatcher kept a call whose end was lost with its switch",
    ),
    (
        1_229,
        "an INVITE inside a call went to the switch of its dialog after another had answered it",
    ),
    (
        1_846,
        "a dispatcher kept calls that nobody could tell of: two faults at once",
    ),
    (
        5_129,
        "a re-INVITE was refused by whoever had the call, and then by a switch that had been stopped",
    ),
    (
        9_022,
        "the same, and the call had come back to that switch before it answered",
    ),
    (
        9_088,
        "a replica that had not heard of a call's end had it brought back",
    ),
    (
        9_253,
        "the same, and the one that had taken the call over had been killed before",
    ),
    (
        900_139,
        "a ringing call that came back to the switch which had lost it was nobody's",
    ),
    (900_446, "the same"),
    (
        901_025,
        "a re-INVITE was refused, and its repetition by another switch, as its own was given up in between",
    ),
    (
        770_253,
        "a switch that was stopped twice had no more patience the second time",
    ),
    (
        7_200_239,
        "a switch that was started again got an INVITE anew, and left the call that rang of it to nobody",
    ),
    (
        6_100_437,
        "a re-INVITE that was repeated to a switch before it had its call again was out of order to it",
    ),
    (
        6_200_373,
        "a word to the live store came when its line was mended, after the call was over and its switch stopped",
    ),
    (
        8_000_463,
        "the same, and the switch was killed: its callees rang again, and one answered a caller who was gone",
    ),
    (
        8_000_373,
        "a replica that had not heard of a takeover gave the dead switch's calls to another as well",
    ),
];

/// The same of answers that are lost with their switches.
const LOST: &[(u64, &str)] = &[
    (
        2,
        "a dispatcher did not tell a successor that the caller had given up",
    ),
    (
        16,
        "a dispatcher that had only heard 100 of the dead switch did not hear its successor",
    ),
    (23, "the same"),
];

/// The same in every run, so that a change that breaks one is known by it.
const FIXED: std::ops::Range<u64> = 1..201;

/// Others, new in each run.
const FRESH: u64 = 10;

#[test]
fn mended_bugs_stay_mended() {
    for (seed, what) in MENDED {
        let broken = cluster::run(*seed, Keep::Nothing).violations;
        assert!(broken.is_empty(), "seed {seed} ({what}): {broken:?}");
    }
}

#[test]
fn every_call_has_one_owner_one_end_and_one_record() {
    let (mut records, mut answered) = (0, 0);
    for seed in FIXED {
        let outcome = cluster::run(seed, Keep::Nothing);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {outcome:?}; replay: cargo xtask sim --scene cluster --seed {seed}"
        );
        records += outcome.records;
        answered += outcome.answered;
    }
    // A simulation in which nothing happens proves nothing.
    assert!(records > 1_000, "only {records} calls were made");
    assert!(answered > 500, "only {answered} calls were answered");
}

#[test]
fn so_it_is_under_seeds_nobody_has_tried() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let from = now.map_or(0, |since| since.as_micros() as u64);
    for seed in from..from + FRESH {
        let broken = cluster::run(seed, Keep::Nothing).violations;
        assert!(
            broken.is_empty(),
            "seed {seed}: {broken:?}; replay: cargo xtask sim --scene cluster --seed {seed}"
        );
    }
}

/// RFC 3261 §13.3.1.4: whoever takes the call up says it again.
#[test]
fn an_answer_that_was_lost_with_its_switch_is_heard() {
    let mut answered = 0;
    for (seed, what) in LOST {
        let broken = cluster::run_with_lost_answers(*seed, Keep::Nothing).violations;
        assert!(broken.is_empty(), "seed {seed} ({what}): {broken:?}");
    }
    for seed in FIXED {
        let outcome = cluster::run_with_lost_answers(seed, Keep::Nothing);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {outcome:?}; replay: cargo xtask sim --scene answers --seed {seed}"
        );
        answered += outcome.answered;
    }
    assert!(answered > 500, "only {answered} calls were answered");
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 1..5 {
        assert_eq!(
            cluster::run(seed, Keep::Trace),
            cluster::run(seed, Keep::Trace)
        );
    }
}
