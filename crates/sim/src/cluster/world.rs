//! Everything of a run, and the order in which it happens.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use cluster::{Answer, Door, Member, Question, Renewed, Visit};
use limits::Claim;
use model::Snapshot;

use super::ambush::Ambush;
use super::faults::Fault;
use super::front::Front;
use super::journal::Journal;
use super::losses::Losses;
use super::node::{Node, State};
use super::platform;
use crate::Keep;
use crate::agent::{Agent, Wish};
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::live::Live;
use crate::network::Network;
use crate::queue::Queue;
use crate::trace::Trace;
use crate::watch::Watch;

/// Everything.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) live: Live,
    pub(super) nodes: Vec<Node>,
    pub(super) fronts: Vec<Front>,
    pub(super) agents: Vec<Agent>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) journal: Journal,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) network: Network,
    /// What agents were told so far.
    pub(super) watch: Watch,
    /// Until when each switch does not reach the store.
    pub(super) cuts: Vec<Time>,
    /// Until when the store was not well.
    pub(super) away_until: Time,
    /// Names that were taken out for good, whatever the store remembers.
    pub(super) graves: BTreeSet<String>,
    /// What was lost with processes, as far as it may be.
    pub(super) losses: Losses,
    /// Answers that are to be lost with their switches.
    pub(super) ambush: Ambush,
    /// Whether nothing goes wrong at all.
    pub(super) is_calm: bool,
    /// Whether the threads that speak with the store do nothing any more.
    pub(super) is_resting: bool,
    queue: Queue<Happening>,
    steps: u32,
}

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A datagram arrives.
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
    Wish {
        agent: usize,
        wish: Wish,
    },
    /// On a switch, in the life it has now.
    On {
        node: usize,
        life: u32,
        step: Step,
    },
    /// At the store.
    Question {
        node: usize,
        life: u32,
        question: Asked,
    },
    /// At a switch's door, by another.
    Knock {
        from: usize,
        life: u32,
        to: SocketAddr,
        for_whom: Knocker,
        since: Option<Time>,
    },
    /// Something goes wrong, or well again.
    Fault(Fault),
    /// The replica hears of everything.
    Replicate,
}

/// Who knocks.
#[derive(Clone, Debug)]
pub(super) enum Knocker {
    /// The thread with the watch, at a member's.
    Watch(Member),
    /// The thread of the calls, waiting in this turn.
    Calls(u64),
}

/// What a switch's threads do.
#[derive(Debug)]
pub(super) enum Step {
    /// The thread of the permits asks the store.
    Round,
    /// It was answered; `Err` if the store refused.
    Renewed {
        number: u64,
        answer: Result<Renewed, ()>,
    },
    /// It has waited for an answer for as long as it does.
    RenewalPatience { number: u64 },
    /// Somebody comes by for the lease of shares.
    Lease,
    /// What was found at a member's door.
    Found { member: Member, door: Door },
    /// It was tried to bury somebody.
    Buried { asked: Time },
    /// The thread of the calls begins a round, unless it has in this turn.
    Calls { turn: u64 },
    /// The switch does something for it.
    Visit { turn: u64, visit: Visit },
    /// It hears what came of what it waits for.
    Answer { turn: u64, answer: Answer },
}

/// What the store is asked.
#[derive(Debug)]
pub(super) enum Asked {
    Renew {
        number: u64,
        id: String,
        claims: Vec<Claim>,
    },
    Bury {
        dead: Member,
        asked: Time,
    },
    Calls {
        turn: u64,
        /// Who asks, and the number of the question.
        from: (String, u64),
        /// When it is given up.
        until: Time,
        question: Question,
    },
}

