//! A whole cluster, under fixed seeds.
//!
//! Fresh seeds are for `cargo xtask sim --scene cluster --seeds N` as yet: of a thousand some still
//! break a rule. Seen so far, and open: a request inside a dialog that a dispatcher sent elsewhere while
//! its switch did not answer probes moves the call there, and the ACK that goes to the switch again is not
//! sent on (the answer is repeated in vain); an answered call whose 200 was lost with its switch is not
//! answered again by whoever takes it over; a dispatcher may keep a request for ever. Not simulated for
//! being broken: a word to the live store that comes after a later one.

use sim::{Keep, cluster};

/// The same in every run, so that a change that breaks one is known by it.
const FIXED: std::ops::Range<u64> = 1..201;

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
fn a_seed_is_always_the_same_run() {
    for seed in 1..5 {
        assert_eq!(
            cluster::run(seed, Keep::Trace),
            cluster::run(seed, Keep::Trace)
        );
    }
}
