//! Calls of which a node does not know whether they are its own.
//!
//! A call that was given away, and of which the word was lost, stands where it was, or with another, or
//! has ended there. A node that was taken for dead does not know who has the calls that it had told the
//! store of last. Whoever guesses has a call twice, or brings one back that is over: so the store is asked
//! until it says so.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Job;
use super::{Answer, Ask, Keeper, Notice, Question, Visit};
use crate::shelf::{ENDED_MAX, identity_of};
use crate::{Change, Found, Lost, NOBODY, Roster};

/// A call that the switch does not have, and perhaps nobody.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) call: u64,
    pub(super) record: Vec<u8>,
    /// Whose it was, as the store knows them: if it was taken over from one of these, another has it, or
    /// has ended it.
    from: Vec<String>,
    /// Whether the store has heard a word of this node since: then what was given up before does not
    /// come any more.
    is_ripe: bool,
    /// Whether an answer of the store is missing that may have given it to this node by a newer record.
    may_be_newer: bool,
}

impl Doubt {
    /// Which call it is, by its record.
    fn identity(&self) -> Option<u128> {
        identity_of(&self.record)
    }
}

/// Calls of a node that was taken for dead.
#[derive(Debug, Default)]
pub(super) struct Unsure {
    /// The switch has them, and perhaps another node does.
    perhaps: BTreeMap<u64, Was>,
    /// Others have them, and the switch had no time to forget them.
    lost: BTreeSet<u64>,
    /// Calls that have ended here, and of which the store may not have heard that: it may still give
    /// them to this node. Each is forgotten when it does.
    over: BTreeSet<u64>,
}

/// What a call was before its node was taken for dead.
#[derive(Clone, Debug)]
struct Was {
    identity: u128,
    /// What its node was called.
    node: String,
}

impl Unsure {
    pub(super) fn contains(&self, call: u64) -> bool {
        self.perhaps.contains_key(&call) || self.lost.contains(&call)
    }

    /// Whether the switch has nothing that is not its own.
    pub(super) fn is_empty(&self) -> bool {
        self.perhaps.is_empty() && self.lost.is_empty()
    }

    /// A call has ended here; whether it was in doubt.
    pub(super) fn end(&mut self, call: u64) -> bool {
        let was_perhaps = self.perhaps.remove(&call).is_some();
        self.lost.remove(&call) || was_perhaps
    }
}

impl Keeper {
    /// Goes on with calls that the store has given to this node, but for those that had ended here.
    pub(super) fn take_up(&mut self, mut calls: Vec<(u64, Vec<u8>)>) -> Option<Ask> {
        let over = &mut self.unsure.over;
        let shelf = &self.shelf;
        // A store that has lost the end may give it back from under the name of whom it was taken.
        let has_ended =
            |(call, _): &mut (u64, Vec<u8>)| over.remove(call) || shelf.has_ended(*call);
        let ended = calls.extract_if(.., has_ended);
        let ended: Vec<Change> = ended.map(|(call, _)| (call, None)).collect();
        if !ended.is_empty() {
            self.first([Job::Write(ended)]);
        }
        if calls.is_empty() {
            return None;
        }
        let visit = Ask::Switch(Visit::TakeUp(calls.clone()));
        self.wait(Job::TakeUp(calls), visit)
    }

    pub(super) fn is_doubtful(&self, call: u64) -> bool {
        self.doubtful.iter().any(|doubt| doubt.call == call)
    }

    /// It is not known whether a call was given away.
    pub(super) fn doubt_given(&mut self, call: u64, record: Vec<u8>) {
        let from = vec![NOBODY.to_owned(), self.id.clone()];
        self.doubtful.push(Doubt {
            call,
            record,
            from,
            is_ripe: false,
            may_be_newer: false,
        });
    }

    /// The store has heard this node.
    pub(super) fn ripen_doubts(&mut self) {
        for doubt in &mut self.doubtful {
            doubt.is_ripe = true;
        }
    }

    /// Looks where the calls are that may have been given away.
    pub(super) fn clear_up_doubts(&mut self) {
        if self.away {
            return;
        }
        let (ripe, rest): (Vec<Doubt>, _) = std::mem::take(&mut self.doubtful)
            .into_iter()
            .partition(|doubt| doubt.is_ripe);
        self.doubtful = rest;
        let doubts: Vec<Job> = ripe.into_iter().map(Job::ClearUpDoubt).collect();
        self.first(doubts);
    }

    /// Calls are this node's, and the switch had no time to take them up.
    pub(super) fn doubt_taken(&mut self, calls: Vec<(u64, Vec<u8>)>) {
        for (call, record) in calls {
            let from = vec![self.id.clone()];
            self.doubtful.push(Doubt {
                call,
                record,
                from,
                is_ripe: true,
                may_be_newer: false,
            });
        }
    }

    /// This node was taken for dead, and has joined under another name: others have the calls that the
    /// store knew of.
    pub(super) fn follow_identity(&mut self, roster: &Roster) -> Option<Ask> {
        let id = roster.own();
        if id == self.id {
            return None;
        }
        let node = std::mem::replace(&mut self.id, id.to_owned());
        let Lost {
            calls,
            unsure,
            ended,
        } = self.shelf.lose();
        let room = ENDED_MAX.saturating_sub(self.unsure.over.len());
        self.unsure.over.extend(ended.into_iter().take(room));
        self.unsure.lost.extend(calls);
        for (call, identity) in unsure {
            let node = node.clone();
            self.unsure.perhaps.insert(call, Was { identity, node });
        }
        // What the store would not take under the old name, too.
        self.tell_all = true;
        self.first([Job::ClearUpUnsure]);
        let name = Ask::NoteName(self.id.clone());
        self.wait(Job::Noted, name)
    }

