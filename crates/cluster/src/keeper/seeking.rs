//! Requests wait for calls that are not here: whose are they, and does that node live?

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Time;

use super::job::Job;
use super::{Answer, Ask, Keeper, Notice, Visit, Whereabouts};
use crate::{Door, Found, Member, Roster};

/// The calls that are looked for.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    calls: Vec<(u64, Time)>,
    /// What was found at the doors of nodes, and when: to knock takes a while.
    doors: BTreeMap<String, (Time, Door)>,
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
        let look = |(call, since)| Job::Look {
            call,
            since,
            has_buried: false,
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
            (
                Job::Look {
                    call,
                    since,
                    has_buried,
                },
                Answer::Found(found),
            ) => self.handle_found(now, roster, (call, since, has_buried), found),
            (Job::Look { call, .. }, _) => {
                self.notices.push_back(Notice::NotFound(call));
                self.tell_sought(call, Whereabouts::Elsewhere);
            }
            (
                Job::Knock {
                    call,
                    since,
                    member,
                },
                answer,
            ) => {
                // Of one that only does not answer, the thread of the permits makes sure.
                let door = match answer {
                    Answer::Door(door) => door,
                    _ => Door::Silence,
                };
                self.seeking.doors.insert(member.id.clone(), (now, door));
                self.handle_door(now, (call, since), member, door);
            }
            (
                Job::Bury {
                    call,
                    since,
                    member,
                },
                Answer::Done(is_new),
            ) => {
                if is_new {
                    roster.note_buried([&member.id]);
                }
                let has_buried = true;
                self.first([Job::Look {
                    call,
                    since,
                    has_buried,
                }]);
            }
            (Job::Bury { call, since, .. }, _) => self.look_later(now, (call, since)),
            (job, answer) => self.finish_settling(now, job, answer),
        }
    }

    fn handle_found(
        &mut self,
        now: Time,
        roster: &Roster,
        (call, since, has_buried): (u64, Time, bool),
        found: Found,
    ) {
        match found {
            Found::Taken(record) => {
                self.notices.push_back(Notice::Found(call));
                self.tell_sought(call, Whereabouts::Nowhere);
                self.first([Job::TakeUp(vec![(call, record)])]);
            }
            // The word that it was given to this node was lost.
            Found::Own if !self.shelf.contains(call) => {
                self.tell_sought(call, Whereabouts::Nowhere);
                self.first([Job::ForgetTold]);
            }
            Found::Own | Found::Nowhere | Found::Unreadable => {
                self.tell_sought(call, Whereabouts::Nowhere);
            }
            Found::Unknown => self.look_later(now, (call, since)),
            Found::Held(node) => {
                let silent = roster.find(now, &node).filter(|(_, time)| *time >= STALE);
                let Some((member, _)) = silent.filter(|_| !has_buried) else {
                    self.look_later(now, (call, since));
                    return;
                };
                match self.seeking.door_of(now, &node) {
                    Some(door) => self.handle_door(now, (call, since), member, door),
                    None => self.first([Job::Knock {
                        call,
                        since,
                        member,
                    }]),
                }
            }
        }
    }

    fn handle_door(&mut self, now: Time, (call, since): (u64, Time), member: Member, door: Door) {
        if door != Door::Nobody {
            self.look_later(now, (call, since));
            return;
        }
        self.notices.push_back(Notice::Dead(member.id.clone()));
        self.first([Job::Bury {
            call,
            since,
            member,
        }]);
    }

    /// Its node may be dead, or the store may have lost whose it is, and it is not known yet.
    fn look_later(&mut self, now: Time, (call, since): (u64, Time)) {
        if now.since(since) >= SEEK_MAX {
            self.tell_sought(call, Whereabouts::Elsewhere);
        } else {
            self.seeking.calls.push((call, since));
        }
    }

    /// Tells the switch after what is to be done first.
    fn tell_sought(&mut self, call: u64, whereabouts: Whereabouts) {
        self.first([Job::Answer(call, whereabouts)]);
    }

    pub(super) fn answer_sought(&mut self, call: u64, whereabouts: Whereabouts) -> Option<Ask> {
        let visit = Ask::Switch(Visit::Sought(call, whereabouts));
        self.wait(Job::Told, visit)
    }
}

/// Calls that are looked for at a time.
const SEEKING_MAX: usize = 1_000;
/// Between two knocks at one door.
const KNOCK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a call is looked for whose node may be dead, or does not hand it over.
const SEEK_MAX: Duration = Duration::from_secs(6);
/// How long a node has not been heard that may be dead: three renewals that did not come.
const STALE: Duration = Duration::from_millis(650);
