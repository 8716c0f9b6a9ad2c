//! The thread that lets other nodes know of this node's calls, and takes up those of dead ones.
//!
//! Nothing on the call path waits for it. What has changed of calls comes by a channel, in order, and
//! goes to the live store in portions. While the store does not answer, what comes is forgotten, and
//! all calls are told again when it is back; the same when it comes back empty.

mod seeking;
mod settling;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clock::Time;
use cluster::{Lost, Shelf, Strange, Told};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use store::{Change, Found, Kept, RedisCalls, StoreError};
use switch::{CallKey, NotTaken};

use self::seeking::Seeking;
use self::settling::Settling;
use crate::host::SwitchHost;
use crate::locations::LocationHealth;
use crate::machine::SwitchMachine;
use crate::roster::Roster;
use crate::starts::Starts;
use crate::visit::Visitor;

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Keep(u64, Vec<u8>),
    Unkeep(u64),
    Seek(u64),
    ClearUp,
}

/// The way to the thread, for the switch's host.
#[derive(Clone, Debug)]
pub(crate) struct CallsLink {
    orders: Sender<Order>,
    /// Set when an order found no room: all calls are to be told again.
    overflowed: Arc<AtomicBool>,
}

impl CallsLink {
    /// The way, and its end for [`Calls::start`].
    pub(crate) fn new() -> (Self, CallsEnd) {
        let (orders, taken) = bounded(ORDERS_MAX);
        let overflowed = Arc::new(AtomicBool::new(false));
        let end = CallsEnd {
            orders: taken,
            overflowed: overflowed.clone(),
        };
        (Self { orders, overflowed }, end)
    }

    /// What others need to go on with a call.
    pub(crate) fn keep(&self, call: CallKey, record: Vec<u8>) {
        self.order(Order::Keep(call.0, record));
    }

    /// A call has ended.
    pub(crate) fn unkeep(&self, call: CallKey) {
        self.order(Order::Unkeep(call.0));
    }

    /// This process was stopped: has it lost its calls?
    pub(crate) fn clear_up(&self) {
        self.order(Order::ClearUp);
    }

    /// Where is a call? False if there is no room for the question.
    pub(crate) fn seek(&self, call: CallKey) -> bool {
        self.orders.try_send(Order::Seek(call.0)).is_ok()
    }

    fn order(&self, order: Order) {
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            self.overflowed.store(true, Ordering::Relaxed);
        }
    }
}

/// Where the thread takes its orders.
#[derive(Clone, Debug)]
pub(crate) struct CallsEnd {
    orders: Receiver<Order>,
    overflowed: Arc<AtomicBool>,
}

/// The thread; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Calls {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Calls {
    /// Shares calls by way of the live store at `url`. `roster` says who this node and the others are,
    /// `starts` what it was called before, `locations` how sharing of registrations goes, if they are
    /// shared.
    pub(crate) fn start(
        url: &str,
        end: CallsEnd,
        (roster, mut starts): (Roster, Starts),
        visitor: Visitor,
        locations: Option<LocationHealth>,
    ) -> Result<Self> {
        let id = roster.own();
        starts
            .begin(&id)
            .context("noting what this node is called")?;
        let store = RedisCalls::new(url, &id, switch::RECORD_FORMAT).context("--live")?;
        let (stop, stopped) = bounded(0);
        let keeper = Keeper {
            store,
            id,
            end,
            roster,
            visitor,
            shelf: Shelf::default(),
            again: VecDeque::new(),
            orphaned: Vec::new(),
            doubtful: Vec::new(),
            seeking: Seeking::default(),
            settling: Settling::of(starts),
            paused_at: None,
            locations,
            away: false,
            begun: Instant::now(),
            remembered: Instant::now(),
            next_round: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("calls".into())
            .spawn(move || keeper.run(&stopped))
            .context("no thread for calls")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread for calls had panicked");
        }
    }
}

struct Keeper {
    store: RedisCalls,
    id: String,
    end: CallsEnd,
    roster: Roster,
    visitor: Visitor,
    /// What the store has of this node.
    shelf: Shelf,
    /// Those that are to be told again.
    again: VecDeque<CallKey>,
    /// Dead nodes that have left calls.
    orphaned: Vec<String>,
    /// Calls that were given up here, and of which it is not known whether they were given away.
    doubtful: Vec<(u64, Vec<u8>)>,
    seeking: Seeking,
    settling: Settling,
    /// While the switch waits for word on what happened while this process was stopped: how often
    /// registrations had been heard of at that time.
    paused_at: Option<u64>,
    /// How sharing of registrations goes, if they are shared.
    locations: Option<LocationHealth>,
    /// Whether the store did not answer last time.
    away: bool,
    begun: Instant,
    /// When the store was told last who was taken out.
    remembered: Instant,
    next_round: Instant,
}

