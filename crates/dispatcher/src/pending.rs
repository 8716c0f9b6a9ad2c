//! Requests that may still need us: to be sent elsewhere, again, or to have their CANCEL and ACK
//! follow them.

use balancer::TargetId;
use clock::{Time, Wheel};
use hashbrown::HashTable;
use sip::{Destination, Message, Method};
use slab::Slab;
use smallvec::SmallVec;

use crate::repeat::Again;
use crate::request::Ingress;

/// A request outside of dialogs on its way, or one that is repeated, or its answer. There are
/// many, for each stays for half a minute: what only a request that moves needs stands apart.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) key: u64,
    pub(crate) method: Method,
    /// What it takes to send it elsewhere, or to answer it; gone once somebody else answers.
    pub(crate) original: Option<Box<Original>>,
    /// What is sent again: the request until it is answered, then perhaps its answer.
    pub(crate) again: Option<Box<Again>>,
    /// The request URI of a redirection, in the place of the request's own.
    pub(crate) uri: Option<Box<[u8]>>,
    pub(crate) destination: Destination,
    /// `None` if it was for one place from the start.
    pub(crate) target: Option<TargetId>,
    pub(crate) attempt: u8,
    pub(crate) state: State,
    pub(crate) cancelled: bool,
    /// When the state ends.
    pub(crate) until: Time,
}

/// A request as it came, and what became of it so far.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) ingress: Ingress,
    pub(crate) message: Message,
    /// Route values of ours at its front.
    pub(crate) own_routes: usize,
    pub(crate) tried: SmallVec<[TargetId; 4]>,
    pub(crate) redirects: u8,
    /// When this attempt began.
    pub(crate) began: Time,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing came back.
    Waiting,
    /// Somebody works on it: 100.
    Trying,
    /// The other side has been reached: from here on it is its affair.
    Proceeding,
    /// The final response has passed.
    Settled,
}

impl Pending {
    /// Whether it may still be sent elsewhere.
    pub(crate) fn is_movable(&self) -> bool {
        matches!(self.state, State::Waiting | State::Trying)
            && self.target.is_some()
            && self.original.is_some()
            && !self.cancelled
    }

    /// The target that has it as a call that may come to be.
    pub(crate) fn attempt_at(&self) -> Option<TargetId> {
        let is_tried = self.method == Method::Invite && self.state != State::Settled;
        self.target.filter(|_| is_tried)
    }

    fn next_alarm(&self) -> Time {
        match &self.again {
            Some(again) => self.until.min(again.at),
            None => self.until,
        }
    }
}

/// All of them, by key.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Slab<Pending>,
    by_key: HashTable<u32>,
    wheel: Wheel<(u32, u64)>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// To be repeated.
    Repeat(u64),
    /// At its end.
    End(u64),
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slab::new(),
            by_key: HashTable::new(),
            wheel: Wheel::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= PENDING_MAX
    }

    pub(crate) fn find(&mut self, key: u64) -> Option<&mut Pending> {
        let slots = &self.slots;
        let index = self.by_key.find(key, |at| slots[*at as usize].key == key)?;
        self.slots.get_mut(*index as usize)
    }

    pub(crate) fn insert(&mut self, pending: Pending) {
        let (key, alarm) = (pending.key, pending.next_alarm());
        let index = self.slots.insert(pending) as u32;
        let slots = &self.slots;
        self.by_key
            .insert_unique(key, index, |at| slots[*at as usize].key);
        self.wheel.insert(alarm, (index, key));
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<Pending> {
        let slots = &self.slots;
        let found = self
            .by_key
            .find_entry(key, |at| slots[*at as usize].key == key);
        let (index, _) = found.ok()?.remove();
        self.slots.try_remove(index as usize)
    }

    /// Has what was moved to an earlier time looked at then; later times need no word.
    pub(crate) fn hasten(&mut self, key: u64) {
        let slots = &self.slots;
        let Some(index) = self.by_key.find(key, |at| slots[*at as usize].key == key) else {
            return;
        };
        let index = *index;
        self.wheel
            .insert(self.slots[index as usize].next_alarm(), (index, key));
    }

    /// The next that is due. Alarms of requests that have moved on are set anew.
    pub(crate) fn poll_due(&mut self, now: Time) -> Option<Due> {
        while let Some((index, key)) = self.wheel.pop_expired(now) {
            let pending = self.slots.get(index as usize);
            let Some(pending) = pending.filter(|pending| pending.key == key) else {
                continue;
            };
            if pending.until <= now {
                return Some(Due::End(key));
            }
            let alarm = pending.next_alarm();
            if alarm <= now {
                return Some(Due::Repeat(key));
            }
            self.wheel.insert(alarm, (index, key));
        }
        None
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.wheel.next_timeout()
    }
}

/// The most at a time; beyond, requests outside of dialogs get 503.
const PENDING_MAX: usize = 1_000_000;
