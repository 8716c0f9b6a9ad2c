//! What a node does for its calls to go on elsewhere, and takes up those of dead nodes, as a value: the
//! thread of the calls in `node::calls` does as it is told by it, and so does a simulated cluster
//! (decision 0060).
//!
//! What has changed of calls goes to the live store in portions. While the store does not answer, what
//! comes is forgotten, and all calls are told again when it is back; the same when it comes back empty.
//!
//! The owner begins a round when one is due ([`Keeper::begin_round`]) and then does one thing after the
//! other as it is asked ([`Keeper::poll`], [`Keeper::handle_answer`]) until nothing is left of the round.

mod ask;
mod doubts;
mod handed;
mod job;
mod seeking;
mod settling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use clock::Time;

pub use self::ask::{Answer, Ask, Notice, Order, Question, Visit, Whereabouts};
use self::doubts::{Doubt, Unsure};
use self::handed::Handed;
use self::job::Job;
use self::seeking::Seeking;
use self::settling::Settling;
use crate::{Change, Kept, Roster, Shelf, Strange, Told};

/// Keeps the calls of a node in the live store.
#[derive(Debug)]
pub struct Keeper {
    id: String,
    /// What the store has of this node.
    shelf: Shelf,
    /// Those that are to be told again.
    again: VecDeque<u64>,
    /// Dead nodes that have left calls.
    orphaned: Vec<String>,
    /// Calls that are this node's or others', and that its switch does not have.
    doubtful: Vec<Doubt>,
    /// Calls that were given away lately.
    handed: Handed,
    /// What is to be cleared up since this node was taken for dead.
    unsure: Unsure,
    seeking: Seeking,
    settling: Settling,
    /// While the switch waits for word on what happened while this process was stopped: how often
    /// registrations had been heard of at that time.
    paused_at: Option<u64>,
    /// How often registrations have been heard of, if they are shared.
    locations: Option<u64>,
    /// Whether the store did not answer last time.
    away: bool,
    /// Whether what is waited for is the store's answer.
    asks_store: bool,
    /// Whether an answer of the store is missing since it was told all: it may have been started again, or
    /// another in its place, without what it had heard last.
    is_unheard: bool,
    /// Whether all calls are to be told again.
    tell_all: bool,
    begun: Time,
    /// When the store was told last who was taken out.
    remembered: Time,
    next_round: Time,
    /// When the shelf ages next.
    next_age: Time,
    /// What is to be done, in order.
    jobs: VecDeque<Job>,
    /// What is waited for.
    current: Option<Job>,
    notices: VecDeque<Notice>,
}

impl Keeper {
    /// For the node that is called `id` and was called as in `earlier` before it was started now.
    #[must_use]
    pub fn new(now: Time, id: &str, earlier: Vec<String>) -> Self {
        Self {
            id: id.to_owned(),
            shelf: Shelf::default(),
            again: VecDeque::new(),
            orphaned: Vec::new(),
            doubtful: Vec::new(),
            handed: Handed::default(),
            unsure: Unsure::default(),
            seeking: Seeking::default(),
            settling: Settling::of(earlier),
            paused_at: None,
            locations: None,
            away: false,
            asks_store: false,
            is_unheard: false,
            tell_all: false,
            begun: now,
            remembered: now,
            next_round: now,
            next_age: now + LATELY,
            jobs: VecDeque::new(),
            current: None,
            notices: VecDeque::new(),
        }
    }

