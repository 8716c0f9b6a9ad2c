//! What a keeper does, one after the other.

use std::collections::BTreeSet;

use clock::Time;

use super::doubts::Doubt;
use super::seeking::Search;
use super::{
    AGAIN_MAX, Answer, Ask, CLAIM_MAX, Keeper, Notice, Order, Question, REMEMBER_INTERVAL, Visit,
    Whereabouts,
};
use crate::{Change, Kept, Member, Roster, Told};

/// A step of a round.
#[derive(Debug)]
pub(super) enum Job {
    FollowIdentity,
    /// A name was noted.
    Noted,
    /// Calls of a node that was taken for dead, and that others may have.
    ClearUpUnsure,
    AskOfUnsure(u64),
    /// Nobody has it: because another has ended it?
    AskWhetherEnded(u64),
    LoseAgain,
    Lose(Vec<u64>),
    ClearUpPause,
    /// The store has said that this node is a member.
    GoOn,
    TakeOrders(Vec<Order>),
    Write(Vec<Change>),
    /// Another node has a request for a call of this one. It asks again while something is under way.
    HandOver(u64),
    GiveAway(u64, Vec<u8>),
    /// All calls are told again.
    ForgetTold,
    /// The store's calls of this node beside these.
    Compare(BTreeSet<u64>),
    /// Calls that were given away stand there again.
    RemoveHanded(Vec<(u64, Vec<u8>)>),
    RemoveEnded(Vec<Change>),
    /// The records of calls that the store has given to this node.
    Read(Vec<u64>),
    /// Calls that the store has given to this node.
    TakeUp(Vec<(u64, Vec<u8>)>),
    TellAgain,
    TellPortion,
    /// The switch has been asked for these again.
    ToldAgain(Vec<u64>),
    Told,
    ClaimOrphans,
    Claim {
        dead: String,
        count: usize,
    },
    /// Calls that may have been given away go on here if nobody has them.
    ClearUpDoubts,
    ClearUpDoubt(Doubt),
    /// Nobody has it: because another has ended it?
    AskWhetherTaken(Doubt),
    Settle,
    BuryEarlier,
    AskUnsettled,
    AskTaken {
        open: Vec<u128>,
        close_rest: bool,
    },
    SettleUp {
        left: Vec<u128>,
        close_rest: bool,
    },
    EndSettling,
    Remember,
    SeekOn,
    /// The switch is told of a call that was sought.
    Answer(Search, Whereabouts),
    Look(Search),
    Knock {
        search: Search,
        member: Member,
    },
    Bury {
        search: Search,
        member: Member,
    },
}

impl Keeper {
    /// Begins a job; what is waited for then, if anything is.
    pub(super) fn begin(&mut self, now: Time, roster: &mut Roster, job: Job) -> Option<Ask> {
        match job {
            Job::FollowIdentity => return self.follow_identity(roster),
            Job::ClearUpPause => return self.clear_up_pause(),
            Job::TellPortion => return self.tell_portion(),
            Job::Remember => return self.remember(now, roster),
            Job::TakeUp(calls) => return self.take_up(calls),
            Job::Settle => return self.settle(now),
            Job::SettleUp { left, close_rest } => return self.settle_up(left, close_rest),
            Job::EndSettling => return self.end_settling(),
            Job::Answer(search, whereabouts) => {
                return self.answer_sought(now, search, whereabouts);
            }
            Job::LoseAgain => return self.lose_again(),
            Job::ClearUpUnsure => self.clear_up_unsure(),
            Job::TellAgain => {
                self.first([Job::TellPortion]);
                if std::mem::take(&mut self.tell_all) {
                    self.first([Job::ForgetTold]);
                }
            }
            Job::SeekOn => self.seek_on(),
            Job::TakeOrders(orders) => self.take_orders(now, orders),
            Job::ClaimOrphans => {
                // Each is an orphan until the store has said that nothing is left of it.
                let dead = self.orphaned.clone().into_iter();
                let claims: Vec<Job> = dead.map(|dead| Job::Claim { dead, count: 0 }).collect();
                self.first(claims);
            }
            Job::ClearUpDoubts => self.clear_up_doubts(),
            job => {
                let ask = self.ask_for(&job)?;
                return self.wait(job, ask);
            }
        }
        None
    }