    /// Asks of each who has it, and then has the switch forget those that others have.
    pub(super) fn clear_up_unsure(&mut self) {
        if self.unsure.is_empty() {
            return;
        }
        let perhaps = self.unsure.perhaps.keys();
        let mut jobs: Vec<Job> = perhaps.map(|call| Job::AskOfUnsure(*call)).collect();
        jobs.push(Job::LoseAgain);
        self.first(jobs);
    }

    /// The switch forgets what others have.
    pub(super) fn lose_again(&mut self) -> Option<Ask> {
        if self.unsure.lost.is_empty() {
            return None;
        }
        let lost: Vec<u64> = self.unsure.lost.iter().copied().collect();
        let visit = Ask::Switch(Visit::Lose(lost.clone()));
        self.wait(Job::Lose(lost), visit)
    }

    /// Ends a step of clearing up.
    pub(super) fn finish_doubt(&mut self, job: Job, answer: Answer) {
        match (job, answer) {
            (Job::AskOfUnsure(call), Answer::Found(Found::Held(_))) => {
                self.unsure.perhaps.remove(&call);
                self.unsure.lost.insert(call);
            }
            // The store may lack what it is told again soon, or not listen.
            (Job::AskOfUnsure(_), Answer::Found(Found::Unknown)) => {}
            // Another has taken it and ended it, or the store has never heard of it.
            (Job::AskOfUnsure(call), Answer::Found(Found::Nowhere)) => {
                self.first([Job::AskWhetherEnded(call)]);
            }
            // It stood there under the old name, and now under this one.
            (Job::AskOfUnsure(call), Answer::Found(found)) => {
                self.unsure.perhaps.remove(&call);
                if matches!(found, Found::Taken(_) | Found::Own) {
                    self.shelf.take([call]);
                }
                self.tell_all = true;
            }
            (Job::AskWhetherEnded(call), Answer::Flags(taken)) => {
                self.unsure.perhaps.remove(&call);
                match taken.first() {
                    Some(true) => {
                        self.unsure.lost.insert(call);
                    }
                    _ => self.tell_all = true,
                }
            }
            (Job::AskOfUnsure(_) | Job::AskWhetherEnded(_), _) => {
                // Who is silent is not asked of the others, each of which would wait as long.
                self.jobs.retain(|job| !matches!(job, Job::AskOfUnsure(_)));
            }
            (Job::Lose(lost), Answer::Done(_)) => {
                self.notices.push_back(Notice::Lost(lost.len()));
                self.drop_words(&lost);
                for call in lost {
                    self.unsure.lost.remove(&call);
                }
            }
            (Job::ClearUpDoubt(doubt), answer) => self.handle_doubt(doubt, &answer),
            (Job::AskWhetherTaken(doubt), Answer::Flags(taken)) => match taken.first() {
                Some(true) => self.notices.push_back(Notice::EndedElsewhere(doubt.call)),
                _ => self.first([Job::TakeUp(vec![(doubt.call, doubt.record)])]),
            },
            (Job::AskWhetherTaken(doubt), _) => {
                self.doubtful.push(doubt);
                self.put_doubts_off();
            }
            _ => {}
        }
    }

    fn handle_doubt(&mut self, doubt: Doubt, answer: &Answer) {
        match answer {
            // It was somewhere else in between.
            Answer::Found(Found::Taken(record)) => {
                self.first([Job::TakeUp(vec![(doubt.call, record.clone())])]);
            }
            Answer::Found(Found::Own) if doubt.may_be_newer => {
                self.first([Job::Read(vec![doubt.call])]);
            }
            // It was not given away: the store may lack what it was to be told last.
            Answer::Found(Found::Own) => {
                self.first([Job::TakeUp(vec![(doubt.call, doubt.record)])]);
            }
            // Another has taken it and ended it, or the store was emptied.
            Answer::Found(Found::Nowhere) => self.first([Job::AskWhetherTaken(doubt)]),
            Answer::Found(Found::Held(_) | Found::Unreadable) => {}
            Answer::Found(Found::Unknown) => self.doubtful.push(doubt),
            _ => {
                self.doubtful.push(doubt);
                self.put_doubts_off();
                self.note_unheard_finds();
            }
        }
    }

    /// Who is silent is not asked of the others, each of which would wait as long: what the switch says
    /// meanwhile, and requests that look for their calls, would wait for all of them.
    fn put_doubts_off(&mut self) {
        for job in std::mem::take(&mut self.jobs) {
            match job {
                Job::ClearUpDoubt(doubt) => self.doubtful.push(doubt),
                job => self.jobs.push_back(job),
            }
        }
    }

    /// The store did not say where a call is, or which it gives to this node.
    pub(super) fn note_unheard_finds(&mut self) {
        for doubt in &mut self.doubtful {
            doubt.may_be_newer = true;
        }
    }

    /// What a step of clearing up asks.
    pub(super) fn ask_of_doubt(&self, job: &Job) -> Option<Ask> {
        let question = match job {
            Job::AskOfUnsure(call) => Question::LookFor(*call),
            Job::AskWhetherEnded(call) => {
                let was = self.unsure.perhaps.get(call)?;
                Question::WereTaken(vec![was.identity], vec![was.node.clone()])
            }
            Job::ClearUpDoubt(doubt) => Question::LookFor(doubt.call),
            Job::AskWhetherTaken(doubt) => {
                Question::WereTaken(vec![doubt.identity()?], doubt.from.clone())
            }
            _ => return None,
        };
        Some(Ask::Store(question))
    }
}
