//! Who is dead, by evidence: a member that does not renew any more, and what was found at its door.
//!
//! Where nobody listens there is nobody. A process that listens and does not answer was stopped, or has
//! no time; one from whose machine there is no word may be cut off from us. Both may go on. How long a
//! member was not heard in the store says nothing of that: the store may have been out of its reach all
//! the time, while it did its work. So what counts is how long its door has been as it is, look after
//! look.

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Time;

use crate::Member;

/// Watches the other members. Its owner hands in what the store says of them ([`Watch::look`]), goes
/// to those it is sent to, and tells what it found ([`Watch::handle_door`]).
#[derive(Debug, Default)]
pub struct Watch {
    heard: BTreeMap<String, Heard>,
}

/// What was found at a member's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Somebody answers.
    Open,
    /// Somebody listens, and does not answer: the process was stopped, or has no time at all.
    Stopped,
    /// Its machine says that nobody does.
    Nobody,
    /// No word from its machine.
    Silence,
}

#[derive(Debug)]
struct Heard {
    beat: u64,
    /// When it was seen to beat last.
    at: Time,
    /// When its door was last looked at.
    knocked: Time,
    /// What its door has been since, look after look.
    door: Option<(Door, Time)>,
}

impl Watch {
    /// Of nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what the store says of the other members; gives those to knock at now.
    pub fn look(&mut self, now: Time, others: &[Member]) -> Vec<Member> {
        self.heard
            .retain(|id, _| others.iter().any(|member| member.id == *id));
        let mut due = Vec::new();
        for member in others {
            let heard = self.heard.entry(member.id.clone()).or_insert(Heard {
                beat: member.beat,
                at: now,
                knocked: now,
                door: None,
            });
            if heard.beat != member.beat {
                (heard.beat, heard.at, heard.door) = (member.beat, now, None);
            }
            let is_silent = now.since(heard.at) >= SILENT;
            if is_silent && now.since(heard.knocked) >= KNOCK_INTERVAL {
                heard.knocked = now;
                due.push(member.clone());
            }
        }
        due
    }

    /// Takes over what was found at a door, `asked` being when [`Watch::look`] sent there. Whether
    /// the member is dead; it is to be buried with the beat that was missed.
    pub fn handle_door(&mut self, asked: Time, member: &Member, door: Door) -> bool {
        let heard = self.heard.get_mut(&member.id);
        let Some(heard) = heard.filter(|heard| heard.beat == member.beat) else {
            return false;
        };
        let since = match heard.door {
            Some((before, since)) if before == door => since,
            _ => asked,
        };
        heard.door = Some((door, since));
        match door {
            Door::Open => false,
            Door::Stopped => asked.since(since) >= STOPPED_MAX,
            Door::Nobody => asked.since(since) >= GONE_MAX,
            Door::Silence => asked.since(since) >= SILENCE_MAX,
        }
    }

    /// Nobody could be heard of for a while.
    pub fn forget(&mut self) {
        self.heard.clear();
    }
}

/// How long a node may be silent before it is looked after: two renewals that did not come.
const SILENT: Duration = Duration::from_millis(500);
/// Between two looks at a door.
const KNOCK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a process must have been gone: what it permitted last counts against limits of calls per
/// second for as long.
const GONE_MAX: Duration = Duration::from_secs(1);
/// How long a process must have been stopped to be taken for dead: as long as a node uses its shares
/// of limits after it did anything last. What it does when it goes on is to ask whether it was.
const STOPPED_MAX: Duration = Duration::from_secs(2);
/// After what time a machine from which there is no word at all is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
