//! What became of the calls that a crash had left open: others go on with them, or they ended with it.

use std::time::Duration;

use clock::Time;

use super::job::Job;
use super::{Answer, Ask, Keeper, Notice, Question, Visit};

/// How far that is known.
#[derive(Debug)]
pub(super) struct Settling {
    /// What the node was called before this start.
    earlier: Vec<String>,
    /// Since when the store could have told.
    since: Option<Time>,
    /// Whether what this node was before is taken out, so that others go on with its calls: nobody else
    /// may notice for a minute, or ever.
    has_buried: bool,
    /// Whether all of these calls are closed, or left to others.
    is_over: bool,
}

impl Settling {
    pub(super) const fn of(earlier: Vec<String>) -> Self {
        Self {
            earlier,
            since: None,
            has_buried: false,
            is_over: false,
        }
    }

    pub(super) fn earlier(&self) -> &[String] {
        &self.earlier
    }
}

impl Keeper {
    /// Finds out what became of the calls that a crash had left open.
    pub(super) fn settle(&mut self, now: Time) -> Option<Ask> {
        if self.settling.is_over || self.away {
            return None;
        }
        if !self.settling.has_buried {
            // What it permitted last has to be over.
            if now.since(self.begun) < crate::DRAIN {
                return None;
            }
            let earlier = self.settling.earlier.clone();
            return self.wait(Job::BuryEarlier, Ask::Store(Question::BuryEarlier(earlier)));
        }
        self.settling.since.get_or_insert(now);
        self.first([Job::AskUnsettled]);
        None
    }

    pub(super) fn finish_settling(&mut self, now: Time, job: Job, answer: Answer) {
        match (job, answer) {
            (Job::BuryEarlier, Answer::Names(alive)) => {
                if !alive.is_empty() {
                    self.notices.push_back(Notice::Copies(alive));
                }
                self.settling.has_buried = true;
                self.first([Job::Settle]);
            }
            (Job::AskUnsettled, Answer::Identities(open)) => {
                let since = self.settling.since.unwrap_or(now);
                let close_rest = now.since(since) >= PATIENCE && self.orphaned.is_empty();
                self.first([match open.is_empty() {
                    true => Job::EndSettling,
                    false => Job::AskTaken { open, close_rest },
                }]);
            }
            (Job::AskTaken { open, close_rest }, Answer::Flags(taken)) => {
                let pairs = open.into_iter().zip(taken);
                let left = pairs.filter(|(_, taken)| *taken).map(|(call, _)| call);
                let left = left.collect();
                self.first([Job::SettleUp { left, close_rest }]);
            }
            (
                Job::SettleUp {
                    close_rest: true, ..
                },
                Answer::Done(_),
            ) => self.first([Job::EndSettling]),
            _ => {}
        }
    }

    pub(super) fn settle_up(&mut self, left: Vec<u128>, close_rest: bool) -> Option<Ask> {
        let visit = Visit::Settle {
            left: left.clone(),
            close_rest,
        };
        self.wait(Job::SettleUp { left, close_rest }, Ask::Switch(visit))
    }

    pub(super) fn end_settling(&mut self) -> Option<Ask> {
        self.settling.is_over = true;
        self.settling.earlier.clear();
        self.notices.push_back(Notice::Settled);
        self.wait(Job::Noted, Ask::ForgetNames)
    }
}

/// How long others have to take over what a crash has left, before the rest is closed as ended by it.
const PATIENCE: Duration = Duration::from_secs(10);
