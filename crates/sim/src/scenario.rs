//! What a run is about, drawn before it begins: who is there, who calls whom, and what goes wrong.

use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;
use model::Snapshot;
use sip::ConnId;

use crate::agent::{Agent, Kind, What, Wish};
use crate::dice::Dice;
use crate::network::{self, Faults, Network};
use crate::platform::{self, NUMBER_OF_ALICE, NUMBER_OF_CUSTOMER, NUMBER_OF_ECHO, USERS};
use crate::world::Happening;

/// A run before its first step.
pub(crate) struct Scenario {
    pub(crate) snapshot: Snapshot,
    pub(crate) network: Network,
    pub(crate) agents: Vec<Agent>,
    pub(crate) happenings: Vec<(Time, Happening)>,
}

/// The agents: name, user, kind, and address as the network sees it. Phones are behind NAT;
/// some users have several.
pub(crate) const AGENTS: [(&str, &str, Kind, Address); 11] = [
    ("alice", "alice", Kind::Phone, ([198, 51, 100, 1], 40_001)),
    ("bob", "bob", Kind::Phone, ([198, 51, 100, 2], 40_002)),
    ("carol", "carol", Kind::Phone, ([198, 51, 100, 2], 40_003)),
    ("dave", "dave", Kind::Phone, ([198, 51, 100, 4], 5_060)),
    ("alice2", "alice", Kind::Phone, ([198, 51, 100, 5], 40_005)),
    ("bob2", "bob", Kind::Phone, ([198, 51, 100, 6], 40_006)),
    ("bob3", "bob", Kind::Phone, ([198, 51, 100, 7], 40_007)),
    (
        "customer",
        "customer",
        Kind::Trunk,
        ([203, 0, 113, 5], 5_060),
    ),
    ("gw1", "gw1", Kind::Trunk, ([203, 0, 113, 11], 5_060)),
    ("gw2", "gw2", Kind::Trunk, ([203, 0, 113, 12], 5_060)),
    ("gw3", "gw3", Kind::Trunk, ([203, 0, 113, 13], 5_060)),
];

/// An address and port.
type Address = ([u8; 4], u16);
/// How many of the agents are phones.
const PHONES: usize = 7;

/// Faults and new calls end after this time.
pub(crate) const FAULTY: Duration = Duration::from_secs(45);

/// Draws a run.
pub(crate) fn draw(dice: &mut Dice) -> Scenario {
    let start = Time::ZERO + crate::START;
    let snapshot = platform::snapshot(dice);
    let mut agents: Vec<Agent> = AGENTS.iter().enumerate().map(agent).collect();
    let mut happenings = Vec::new();
    for at in 0..PHONES {
        if at >= USERS.len() && dice.percent(50) {
            // A second phone that stays off.
            continue;
        }
        let wish = Wish {
            life: 0,
            what: What::Register,
        };
        let when = start + dice.millis(0, 1_000);
        happenings.push((when, Happening::Wish { agent: at, wish }));
    }
    for number in 1..=3 + dice.below(8) as u32 {
        happenings.push(draw_call(dice, start, number));
    }
    let broken = draw_connections(dice, &mut agents);
    happenings.extend(broken.map(|agent| (start + dice.millis(3_000, 60_000), agent)));
    let faults = Faults::draw(dice);
    let mut blackouts = Vec::new();
    if dice.percent(15) {
        let at = dice.below(agents.len() as u64) as usize;
        blackouts.push(network::blackout(dice, agents[at].address, FAULTY));
    }
    if dice.percent(20) {
        let agent = dice.below(agents.len() as u64) as usize;
        let when = start + dice.millis(1_000, FAULTY.as_millis() as u64);
        agents[agent].is_blurred = true;
        happenings.push((when, Happening::Crash { agent }));
        let back = when + dice.millis(100, 60_000);
        happenings.push((back, Happening::Revive { agent }));
    }
    if dice.percent(15) {
        let when = start + dice.millis(5_000, 60_000);
        happenings.push((when, Happening::OperatorHangsUp));
    }
    if dice.percent(15) {
        let when = start + dice.millis(5_000, 60_000);
        happenings.push((when, Happening::MediaSilent));
    }
    for cut in &blackouts {
        for agent in agents.iter_mut().filter(|a| a.address == cut.address) {
            agent.is_blurred = true;
        }
    }
    Scenario {
        snapshot,
        network: Network::new(faults, start + FAULTY, blackouts),
        agents,
        happenings,
    }
}

fn agent((at, known): (usize, &(&'static str, &'static str, Kind, Address))) -> Agent {
    let (name, user, kind, address) = known;
    let address = SocketAddr::from(*address);
    let host = match (kind, *name) {
        (Kind::Phone, _) => format!("10.0.0.{}:5060", at + 1),
        (_, "customer") => format!("{}:5060", platform::CUSTOMER_NAME),
        _ => address.to_string(),
    };
    Agent::new((name, user), *kind, address, host)
}

/// Some phones speak TCP; the connection of one may break.
fn draw_connections(dice: &mut Dice, agents: &mut [Agent]) -> Option<Happening> {
    let mut broken = None;
    for (at, agent) in agents.iter_mut().enumerate().take(PHONES) {
        if !dice.percent(20) {
            continue;
        }
        agent.conn = Some(ConnId(1 + at as u64));
        if dice.percent(20) {
            agent.is_blurred = true;
            broken = Some(Happening::Break { agent: at });
        }
    }
    broken
}

fn draw_call(dice: &mut Dice, start: Time, number: u32) -> (Time, Happening) {
    let agent = dice.below(AGENTS.len() as u64) as usize;
    let abroad = format!("4420{number:05}");
    let to = match (AGENTS[agent].2, AGENTS[agent].0) {
        (Kind::Phone, _) => match dice.below(10) {
            0..5 => dice.pick(&USERS).to_owned(),
            5 => NUMBER_OF_ECHO.to_owned(),
            6 => NUMBER_OF_CUSTOMER.to_owned(),
            7 => "nobody".to_owned(),
            _ => abroad,
        },
        (_, "customer") => match dice.below(4) {
            0 => NUMBER_OF_ALICE.to_owned(),
            _ => abroad,
        },
        _ => dice
            .pick(&[NUMBER_OF_ALICE, NUMBER_OF_CUSTOMER, NUMBER_OF_ECHO])
            .to_owned(),
    };
    let when = start + dice.millis(2_000, FAULTY.as_millis() as u64);
    let what = match dice.below(12) {
        0 => What::Write {
            to: dice.pick(&USERS),
        },
        _ => What::Call { number, to },
    };
    let wish = Wish { life: 0, what };
    (when, Happening::Wish { agent, wish })
}