    /// Takes what has come, and begins a round. `locations` is how often registrations have been heard
    /// of, `None` if they are not shared. Called when the last round is over: when an order has come, or
    /// at [`Keeper::next_round`].
    pub fn begin_round(&mut self, now: Time, locations: Option<u64>, orders: Vec<Order>) {
        self.locations = locations;
        if now >= self.next_age {
            self.next_age = now + LATELY;
            self.shelf.age();
            self.handed.age();
        }
        self.jobs.push_back(Job::FollowIdentity);
        self.jobs.push_back(Job::LoseAgain);
        self.jobs.push_back(Job::ClearUpPause);
        self.jobs.push_back(Job::TakeOrders(orders));
        self.jobs.push_back(Job::TellAgain);
        if now >= self.next_round {
            self.next_round = now + ROUND;
            self.jobs.push_back(Job::Write(Vec::new()));
            self.jobs.push_back(Job::ClaimOrphans);
            self.jobs.push_back(Job::ClearUpUnsure);
            self.jobs.push_back(Job::ClearUpDoubts);
            self.jobs.push_back(Job::Settle);
            self.jobs.push_back(Job::Remember);
        }
        self.jobs.push_back(Job::SeekOn);
    }

    /// Takes the last that has come: what has ended is not to be taken for alive.
    pub fn end(&mut self, orders: Vec<Order>) {
        self.jobs.push_back(Job::TakeOrders(orders));
    }

    /// When to begin a round if no order comes before.
    #[must_use]
    pub fn next_round(&self, now: Time) -> Time {
        let is_busy =
            self.paused_at.is_some() || !self.again.is_empty() || !self.seeking.is_empty();
        match is_busy {
            true => self.next_round.min(now + BUSY_ROUND),
            false => self.next_round,
        }
    }

    /// What is to be done next; `None` if the round is over.
    pub fn poll(&mut self, now: Time, roster: &mut Roster) -> Option<Ask> {
        while self.current.is_none() {
            let job = self.jobs.pop_front()?;
            if let Some(ask) = self.begin(now, roster, job) {
                return Some(ask);
            }
        }
        None
    }

    /// What came of what was asked last.
    pub fn handle_answer(&mut self, now: Time, roster: &mut Roster, answer: Answer) {
        self.is_unheard |= self.asks_store && answer == Answer::Nothing;
        if let Some(job) = self.current.take() {
            self.finish(now, roster, job, answer);
        }
    }

