//! The threads of the permits, step by step, as `node::permits` has them, and the ways that they share
//! with that of the calls: to the store, and to doors.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use clock::{Ahead, Time};
use cluster::{Answer, DRAIN, Door, GRACE, Member, Renewal, Renewed};

use super::node::{Errand, State};
use super::world::{Asked, Happening, Knocker, Step, World};
use crate::live::{Health, Way};

impl World {
    pub(super) fn thread_step(&mut self, at: usize, step: Step) {
        match step {
            Step::Round => self.renew(at),
            Step::Renewed { number, answer } => self.hear_renewal(at, number, answer.ok()),
            Step::RenewalPatience { number } => self.hear_renewal(at, number, None),
            Step::Lease => {
                let node = &mut self.nodes[at];
                let now = node.clock(self.now);
                node.switch.extend_lease(now);
                if !self.is_resting {
                    self.later(at, ROUND, Step::Lease);
                }
            }
            Step::Found { member, door } => self.judge(at, member, door),
            Step::Buried { asked } => self.buried(at, asked),
            Step::Calls { turn } => self.begin_round(at, turn),
            Step::Visit { turn, visit } => {
                let answer = self.visit(at, visit);
                self.check_owners(at);
                self.hear_answer(at, turn, answer);
            }
            Step::Answer { turn, answer } => self.hear_answer(at, turn, answer),
        }
    }

    /// The thread of the permits begins a round.
    fn renew(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        let claims = node.switch.claims(now);
        node.permits.number += 1;
        let number = node.permits.number;
        node.permits.asked = Some((number, now));
        let id = node.roster.own().to_owned();
        self.send_question(at, Asked::Renew { number, id, claims });
        self.later(at, PATIENCE, Step::RenewalPatience { number });
    }

