//! The thread that lets other nodes know of this node's calls, and takes up those of dead ones.
//!
//! Nothing on the call path waits for it. What has changed of calls comes by a channel, in order. What
//! is done then is decided by [`cluster::Keeper`]; the thread carries it to the live store, the switch
//! and the doors of other nodes, and brings the answers back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clock::Time;
use cluster::{Answer, Ask, Keeper, Notice, Order, Question, Visit, Whereabouts};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use model::CallId;
use store::{RedisCalls, StoreError};
use switch::{CallKey, NotTaken};

use crate::host::SwitchHost;
use crate::locations::LocationHealth;
use crate::machine::SwitchMachine;
use crate::permits::knock;
use crate::roster::Roster;
use crate::starts::Starts;
use crate::visit::Visitor;

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
        let keeper = Keeper::new(roster.now(), &id, starts.earlier().to_vec());
        let (stop, stopped) = bounded(0);
        let carrier = Carrier {
            keeper,
            store,
            end,
            roster,
            starts,
            visitor,
            locations,
        };
        let thread = thread::Builder::new()
            .name("calls".into())
            .spawn(move || carrier.run(&stopped))
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

/// What the keeper has around it.
struct Carrier {
    keeper: Keeper,
    store: RedisCalls,
    end: CallsEnd,
    roster: Roster,
    starts: Starts,
    visitor: Visitor,
    /// How sharing of registrations goes, if they are shared.
    locations: Option<LocationHealth>,
}

impl Carrier {
    fn run(mut self, stopped: &Receiver<()>) {
        let orders = self.end.orders.clone();
        let mut carried = Time::ZERO;
        loop {
            let mut first = None;
            let now = self.roster.now();
            let patience = self.keeper.next_round(now).since(now);
            select! {
                recv(orders) -> order => first = order.ok(),
                recv(stopped) -> _ => break,
                default(patience) => {}
            }
            if first.is_some() && self.roster.now().since(carried) < BRISK {
                thread::sleep(GATHER);
            }
            let mut taken: Vec<Order> = first.into_iter().chain(orders.try_iter()).collect();
            if self.end.overflowed.swap(false, Ordering::Relaxed) {
                taken.push(Order::TellAll);
            }
            let locations = self.locations.as_ref().map(LocationHealth::rounds);
            self.keeper.begin_round(self.roster.now(), locations, taken);
            self.carry();
            carried = self.roster.now();
        }
        self.keeper.end(orders.try_iter().collect());
        self.carry();
    }

    /// Does what the keeper wants until it wants no more.
    fn carry(&mut self) {
        while let Some(ask) = self.poll() {
            let answer = match ask {
                Ask::Store(question) => self.ask(question).unwrap_or_else(|error| {
                    tracing::debug!(%error, "the live store does not answer");
                    Answer::Nothing
                }),
                Ask::Switch(visit) => self.visit(visit).unwrap_or(Answer::Nothing),
                Ask::Knock(address) => Answer::Door(knock(address)),
                Ask::NoteName(id) => {
                    self.store.rename(&id);
                    note(self.starts.begin(&id));
                    Answer::Nothing
                }
                Ask::ForgetNames => {
                    note(self.starts.settle());
                    Answer::Nothing
                }
            };
            let now = self.roster.now();
            self.keeper
                .handle_answer(now, &mut self.roster.lock(), answer);
            while let Some(notice) = self.keeper.poll_notice() {
                tell(&notice);
            }
        }
    }

    fn poll(&mut self) -> Option<Ask> {
        self.keeper.poll(self.roster.now(), &mut self.roster.lock())
    }

    fn ask(&mut self, question: Question) -> Result<Answer, StoreError> {
        let store = &mut self.store;
        Ok(match question {
            Question::Keep(changes) => Answer::Kept(store.keep(&changes)?),
            Question::Own => Answer::Calls(store.own()?),
            Question::Read(calls) => Answer::Records(store.read(&calls)?),
            Question::Claim(dead, max) => {
                let claimed = store.claim(&dead, max)?;
                claimed.map_or(Answer::Done(false), Answer::Records)
            }
            Question::Find(call) => Answer::Found(store.find(call)?),
            Question::LookFor(call) => Answer::Found(store.look_for(call)?),
            Question::HandOver(call, record) => Answer::Done(store.hand_over(call, &record)?),
            Question::Bury(member) => Answer::Done(store.bury(&member)?),
            Question::BuryEarlier(ids) => Answer::Names(store.bury_earlier(&ids)?),
            Question::Remember(ids) => {
                store.remember(&ids)?;
                Answer::Done(true)
            }
            Question::StillStands => Answer::Done(store.still_stands()?),
            Question::WereTaken(calls, from) => Answer::Flags(store.were_taken(&calls, &from)?),
        })
    }