impl Keeper {
    fn run(mut self, stopped: &Receiver<()>) {
        let orders = self.end.orders.clone();
        loop {
            let mut first = None;
            select! {
                recv(orders) -> order => first = order.ok(),
                recv(stopped) -> _ => break,
                default(self.patience()) => {}
            }
            self.follow_identity();
            self.clear_up_pause();
            let taken: Vec<Order> = first.into_iter().chain(orders.try_iter()).collect();
            self.carry_out(taken);
            self.tell_again();
            if Instant::now() >= self.next_round {
                self.next_round = Instant::now() + ROUND;
                self.write(&[]);
                self.claim_orphans();
                self.clear_up_doubts();
                self.settle();
                self.remember_buried();
            }
            self.seek_on();
        }
        // What has ended until now is not to be taken for alive.
        self.carry_out(orders.try_iter().collect());
    }

    fn patience(&self) -> Duration {
        let is_busy =
            self.paused_at.is_some() || !self.again.is_empty() || !self.seeking.is_empty();
        let soon = self.next_round.saturating_duration_since(Instant::now());
        if is_busy { soon.min(BUSY_ROUND) } else { soon }
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        let mut changes: Vec<Change> = Vec::new();
        for order in orders {
            match order {
                Order::Keep(call, record) => changes.push((call, Some(record))),
                Order::Unkeep(call) => {
                    // One that has come and gone in between need not be told of at all.
                    changes.retain(|(other, _)| *other != call);
                    if self.shelf.contains(call) {
                        changes.push((call, None));
                    }
                }
                Order::Seek(call) => self.seeking.begin(call),
                Order::ClearUp => self.paused_at = Some(self.rounds_of_locations()),
            }
        }
        while !changes.is_empty() {
            let later = changes.split_off(changes.len().min(PORTION_MAX));
            self.write(&changes);
            changes = later;
        }
    }

