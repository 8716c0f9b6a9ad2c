//! Calls as a proxy names them, and the media sessions behind them.
//!
//! A call has a branch for each target that was told apart by `via-branch`, and each branch is a
//! session of the engine with two sides: A made its first offer, B is the other. Without
//! `via-branch` the targets of a forked call share one branch, and their answers take turns, as
//! with rtpengine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{RecordingOptions, Side, Way};
use ng::Selection;
use smallvec::SmallVec;

use crate::lines::Mids;

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_id: HashMap<Arc<str>, Call>,
    by_session: HashMap<u64, Arc<str>>,
    last_session: u64,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Arc<str>,
    /// Seconds of Unix time, and the microseconds since.
    pub(crate) created_s: u64,
    pub(crate) created_us: u32,
    pub(crate) last_signal_s: u64,
    pub(crate) branches: SmallVec<[Branch; 1]>,
    /// Who hears copies of what participants send.
    pub(crate) subscriptions: Vec<Subscription>,
    /// When it ends, once it was deleted with a delay.
    pub(crate) delete_at: Option<Instant>,
    /// Whether branches that are answered are recorded.
    pub(crate) is_recorded: bool,
    /// Whether branches that are answered have DTMF blocked.
    pub(crate) is_dtmf_blocked: bool,
    /// Of all that is sent.
    pub(crate) traffic_class: u8,
    /// Whether all its media is dropped.
    pub(crate) is_dropped: bool,
    /// What its recordings are called; `None`: after the call.
    pub(crate) recorded_as: Option<RecordingOptions>,
}

/// A session of the engine and whose it is.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) session: u64,
    pub(crate) via_branch: Option<Box<str>>,
    pub(crate) parties: [Party; 2],
    /// Where what sides A and B send goes.
    pub(crate) ways: [Way; 2],
    /// Whose names the media of the open offer have.
    pub(crate) mids: Mids,
    /// Who made the open offer.
    pub(crate) offerer: Side,
    /// What it is called in what a HEP collector is told; `None`: as the call.
    pub(crate) correlation: Option<Box<str>>,
    /// Who is told of the keys that are pressed in it.
    pub(crate) keys_for: Option<SocketAddr>,
    /// Packets that had come when it was last looked at, and when that changed.
    pub(crate) packets: u64,
    pub(crate) heard: Instant,
    /// Packets that had come of each side when it was last found silent.
    pub(crate) silent: [Option<u64>; 2],
}

/// A session of the engine that copies go to.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) session: u64,
    pub(crate) tag: Box<str>,
    /// Whom it hears, as sessions and sides.
    pub(crate) sources: Vec<(u64, Side)>,
    pub(crate) created_s: u64,
}

/// One side of a branch.
#[derive(Debug, Default)]
pub(crate) struct Party {
    /// `None` before it has signalled.
    pub(crate) tag: Option<Box<str>>,
    /// Further tags that mean the same side: targets that answered after the first.
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) label: Option<Box<str>>,
    pub(crate) created_s: u64,
}

/// Where a description belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) branch: usize,
    /// Whose description it is.
    pub(crate) side: Side,
}