impl World {
    pub(super) fn new(seed: u64, keep: Keep, ambush: Ambush) -> Self {
        let mut dice = Dice::new(seed);
        let start = Time::ZERO + crate::START;
        let switches = 2 + dice.below(2) as usize;
        let skewed = dice.percent(40);
        let skew = |dice: &mut Dice| match skewed {
            true => dice.millis(0, 3_000),
            false => Duration::ZERO,
        };
        let nodes = (0..switches).map(|at| Node::new(at, skew(&mut dice)));
        let nodes: Vec<Node> = nodes.collect();
        let fronts = 1 + dice.below(2) as usize;
        let snapshot = platform::snapshot(&mut dice, fronts);
        let fronts = (0..fronts).map(|at| Front::new(at, switches, start, &mut dice));
        let fronts: Vec<Front> = fronts.collect();
        let (network, is_lossless, agents) = super::scenario::surroundings(&mut dice, fronts.len());
        let mut world = Self {
            now: start,
            live: Live::new(),
            nodes,
            fronts,
            agents,
            snapshot: Arc::new(snapshot),
            journal: Journal::default(),
            ledger: Ledger::default(),
            dice,
            trace: Trace::new(keep, start),
            network,
            watch: Watch::default(),
            cuts: vec![start; switches],
            away_until: start,
            graves: BTreeSet::new(),
            losses: Losses::default(),
            ambush,
            is_calm: false,
            is_resting: false,
            queue: Queue::new(),
            steps: 0,
        };
        world.is_calm =
            super::scenario::prepare(&mut world) == 0 && is_lossless && !world.ambush.is_set();
        world
    }

    /// Runs for a while, or until a rule is broken.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.ledger.violations.is_empty() {
            let Some(due) = self.due().filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.step();
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.violation("the run does not come to rest".into());
            }
        }
        self.now = end;
    }

    fn due(&self) -> Option<Time> {
        let fronts = self.fronts.iter().map(Front::poll_timeout);
        let nodes = self.nodes.iter().map(Node::poll_timeout);
        let agents = self.agents.iter().map(Agent::poll_timeout);
        let timers = fronts.chain(nodes).chain(agents).flatten().min();
        self.queue.due().into_iter().chain(timers).min()
    }

    fn step(&mut self) {
        let now = self.now;
        let is_due = |due: Option<Time>| due.is_some_and(|due| due <= now);
        for at in 0..self.fronts.len() {
            if is_due(self.fronts[at].poll_timeout()) {
                self.fronts[at].dispatcher.handle_timeout(now);
                self.drain_front(at);
            }
        }
        for at in 0..self.nodes.len() {
            if is_due(self.nodes[at].poll_timeout()) {
                self.tick(at);
            }
        }
        for at in 0..self.agents.len() {
            if is_due(self.agents[at].poll_timeout()) {
                self.with_agent(at, |agent, step| agent.handle_timeout(step));
            }
        }
        if let Some((_, what)) = self.queue.pop(now) {
            self.happen(what);
        }
    }

    pub(super) fn push(&mut self, after: Duration, what: Happening) {
        self.push_at(self.now + after, what);
    }

    pub(super) fn push_at(&mut self, at: Time, what: Happening) {
        self.queue.push(at, what);
    }

    /// A switch does something later.
    pub(super) fn later(&mut self, node: usize, after: Duration, step: Step) {
        let life = self.nodes[node].life;
        self.push(after, Happening::On { node, life, step });
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Datagram { from, to, bytes } => self.arrive(from, to, bytes),
            Happening::Wish { agent, wish } => {
                self.with_agent(agent, |agent, step| agent.handle_wish(step, wish));
            }
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
                    State::Up => self.thread_step(node, step),
                    State::Down => {}
                }
            }
            Happening::Question {
                node,
                life,
                question,
            } => self.ask_store(node, life, question),
            Happening::Knock {
                from,
                life,
                to,
                for_whom,
                since,
            } => self.knock((from, life), to, for_whom, since),
            Happening::Fault(fault) => self.suffer(fault),
            Happening::Replicate => {
                self.live.replicate();
                let after = self.dice.millis(50, 900);
                if !self.is_resting {
                    self.push(after, Happening::Replicate);
                }
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
        self.ledger.violation(text);
    }
}

/// More steps than any run needs; a run beyond runs for ever.
const STEPS_MAX: u32 = 400_000;
