//! The choice among candidates.

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use core::hash::Hasher as _;

use crate::{Algorithm, Draw};

/// A target that may be chosen, and where it stands in the set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) index: usize,
    /// Its weight in thousandths, never 0.
    pub(crate) weight: u64,
    /// Its calls.
    pub(crate) load: u64,
    /// The hash of its name.
    pub(crate) name: u64,
}

pub(crate) type Candidates = SmallVec<[Candidate; 16]>;

/// Chooses one; `turns` has the memory of the interleaving for each target of the set.
pub(crate) fn choose(
    algorithm: Algorithm,
    candidates: &Candidates,
    turns: &mut [i64],
    key: u64,
    draw: &mut Draw,
) -> Option<usize> {
    match (algorithm, candidates.as_slice()) {
        (_, []) => None,
        (_, [only]) => Some(only.index),
        (Algorithm::RoundRobin | Algorithm::Weighted, all) => interleave(all, turns),
        (Algorithm::LeastCalls, all) => least(all, draw),
        (Algorithm::TwoChoices, all) => two(all, draw),
        (Algorithm::Hash, all) => rendezvous(all, key),
    }
}

/// Smooth weighted round robin: each gains its weight, the richest is taken and pays for all.
fn interleave(all: &[Candidate], turns: &mut [i64]) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<usize> = None;
    for candidate in all {
        let weight = i64::try_from(candidate.weight).unwrap_or(i64::MAX >> 16);
        total += weight;
        let turn = turns.get_mut(candidate.index)?;
        *turn += weight;
        let turn = *turn;
        if best.is_none_or(|best| turns[best] < turn) {
            best = Some(candidate.index);
        }
    }
    let best = best?;
    turns[best] -= total;
    Some(best)
}

fn least(all: &[Candidate], draw: &mut Draw) -> Option<usize> {
    let mut best: Option<&Candidate> = None;
    let mut equals = 1;
    for candidate in all {
        let Some(known) = best else {
            best = Some(candidate);
            continue;
        };
        if is_lighter(candidate, known) {
            best = Some(candidate);
            equals = 1;
        } else if !is_lighter(known, candidate) {
            // Of equals each is taken with the same chance.
            equals += 1;
            if draw.below(equals) == 0 {
                best = Some(candidate);
            }
        }
    }
    best.map(|best| best.index)
}

fn two(all: &[Candidate], draw: &mut Draw) -> Option<usize> {
    let first = drawn(all, None, draw)?;
    let second = drawn(all, Some(first.index), draw)?;
    let best = if is_lighter(second, first) {
        second
    } else {
        first
    };
    Some(best.index)
}

/// One by the weight of chance, another than `but`.
fn drawn<'a>(all: &'a [Candidate], but: Option<usize>, draw: &mut Draw) -> Option<&'a Candidate> {
    let others = || all.iter().filter(|c| Some(c.index) != but);
    let total: u64 = others().map(|c| c.weight).sum();
    let mut at = draw.below(total.max(1));
    others().find(|c| {
        let found = at < c.weight;
        at = at.saturating_sub(c.weight);
        found
    })
}

/// Whether one more call weighs less here than there.
fn is_lighter(here: &Candidate, there: &Candidate) -> bool {
    let cost = |load: u64, other: u64| u128::from(load + 1) * u128::from(other);
    cost(here.load, there.weight) < cost(there.load, here.weight)
}

/// Weighted rendezvous: each target draws a number of key and name; with u uniform in (0, 1), the
/// largest of -weight / ln u wins with a chance in proportion to its weight.
fn rendezvous(all: &[Candidate], key: u64) -> Option<usize> {
    let mut best = None;
    let mut highest = f64::NEG_INFINITY;
    for candidate in all {
        let mut hasher = SipHasher13::new_with_keys(key, candidate.name);
        hasher.write_u64(candidate.name);
        // 53 bits, and a half so that it is neither 0 nor 1.
        let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let score = -(candidate.weight as f64) / uniform.ln();
        if score > highest {
            highest = score;
            best = Some(candidate.index);
        }
    }
    best
}

/// The hash of a name, the same on every dispatcher.
pub(crate) fn name_hash(name: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(name.as_bytes());
    hasher.finish()
}
