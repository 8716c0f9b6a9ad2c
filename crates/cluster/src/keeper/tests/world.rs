//! Nodes, each with a keeper, a switch that does what it is told, and one store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;

use crate::{
    Answer, Ask, DRAIN, Door, GRACE, Keeper, LiveModel, Order, Question, Renewal, Roster, SPARED,
    Visit, Whereabouts, Word,
};

/// Nodes on one store, each with a switch that knows its calls.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) model: LiveModel,
    pub(super) is_away: bool,
    /// What does not arrive, and of what the answer does not.
    pub(super) is_question_lost: fn(&Question) -> bool,
    pub(super) is_answer_lost: fn(&Question) -> bool,
    /// What arrives when nobody waits for it any more, and what is under way so.
    pub(super) is_question_held_up: fn(&Question) -> bool,
    held_up: Vec<(String, u64, Time, Question)>,
    /// How many the store was asked.
    pub(super) questions: u32,
    /// About calls, by all nodes.
    pub(super) words: u64,
    /// How often they have shown themselves as members.
    renewals: u64,
    pub(super) door: Door,
    pub(super) nodes: BTreeMap<&'static str, Node>,
}

pub(super) struct Node {
    pub(super) keeper: Keeper,
    pub(super) roster: Roster,
    pub(super) id: String,
    pub(super) calls: BTreeMap<u64, Vec<u8>>,
    pub(super) orders: Vec<Order>,
    pub(super) sought: Vec<(u64, Whereabouts)>,
    pub(super) noted: Vec<String>,
    pub(super) went_on: u32,
    /// Visits that it has no time for.
    pub(super) is_too_busy_for: fn(&Visit) -> bool,
    /// What it is called from now on, if that is not empty.
    pub(super) id_now: &'static str,
    /// Calls of before that are open, and how often the rest was closed.
    pub(super) open: Vec<u128>,
    pub(super) closed: u32,
}

impl World {
    pub(super) fn new() -> Self {
        let now = Time::from_secs(1_000);
        let node = |id: &'static str| {
            let mut roster = Roster::default();
            roster.rename(id);
            let node = Node {
                keeper: Keeper::new(now, id, Vec::new()),
                roster,
                id: id.into(),
                calls: BTreeMap::new(),
                orders: Vec::new(),
                sought: Vec::new(),
                noted: Vec::new(),
                went_on: 0,
                is_too_busy_for: |_| false,
                id_now: "",
                open: Vec::new(),
                closed: 0,
            };
            (id, node)
        };
        let mut world = Self {
            now,
            model: LiveModel::new(1),
            is_away: false,
            is_question_lost: |_| false,
            is_answer_lost: |_| false,
            is_question_held_up: |_| false,
            held_up: Vec::new(),
            questions: 0,
            words: 0,
            renewals: 0,
            door: Door::Open,
            nodes: ["a", "b", "c"].map(node).into(),
        };
        world.grow_old();
        world
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// So many rounds of a node, one after the other.
    pub(super) fn rounds(&mut self, node: &str, count: u32) {
        for _ in 0..count {
            self.wait(super::ROUND);
            self.orders(node, Vec::new());
        }
    }

    /// The store has been there for so long that it knows all.
    fn grow_old(&mut self) {
        self.see_members("a");
        self.wait(GRACE);
    }

    pub(super) fn calls(&self, node: &str) -> Vec<u64> {
        self.nodes[node].calls.keys().copied().collect()
    }

    /// Both are members, and a node hears of it.
    pub(super) fn see_members(&mut self, node: &str) {
        self.renewals += 1;
        for id in ["a", "b"] {
            let renewal = Renewal {
                node: id,
                address: place(),
                number: self.renewals,
                grace: GRACE,
                drain: DRAIN,
            };
            let renewed = self.model.renew(self.now, &renewal, &[]);
            if let Ok(crate::Renewed::Granted { members, .. }) = renewed {
                let roster = &mut self.nodes.get_mut(node).unwrap().roster;
                roster.update(self.now, &members);
            }
        }
    }

    /// A node's switch says something, and the keeper goes a round.
    pub(super) fn orders(&mut self, name: &str, orders: Vec<Order>) {
        let mut node = self.nodes.remove_entry(name).unwrap();
        if !node.1.id_now.is_empty() {
            node.1.roster.rename(node.1.id_now);
        }
        for order in &orders {
            if let Order::Keep(call, record) = order {
                node.1.calls.insert(*call, record.clone());
            }
        }
        let mut all = std::mem::take(&mut node.1.orders);
        all.extend(orders);
        node.1.keeper.begin_round(self.now, None, all);
        while let Some(ask) = node.1.keeper.poll(self.now, &mut node.1.roster) {
            let answer = match ask {
                Ask::Store(question) => self.ask(&node.1.id, question),
                Ask::Switch(visit) if (node.1.is_too_busy_for)(&visit) => Answer::Nothing,
                Ask::Switch(visit) => node.1.visit(visit),
                Ask::Knock(_) => Answer::Door(self.door),
                Ask::NoteName(id) => {
                    node.1.noted.push(id.clone());
                    node.1.id = id;
                    Answer::Nothing
                }
                Ask::ForgetNames => Answer::Nothing,
            };
            node.1
                .keeper
                .handle_answer(self.now, &mut node.1.roster, answer);
        }
        self.nodes.insert(node.0, node.1);
    }

