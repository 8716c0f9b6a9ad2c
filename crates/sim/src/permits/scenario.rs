//! What a run is about: the limits, the calls, and what goes wrong when.

use std::time::Duration;

use limits::{EntityId, EntityKind, Limit, LimitKind};

use super::faults::Fault;
use super::world::{Happening, Phase, World};
use crate::dice::Dice;
use crate::live::Health;

/// Has a limit of channels.
pub(super) const CUSTOMER: EntityId = EntityId::new(EntityKind::Customer, 1);
/// Has a limit of calls per second.
pub(super) const CARRIER: EntityId = EntityId::new(EntityKind::Carrier, 2);
/// Has fewer channels than there are nodes.
const NUMBER: EntityId = EntityId::new(EntityKind::Number, 3);

pub(super) fn limits(dice: &mut Dice) -> Vec<(EntityId, Limit)> {
    let channels = |channels| Limit {
        cps: None,
        channels: Some(channels),
    };
    let cps = Limit {
        cps: Some(dice.pick(&[1, 2, 5, 20, 50])),
        channels: None,
    };
    vec![
        (CUSTOMER, channels(dice.pick(&[1, 2, 3, 5, 10, 30, 100]))),
        (CARRIER, cps),
        (NUMBER, channels(dice.pick(&[1, 2]))),
    ]
}

/// Starts the nodes, and draws what goes wrong.
pub(super) fn prepare(world: &mut World) {
    let count = world.nodes.len();
    for node in 0..count {
        let after = world.dice.millis(0, 1_000);
        world.push(after, Happening::Fault(Fault::Start { node }));
    }
    world.push(Duration::ZERO, Happening::Replicate);
    world.push(Duration::ZERO, Happening::Rates);
    // What a store forgets it is told again by those who reach it.
    let may_forget = world.dice.percent(35);
    for _ in 0..1 + world.dice.below(6) {
        let at = world.dice.millis(2_000, 36_000);
        let (fault, mended) = draw_fault(&mut world.dice, count, may_forget);
        world.push(at, Happening::Fault(fault));
        if let Some((after, fault)) = mended {
            world.push((at + after).min(FAULTY), Happening::Fault(fault));
        }
    }
}

/// Plays it from the beginning to the end.
pub(super) fn play(world: &mut World) {
    world.run(FAULTY);
    for node in 0..world.nodes.len() {
        if world.dice.percent(80) || node == 0 {
            world.push(Duration::ZERO, Happening::Fault(Fault::Start { node }));
        }
    }
    world.push(Duration::ZERO, Happening::Fault(Fault::Store(Health::Good)));
    world.run(SETTLING);
    world.hang_up();
    world.phase = Phase::Demand;
    world.draw_rates();
    world.run(FILLING);
    world.check_channels_used("where the calls come");
    world.check_rate_used(MEASURED);
    if !world.violations.is_empty() {
        return;
    }
    kill_one(world);
    world.phase = Phase::Quiet;
    world.hang_up();
    world.run(WINDING_DOWN);
    for node in 0..world.nodes.len() {
        world.push(Duration::ZERO, Happening::Fault(Fault::Leave { node }));
    }
    world.run(WINDING_DOWN);
    if world.violations.is_empty() {
        world.check_emptiness();
    }
}