    /// A question goes on its way to the store.
    pub(super) fn send_question(&mut self, node: usize, question: Asked) {
        let life = self.nodes[node].life;
        let cut = self.cuts[node];
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
    pub(super) fn ask_store(&mut self, node: usize, life: u32, asked: Asked) {
        let is_refused = match self.live.health {
            Health::Gone => return,
            health => health == Health::Refusing,
        };
        let step = match asked {
            Asked::Renew { number, id, claims } => {
                let renewal = Renewal {
                    node: &id,
                    address: self.nodes[node].door,
                    number,
                    grace: GRACE,
                    drain: DRAIN,
                };
                let answer = match is_refused {
                    true => Err(()),
                    false => {
                        let renewed = self.live.model.renew(self.now, &renewal, &claims);
                        renewed.map_err(|_| ())
                    }
                };
                self.note_graves();
                Step::Renewed { number, answer }
            }
            Asked::Bury { dead, asked } => {
                if !is_refused && self.live.model.bury(&dead.id, Some(dead.beat)) {
                    self.tell(|_| format!("store: {} is buried", dead.id));
                    self.graves.insert(dead.id);
                }
                Step::Buried { asked }
            }
            Asked::Calls {
                turn,
                from: (id, number),
                until,
                question,
            } => {
                let text = self.trace.is_on().then(|| short(&question));
                let answer = match is_refused {
                    true => Answer::Nothing,
                    false => self.answer_of((&id, number), until, question),
                };
                if let Some(text) = text.filter(|text| text != "Keep([])") {
                    self.tell(|_| format!("store: {id} {text}: {}", short(&answer)));
                }
                Step::Answer { turn, answer }
            }
        };
        if self.now >= self.cuts[node] {
            let after = self.live.delay(&mut self.dice);
            self.push(after, Happening::On { node, life, step });
        }
    }

    /// Who was taken out, by whomever.
    fn note_graves(&mut self) {
        for node in &self.nodes {
            for id in node.names() {
                if self.live.model.is_buried(&id) {
                    self.graves.insert(id);
                }
            }
        }
    }

    /// The round ends: with an answer, or without.
    fn hear_renewal(&mut self, at: usize, number: u64, answer: Option<Renewed>) {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        let Some((_, asked)) = node.permits.asked.filter(|(n, _)| *n == number) else {
            return;
        };
        node.permits.asked = None;
        match answer {
            Some(Renewed::Granted {
                grants,
                lacked,
                mut members,
            }) => {
                let own = members.iter().find(|m| m.id == node.roster.own());
                if let Some(own) = own {
                    // Each renewal is stamped with the store's clock.
                    let beat = Time::from_micros(own.beat);
                    let ahead = Ahead::of_answer(asked, beat, now);
                    let ahead = ahead.or(node.switch.clock_ahead());
                    node.switch.set_clock_ahead(ahead);
                }
                node.switch.take_grants(now, &grants, lacked);
                node.roster.update(now, &members);
                members.retain(|member| member.id != node.roster.own());
                // Who is busy with the last ones sees the next.
                node.permits.seen.get_or_insert(members);
                if node.permits.errand.is_none() {
                    self.look(at);
                }
            }
            Some(Renewed::Buried) => {
                node.switch.give_up_shares(now);
                node.switch.repeat_claims();
                let id = node.next_id();
                node.roster.rename(&id);
                self.tell(|_| format!("{id}: was taken for dead, and joins anew"));
            }
            None => {
                node.permits.outages += 1;
                node.switch.go_on_with_shares(now);
            }
        }
        self.drain_switch(at);
        if !self.is_resting {
            self.later(at, ROUND, Step::Round);
        }
    }

    /// The thread with the watch begins with what was seen last.
    fn look(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        let permits = &mut node.permits;
        let Some(members) = permits.seen.take() else {
            return;
        };
        if permits.watched_outages != permits.outages {
            permits.watched_outages = permits.outages;
            permits.watch.forget();
        }
        let left: VecDeque<Member> = permits.watch.look(now, &members).into();
        permits.errand = Some(Errand {
            asked: now,
            left,
            burying: None,
        });
        self.go_on_looking(at);
    }

    fn go_on_looking(&mut self, at: usize) {
        let errand = self.nodes[at].permits.errand.as_mut();
        let Some(member) = errand.and_then(|errand| errand.left.pop_front()) else {
            self.nodes[at].permits.errand = None;
            return self.look(at);
        };
        let life = self.nodes[at].life;
        let after = self.dice.millis(0, 3);
        let what = Happening::Knock {
            from: at,
            life,
            to: member.address,
            for_whom: Knocker::Watch(member),
            since: None,
        };
        self.push(after, what);
    }

    /// Somebody stands at a door.
    pub(super) fn knock(
        &mut self,
        (from, life): (usize, u32),
        to: SocketAddr,
        for_whom: Knocker,
        since: Option<Time>,
    ) {
        let Some(at) = self.nodes.iter().position(|node| node.door == to) else {
            return;
        };
        let (after, door) = match self.nodes[at].state {
            State::Down => (Duration::ZERO, Door::Nobody),
            State::Up => (Duration::ZERO, Door::Open),
            State::Paused { until } => {
                let since = since.unwrap_or(self.now);
                let patience = since + ANSWER_PATIENCE;
                if until < patience {
                    let after = until.since(self.now) + self.dice.millis(0, 5);
                    let what = Happening::Knock {
                        from,
                        life,
                        to,
                        for_whom,
                        since: Some(since),
                    };
                    return self.push(after, what);
                }
                (patience.since(self.now), Door::Stopped)
            }
        };
        let step = match for_whom {
            Knocker::Watch(member) => Step::Found { member, door },
            Knocker::Calls(turn) => {
                let answer = Answer::Door(door);
                Step::Answer { turn, answer }
            }
        };
        let node = from;
        self.push(after, Happening::On { node, life, step });
    }

    fn judge(&mut self, at: usize, member: Member, door: Door) {
        let permits = &mut self.nodes[at].permits;
        let Some(errand) = &mut permits.errand else {
            return;
        };
        let asked = errand.asked;
        if !permits.watch.handle_door(asked, &member, door) {
            return self.go_on_looking(at);
        }
        errand.burying = Some(member.clone());
        let dead = member;
        self.send_question(at, Asked::Bury { dead, asked });
        self.later(at, PATIENCE, Step::Buried { asked });
    }

    /// Whatever came of it: who is not buried now is found dead again.
    fn buried(&mut self, at: usize, asked: Time) {
        let errand = self.nodes[at].permits.errand.as_mut();
        let errand = errand.filter(|errand| errand.asked == asked);
        let Some(dead) = errand.and_then(|errand| errand.burying.take()) else {
            return;
        };
        if self.graves.contains(&dead.id) {
            self.nodes[at].roster.note_buried([&dead.id]);
        }
        self.go_on_looking(at);
    }
}

/// A question or an answer without records.
fn short(what: &impl std::fmt::Debug) -> String {
    let mut text = format!("{what:?}");
    if let Some((end, _)) = text.char_indices().nth(120) {
        text.truncate(end);
    }
    text
}

/// Between two renewals.
const ROUND: Duration = Duration::from_millis(200);
/// How long the store may take for anything.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long somebody who listens may take for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
