//! Limits that nodes share, from one seed: nodes with their shares, the live store, and whatever may
//! go wrong between them.
//!
//! For forty seconds calls come to the nodes, at rates that change, while nodes crash, are started
//! again, are stopped and go on, leave, and lose the way to the store or to each other, and the store
//! is slow, refuses, is gone, forgets what it was told last, or everything. Then all is well again,
//! and the limits must be used in full, wherever the calls come. At last a node is killed: five
//! seconds later the others must have what it held. [`run`] says which rule was broken, if one was.
//!
//! What nodes do is in [`limits::Shares`] and [`cluster::Watch`], what the store does in
//! [`cluster::LiveModel`]; the threads of a node that carry between them are here as steps.
//!
//! The sum of a limit may be exceeded, and is not looked at, in two cases that are not simulated: a
//! node that is cut off from the store and from everybody for more than a minute and still gets
//! calls; and a store that forgets while a node cannot reach it, or is stopped.

mod check;
mod faults;
mod node;
mod scenario;
mod step;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::World;
use crate::{Keep, Outcome};

/// Makes the run of a seed. A panic counts as a broken rule.
#[must_use]
pub fn run(seed: u64, keep: Keep) -> Outcome {
    let mut world = World::new(seed, keep);
    let result = catch_unwind(AssertUnwindSafe(|| scenario::play(&mut world)));
    world.violations.extend(crate::panic_of(result));
    Outcome {
        violations: world.violations,
        trace: world.trace.into_lines(),
        records: world.tally.offered,
        answered: world.tally.admitted,
    }
}