/// A node dies, and the others have what it held.
fn kill_one(world: &mut World) {
    let up = |world: &World| {
        let nodes = world.nodes.iter().enumerate();
        let up = nodes.filter(|(_, node)| node.is_running());
        up.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let alive = up(world);
    if alive.len() < 2 {
        return;
    }
    let node = world.dice.pick(&alive);
    world.suffer(Fault::Crash { node });
    world.draw_rates();
    world.run(FREE_AGAIN);
    world.check_channels_used("five seconds after a node was killed");
}

impl World {
    /// Calls come at other rates, for a while.
    pub(super) fn draw_rates(&mut self) {
        let channels = self.limit(CUSTOMER, LimitKind::Channels).unwrap_or(0);
        let cps = self.limit(CARRIER, LimitKind::Cps).unwrap_or(0);
        let most = u64::from(channels.max(4 * cps).max(10));
        let up: Vec<usize> = (0..self.nodes.len())
            .filter(|at| self.nodes[*at].is_running())
            .collect();
        for node in &mut self.nodes {
            node.rate = 0;
        }
        if self.phase == Phase::Mixed {
            for at in 0..self.nodes.len() {
                self.nodes[at].rate = self.dice.pick(&[0, 1, most / 2, 2 * most]);
            }
            let after = self.dice.millis(2_000, 8_000);
            self.push(after, Happening::Rates);
            return;
        }
        if up.is_empty() {
            return;
        }
        let first = self.dice.pick(&up);
        for at in up {
            if at == first || self.dice.percent(40) {
                self.nodes[at].rate = 2 * most.max(DEMAND_MIN);
            }
        }
        self.tell(|world| {
            let rates: Vec<_> = world.nodes.iter().map(|n| (&*n.id, n.rate)).collect();
            format!("calls a second: {rates:?}")
        });
    }

    /// Whom the next call concerns.
    pub(super) fn draw_entities(&mut self) -> Vec<EntityId> {
        if self.phase == Phase::Demand {
            return vec![self.dice.pick(&[CUSTOMER, CARRIER])];
        }
        match self.dice.below(5) {
            0 => vec![CUSTOMER],
            1 => vec![CARRIER],
            2 => vec![NUMBER],
            3 => vec![CUSTOMER, CARRIER],
            _ => vec![CUSTOMER, NUMBER],
        }
    }

    /// How long a call lasts; `None` for ever.
    pub(super) fn draw_duration(&mut self, entities: &[EntityId]) -> Option<Duration> {
        match self.phase {
            Phase::Demand if entities.contains(&CUSTOMER) => None,
            Phase::Demand => Some(Duration::from_millis(50)),
            _ => Some(self.dice.millis(100, 6_000)),
        }
    }

    /// All calls end.
    fn hang_up(&mut self) {
        for node in &mut self.nodes {
            let calls: Vec<u64> = node.calls.keys().copied().collect();
            for call in calls {
                node.hang_up(self.now, call);
            }
        }
    }
}

/// A fault, and by what it ends after which time.
fn draw_fault(
    dice: &mut Dice,
    nodes: usize,
    may_forget: bool,
) -> (Fault, Option<(Duration, Fault)>) {
    let node = dice.below(nodes as u64) as usize;
    let other = (node + 1 + dice.below(nodes as u64 - 1) as usize) % nodes;
    let start = Fault::Start { node };
    let (cut_ms, pause_ms) = match may_forget {
        true => (800, 900),
        false => (14_000, 12_000),
    };
    match dice.below(10) {
        0 => (Fault::Crash { node }, None),
        1 => {
            let again = dice.millis(300, 15_000);
            (Fault::Crash { node }, Some((again, start)))
        }
        2 => {
            let again = dice.millis(1_500, 20_000);
            (Fault::Dark { node }, Some((again, start)))
        }
        3 | 4 => {
            let time = dice.millis(100, pause_ms);
            (Fault::Pause { node, time }, None)
        }
        5 => {
            let again = dice.millis(2_000, 10_000);
            (Fault::Leave { node }, Some((again, start)))
        }
        6 => {
            let time = dice.millis(100, cut_ms);
            (Fault::CutStore { node, time }, None)
        }
        7 => {
            let time = dice.millis(100, 14_000);
            let one = node;
            (Fault::CutNodes { one, other, time }, None)
        }
        8 if may_forget => {
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

/// So many calls a second that the time between two of them does not matter.
const DEMAND_MIN: u64 = 200;
/// Faults come until then.
const FAULTY: Duration = Duration::from_secs(40);
/// Then all goes on, and everybody has heard of everybody: a process that was stopped at the end, and
/// was taken for dead.
const SETTLING: Duration = Duration::from_secs(20);
/// By when all is used that may be.
const FILLING: Duration = Duration::from_secs(6);
/// For how long it is looked how many are admitted.
const MEASURED: Duration = Duration::from_secs(10);
/// When the channels of a killed node are back.
const FREE_AGAIN: Duration = Duration::from_secs(5);
const WINDING_DOWN: Duration = Duration::from_secs(3);
