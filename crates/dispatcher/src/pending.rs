//! Requests that may still need us: to be sent elsewhere, again, or to have their CANCEL and ACK
//! follow them.

use std::collections::VecDeque;
use std::time::Duration;

use balancer::TargetId;
use clock::{Time, TimerKey, Wheel};
use forward::Dialog;
use hashbrown::HashTable;
use sip::{Destination, Message, Method};
use slab::Slab;
use smallvec::SmallVec;

use crate::repeat::Again;
use crate::request::{Ingress, PATIENCE};

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
    /// The dialog that it is inside of, and the target it was sent to.
    pub(crate) inside: Option<(Dialog, TargetId)>,
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
    /// The same, and it refused a call: whoever answers that now has nobody to talk to.
    Declined,
    /// It did not get out, and is inside a call that nobody has at the moment.
    Lost,
    /// We have refused it after all targets that had it.
    Refused,
}

impl State {
    /// Whether a final response has passed.
    pub(crate) const fn is_settled(self) -> bool {
        matches!(self, Self::Settled | Self::Declined)
    }

    /// Whether whoever asked has a final response, of a target or of ours.
    pub(crate) const fn is_over(self) -> bool {
        self.is_settled() || matches!(self, Self::Refused)
    }
}

impl Pending {
    /// Whether it is an INVITE whose 2xx has passed.
    pub(crate) fn is_answered_call(&self) -> bool {
        self.method == Method::Invite && self.state == State::Settled
    }

    /// Whether it may still be sent elsewhere.
    pub(crate) fn is_movable(&self) -> bool {
        matches!(self.state, State::Waiting | State::Trying)
            && self.target.is_some()
            && self.original.is_some()
            && !self.cancelled
    }

    /// Its caller gives up: nobody waits for it longer than the caller does (RFC 3261 §9.1).
    pub(crate) fn call_off(&mut self, now: Time) {
        if !std::mem::replace(&mut self.cancelled, true) && self.state == State::Proceeding {
            self.until = self.until.min(now + PATIENCE);
        }
    }

    /// Whether it goes to whoever has its call, which may be somebody else soon. What is repeated
    /// over UDP is looked at each time.
    pub(crate) fn is_kept_for_its_call(&self) -> bool {
        let is_open = matches!(self.state, State::Waiting | State::Lost);
        let original = self.original.as_ref().filter(|_| is_open);
        original.is_some_and(|original| original.inside.is_some()) && self.again.is_none()
    }

    /// Whether its target may have to ask somebody else before it says anything, as with a message
    /// to a phone; nobody says 100 then (RFC 4320 §4.1). Such a request arrives twice if it is sent
    /// to another target.
    pub(crate) fn may_take_long(&self) -> bool {
        use Method as M;
        !matches!(self.method, M::Invite | M::Register | M::Options)
    }

    /// The target that has it as a call that may come to be.
    pub(crate) fn attempt_at(&self) -> Option<TargetId> {
        let is_tried = self.method == Method::Invite && !self.state.is_over();
        self.target.filter(|_| is_tried)
    }

    fn next_alarm(&self) -> Time {
        match &self.again {
            Some(again) => self.until.min(again.at),
            None => self.until,
        }
    }
}

/// A request and when it is looked at next.
#[derive(Debug)]
struct Slot {
    pending: Pending,
    /// Its entry in the wheel; none while it is seen to, and once it only waits to be forgotten.
    alarm: Option<(Time, TimerKey)>,
}

