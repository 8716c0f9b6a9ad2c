//! A deterministic simulation of the switch: phones, a customer, carriers, a media relay, a
//! resolver and a bad network on virtual time, all drawn from one seed.
//!
//! A run has three parts. For 45 seconds calls are made while datagrams are lost, doubled,
//! delayed past each other, agents crash or are cut off. Then the network is good and the clock
//! runs until every call is over. At last the configuration is emptied, so that nothing recurs,
//! and everything the switch holds must be gone. [`run`] says which rule was broken, if one was;
//! the same seed gives the same run.
//!
//! Left out: TLS and WebSocket, streams that are cut in the middle of a message, media packets, and
//! a restart of the switch itself. What several nodes do together is simulated in scenes of its own:
//! [`permits`], [`cluster`](mod@cluster).

mod agent;
mod check;
pub mod cluster;
mod dice;
mod ledger;
mod live;
mod names;
mod network;
pub mod permits;
mod platform;
mod queue;
mod relay;
mod scenario;
mod trace;
mod watch;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use clock::Time;

use world::World;

/// When the clock of a run starts, since the Unix epoch.
const START: Duration = Duration::from_secs(1_700_000_000);

/// Whether a run keeps its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It does.
    Trace,
    /// It does not, and is faster.
    Nothing,
}

/// A world to make runs in.
#[derive(Debug)]
pub struct Scene {
    /// What it is called.
    pub name: &'static str,
    /// What became of calls that went well.
    pub did: &'static str,
    /// Makes the run of a seed.
    pub run: fn(u64, Keep) -> Outcome,
}

/// All scenes.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "switch",
        did: "answered",
        run,
    },
    Scene {
        name: "permits",
        did: "admitted",
        run: permits::run,
    },
    Scene {
        name: "cluster",
        did: "answered",
        run: cluster::run,
    },
    Scene {
        name: "answers",
        did: "answered",
        run: cluster::run_with_lost_answers,
    },
];

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rules that were broken; none is right.
    pub violations: Vec<String>,
    /// The log, if it was kept.
    pub trace: Vec<String>,
    /// Calls that have a record; of limits alone, that came.
    pub records: usize,
    /// Calls that were answered; of limits alone, that were admitted.
    pub answered: usize,
}

/// Makes the run of a seed. A panic of the switch counts as a broken rule.
#[must_use]
pub fn run(seed: u64, keep: Keep) -> Outcome {
    let mut world = World::new(seed, keep);
    let result = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    let mut violations = world.ledger.violations;
    violations.extend(panic_of(result));
    let answered = |e: &switch::JournalEvent| matches!(e, switch::JournalEvent::Answered { .. });
    let closed = |e: &switch::JournalEvent| matches!(e, switch::JournalEvent::Closed(_));
    let journal = &world.ledger.journal;
    Outcome {
        violations,
        records: journal.iter().filter(|(_, e)| closed(e)).count(),
        answered: journal.iter().filter(|(_, e)| answered(e)).count(),
        trace: world.trace.into_lines(),
    }
}

/// What a run has panicked with, if it has.
fn panic_of(result: std::thread::Result<()>) -> Option<String> {
    let panic = result.err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Some(format!("panic: {}", text.unwrap_or("?")))
}

fn play(world: &mut World) {
    let start = Time::ZERO + START;
    world.run_until(start + scenario::FAULTY);
    world.ledger.is_closing = true;
    let deadline = start + LIVENESS;
    while world.ledger.violations.is_empty() && !is_quiet(world) && world.now < deadline {
        world.run_until(world.now + Duration::from_secs(5));
    }
    if world.ledger.violations.is_empty() && !is_quiet(world) {
        let calls = world.switch.leftovers();
        world
            .ledger
            .violation(format!("calls do not end: {calls:?}"));
    }
    // What is still on its way belongs to the old configuration.
    world.run_until(world.now + SETTLING);
    if world.ledger.violations.is_empty() {
        world.wind_down();
        world.run_until(world.now + FORGETTING);
    }
    if world.ledger.violations.is_empty() {
        check::check_emptiness(world);
        check::check(world);
    }
}

/// Whether all calls are over, for the switch and for the agents.
fn is_quiet(world: &World) -> bool {
    let talking = world.agents.iter().flat_map(|a| &a.sessions);
    world.switch.leftovers().calls == 0
        && talking
            .into_iter()
            .all(|s| s.stage == agent::session::Stage::Down)
}

/// By when all calls have to be over: the longest conversation, transferred again and again.
const LIVENESS: Duration = Duration::from_secs(1_200);
/// Longer than any datagram is on its way.
const SETTLING: Duration = Duration::from_secs(5);
/// How long transactions outlive their calls: timer C of an INVITE that nobody answers, then 64*T1.
const FORGETTING: Duration = Duration::from_secs(650);
