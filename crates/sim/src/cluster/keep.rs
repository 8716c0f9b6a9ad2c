//! The thread of the calls: what the keeper wants is carried to store, switch and doors.

use std::time::Duration;

use clock::Time;
use cluster::{Answer, Ask, DRAIN, GRACE, Order, Question, SPARED, Word};

use super::node::State;
use super::world::{Asked, Happening, Knocker, Step, World};

impl World {
    /// The switch says something to the thread.
    pub(super) fn order(&mut self, at: usize, order: Order) {
        let calls = &mut self.nodes[at].calls;
        calls.orders.push(order);
        if !calls.is_busy && calls.orders.len() == 1 {
            let after = self.dice.millis(0, 2);
            let turn = self.nodes[at].calls.turn;
            self.later(at, after, Step::Calls { turn });
        }
    }

    /// The thread wakes up.
    pub(super) fn begin_round(&mut self, at: usize, turn: u64) {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        if node.calls.turn != turn || node.calls.is_busy {
            return;
        }
        let orders = std::mem::take(&mut node.calls.orders);
        node.calls.is_busy = true;
        node.calls.keeper.begin_round(now, None, orders);
        self.carry_on(at);
    }

    /// What it waited for has come.
    pub(super) fn hear_answer(&mut self, at: usize, turn: u64, answer: Answer) {
        let node = &mut self.nodes[at];
        if node.calls.turn != turn || !node.calls.is_busy {
            return;
        }
        let now = node.clock(self.now);
        node.calls.turn += 1;
        let keeper = &mut node.calls.keeper;
        keeper.handle_answer(now, &mut node.roster, answer);
        self.carry_on(at);
    }

    /// Carries the next wish of the keeper on its way, or ends the round.
    fn carry_on(&mut self, at: usize) {
        loop {
            let node = &mut self.nodes[at];
            let now = node.clock(self.now);
            let ask = node.calls.keeper.poll(now, &mut node.roster);
            self.hear_notices(at);
            let turn = self.nodes[at].calls.turn;
            match ask {
                None => return self.end_round(at),
                Some(Ask::Store(question)) => {
                    // Turns do as numbers: each question has a greater one.
                    let from = (self.nodes[at].calls.id.clone(), turn + 1);
                    let asked = Asked::Calls {
                        turn,
                        from,
                        until: self.now + STORE_PATIENCE,
                        question,
                    };
                    self.send_question(at, asked);
                    let answer = Answer::Nothing;
                    return self.later(at, STORE_PATIENCE, Step::Answer { turn, answer });
                }
                Some(Ask::Switch(visit)) => {
                    let after = self.dice.millis(0, 2);
                    return self.later(at, after, Step::Visit { turn, visit });
                }
                Some(Ask::Knock(to)) => {
                    let life = self.nodes[at].life;
                    let after = self.dice.millis(0, 3);
                    let what = Happening::Knock {
                        from: at,
                        life,
                        to,
                        for_whom: Knocker::Calls(turn),
                        since: None,
                    };
                    return self.push(after, what);
                }
                Some(Ask::NoteName(id)) => {
                    self.nodes[at].starts.push(id.clone());
                    self.nodes[at].calls.id = id;
                }
                Some(Ask::ForgetNames) => {
                    let own = self.nodes[at].calls.id.clone();
                    self.nodes[at].starts.retain(|known| *known == own);
                }
            }
            let node = &mut self.nodes[at];
            let keeper = &mut node.calls.keeper;
            keeper.handle_answer(now, &mut node.roster, Answer::Nothing);
        }
    }

    fn end_round(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        node.calls.is_busy = false;
        node.calls.turn += 1;
        let turn = node.calls.turn;
        let after = match node.calls.orders.is_empty() {
            true => node.calls.keeper.next_round(now).since(now),
            false => Duration::ZERO,
        };
        if !self.is_resting {
            self.later(at, after, Step::Calls { turn });
        }
    }

    fn hear_notices(&mut self, at: usize) {
        while let Some(notice) = self.nodes[at].calls.keeper.poll_notice() {
            self.tell(|w| format!("{}: {notice:?}", w.nodes[at].calls.id));
        }
    }

    /// What the store says to a question of the thread.
    pub(super) fn answer_of(
        &mut self,
        (id, number): (&str, u64),
        until: Time,
        question: Question,
    ) -> Answer {
        let word = Word {
            node: id,
            number,
            until,
        };
        let nothing = |_| Answer::Nothing;
        let (now, model) = (self.now, &mut self.live.model);
        let format = switch::RECORD_FORMAT;
        match question {
            Question::Keep(changes) => {
                let kept = model.keep(now, &word, &changes, (SPARED, GRACE));
                kept.map_or_else(nothing, Answer::Kept)
            }
            Question::Own => Answer::Calls(model.calls_of(id).collect()),
            Question::Read(calls) => Answer::Records(model.read(id, &calls)),
            Question::Claim(dead, max) => {
                let dice = &mut self.dice;
                let pick = |bound: usize| dice.below(bound as u64) as usize;
                let when = (now, SPARED, GRACE);
                let claimed = model.claim(when, (id, &dead), (format, max), pick);
                claimed.map_or(Answer::Done(false), Answer::Records)
            }
            Question::Find(call) => Answer::Found(model.find(now, id, (call, format), GRACE)),
            Question::LookFor(call) => {
                Answer::Found(model.look_for(now, id, (call, format), GRACE))
            }
            Question::HandOver(call, record) => {
                let given = model.hand_over(now, &word, (call, &record));
                given.map_or_else(nothing, Answer::Done)
            }
            Question::Bury(member) => {
                let done = model.bury_at_once(now, &member.id, member.beat);
                if done {
                    self.graves.insert(member.id);
                }
                Answer::Done(done)
            }
            Question::BuryEarlier(ids) => {
                let alive = model.bury_earlier(now, &ids, DRAIN);
                let gone = ids.into_iter().filter(|earlier| !alive.contains(earlier));
                self.graves.extend(gone);
                Answer::Names(alive)
            }
            Question::Remember(ids) => {
                model.remember(&ids);
                Answer::Done(true)
            }
            Question::StillStands => Answer::Done(model.still_stands(now, id, GRACE)),
            Question::WereTaken(calls, from) => Answer::Flags(model.were_taken(&calls, &from)),
        }
    }

    /// Whether a process runs, and is who it says.
    pub(super) fn is_rightful(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.state == State::Up && !self.graves.contains(node.roster.own())
    }
}

/// How long the store may take for anything.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