    /// What the operator may want to know.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn take_orders(&mut self, now: Time, orders: Vec<Order>) {
        // What is said last of a call counts.
        let mut changes: BTreeMap<u64, Option<Vec<u8>>> = BTreeMap::new();
        for order in orders {
            match order {
                // Another may have it. If not, it is told when that is known.
                Order::Keep(call, _) if self.unsure.contains(call) => {}
                // It was said before the call was given away.
                Order::Keep(call, _) if self.handed.contains(call) => {}
                Order::Keep(call, record) => {
                    changes.insert(call, Some(record));
                }
                Order::Unkeep(call) => {
                    // It may have been given to this node, and the word of it lost.
                    let was_unsure = self.unsure.end(call);
                    // One that has come and gone in between need not be told of at all.
                    changes.remove(&call);
                    if was_unsure || self.shelf.contains(call) {
                        changes.insert(call, None);
                    }
                }
                Order::Seek(call) => self.seeking.begin(now, call),
                Order::ClearUp => self.paused_at = Some(self.locations.unwrap_or(0)),
                Order::TellAll => self.tell_all = true,
            }
        }
        let changes: Vec<Change> = changes.into_iter().collect();
        let portions = changes.chunks(PORTION_MAX);
        let portions: Vec<Job> = portions.map(|p| Job::Write(p.to_vec())).collect();
        self.first(portions);
    }

    /// What the switch had still to say of calls that others have now comes too late.
    fn drop_words(&mut self, calls: &[u64]) {
        for job in &mut self.jobs {
            match job {
                Job::Write(changes) => {
                    changes.retain(|(call, record)| record.is_none() || !calls.contains(call));
                }
                Job::TakeOrders(orders) => orders
                    .retain(|order| !matches!(order, Order::Keep(call, _) if calls.contains(call))),
                _ => {}
            }
        }
    }

    /// Does these before all else.
    fn first(&mut self, jobs: impl IntoIterator<Item = Job, IntoIter: DoubleEndedIterator>) {
        for job in jobs.into_iter().rev() {
            self.jobs.push_front(job);
        }
    }

    fn wait(&mut self, job: Job, ask: Ask) -> Option<Ask> {
        self.current = Some(job);
        self.asks_store = matches!(ask, Ask::Store(_));
        Some(ask)
    }

    fn handle_written(&mut self, roster: &mut Roster, changes: &[Change], answer: Answer) {
        let (told, kept) = match answer {
            Answer::Kept(kept @ Kept::Done { .. }) => (Told::Written, Some(kept)),
            // The thread of the permits joins anew, under another name.
            Answer::Kept(Kept::Buried) => (Told::Refused, None),
            _ => {
                if !std::mem::replace(&mut self.away, true) {
                    self.notices.push_back(Notice::Away);
                }
                (Told::Unknown, None)
            }
        };
        self.shelf.tell(changes, told);
        let Some(Kept::Done {
            count,
            orphaned,
            wanted,
        }) = kept
        else {
            return;
        };
        self.ripen_doubts();
        let mut next = Vec::new();
        let was_unheard = std::mem::take(&mut self.is_unheard);
        if std::mem::take(&mut self.away) {
            self.notices.push_back(Notice::Back);
            next.push(Job::ForgetTold);
        } else if was_unheard {
            next.push(Job::ForgetTold);
        } else if count != self.shelf.len() {
            self.notices.push_back(Notice::OtherCalls { count });
            next.push(Job::ForgetTold);
        }
        roster.note_buried(&orphaned);
        self.orphaned = orphaned;
        next.extend(wanted.into_iter().map(Job::HandOver));
        self.first(next);
    }

    /// The store is told of each call again; what has ended is removed, and what was given to this node
    /// without its knowledge is taken up.
    fn handle_known(&mut self, kept: Option<Vec<u64>>) {
        let Some(kept) = kept else {
            self.tell_all = true;
            return;
        };
        let known: BTreeSet<u64> = kept.iter().copied().collect();
        self.again = kept.into();
        self.again.retain(|call| !self.unsure.contains(*call));
        self.first([Job::Compare(known)]);
    }

    fn handle_own(&mut self, known: &BTreeSet<u64>, own: &[u64]) {
        let Strange {
            mut ended,
            mut given,
        } = self.shelf.compare(own, known);
        ended.retain(|call| !self.is_doubtful(*call));
        given.retain(|call| !self.is_doubtful(*call));
        let handed = self.handed.come_back(&mut given);
        let ended: Vec<Change> = ended.into_iter().map(|call| (call, None)).collect();
        let left = handed.chunks(PORTION_MAX);
        let mut jobs: Vec<Job> = left.map(|p| Job::RemoveHanded(p.to_vec())).collect();
        jobs.extend(
            ended
                .chunks(PORTION_MAX)
                .map(|p| Job::RemoveEnded(p.to_vec())),
        );
        jobs.extend(given.chunks(CLAIM_MAX).map(|p| Job::Read(p.to_vec())));
        self.first(jobs);
    }
}

/// Between two looks for dead nodes' calls.
const ROUND: Duration = Duration::from_millis(200);
/// The same while there is something to do.
const BUSY_ROUND: Duration = Duration::from_millis(20);
/// How often the store is told who was taken out: several times in [`crate::GRACE`], within which it
/// lets nobody go on after it was emptied.
const REMEMBER_INTERVAL: Duration = Duration::from_secs(1);
/// How long it is remembered at least that a call has ended, and the store was told so: more than it
/// loses when it is started again, or when another takes over with what it had heard.
const LATELY: Duration = Duration::from_secs(15);
/// Changes in one run of the script, which takes about a millisecond then.
const PORTION_MAX: usize = 256;
/// Calls that are told again at a time: a few milliseconds of the `sip` thread.
const AGAIN_MAX: usize = 500;
/// Calls that are taken up at a time: a few milliseconds of the `sip` thread.
const CLAIM_MAX: usize = 100;

#[cfg(test)]
mod tests;