impl Calls {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.by_session.len()
    }

    pub(crate) fn call(&self, id: &str) -> Option<&Call> {
        self.by_id.get(id)
    }

    pub(crate) fn call_mut(&mut self, id: &str) -> Option<&mut Call> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.by_id.values_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.by_id.values()
    }

    /// The branch of a session.
    pub(crate) fn branch_of(&mut self, session: u64) -> Option<(Arc<str>, &mut Branch)> {
        let id = Arc::clone(self.by_session.get(&session)?);
        let call = self.by_id.get_mut(&id)?;
        let mut branches = call.branches.iter_mut();
        Some((id, branches.find(|branch| branch.session == session)?))
    }

    /// Opens a branch for an offer that belongs to none, and the call if need be.
    pub(crate) fn open(
        &mut self,
        selection: &Selection,
        now: Instant,
        since_epoch: Duration,
    ) -> Place {
        let now_s = since_epoch.as_secs();
        self.last_session += 1;
        let session = self.last_session;
        let known = self.by_id.get(selection.call_id.as_str());
        let id = known.map_or_else(
            || Arc::from(selection.call_id.as_str()),
            |c| Arc::clone(&c.id),
        );
        self.by_session.insert(session, Arc::clone(&id));
        let call = self.by_id.entry(Arc::clone(&id)).or_insert_with(|| Call {
            id,
            created_s: now_s,
            created_us: since_epoch.subsec_micros(),
            last_signal_s: now_s,
            branches: SmallVec::new(),
            subscriptions: Vec::new(),
            delete_at: None,
            is_recorded: false,
            is_dtmf_blocked: false,
            traffic_class: 0,
            is_dropped: false,
            recorded_as: None,
        });
        let party = |tag: &Option<String>| Party {
            tag: tag.as_deref().map(Box::from),
            created_s: now_s,
            ..Party::default()
        };
        call.branches.push(Branch {
            session,
            via_branch: selection.via_branch.as_deref().map(Box::from),
            parties: [party(&selection.from_tag), party(&selection.to_tag)],
            ways: [Way::Across; 2],
            mids: Mids::Theirs,
            offerer: Side::A,
            correlation: None,
            keys_for: None,
            packets: 0,
            heard: now,
            silent: [None; 2],
        });
        Place {
            branch: call.branches.len() - 1,
            side: Side::A,
        }
    }

    /// Has the subscription of a tag hear other participants.
    pub(crate) fn change_subscription(&mut self, id: &str, tag: &str, sources: &[(u64, Side)]) {
        let call = self.by_id.get_mut(id);
        let mut subscriptions = call.into_iter().flat_map(|call| &mut call.subscriptions);
        if let Some(known) = subscriptions.find(|known| *known.tag == *tag) {
            known.sources = sources.to_vec();
        }
    }

    /// Opens a subscription to participants of a call; its session.
    pub(crate) fn open_subscription(
        &mut self,
        id: &str,
        tag: &str,
        sources: Vec<(u64, Side)>,
        now_s: u64,
    ) -> Option<u64> {
        let call = self.by_id.get_mut(id)?;
        self.last_session += 1;
        let session = self.last_session;
        self.by_session.insert(session, Arc::clone(&call.id));
        call.subscriptions.push(Subscription {
            session,
            tag: tag.into(),
            sources,
            created_s: now_s,
        });
        Some(session)
    }

    /// Takes branches and subscriptions out of a call; the call with its last branch. Their sessions
    /// are the caller's to end, and so are the subscriptions that have nobody left to hear: they
    /// are returned.
    pub(crate) fn remove(&mut self, id: &str, sessions: &[u64]) -> Vec<u64> {
        let mut orphans = Vec::new();
        if let Some(call) = self.by_id.get_mut(id) {
            call.branches
                .retain(|branch| !sessions.contains(&branch.session));
            let branches = &call.branches;
            call.subscriptions.retain(|subscription| {
                if sessions.contains(&subscription.session) {
                    return false;
                }
                let mut sources = subscription.sources.iter();
                let hears = sources.any(|(heard, _)| branches.iter().any(|b| b.session == *heard));
                if !hears {
                    orphans.push(subscription.session);
                }
                hears
            });
            if call.branches.is_empty() {
                self.by_id.remove(id);
            }
        }
        for session in sessions.iter().chain(&orphans) {
            self.by_session.remove(session);
        }
        orphans
    }
}

impl Call {
    /// Where an offer belongs; `None`: it opens a branch.
    pub(crate) fn place_of_offer(&self, selection: &Selection) -> Option<Place> {
        let from = selection.from_tag.as_deref()?;
        let within = selection.to_tag.as_deref();
        let dialogue = within.and_then(|to| self.last(|b| b.dialogue(from, to)));
        if dialogue.is_some() {
            return dialogue;
        }
        if let Some(via) = selection.via_branch.as_deref() {
            // An offer of the other side comes by a way of its own.
            let same = self.last(|b| b.side_of(from).filter(|_| b.is_via(via)));
            return same.or_else(|| self.last(|b| b.side_of(from).filter(|s| *s == Side::B)));
        }
        let open = self.last(|b| {
            b.side_of(from)
                .filter(|side| b.party(side.other()).tag.is_none())
        });
        open.or_else(|| self.last(|b| b.side_of(from)))
    }

    /// Where an answer belongs: `from_tag` is the offerer's, as in the SIP response.
    pub(crate) fn place_of_answer(&self, selection: &Selection) -> Option<Place> {
        let (from, to) = (selection.from_tag.as_deref()?, selection.to_tag.as_deref()?);
        let via = selection.via_branch.as_deref();
        let by_via = via.and_then(|via| self.last(|b| b.side_of(from).filter(|_| b.is_via(via))));
        let offerer = by_via
            .or_else(|| self.last(|b| b.dialogue(from, to)))
            .or_else(|| self.last(|b| b.side_of(from).filter(|s| b.party(s.other()).tag.is_none())))
            .or_else(|| self.last(|b| b.side_of(from)))?;
        Some(Place {
            branch: offerer.branch,
            side: offerer.side.other(),
        })
    }