    fn ask(&mut self, id: &str, question: Question) -> Answer {
        self.questions += 1;
        let is_unheard = (self.is_answer_lost)(&question);
        self.words += 1;
        let until = self.now + PATIENCE;
        if (self.is_question_held_up)(&question) {
            let under_way = (id.to_owned(), self.words, until, question);
            self.held_up.push(under_way);
            return Answer::Nothing;
        }
        if self.is_away || (self.is_question_lost)(&question) {
            return Answer::Nothing;
        }
        match self.answer((id, self.words), until, question) {
            _ if is_unheard => Answer::Nothing,
            answer => answer,
        }
    }

    /// What was under way for so long arrives now.
    pub(super) fn let_through(&mut self) {
        for (id, number, until, question) in std::mem::take(&mut self.held_up) {
            self.answer((&id, number), until, question);
        }
    }

    fn answer(&mut self, (id, number): (&str, u64), until: Time, question: Question) -> Answer {
        let (now, model) = (self.now, &mut self.model);
        let word = Word {
            node: id,
            number,
            until,
        };
        match question {
            Question::Keep(changes) => {
                let kept = model.keep(now, &word, &changes, (SPARED, GRACE));
                kept.map_or(Answer::Nothing, Answer::Kept)
            }
            Question::Own => Answer::Calls(model.calls_of(id).collect()),
            Question::Read(calls) => Answer::Records(model.read(id, &calls)),
            Question::Claim(dead, max) => {
                let when = (now, SPARED, GRACE);
                let claimed = model.claim(when, (id, &dead), (FORMAT, max), |_| 0);
                claimed.map_or(Answer::Done(false), Answer::Records)
            }
            Question::Find(call) => Answer::Found(model.find(now, id, (call, FORMAT), GRACE)),
            Question::LookFor(call) => {
                Answer::Found(model.look_for(now, id, (call, FORMAT), GRACE))
            }
            Question::HandOver(call, record) => {
                let given = model.hand_over(now, &word, (call, &record));
                given.map_or(Answer::Nothing, Answer::Done)
            }
            Question::Bury(dead) => Answer::Done(model.bury_at_once(now, &dead.id, dead.beat)),
            Question::BuryEarlier(ids) => Answer::Names(model.bury_earlier(now, &ids, DRAIN)),
            Question::Remember(ids) => {
                model.remember(&ids);
                Answer::Done(true)
            }
            Question::StillStands => Answer::Done(model.still_stands(now, id, GRACE)),
            Question::WereTaken(calls, from) => Answer::Flags(model.were_taken(&calls, &from)),
        }
    }
}

impl Node {
    fn visit(&mut self, visit: Visit) -> Answer {
        match visit {
            Visit::GiveUp(call) => return Answer::Record(self.calls.remove(&call)),
            Visit::KeptCalls => return Answer::Calls(self.calls.keys().copied().collect()),
            Visit::KeepAgain(calls) => {
                let again = calls
                    .iter()
                    .filter_map(|call| self.calls.get_key_value(call));
                let again = again.map(|(call, record)| Order::Keep(*call, record.clone()));
                self.orders.extend(again);
                return Answer::Done(true);
            }
            Visit::TakeUp(calls) => {
                self.calls.extend(calls);
                return Answer::Calls(Vec::new());
            }
            Visit::Lose(calls) => {
                self.calls.retain(|call, _| !calls.contains(call));
                return Answer::Done(true);
            }
            Visit::GoOn => self.went_on += 1,
            Visit::Sought(call, whereabouts) => self.sought.push((call, whereabouts)),
            Visit::Unsettled => return Answer::Identities(self.open.clone()),
            Visit::Settle { close_rest, .. } => {
                self.closed += u32::from(close_rest);
                return Answer::Done(true);
            }
        }
        Answer::Nothing
    }
}

pub(super) fn keep(call: u64) -> Order {
    let mut record = vec![FORMAT];
    record.extend(u128::from(call).to_be_bytes());
    Order::Keep(call, record)
}

pub(super) fn place() -> SocketAddr {
    ([127, 0, 0, 1], 80).into()
}

pub(super) const FORMAT: u8 = 1;
/// How long a node waits for the store.
const PATIENCE: Duration = Duration::from_secs(1);
