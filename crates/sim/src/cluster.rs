//! A whole cluster from one seed: dispatchers, switches with their threads, the live store, phones, a
//! customer and carriers, and whatever may go wrong among them.
//!
//! For forty-five seconds calls are made by way of the dispatchers while datagrams are lost, doubled
//! and delayed past each other, switches are killed and started again, or stopped and go on, or lose
//! the way to the store, and the store is slow, refuses, is gone, or forgets. Then all is well, every
//! switch is started, and the clock runs until every call is over. At last nothing may be left
//! anywhere. [`run`] says which rule was broken, if one was.
//!
//! Switches and dispatchers are the machines that run in production, as is what a switch decides about
//! its neighbours ([`cluster::Watch`]). What its thread does for calls that change their node is
//! [`cluster::Keeper`], as in a node; the store is [`cluster::LiveModel`].
//!
//! Left out: streams, media (switches hand descriptions on as they come), phones that are called
//! and limits.

mod ambush;
mod carry;
mod check;
mod faults;
mod front;
mod journal;
mod keep;
mod losses;
mod node;
mod platform;
mod scenario;
mod threads;
mod visit;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::ambush::Ambush;
use self::world::World;
use crate::{Keep, Outcome};

/// Makes the run of a seed. A panic counts as a broken rule.
#[must_use]
pub fn run(seed: u64, keep: Keep) -> Outcome {
    outcome(World::new(seed, keep, Ambush::None))
}

/// The same, but for what goes wrong: the answers to some calls are lost, and then the switch that gave
/// them is killed.
#[must_use]
pub fn run_with_lost_answers(seed: u64, keep: Keep) -> Outcome {
    outcome(World::new(seed, keep, Ambush::new(seed)))
}

fn outcome(mut world: World) -> Outcome {
    let result = catch_unwind(AssertUnwindSafe(|| scenario::play(&mut world)));
    let mut violations = world.ledger.violations;
    violations.extend(crate::panic_of(result));
    let (records, answered) = world.journal.counts();
    Outcome {
        violations,
        records,
        answered,
        trace: world.trace.into_lines(),
    }
}

/// What nodes of a cluster share.
const CLUSTER_KEY: [u8; 32] = [7; 32];
