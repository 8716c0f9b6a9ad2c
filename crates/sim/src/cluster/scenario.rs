//! What a run is about: who is there, who calls whom, and what goes wrong when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock::Time;

use super::faults::Fault;
use super::node::State;
use super::platform::dispatcher_address;
use super::world::{Happening, World};
use crate::agent::session::Stage;
use crate::agent::{Agent, Kind, Temper, What, Wish};
use crate::dice::Dice;
use crate::live::Health;
use crate::network::{Faults, Network};
use crate::platform::{NUMBER_OF_CUSTOMER, customer_address, gateway_address};

/// The network, whether it loses and delays nothing, and those outside of the platform.
pub(super) fn surroundings(dice: &mut Dice, fronts: usize) -> (Network, bool, Vec<Agent>) {
    let start = Time::ZERO + crate::START;
    let mut faults = Faults::draw(dice);
    // Beyond, so many repetitions are lost that calls are given up for dead.
    faults.lost = faults.lost.min(5);
    let is_lossless = faults.lost == 0 && faults.late == 0;
    let network = Network::new(faults, start + FAULTY, Vec::new());
    let phone = |at: u8, name: &'static str| {
        let address = SocketAddr::from(([198, 51, 100, at], 40_000));
        let host = format!("10.0.0.{at}:5060");
        Agent::new((name, name), Kind::Phone, address, host)
    };
    let trunk = |name: &'static str, address: SocketAddr| {
        Agent::new((name, name), Kind::Trunk, address, address.to_string())
    };
    let mut agents = vec![
        phone(1, "alice"),
        phone(2, "bob"),
        phone(3, "carol"),
        trunk("customer", customer_address()),
        trunk("gw1", gateway_address(1)),
        trunk("gw3", gateway_address(3)),
    ];
    for agent in &mut agents {
        agent.temper = Temper::Plain;
        agent.proxy = dispatcher_address(dice.below(fronts as u64) as usize);
    }
    (network, is_lossless, agents)
}

/// Starts the switches, and draws calls and faults; how many.
pub(super) fn prepare(world: &mut World) -> u64 {
    let count = world.nodes.len();
    for node in 0..count {
        let after = world.dice.millis(0, 500);
        world.push(after, Happening::Fault(Fault::Start { node }));
    }
    world.push(Duration::ZERO, Happening::Replicate);
    for number in 1..=4 + world.dice.below(10) as u32 {
        let (after, agent, wish) = draw_call(&mut world.dice, number);
        world.push(after, Happening::Wish { agent, wish });
    }
    // In some runs nothing goes wrong but the network.
    let faults = match world.dice.below(4) {
        0 => 0,
        _ if world.ambush.is_set() => 0,
        _ => 1 + world.dice.below(4),
    };
    // What a store forgets it is told again by those who reach it.
    let may_forget = world.dice.percent(35);
    for _ in 0..faults {
        let at = world.dice.millis(4_000, 40_000);
        let (fault, mended) = draw_fault(&mut world.dice, count, may_forget);
        world.push(at, Happening::Fault(fault));
        if let Some((after, fault)) = mended {
            world.push((at + after).min(FAULTY), Happening::Fault(fault));
        }
    }
    if faults > 0 && world.dice.percent(20) {
        let front = world.dice.below(world.fronts.len() as u64) as usize;
        let at = world.dice.millis(4_000, 40_000);
        let again = at + world.dice.millis(100, 8_000);
        let (crash, start) = (Fault::CrashFront { front }, Fault::StartFront { front });
        world.push(at, Happening::Fault(crash));
        world.push(again, Happening::Fault(start));
    }
    faults
}