/// All of them, by key.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Slab<Slot>,
    by_key: HashTable<u32>,
    /// What is looked at, and when, as slot and key.
    wheel: Wheel<(u32, u64)>,
    /// What only waits to be forgotten, which are nearly all: each of them waits as long, so that
    /// they stand in order, and are not looked for all over the memory.
    settled: VecDeque<(Time, u32, u64)>,
    /// Whether answers were kept at any time: without targets on streams none ever are, and no
    /// request has to be looked up for one.
    pub(crate) keeps_answers: bool,
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
            settled: VecDeque::new(),
            keeps_answers: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= PENDING_MAX
    }

    pub(crate) fn find(&mut self, key: u64) -> Option<&mut Pending> {
        self.slot(key).map(|(_, slot)| &mut slot.pending)
    }

    pub(crate) fn insert(&mut self, pending: Pending) {
        let (key, at) = (pending.key, pending.next_alarm());
        let entry = self.slots.vacant_entry();
        let index = entry.key() as u32;
        let timer = self.wheel.insert(at, (index, key));
        entry.insert(Slot {
            pending,
            alarm: Some((at, timer)),
        });
        let slots = &self.slots;
        self.by_key
            .insert_unique(key, index, |at| slots[*at as usize].pending.key);
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<Pending> {
        let slots = &self.slots;
        let found = self
            .by_key
            .find_entry(key, |at| slots[*at as usize].pending.key == key);
        let (index, _) = found.ok()?.remove();
        let slot = self.slots.try_remove(index as usize)?;
        if let Some((_, timer)) = slot.alarm {
            self.wheel.cancel(timer);
        }
        Some(slot.pending)
    }

    /// Has what was moved to an earlier time looked at then; later times need no word.
    pub(crate) fn hasten(&mut self, key: u64) {
        let Some((index, slot)) = self.slot(key) else {
            return;
        };
        let next = slot.pending.next_alarm();
        let before = slot.alarm;
        if before.is_some_and(|(at, _)| at <= next) {
            return;
        }
        let timer = self.wheel.insert(next, (index, key));
        if let Some((_, before)) = before {
            self.wheel.cancel(before);
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.alarm = Some((next, timer));
        }
    }

    /// Leaves one that has its final response alone until it is forgotten.
    pub(crate) fn settle(&mut self, now: Time, key: u64) {
        let Some((index, slot)) = self.slot(key) else {
            return;
        };
        let until = now + PATIENCE;
        slot.pending.until = until;
        slot.pending.state = State::Settled;
        slot.pending.again = None;
        if let Some((_, timer)) = slot.alarm.take() {
            self.wheel.cancel(timer);
        }
        self.settled.push_back((until, index, key));
    }

    /// The next that is due. Alarms of requests that have moved on are set anew.
    pub(crate) fn poll_due(&mut self, now: Time) -> Option<Due> {
        while let Some((until, index, key)) = self.settled.front().copied()
            && until <= now
        {
            self.settled.pop_front();
            let slot = self.slots.get(index as usize);
            let slot = slot.filter(|slot| slot.pending.key == key);
            if slot.is_some_and(|slot| slot.pending.until <= now) {
                return Some(Due::End(key));
            }
        }
        while let Some((index, key)) = self.wheel.pop_expired(now) {
            let Some(slot) = self.slots.get_mut(index as usize) else {
                continue;
            };
            slot.alarm = None;
            if slot.pending.until <= now {
                return Some(Due::End(key));
            }
            let at = slot.pending.next_alarm();
            if at <= now {
                return Some(Due::Repeat(key));
            }
            slot.alarm = Some((at, self.wheel.insert(at, (index, key))));
        }
        None
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let forgets = self.settled.front().map(|(until, ..)| *until + FORGETTING);
        let wakes = self.wheel.next_timeout();
        forgets.into_iter().chain(wakes).min()
    }

    fn slot(&mut self, key: u64) -> Option<(u32, &mut Slot)> {
        let slots = &self.slots;
        let is_it = |at: &u32| slots[*at as usize].pending.key == key;
        let index = *self.by_key.find(key, is_it)?;
        Some((index, self.slots.get_mut(index as usize)?))
    }
}

/// The most at a time; beyond, requests outside of dialogs get 503.
const PENDING_MAX: usize = 1_000_000;
/// How much longer than it must what is settled may be kept, lest each call wakes us for itself.
const FORGETTING: Duration = Duration::from_millis(250);
