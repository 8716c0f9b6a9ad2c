//! What the threads of a node do, step by step, as `node::permits` has it.

use std::time::Duration;

use clock::Time;
use cluster::{Door, Member, Renewal, Renewed};

use super::node::{Errand, State};
use super::scenario::CARRIER;
use super::world::{Happening, Phase, Question, Step, World};
use crate::live::{Health, Way};

impl World {
    pub(super) fn step(&mut self, node: usize, step: Step) {
        let at = self.nodes[node].clock(self.now);
        match step {
            Step::Round => self.ask(node, at),
            Step::Answer { number, answer } => self.hear(node, at, number, answer.ok()),
            Step::Patience { number } => self.hear(node, at, number, None),
            Step::Lease => {
                let it = &mut self.nodes[node];
                it.shares.extend(at, &mut it.limits);
                self.later(node, ROUND, Step::Lease);
            }
            Step::Call => self.call(node),
            Step::End { call } => {
                self.nodes[node].hang_up(self.now, call);
            }
            Step::Found { member, door } => self.judge(node, member, door),
            Step::Buried { asked } => self.buried(node, asked),
            Step::Leave => self.leave(node),
        }
    }

    /// The thread of the permits begins a round.
    fn ask(&mut self, node: usize, at: Time) {
        let it = &mut self.nodes[node];
        let claims = it.shares.claims(at, &mut it.limits);
        it.number += 1;
        let number = it.number;
        it.asked = Some(number);
        let id = it.id.clone();
        self.send(node, Question::Renew { number, id, claims });
        self.later(node, PATIENCE, Step::Patience { number });
    }

    fn send(&mut self, node: usize, question: Question) {
        let life = self.nodes[node].life;
        let cut = self.cuts.store[node];
        if let Way::Arrives(after) = self.live.way(self.now, cut, &mut self.dice) {
            let what = Happening::Question {
                node,
                life,
                question,
            };
            self.push(after, what);
        }
    }

    /// A question has arrived at the store.
    pub(super) fn answer(&mut self, node: usize, life: u32, question: Question) {
        let is_refused = match self.live.health {
            Health::Gone => return,
            health => health == Health::Refusing,
        };
        let step = match question {
            Question::Renew { number, id, claims } => {
                let renewal = Renewal {
                    node: &id,
                    address: self.nodes[node].address,
                    number,
                    grace: cluster::GRACE,
                    drain: cluster::DRAIN,
                };
                let answer = match is_refused {
                    true => Err(()),
                    false => self
                        .live
                        .model
                        .renew(self.now, &renewal, &claims)
                        .map_err(|_| ()),
                };
                self.tell(|_| format!("store: {id} asks ({number}) {claims:?}: {answer:?}"));
                Step::Answer { number, answer }
            }
            Question::Bury { dead, asked } => {
                if !is_refused && self.live.model.bury(&dead.id, Some(dead.beat)) {
                    self.tell(|_| format!("store: {} is buried", dead.id));
                }
                Step::Buried { asked }
            }
            Question::Leave { id } => {
                self.live.model.bury(&id, None);
                return;
            }
        };
        if self.now >= self.cuts.store[node] {
            let after = self.live.delay(&mut self.dice);
            self.push(after, Happening::On { node, life, step });
        }
    }

    /// The round ends: with an answer, or without.
    fn hear(&mut self, node: usize, at: Time, number: u64, answer: Option<Renewed>) {
        let it = &mut self.nodes[node];
        if it.asked != Some(number) {
            return;
        }
        it.asked = None;
        match answer {
            Some(Renewed::Granted {
                grants,
                lacked,
                mut members,
            }) => {
                it.shares.apply(at, &mut it.limits, &grants, lacked);
                members.retain(|member| member.id != it.id);
                // Who is busy with the last ones sees the next.
                it.seen.get_or_insert(members);
                if it.errand.is_none() {
                    self.look(node);
                }
            }
            Some(Renewed::Buried) => {
                it.shares.give_up(at, &mut it.limits);
                it.shares.repeat();
                let calls: Vec<u64> = it.calls.keys().copied().collect();
                it.rename();
                let id = it.id.clone();
                // Others have them.
                for call in calls {
                    self.nodes[node].hang_up(self.now, call);
                }
                self.tell(|_| format!("{id}: was taken for dead, and joins anew"));
            }
            None => {
                it.outages += 1;
                it.shares.go_on(at, &mut it.limits);
                self.tell(|world| format!("{}: no answer", world.nodes[node].id));
            }
        }
        self.later(node, ROUND, Step::Round);
    }

    /// The thread with the watch begins with what was seen last.
    fn look(&mut self, node: usize) {
        let at = self.nodes[node].clock(self.now);
        let it = &mut self.nodes[node];
        let Some(members) = it.seen.take() else {
            return;
        };
        if it.watched_outages != it.outages {
            it.watched_outages = it.outages;
            it.watch.forget();
        }
        let left = it.watch.look(at, &members).into();
        it.errand = Some(Errand {
            asked: at,
            left,
            is_burying: false,
        });
        self.go_on_looking(node);
    }

