//! The nodes, the store, and the order in which things happen.

use std::collections::VecDeque;
use std::time::Duration;

use clock::Time;
use cluster::{Door, Member, Renewed};
use limits::{Claim, EntityId, Limit, Limits};

use super::faults::Fault;
use super::node::{Node, State};
use crate::Keep;
use crate::dice::Dice;
use crate::live::Live;
use crate::queue::Queue;
use crate::trace::Trace;

/// Everything.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) live: Live,
    pub(super) nodes: Vec<Node>,
    pub(super) limits: Vec<(EntityId, Limit)>,
    /// What one node would admit that had all calls and shared nothing.
    pub(super) one: Limits,
    pub(super) cuts: Cuts,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) violations: Vec<String>,
    pub(super) tally: Tally,
    pub(super) phase: Phase,
    queue: Queue<Happening>,
    /// Admissions to what has a limit of calls per second.
    pub(super) recent: Recent,
    /// The same if one node had all calls.
    pub(super) recent_by_one: Recent,
}

/// Admissions of the last second.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Time>);

impl Recent {
    pub(super) fn push(&mut self, now: Time) {
        self.0.push_back(now);
    }

    pub(super) fn count(&mut self, now: Time) -> u32 {
        while self.0.front().is_some_and(|at| *at + SECOND <= now) {
            self.0.pop_front();
        }
        self.0.len() as u32
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) offered: usize,
    pub(super) admitted: usize,
}

/// What calls are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// They come and go.
    Mixed,
    /// They stay, and are far more than the limits allow.
    Demand,
    /// There are none.
    Quiet,
}

/// Until when lines are cut.
#[derive(Debug)]
pub(super) struct Cuts {
    /// From each node to the store.
    pub(super) store: Vec<Time>,
    /// Between each two nodes, the smaller number first.
    pub(super) nodes: Vec<Vec<Time>>,
}

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// On a node, in the life it has now.
    On { node: usize, life: u32, step: Step },
    /// At the store.
    Question {
        node: usize,
        life: u32,
        question: Question,
    },
    /// At a node's door, by another.
    Knock {
        from: usize,
        life: u32,
        to: Member,
        since: Option<Time>,
    },
    /// Something goes wrong, or well again.
    Fault(Fault),
    /// Calls come at other rates.
    Rates,
    /// The replica hears of everything.
    Replicate,
}

/// What a node does.
#[derive(Debug)]
pub(super) enum Step {
    /// It asks the store.
    Round,
    /// The store has answered a question; `Err` if it refused.
    Answer {
        number: u64,
        answer: Result<Renewed, ()>,
    },
    /// It has waited for an answer for as long as it does.
    Patience { number: u64 },
    /// Somebody comes by for its lease.
    Lease,
    /// A call comes.
    Call,
    /// A call ends.
    End { call: u64 },
    /// What was found at a door.
    Found { member: Member, door: Door },
    /// It was tried to bury somebody.
    Buried { asked: Time },
    /// It has taken no calls for a while, and leaves.
    Leave,
}

/// What the store is asked.
#[derive(Debug)]
pub(super) enum Question {
    Renew {
        number: u64,
        id: String,
        claims: Vec<Claim>,
    },
    Bury {
        dead: Member,
        asked: Time,
    },
    Leave {
        id: String,
    },
}

impl World {
    pub(super) fn new(seed: u64, keep: Keep) -> Self {
        let mut dice = Dice::new(seed);
        let start = Time::ZERO + crate::START;
        let count = 2 + dice.below(3) as usize;
        let skew = |dice: &mut Dice| dice.millis(0, 3_000);
        let nodes = (0..count).map(|at| Node::new(at, skew(&mut dice)));
        let nodes = nodes.collect();
        let mut world = Self {
            now: start,
            live: Live::new(),
            nodes,
            limits: super::scenario::limits(&mut dice),
            one: Limits::new(),
            cuts: Cuts {
                store: vec![start; count],
                nodes: vec![vec![start; count]; count],
            },
            dice,
            trace: Trace::new(keep, start),
            violations: Vec::new(),
            tally: Tally::default(),
            phase: Phase::Mixed,
            queue: Queue::new(),
            recent: Recent::default(),
            recent_by_one: Recent::default(),
        };
        world.one.configure_all(world.limits.iter().copied());
        super::scenario::prepare(&mut world);
        world
    }

    /// Runs for a while, or until a rule is broken.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.violations.is_empty()
            && let Some((at, what)) = self.queue.pop(end)
        {
            self.now = self.now.max(at);
            self.happen(what);
        }
        self.now = end;
    }

    pub(super) fn push(&mut self, after: Duration, what: Happening) {
        self.queue.push(self.now + after, what);
    }

    /// A node does something later.
    pub(super) fn later(&mut self, node: usize, after: Duration, step: Step) {
        let life = self.nodes[node].life;
        self.push(after, Happening::On { node, life, step });
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::On { node, life, step } => {
                if self.nodes[node].life != life {
                    return;
                }
                match self.nodes[node].state {
                    // It waits, and then the threads run in any order.
                    State::Paused { until } => {
                        let after = until.since(self.now) + self.dice.millis(0, 5);
                        self.push(after, Happening::On { node, life, step });
                    }
                    State::Up => self.step(node, step),
                    State::Down | State::Dark => {}
                }
            }
            Happening::Question {
                node,
                life,
                question,
            } => self.answer(node, life, question),
            Happening::Knock {
                from,
                life,
                to,
                since,
            } => self.knock(from, life, to, since),
            Happening::Fault(fault) => self.suffer(fault),
            Happening::Rates if self.phase == Phase::Mixed => self.draw_rates(),
            Happening::Rates => {}
            Happening::Replicate => {
                self.live.replicate();
                let after = self.dice.millis(50, 900);
                self.push(after, Happening::Replicate);
            }
        }
    }

    pub(super) fn tell(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.trace.is_on() {
            let text = text(self);
            self.trace.line(self.now, || text);
        }
    }

    pub(super) fn violation(&mut self, text: String) {
        self.tell(|_| format!("BROKEN: {text}"));
        self.violations.push(text);
    }
}

const SECOND: Duration = Duration::from_secs(1);