    /// `None` if the `sip` thread has no time, or has ended.
    fn visit(&self, visit: Visit) -> Option<Answer> {
        self.visitor
            .wait(VISIT_PATIENCE, move |now, machine, host| {
                carry_out(now, machine, host, visit)
            })
    }
}

/// Does what the keeper wants of the switch, on its thread.
fn carry_out(
    now: Time,
    machine: &mut SwitchMachine,
    host: &mut SwitchHost,
    visit: Visit,
) -> Answer {
    let switch = &mut machine.switch;
    match visit {
        Visit::GiveUp(call) => return Answer::Record(switch.hand_over(now, CallKey(call))),
        Visit::KeptCalls => {
            let kept = switch.kept_calls();
            return Answer::Calls(kept.into_iter().map(|call| call.0).collect());
        }
        Visit::KeepAgain(calls) => {
            for call in calls {
                switch.keep_again(CallKey(call));
            }
            return Answer::Done(true);
        }
        Visit::TakeUp(calls) => {
            let is_unreadable = |(_, record): &(u64, Vec<u8>)| {
                switch.take_call(now, record) == Err(NotTaken::Unreadable)
            };
            let mut unreadable = calls;
            unreadable.retain(is_unreadable);
            return Answer::Calls(unreadable.into_iter().map(|(call, _)| call).collect());
        }
        Visit::Lose(calls) => {
            let lost: Vec<CallKey> = calls.into_iter().map(CallKey).collect();
            switch.lose_calls(now, &lost);
            return Answer::Done(true);
        }
        Visit::GoOn => machine.go_on(now),
        Visit::Sought(call, whereabouts) => {
            let whereabouts = match whereabouts {
                Whereabouts::Nowhere => switch::Whereabouts::Nowhere,
                Whereabouts::Elsewhere => switch::Whereabouts::Elsewhere,
            };
            switch.handle_sought(now, CallKey(call), whereabouts);
        }
        Visit::Unsettled => {
            let open = host.unsettled();
            return Answer::Identities(open.into_iter().map(CallId::bits).collect());
        }
        Visit::Settle { left, close_rest } => {
            let left: Vec<CallId> = left.into_iter().map(CallId::from_bits).collect();
            host.leave(machine, &left);
            if close_rest {
                host.close_unsettled(machine);
            }
            return Answer::Done(true);
        }
    }
    Answer::Nothing
}

fn note(noted: Result<()>) {
    if let Err(error) = noted {
        tracing::error!(%error, "what this node is called could not be noted");
    }
}

/// Tells the operator.
fn tell(notice: &Notice) {
    match notice {
        Notice::Away => {
            tracing::warn!("the live store is away; nobody else knows of changes to calls");
        }
        Notice::Back => tracing::info!("the live store has the calls of this node again"),
        Notice::OtherCalls { count } => tracing::warn!(
            count,
            "the live store has other calls than it was told; all are told again"
        ),
        Notice::HandedOver(call) => tracing::info!(call, "another node goes on with a call"),
        Notice::HandedOverPerhaps(call) => {
            tracing::warn!(call, "it is not known whether a call was handed over");
        }
        Notice::Given(calls) => tracing::warn!(
            calls,
            "calls of a dead node go on here; the word of it was lost"
        ),
        Notice::Lost(calls) => {
            tracing::error!(calls, "taken for dead; other nodes have its calls");
        }
        Notice::Unreadable(calls) => {
            tracing::error!(calls, "calls of a dead node could not be read");
        }
        Notice::Claimed { node, calls } => {
            tracing::warn!(calls, node, "is dead; its calls go on here");
        }
        Notice::NotClaimed(node) => tracing::warn!(node, "its calls are not taken over yet"),
        Notice::Found(call) => tracing::info!(call, "a call of a dead node goes on here"),
        Notice::NotFound(call) => {
            tracing::warn!(call, "a call is looked for, and the live store is away");
        }
        Notice::Dead(node) => {
            tracing::warn!(node, "is dead, and a request for a call of it is here");
        }
        Notice::Copies(nodes) => {
            tracing::error!(?nodes, "live, and work with a copy of this data directory");
        }
        Notice::EndedElsewhere(call) => {
            tracing::info!(call, "a call that was handed over has ended");
        }
        Notice::Settled => tracing::info!("what became of the calls of before is known"),
    }
}

/// Orders that wait; beyond, all calls are told again.
const ORDERS_MAX: usize = 16_384;
/// An order so soon after the last were carried out is one of many.
const BRISK: Duration = Duration::from_millis(20);
/// How long one of many waits for others: each way to the live store and back costs more than the
/// changes that it carries. What changed in this time is lost with the node, as it is on its way.
const GATHER: Duration = Duration::from_millis(5);
/// How long the switch may take to do what it is asked.
const VISIT_PATIENCE: Duration = Duration::from_secs(2);