    fn write(&mut self, changes: &[Change]) {
        let kept = self.store.keep(changes);
        let told = match &kept {
            Ok(Kept::Done { .. }) => Told::Written,
            Ok(Kept::Buried) => Told::Refused,
            Err(_) => Told::Unknown,
        };
        self.shelf.tell(changes, told);
        match kept {
            Ok(Kept::Done {
                count,
                orphaned,
                wanted,
            }) => {
                if std::mem::take(&mut self.away) {
                    tracing::info!("the live store has the calls of this node again");
                    self.forget_what_was_told();
                } else if count != self.shelf.len() {
                    tracing::warn!(
                        count,
                        "the live store has other calls than it was told; all are told again"
                    );
                    self.forget_what_was_told();
                }
                self.roster.note_buried(&orphaned);
                self.orphaned = orphaned;
                for call in wanted {
                    self.hand_over(call);
                }
            }
            // The thread of the permits joins anew, under another name.
            Ok(Kept::Buried) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(%error, "the live store is away; nobody else knows of changes to calls");
                }
            }
        }
    }

    /// Another node has a request for a call of this one. It asks again while something is under way.
    fn hand_over(&mut self, call: u64) {
        let record =
            self.visit(move |now, machine, _| machine.switch.hand_over(now, CallKey(call)));
        let Some(record) = record.flatten() else {
            return;
        };
        self.shelf.give_up(call);
        match self.store.hand_over(call, &record) {
            Ok(_) => tracing::info!(call, "another node goes on with a call"),
            Err(error) => {
                tracing::warn!(%error, call, "it is not known whether a call was handed over");
                self.doubtful.push((call, record));
            }
        }
    }

    /// Calls that may have been given away go on here if nobody has them.
    fn clear_up_doubts(&mut self) {
        for (call, record) in std::mem::take(&mut self.doubtful) {
            match self.store.find(call) {
                Ok(Found::Taken(_) | Found::Own | Found::Nowhere) => {
                    self.take_up(vec![(call, record)]);
                }
                Ok(Found::Held(_) | Found::Unreadable) => {}
                Ok(Found::Unknown) | Err(_) => self.doubtful.push((call, record)),
            }
        }
    }

    /// The store is told of each call again; what has ended is removed, and what was given to this node
    /// without its knowledge is taken up.
    fn forget_what_was_told(&mut self) {
        let kept = self.visit(|_, machine, _| machine.switch.kept_calls());
        let Some(kept) = kept else {
            self.end.overflowed.store(true, Ordering::Relaxed);
            return;
        };
        let known: BTreeSet<u64> = kept.iter().map(|call| call.0).collect();
        self.again = kept.into();
        match self.compare(&known) {
            Ok(given) if given.is_empty() => {}
            Ok(given) => {
                let calls = given.len();
                tracing::warn!(
                    calls,
                    "calls of a dead node go on here; the word of it was lost"
                );
                self.take_up(given);
            }
            Err(_) => self.away = true,
        }
    }

    /// Removes what has ended from the store; the calls that it has given to this node.
    fn compare(&mut self, known: &BTreeSet<u64>) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let own = self.store.own()?;
        let Strange { ended, mut given } = self.shelf.compare(&own, known);
        given.retain(|call| !self.doubtful.iter().any(|(doubtful, _)| doubtful == call));
        let given = self.store.read(&given)?;
        let ended: Vec<Change> = ended.into_iter().map(|call| (call, None)).collect();
        if let Kept::Done { .. } = self.store.keep(&ended)? {
            self.shelf.tell(&ended, Told::Written);
        }
        Ok(given)
    }

    fn tell_again(&mut self) {
        if self.end.overflowed.swap(false, Ordering::Relaxed) {
            self.forget_what_was_told();
        }
        if self.again.is_empty() || self.away {
            return;
        }
        let portion: Vec<CallKey> = self
            .again
            .drain(..self.again.len().min(AGAIN_MAX))
            .collect();
        // They come by the channel, in order with all others.
        self.visit(move |_, machine, _| {
            for call in portion {
                machine.switch.keep_again(call);
            }
        });
    }

    /// This node was taken for dead, and has joined under another name: others have the calls that the
    /// store knew of.
    fn follow_identity(&mut self) {
        let id = self.roster.own();
        if id == self.id {
            return;
        }
        self.store.rename(&id);
        self.settling.begin(&id);
        self.id = id;
        let Lost { mut calls, unsure } = self.shelf.lose();
        for call in unsure {
            // The store may never have heard of it: then nobody else has it.
            if matches!(self.store.find(call), Ok(Found::Held(_))) {
                calls.push(call);
            }
        }
        let lost: Vec<CallKey> = calls.into_iter().map(CallKey).collect();
        tracing::error!(
            calls = lost.len(),
            "taken for dead; other nodes have its calls"
        );
        self.visit(move |now, machine, _| machine.switch.lose_calls(now, &lost));
        self.forget_what_was_told();
    }

    /// Lets the switch go on after a pause, once the store has said that this node is what it was, and
    /// where phones have registered meanwhile; what it has lost is forgotten first.
    fn clear_up_pause(&mut self) {
        let Some(paused_at) = self.paused_at else {
            return;
        };
        // One round may have been under way: what it brings was so before the pause.
        let knows_phones = self.locations.is_none() || self.rounds_of_locations() >= paused_at + 2;
        if knows_phones && let Ok(true) = self.store.still_stands() {
            self.paused_at = None;
            self.visit(|now, machine, _| machine.go_on(now));
        }
    }

    /// A store that was emptied would let a node go on that was taken out: it is told again and again.
    fn remember_buried(&mut self) {
        if self.away || self.remembered.elapsed() < REMEMBER_INTERVAL {
            return;
        }
        if self.store.remember(&self.roster.buried()).is_ok() {
            self.remembered = Instant::now();
        }
    }

    fn rounds_of_locations(&self) -> u64 {
        self.locations.as_ref().map_or(0, LocationHealth::rounds)
    }

    fn claim_orphans(&mut self) {
        for dead in std::mem::take(&mut self.orphaned) {
            let mut count = 0;
            loop {
                match self.store.claim(&dead, CLAIM_MAX) {
                    Ok(calls) if calls.is_empty() => break,
                    Ok(calls) => {
                        count += calls.len();
                        self.take_up(calls);
                    }
                    Err(error) => {
                        tracing::warn!(%error, node = dead, "its calls are not taken over yet");
                        break;
                    }
                }
            }
            if count > 0 {
                tracing::warn!(calls = count, node = dead, "is dead; its calls go on here");
            }
        }
    }

    /// Calls that the store has given to this node.
    fn take_up(&mut self, calls: Vec<(u64, Vec<u8>)>) {
        self.shelf.take(calls.iter().map(|(call, _)| *call));
        let given = calls.clone();
        let taken = self.visit(move |now, machine, _| {
            let mut refused = Vec::new();
            for (call, record) in calls {
                match machine.switch.take_call(now, &record) {
                    Ok(_) | Err(NotTaken::Present) => {}
                    Err(NotTaken::Unreadable) => refused.push((call, None)),
                }
            }
            refused
        });
        let Some(refused) = taken else {
            self.doubtful.extend(given);
            return;
        };
        if !refused.is_empty() {
            tracing::error!(
                calls = refused.len(),
                "calls of a dead node could not be read"
            );
            self.write(&refused);
        }
    }

    /// Runs something on the `sip` thread; `None` if it has no time, or has ended.
    fn visit<T: Send + 'static>(
        &self,
        visit: impl FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) -> T + Send + 'static,
    ) -> Option<T> {
        self.visitor.wait(VISIT_PATIENCE, visit)
    }
}

/// Between two looks for dead nodes' calls.
const ROUND: Duration = Duration::from_millis(200);
/// The same while there is something to do.
const BUSY_ROUND: Duration = Duration::from_millis(20);
/// How often the store is told who was taken out: several times in [`cluster::GRACE`], within which it
/// lets nobody go on after it was emptied.
const REMEMBER_INTERVAL: Duration = Duration::from_secs(1);
/// Orders that wait; beyond, all calls are told again.
const ORDERS_MAX: usize = 16_384;
/// Changes in one run of the script, which takes about a millisecond then.
const PORTION_MAX: usize = 256;
/// Calls that are told again at a time: a few milliseconds of the `sip` thread.
const AGAIN_MAX: usize = 500;
/// Calls that are taken up at a time: a few milliseconds of the `sip` thread.
const CLAIM_MAX: usize = 100;
/// How long the switch may take to do what it is asked.
const VISIT_PATIENCE: Duration = Duration::from_secs(2);