    /// What is asked for a job that waits.
    fn ask_for(&mut self, job: &Job) -> Option<Ask> {
        Some(match job {
            Job::Write(changes) => Ask::Store(Question::Keep(changes.clone())),
            Job::HandOver(call) => Ask::Switch(Visit::GiveUp(*call)),
            Job::GiveAway(call, record) => Ask::Store(Question::HandOver(*call, record.clone())),
            Job::ForgetTold => Ask::Switch(Visit::KeptCalls),
            Job::Compare(_) => Ask::Store(Question::Own),
            Job::RemoveHanded(handed) => {
                let left = handed.iter().map(|(call, _)| (*call, None));
                Ask::Store(Question::Keep(left.collect()))
            }
            Job::RemoveEnded(ended) => Ask::Store(Question::Keep(ended.clone())),
            Job::Read(given) => Ask::Store(Question::Read(given.clone())),
            Job::Claim { dead, .. } => Ask::Store(Question::Claim(dead.clone(), CLAIM_MAX)),
            Job::Look(search) => Ask::Store(Question::Find(search.call)),
            Job::Knock { member, .. } => Ask::Knock(member.address),
            Job::Bury { member, .. } => Ask::Store(Question::Bury(member.clone())),
            Job::GoOn => Ask::Switch(Visit::GoOn),
            Job::AskUnsettled => Ask::Switch(Visit::Unsettled),
            Job::AskTaken { open, .. } => {
                let from = self.settling.earlier().to_vec();
                Ask::Store(Question::WereTaken(open.clone(), from))
            }
            job => return self.ask_of_doubt(job),
        })
    }

    /// Ends a job.
    pub(super) fn finish(&mut self, now: Time, roster: &mut Roster, job: Job, answer: Answer) {
        match (job, answer) {
            (Job::ClearUpPause, Answer::Done(true)) => {
                self.paused_at = None;
                self.first([Job::GoOn]);
            }
            (Job::Write(changes), answer) => self.handle_written(roster, &changes, answer),
            (Job::HandOver(call), Answer::Record(Some(record))) => {
                self.shelf.give_up(call);
                self.drop_words(&[call]);
                self.handed.note(call, &record);
                self.first([Job::GiveAway(call, record)]);
            }
            (Job::GiveAway(call, _), Answer::Done(_)) => {
                self.notices.push_back(Notice::HandedOver(call));
            }
            (Job::GiveAway(call, record), _) => {
                self.notices.push_back(Notice::HandedOverPerhaps(call));
                self.doubt_given(call, record);
            }
            (Job::ForgetTold, Answer::Calls(kept)) => self.handle_known(Some(kept)),
            (Job::ForgetTold, _) => self.handle_known(None),
            (Job::Compare(known), Answer::Calls(own)) => self.handle_own(&known, &own),
            (Job::RemoveHanded(handed), answer) => self.handle_handed_back(handed, &answer),
            (Job::RemoveEnded(ended), Answer::Kept(kept)) => {
                if matches!(kept, Kept::Done { .. }) {
                    self.shelf.tell(&ended, Told::Written);
                }
            }
            (Job::Read(_), Answer::Records(given)) => {
                if !given.is_empty() {
                    self.notices.push_back(Notice::Given(given.len()));
                    self.first([Job::TakeUp(given)]);
                }
            }
            (Job::Compare(_) | Job::Read(_) | Job::RemoveEnded(_), _) => self.give_up_comparing(),
            (Job::TakeUp(calls), Answer::Calls(unreadable)) => {
                self.shelf.take(calls.iter().map(|(call, _)| *call));
                for (call, _) in &calls {
                    // Whatever others had of it before: it is here now.
                    self.unsure.end(*call);
                    self.handed.forget(*call);
                }
                if !unreadable.is_empty() {
                    self.notices.push_back(Notice::Unreadable(unreadable.len()));
                    let removed = unreadable.into_iter().map(|call| (call, None));
                    self.first([Job::Write(removed.collect())]);
                }
            }
            // It is not here, and nobody else's: it may not be taken for one that has ended here.
            (Job::TakeUp(calls), _) => self.doubt_taken(calls),
            (Job::Claim { dead, count }, Answer::Records(calls)) => {
                self.handle_claimed(dead, count, calls);
            }
            // It stays an orphan until the store knows who has its calls.
            (Job::Claim { .. }, Answer::Done(_)) => {}
            (Job::Claim { dead, .. }, _) => self.handle_unclaimed(dead),
            (
                job @ (Job::AskOfUnsure(_)
                | Job::AskWhetherEnded(_)
                | Job::Lose(_)
                | Job::ClearUpDoubt(_)
                | Job::AskWhetherTaken(_)),
                answer,
            ) => self.finish_doubt(job, answer),
            (Job::ToldAgain(_), Answer::Done(_)) => {}
            // The switch had no time: nothing else would say that the store lacks them.
            (Job::ToldAgain(portion), _) => {
                for call in portion.into_iter().rev() {
                    self.again.push_front(call);
                }
            }
            (Job::Remember, Answer::Done(_)) => self.remembered = now,
            (job, answer) => self.finish_search(now, roster, job, answer),
        }
    }

