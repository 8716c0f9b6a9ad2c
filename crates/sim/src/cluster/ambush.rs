//! Answers that are lost on their way, and whose switch is killed before they come through: whoever
//! takes these calls up has to say it again (RFC 3261 §13.3.1.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use sip::{Framing, Message, Method};

use super::faults::Fault;
use super::node::State;
use super::world::{Happening, World};
use crate::dice::Dice;

/// Which answers are lost.
#[derive(Debug)]
pub(super) enum Ambush {
    /// None.
    None,
    /// Those of calls that are answered first.
    Set(Box<Set>),
}

/// An ambush that is set.
#[derive(Debug)]
pub(super) struct Set {
    /// Of its own: what else happens is as it would be without.
    dice: Dice,
    /// How many calls it is still for.
    left: u64,
    /// The calls that it is for, by their Call-IDs.
    caught: BTreeMap<String, Caught>,
}

/// A call whose answers are lost for as long as its switch lives.
#[derive(Clone, Copy, Debug)]
struct Caught {
    node: usize,
    life: u32,
    place: Place,
}

/// Where on its way an answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BeforeDispatcher,
    BehindDispatcher,
}

impl Ambush {
    /// For a few calls.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let left = 1 + dice.below(3);
        Self::Set(Box::new(Set {
            dice,
            left,
            caught: BTreeMap::new(),
        }))
    }

    pub(super) const fn is_set(&self) -> bool {
        matches!(self, Self::Set(_))
    }
}

impl World {
    /// Whether a datagram is an answer that is to be lost.
    pub(super) fn is_lost_by_plan(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Bytes,
    ) -> bool {
        let Some(call_id) = answered_call(bytes).filter(|_| self.ambush.is_set()) else {
            return false;
        };
        let node = self.nodes.iter().position(|node| node.sip == from);
        if let Some(node) = node {
            self.lie_in_wait(node, &call_id);
        }
        let Ambush::Set(set) = &self.ambush else {
            return false;
        };
        let Some(caught) = set.caught.get(&call_id) else {
            return false;
        };
        let is_alive = self.nodes[caught.node].life == caught.life;
        let is_there = match caught.place {
            Place::BeforeDispatcher => node == Some(caught.node),
            Place::BehindDispatcher => self.agents.iter().any(|agent| agent.address == to),
        };
        is_alive && is_there
    }

    /// A switch answers a call: it may be one of those, and then its days are numbered.
    fn lie_in_wait(&mut self, node: usize, call_id: &str) {
        let others = self.nodes.iter().enumerate();
        let mut others = others.filter(|(at, _)| *at != node);
        let has_heir = others.any(|(_, other)| other.state == State::Up);
        let life = self.nodes[node].life;
        let Ambush::Set(set) = &mut self.ambush else {
            return;
        };
        if set.left == 0 || !has_heir || set.caught.contains_key(call_id) {
            return;
        }
        set.left -= 1;
        let place = set
            .dice
            .pick(&[Place::BeforeDispatcher, Place::BehindDispatcher]);
        set.caught
            .insert(call_id.to_owned(), Caught { node, life, place });
        // The store has heard of it by then.
        let crash = set.dice.millis(100, 2_000);
        let start = crash + set.dice.millis(300, 12_000);
        self.tell(|_| format!("answers to {call_id} are lost: {place:?}"));
        self.push(crash, Happening::Fault(Fault::Crash { node }));
        self.push(start, Happening::Fault(Fault::Start { node }));
    }
}

/// The call that an answer is to, if it is one: a 2xx to an INVITE, inside of calls, too.
fn answered_call(bytes: &Bytes) -> Option<String> {
    let message = Message::parse(bytes.clone(), Framing::Datagram).ok()?;
    let is_answer = !message.is_request()
        && message.method() == Method::Invite
        && (200..300).contains(&message.status());
    let call_id = String::from_utf8_lossy(message.call_id().unwrap_or_default());
    is_answer.then(|| call_id.into_owned())
}