    fn go_on_looking(&mut self, node: usize) {
        let errand = self.nodes[node].errand.as_mut();
        if let Some(to) = errand.and_then(|errand| errand.left.pop_front()) {
            let (from, life) = (node, self.nodes[node].life);
            let since = None;
            let after = self.dice.millis(0, 3);
            let what = Happening::Knock {
                from,
                life,
                to,
                since,
            };
            self.push(after, what);
            return;
        }
        self.nodes[node].errand = None;
        self.look(node);
    }

    /// Somebody stands at a door.
    pub(super) fn knock(&mut self, from: usize, life: u32, to: Member, since: Option<Time>) {
        let at = self.nodes.iter().position(|n| n.address == to.address);
        let Some(at) = at else { return };
        let is_cut = self.now < self.cuts.nodes[from.min(at)][from.max(at)];
        let (after, door) = match self.nodes[at].state {
            _ if is_cut => (KNOCK_PATIENCE, Door::Silence),
            State::Dark => (KNOCK_PATIENCE, Door::Silence),
            State::Down => (Duration::ZERO, Door::Nobody),
            State::Up => (Duration::ZERO, Door::Open),
            State::Paused { until } => {
                let since = since.unwrap_or(self.now);
                let patience = since + ANSWER_PATIENCE;
                if until < patience {
                    let after = until.since(self.now) + self.dice.millis(0, 5);
                    let since = Some(since);
                    let what = Happening::Knock {
                        from,
                        life,
                        to,
                        since,
                    };
                    self.push(after, what);
                    return;
                }
                (patience.since(self.now), Door::Stopped)
            }
        };
        let (member, node) = (to, from);
        let step = Step::Found { member, door };
        self.push(after, Happening::On { node, life, step });
    }

    fn judge(&mut self, node: usize, member: Member, door: Door) {
        let it = &mut self.nodes[node];
        let Some(errand) = &mut it.errand else { return };
        let asked = errand.asked;
        let is_dead = it.watch.handle_door(asked, &member, door);
        errand.is_burying = is_dead;
        self.tell(|world| {
            let id = &world.nodes[node].id;
            format!("{id}: {} is {door:?}, dead: {is_dead}", member.id)
        });
        if !is_dead {
            self.go_on_looking(node);
            return;
        }
        let dead = member;
        self.send(node, Question::Bury { dead, asked });
        self.later(node, PATIENCE, Step::Buried { asked });
    }

    /// Whatever came of it: who is not buried now is found dead again.
    fn buried(&mut self, node: usize, asked: Time) {
        let errand = self.nodes[node].errand.as_mut();
        if errand.is_some_and(|e| e.asked == asked && std::mem::take(&mut e.is_burying)) {
            self.go_on_looking(node);
        }
    }

    fn call(&mut self, node: usize) {
        let rate = self.nodes[node].rate;
        let after = match rate {
            0 => 200_000,
            rate => self.dice.below(2 * 1_000_000 / rate),
        };
        self.later(node, Duration::from_micros(after), Step::Call);
        if rate == 0 || self.nodes[node].is_leaving || self.phase == Phase::Quiet {
            return;
        }
        let entities = self.draw_entities();
        self.tally.offered += 1;
        if entities[..] == [CARRIER] && self.one.try_admit(self.now, &[CARRIER]).is_ok() {
            self.recent_by_one.push(self.now);
        }
        let at = self.nodes[node].clock(self.now);
        if self.nodes[node].limits.try_admit(at, &entities).is_err() {
            return;
        }
        self.tally.admitted += 1;
        let call = self.tally.admitted as u64;
        self.nodes[node].calls.insert(call, entities.clone());
        self.check_admission(node, &entities);
        if let Some(after) = self.draw_duration(&entities) {
            self.later(node, after, Step::End { call });
        }
    }

    fn leave(&mut self, node: usize) {
        let id = self.nodes[node].id.clone();
        self.tell(|_| format!("{id}: leaves"));
        self.send(node, Question::Leave { id });
        self.nodes[node].stop(State::Down);
    }
}

impl World {
    /// A process is started, and its threads with it.
    pub(super) fn start(&mut self, node: usize) {
        self.nodes[node].start(&self.limits);
        self.tell(|world| format!("{}: starts", world.nodes[node].id));
        for step in [Step::Round, Step::Lease, Step::Call] {
            let after = self.dice.millis(0, 200);
            self.later(node, after, step);
        }
    }
}

/// Between two renewals, as in `node::permits`.
const ROUND: Duration = Duration::from_millis(200);
/// How long the store may take for anything.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a knock takes at most.
const KNOCK_PATIENCE: Duration = Duration::from_millis(300);
/// How long somebody who listens may take for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