    /// Which branches `delete` means; none if the tags match nothing.
    pub(crate) fn sessions_to_delete(
        &self,
        selection: &Selection,
        to_tag: HonourToTag,
    ) -> Vec<u64> {
        let via = selection.via_branch.as_deref();
        let from = selection.from_tag.as_deref();
        let to = selection
            .to_tag
            .as_deref()
            .filter(|_| to_tag == HonourToTag::Yes);
        let meant = self.branches.iter().filter(|branch| {
            via.is_none_or(|via| branch.is_via(via))
                && from.is_none_or(|from| branch.side_of(from).is_some())
                && to.is_none_or(|to| branch.side_of(to).is_some())
        });
        let meant: Vec<u64> = meant.map(|branch| branch.session).collect();
        let subscription = from.filter(|_| meant.is_empty());
        let subscription = subscription.and_then(|from| self.subscription(from));
        match subscription {
            Some(subscription) => vec![subscription.session],
            None => meant,
        }
    }

    /// The subscription of a tag.
    pub(crate) fn subscription(&self, tag: &str) -> Option<&Subscription> {
        let mut subscriptions = self.subscriptions.iter();
        subscriptions.find(|subscription| *subscription.tag == *tag)
    }

    /// The tags of those that hear copies of what a participant sends.
    pub(crate) fn subscribers(&self, session: u64, side: Side) -> Vec<String> {
        let all = self.subscriptions.iter();
        let hearing = all.filter(|known| known.sources.contains(&(session, side)));
        hearing.map(|known| known.tag.to_string()).collect()
    }

    /// The tags of participants.
    pub(crate) fn tags(&self, participants: &[(u64, Side)]) -> Vec<String> {
        let tag = |(session, side): &(u64, Side)| {
            let branch = self.branches.iter().find(|b| b.session == *session)?;
            branch.party(*side).tag.as_deref().map(str::to_owned)
        };
        participants.iter().filter_map(tag).collect()
    }

    /// The participants that a selection means and that are wanted, as sessions and sides.
    pub(crate) fn participants(
        &self,
        selection: &Selection,
        wanted: impl Fn(&Branch, Side) -> bool,
    ) -> Vec<(u64, Side)> {
        let every = self
            .branches
            .iter()
            .flat_map(|b| [(b, Side::A), (b, Side::B)]);
        let meant = every.filter(|(branch, side)| {
            if !wanted(branch, *side) {
                return false;
            }
            let party = branch.party(*side);
            if let Some(label) = &selection.label {
                return party.label.as_deref() == Some(label.as_str());
            }
            if selection.all.is_some() {
                return true;
            }
            let tags = selection.from_tag.iter().chain(&selection.from_tags);
            let mut tags = tags.peekable();
            tags.peek().is_none() || tags.any(|tag| party.is(tag))
        });
        meant.map(|(branch, side)| (branch.session, side)).collect()
    }

    /// The last branch that has a place for it.
    fn last(&self, side: impl Fn(&Branch) -> Option<Side>) -> Option<Place> {
        let branches = self.branches.iter().enumerate().rev();
        branches
            .filter_map(|(branch, b)| {
                Some(Place {
                    branch,
                    side: side(b)?,
                })
            })
            .next()
    }
}

/// Whether `delete` minds the tag of `To`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HonourToTag {
    Yes,
    No,
}

impl Branch {
    pub(crate) fn party(&self, side: Side) -> &Party {
        &self.parties[side as usize]
    }

    pub(crate) fn party_mut(&mut self, side: Side) -> &mut Party {
        &mut self.parties[side as usize]
    }

    fn is_via(&self, via: &str) -> bool {
        self.via_branch.as_deref() == Some(via)
    }

    fn side_of(&self, tag: &str) -> Option<Side> {
        [Side::A, Side::B]
            .into_iter()
            .find(|side| self.party(*side).is(tag))
    }

    /// The side of `from` if the other is `to`.
    fn dialogue(&self, from: &str, to: &str) -> Option<Side> {
        self.side_of(from)
            .filter(|side| self.party(side.other()).is(to))
    }
}

impl Party {
    pub(crate) fn is(&self, tag: &str) -> bool {
        let mut tags = self.tag.iter().chain(&self.aliases);
        tags.any(|known| **known == *tag)
    }

    /// Takes note of a tag: the first names the party, others are aliases.
    pub(crate) fn learn(&mut self, tag: &str, now_s: u64) {
        if self.is(tag) {
            return;
        }
        match self.tag {
            None => {
                self.tag = Some(tag.into());
                self.created_s = now_s;
            }
            Some(_) if self.aliases.len() < ALIASES_MAX => self.aliases.push(tag.into()),
            Some(_) => {}
        }
    }
}

/// Targets of one branch that are told apart; more are answered all the same.
const ALIASES_MAX: usize = 16;

#[cfg(test)]
mod tests;
