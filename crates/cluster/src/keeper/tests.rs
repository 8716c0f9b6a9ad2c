use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::*;
use crate::{DRAIN, Door, GRACE, LiveModel, Renewal};

#[test]
fn calls_of_a_dead_node_go_on_here() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.model.bury("a", None);
    world.wait(ROUND);
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1, 2]);
    assert_eq!(world.model.calls_of("b").count(), 2);
}

#[test]
fn a_call_that_another_has_a_request_for_is_handed_over() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.orders("b", vec![Order::Seek(1)]);
    assert!(world.calls("b").is_empty(), "its owner lives");
    world.wait(ROUND);
    world.orders("a", Vec::new());
    assert!(world.calls("a").is_empty());
    world.orders("b", Vec::new());
    assert_eq!(world.calls("b"), [1]);
    assert_eq!(world.nodes["b"].sought, [(1, Whereabouts::Nowhere)]);
}

#[test]
fn a_call_whose_node_is_gone_is_taken_when_it_is_asked_for() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.see_members("b");
    world.wait(Duration::from_secs(1));
    world.door = Door::Nobody;
    world.orders("b", vec![Order::Seek(1)]);
    assert_eq!(world.calls("b"), [1]);
    assert!(world.model.is_buried("a"));
}

#[test]
fn what_an_emptied_store_has_forgotten_is_told_again() {
    let mut world = World::new();
    world.orders("a", vec![keep(1), keep(2)]);
    world.model.flush();
    for _ in 0..3 {
        world.wait(ROUND);
        world.orders("a", Vec::new());
    }
    assert_eq!(world.model.calls_of("a").count(), 2);
}

#[test]
fn what_a_store_did_not_hear_it_is_told_when_it_is_back() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.is_away = true;
    world.orders("a", vec![keep(2), Order::Unkeep(1)]);
    world.nodes.get_mut("a").unwrap().calls.remove(&1);
    world.is_away = false;
    for _ in 0..3 {
        world.wait(ROUND);
        world.orders("a", Vec::new());
    }
    assert_eq!(world.model.calls_of("a").collect::<Vec<_>>(), [2]);
}

#[test]
fn who_was_taken_for_dead_forgets_what_others_have() {
    let mut world = World::new();
    world.orders("a", vec![keep(1)]);
    world.is_away = true;
    world.orders("a", vec![keep(2)]);
    world.is_away = false;
    world.model.bury("a", None);
    world.orders("b", Vec::new());
    world.nodes.get_mut("a").unwrap().roster.rename("a-2");
    for _ in 0..3 {
        world.wait(ROUND);
        world.orders("a", Vec::new());
    }
    assert_eq!(world.nodes["a"].noted, ["a-2"]);
    assert_eq!(world.calls("b"), [1]);
    assert_eq!(world.calls("a"), [2], "the store never heard of the second");
    assert_eq!(world.model.calls_of("a-2").collect::<Vec<_>>(), [2]);
}

#[test]
fn a_switch_goes_on_after_a_pause_only_by_the_word_of_the_store() {
    let mut world = World::new();
    world.see_members("a");
    world.wait(GRACE);
    world.model.bury("a", None);
    world.orders("a", vec![Order::ClearUp]);
    assert_eq!(world.nodes["a"].went_on, 0);
    world.nodes.get_mut("a").unwrap().roster.rename("a-2");
    world.orders("a", Vec::new());
    assert_eq!(world.nodes["a"].went_on, 1);
}

/// Nodes on one store, each with a switch that knows its calls.
struct World {
    now: Time,
    model: LiveModel,
    is_away: bool,
    /// About calls, by all nodes.
    words: u64,
    door: Door,
    nodes: BTreeMap<&'static str, Node>,
}

struct Node {
    keeper: Keeper,
    roster: Roster,
    id: String,
    calls: BTreeMap<u64, Vec<u8>>,
    orders: Vec<Order>,
    sought: Vec<(u64, Whereabouts)>,
    noted: Vec<String>,
    went_on: u32,
}

impl World {
    fn new() -> Self {
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
            };
            (id, node)
        };
        Self {
            now,
            model: LiveModel::new(1),
            is_away: false,
            words: 0,
            door: Door::Open,
            nodes: ["a", "b"].map(node).into(),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn calls(&self, node: &str) -> Vec<u64> {
        self.nodes[node].calls.keys().copied().collect()
    }

    /// Both are members, and a node hears of it.
    fn see_members(&mut self, node: &str) {
        for id in ["a", "b"] {
            let renewal = Renewal {
                node: id,
                address: place(),
                number: 1,
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
    fn orders(&mut self, name: &str, orders: Vec<Order>) {
        let mut node = self.nodes.remove_entry(name).unwrap();
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
                Ask::Store(_) if self.is_away => Answer::Nothing,
                Ask::Store(question) => self.answer(&node.1.id, question),
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

    fn answer(&mut self, id: &str, question: Question) -> Answer {
        let (now, model) = (self.now, &mut self.model);
        match question {
            Question::Keep(changes) => {
                self.words += 1;
                let kept = model.keep(now, (id, self.words), &changes);
                Answer::Kept(kept.unwrap())
            }
            Question::Own => Answer::Calls(model.calls_of(id).collect()),
            Question::Read(calls) => Answer::Records(model.read(id, &calls)),
            Question::Claim(dead, max) => {
                Answer::Records(model.claim(id, &dead, (FORMAT, max), |_| 0))
            }
            Question::Find(call) => Answer::Found(model.find(now, id, (call, FORMAT), GRACE)),
            Question::HandOver(call, record) => {
                self.words += 1;
                let given = model.hand_over((id, self.words), call, &record);
                Answer::Done(given.unwrap())
            }
            Question::Bury(dead) => Answer::Done(model.bury(&dead.id, Some(dead.beat))),
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
            }
            Visit::TakeUp(calls) => {
                self.calls.extend(calls);
                return Answer::Calls(Vec::new());
            }
            Visit::Lose(calls) => self.calls.retain(|call, _| !calls.contains(call)),
            Visit::GoOn => self.went_on += 1,
            Visit::Sought(call, whereabouts) => self.sought.push((call, whereabouts)),
            Visit::Unsettled => return Answer::Identities(Vec::new()),
            Visit::Settle { .. } => {}
        }
        Answer::Nothing
    }
}

fn keep(call: u64) -> Order {
    let mut record = vec![FORMAT];
    record.extend(u128::from(call).to_be_bytes());
    Order::Keep(call, record)
}

fn place() -> SocketAddr {
    ([127, 0, 0, 1], 80).into()
}

const FORMAT: u8 = 1;
