//! Requests wait for calls that are not here: whose are they, and does that node live?

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Time;

use super::job::Job;
use super::{Answer, Ask, Keeper, Notice, Visit, Whereabouts};
use crate::{Door, Found, Member, Roster, SPARED};

/// The calls that are looked for.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    calls: Vec<(u64, Time)>,
    /// What was found at the doors of nodes, and when: to knock takes a while.
    doors: BTreeMap<String, (Time, Door)>,
}

/// A look for a call, in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    pub(super) call: u64,
    /// Since when it is looked for.
    since: Time,
    /// Whether a dead node was taken out on the way.
    has_buried: bool,
    /// Whether what the store has of this node was compared on the way.
    has_compared: bool,
}

impl Seeking {
    pub(super) const fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn begin(&mut self, now: Time, call: u64) {
        if self.calls.len() < SEEKING_MAX {
            self.calls.push((call, now));
        }
    }

    /// What was found at a node's door a moment ago.
    fn door_of(&mut self, now: Time, node: &str) -> Option<Door> {
        self.doors
            .retain(|_, (at, _)| now.since(*at) < KNOCK_INTERVAL);
        self.doors.get(node).map(|(_, door)| *door)
    }
}

impl Keeper {
    /// Looks for each once more.
    pub(super) fn seek_on(&mut self) {
        let calls = std::mem::take(&mut self.seeking.calls);
        let look = |(call, since)| {
            Job::Look(Search {
                call,
                since,
                has_buried: false,
                has_compared: false,
            })
        };
        let looks: Vec<Job> = calls.into_iter().map(look).collect();
        self.first(looks);
    }

    /// Ends a step of a search, or of what [`Keeper::settle`] began.
    pub(super) fn finish_search(
        &mut self,
        now: Time,
        roster: &mut Roster,
        job: Job,
        answer: Answer,
    ) {
        match (job, answer) {
            (Job::Look(search), Answer::Found(found)) => {
                self.handle_found(now, roster, search, found);
            }
            (Job::Look(search), _) => {
                self.note_unheard_finds();
                self.find_nothing(search);
            }
            (Job::Knock { search, member }, answer) => {
                // Of one that only does not answer, the thread of the permits makes sure.
                let door = match answer {
                    Answer::Door(door) => door,
                    _ => Door::Silence,
                };
                self.seeking.doors.insert(member.id.clone(), (now, door));
                self.handle_door(now, search, member, door);
            }
            (Job::Bury { search, member }, Answer::Done(is_new)) => {
                if is_new {
                    roster.note_buried([&member.id]);
                }
                self.first([Job::Look(Search {
                    has_buried: true,
                    ..search
                })]);
            }
            (Job::Bury { search, .. }, _) => self.look_later(now, search),
            (job, answer) => self.finish_settling(now, job, answer),
        }
    }

    fn handle_found(&mut self, now: Time, roster: &Roster, search: Search, found: Found) {
        let call = search.call;
        match found {
            Found::Taken(record) => {
                self.notices.push_back(Notice::Found(call));
                self.tell_sought(search, Whereabouts::Nowhere);
                self.first([Job::TakeUp(vec![(call, record)])]);
            }
            Found::Own if self.shelf.contains(call) => {
                self.tell_sought(search, Whereabouts::Nowhere);
            }
            // The switch has had no time to take it up, or the store was not heard.
            Found::Own if self.is_doubtful(call) || search.has_compared => {
                self.look_later(now, search);
            }
            // The word that it was given to this node was lost.
            Found::Own => self.first([
                Job::ForgetTold,
                Job::Look(Search {
                    has_compared: true,
                    ..search
                }),
            ]),
            Found::Nowhere => self.tell_sought(search, Whereabouts::Nowhere),
            // It lives for those who can read it.
            Found::Unreadable => self.tell_sought(search, Whereabouts::Elsewhere),
            Found::Unknown => self.look_later(now, search),
            Found::Held(node) => {
                let silent = roster.find(now, &node).filter(|(_, time)| *time >= STALE);
                let Some((member, _)) = silent.filter(|_| !search.has_buried) else {
                    self.look_later(now, search);
                    return;
                };
                match self.seeking.door_of(now, &node) {
                    Some(door) => self.handle_door(now, search, member, door),
                    None => self.first([Job::Knock { search, member }]),
                }
            }
        }
    }

    fn handle_door(&mut self, now: Time, search: Search, member: Member, door: Door) {
        if door != Door::Nobody {
            self.look_later(now, search);
            return;
        }
        self.notices.push_back(Notice::Dead(member.id.clone()));
        self.first([Job::Bury { search, member }]);
    }

    /// The store is silent, and would be for each of the calls that are looked for.
    fn find_nothing(&mut self, search: Search) {
        let jobs = std::mem::take(&mut self.jobs);
        let mut unknown = vec![search];
        for job in jobs {
            match job {
                Job::Look(search) => unknown.push(search),
                job => self.jobs.push_back(job),
            }
        }
        for search in unknown {
            self.notices.push_back(Notice::NotFound(search.call));
            self.tell_sought(search, Whereabouts::Elsewhere);
        }
    }

    /// Its node may be dead, or the store may have lost whose it is, and it is not known yet.
    fn look_later(&mut self, now: Time, search: Search) {
        if now.since(search.since) >= SPARED {
            self.tell_sought(search, Whereabouts::Elsewhere);
        } else {
            self.seeking.calls.push((search.call, search.since));
        }
    }

    /// Tells the switch after what is to be done first.
    fn tell_sought(&mut self, search: Search, whereabouts: Whereabouts) {
        self.first([Job::Answer(search, whereabouts)]);
    }

    pub(super) fn answer_sought(
        &mut self,
        now: Time,
        search: Search,
        whereabouts: Whereabouts,
    ) -> Option<Ask> {
        let call = search.call;
        // It is this node's, and the switch does not have it yet: nobody is told that there is none.
        if whereabouts == Whereabouts::Nowhere && self.is_doubtful(call) {
            self.look_later(now, search);
            return None;
        }
        let visit = Ask::Switch(Visit::Sought(call, whereabouts));
        self.wait(Job::Told, visit)
    }
}

/// Calls that are looked for at a time.
const SEEKING_MAX: usize = 1_000;
/// Between two knocks at one door.
const KNOCK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a node has not been heard that may be dead: three renewals that did not come.
const STALE: Duration = Duration::from_millis(650);