    /// The store does not answer: once it does, all is compared anew.
    pub(super) fn give_up_comparing(&mut self) {
        self.away = true;
        for job in std::mem::take(&mut self.jobs) {
            match job {
                Job::Read(_) | Job::RemoveEnded(_) => {}
                Job::RemoveHanded(handed) => self.handed.note_all(handed),
                job => self.jobs.push_back(job),
            }
        }
    }

    /// Lets the switch go on after a pause, once the store has said that this node is what it was, and
    /// where phones have registered meanwhile; what it has lost is forgotten first.
    fn clear_up_pause(&mut self) -> Option<Ask> {
        let paused_at = self.paused_at?;
        // One round may have been under way: what it brings was so before the pause.
        let knows_phones = self.locations.is_none_or(|rounds| rounds >= paused_at + 2);
        match knows_phones && self.unsure.is_empty() {
            true => self.wait(Job::ClearUpPause, Ask::Store(Question::StillStands)),
            false => None,
        }
    }

    fn tell_portion(&mut self) -> Option<Ask> {
        if self.again.is_empty() || self.away {
            return None;
        }
        let portion = self.again.len().min(AGAIN_MAX);
        let portion: Vec<u64> = self.again.drain(..portion).collect();
        // They come by orders, after all others.
        let visit = Visit::KeepAgain(portion.clone());
        self.wait(Job::ToldAgain(portion), Ask::Switch(visit))
    }

    /// A store that was emptied would let a node go on that was taken out: it is told again and again.
    fn remember(&mut self, now: Time, roster: &Roster) -> Option<Ask> {
        if self.away || now.since(self.remembered) < REMEMBER_INTERVAL {
            return None;
        }
        let buried = roster.buried();
        if buried.is_empty() {
            return None;
        }
        self.wait(Job::Remember, Ask::Store(Question::Remember(buried)))
    }

    fn handle_unclaimed(&mut self, dead: String) {
        self.note_unheard_finds();
        self.notices.push_back(Notice::NotClaimed(dead));
    }

    fn handle_claimed(&mut self, dead: String, count: usize, calls: Vec<(u64, Vec<u8>)>) {
        if calls.is_empty() {
            self.orphaned.retain(|orphan| *orphan != dead);
            if count > 0 {
                let (node, calls) = (dead, count);
                self.notices.push_back(Notice::Claimed { node, calls });
            }
            return;
        }
        let count = count + calls.len();
        self.first([Job::TakeUp(calls), Job::Claim { dead, count }]);
    }
}