/// Plays it from the beginning to the end.
pub(super) fn play(world: &mut World) {
    world.run(FAULTY);
    world.ledger.is_closing = true;
    world.push(Duration::ZERO, Happening::Fault(Fault::Store(Health::Good)));
    for node in 0..world.nodes.len() {
        world.push(Duration::ZERO, Happening::Fault(Fault::Start { node }));
    }
    let deadline = world.now + LIVENESS;
    world.run(SETTLING);
    while world.ledger.violations.is_empty() && !is_quiet(world) && world.now < deadline {
        world.run(Duration::from_secs(5));
    }
    if world.ledger.violations.is_empty() && !is_quiet(world) {
        world.check_quiet();
    }
    world.run(SETTLING);
    if !world.ledger.violations.is_empty() {
        return;
    }
    world.check_store();
    world.is_resting = true;
    let emptied = crate::platform::emptied(&world.snapshot);
    let emptied = Arc::new(emptied);
    for at in 0..world.nodes.len() {
        let node = &mut world.nodes[at];
        let now = node.clock(world.now);
        node.switch.configure(now, Arc::clone(&emptied));
        world.drain_switch(at);
    }
    world.run(FORGETTING);
    world.check_fronts();
    // Nobody asks switches any more whether they are there.
    for front in &mut world.fronts {
        front.is_up = false;
    }
    world.run(ECHOING);
    if world.ledger.violations.is_empty() {
        world.check_emptiness();
        world.check_records();
    }
}

/// Whether all calls are over, for switches and agents.
fn is_quiet(world: &World) -> bool {
    let mut talking = world.agents.iter().flat_map(|agent| &agent.sessions);
    let is_over = |node: &super::node::Node| {
        node.state == State::Up && node.switch.leftovers().calls == 0 && node.unsettled.is_empty()
    };
    world.nodes.iter().all(is_over) && talking.all(|session| session.stage == Stage::Down)
}

fn draw_call(dice: &mut Dice, number: u32) -> (Duration, usize, Wish) {
    let agent = dice.pick(&[0, 0, 1, 1, 2, 2, 3, 3, 4, 5]);
    let abroad = format!("4420{number:05}");
    let to = match agent {
        0..3 if dice.percent(25) => NUMBER_OF_CUSTOMER.to_owned(),
        0..4 => abroad,
        _ => NUMBER_OF_CUSTOMER.to_owned(),
    };
    let when = dice.millis(2_000, FAULTY.as_millis() as u64);
    let what = What::Call { number, to };
    (when, agent, Wish { life: 0, what })
}

/// A fault, and by what it ends after which time.
fn draw_fault(
    dice: &mut Dice,
    nodes: usize,
    may_forget: bool,
) -> (Fault, Option<(Duration, Fault)>) {
    let node = dice.below(nodes as u64) as usize;
    let start = Fault::Start { node };
    let (cut_ms, pause_ms) = match may_forget {
        true => (800, 900),
        false => (14_000, 12_000),
    };
    match dice.below(9) {
        0 => (Fault::Crash { node }, None),
        1 | 2 => {
            let again = dice.millis(300, 15_000);
            (Fault::Crash { node }, Some((again, start)))
        }
        3 | 4 => {
            let time = dice.millis(100, pause_ms);
            (Fault::Pause { node, time }, None)
        }
        5 => {
            let time = dice.millis(100, cut_ms);
            (Fault::CutStore { node, time }, None)
        }
        6 if may_forget => {
            let fault = dice.pick(&[Fault::FailOver, Fault::Restart, Fault::Flush]);
            (fault, None)
        }
        _ => {
            let health = match may_forget {
                true => dice.pick(&[Health::Refusing, Health::Gone]),
                false => dice.pick(&[Health::Slow, Health::Refusing, Health::Gone]),
            };
            let time = dice.millis(500, 10_000);
            let well = Fault::Store(Health::Good);
            (Fault::Store(health), Some((time, well)))
        }
    }
}

/// Faults and new calls end after this time.
const FAULTY: Duration = Duration::from_secs(45);
/// Longer than anything is on its way, and than it takes to know what became of a crash's calls.
const SETTLING: Duration = Duration::from_secs(15);
/// By when all calls have to be over: the longest conversation, and the patience of session timers.
const LIVENESS: Duration = Duration::from_secs(500);
/// How long transactions outlive their calls.
const FORGETTING: Duration = Duration::from_secs(400);
/// Until an agent gives up what it asked a switch that died, and the switch forgets that it did.
const ECHOING: Duration = Duration::from_secs(300);
