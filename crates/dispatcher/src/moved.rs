//! INVITEs inside calls that went elsewhere than their dialogs say.
//!
//! A target that is gone has fellows, one of which takes the call over. If the target is there again
//! before the exchange is over, what belongs to it still follows the INVITE: its repetitions, its CANCEL,
//! and the ACK, for which whoever has answered waits.

use std::collections::{BTreeMap, VecDeque};

use balancer::TargetId;
use clock::Time;
use sip::{Message, Method};

use crate::Dispatcher;
use crate::request::PATIENCE;

/// Who has such an INVITE, by its call and CSeq.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    by_invite: BTreeMap<(u64, u32), TargetId>,
    /// In the order in which they are forgotten.
    until: VecDeque<(Time, (u64, u32))>,
}

impl Moved {
    fn insert(&mut self, now: Time, invite: (u64, u32), target: TargetId) {
        while let Some((until, old)) = self.until.front().copied() {
            if until > now && self.by_invite.len() < MOVED_MAX {
                break;
            }
            self.until.pop_front();
            self.by_invite.remove(&old);
        }
        if self.by_invite.insert(invite, target).is_none() {
            self.until.push_back((now + PATIENCE, invite));
        }
    }
}

impl Dispatcher {
    /// The target that has the INVITE which a request belongs to, if it is not that of its dialog.
    pub(crate) fn moved(&self, message: &Message) -> Option<TargetId> {
        if self.moved.by_invite.is_empty() {
            return None;
        }
        let invite = self.invite_inside(message)?;
        let target = self.moved.by_invite.get(&invite).copied();
        target.filter(|id| self.balancer.is_there(*id))
    }

    /// Remembers that an INVITE inside a call went to another target than that of its dialog.
    pub(crate) fn note_moved(&mut self, now: Time, message: &Message, target: TargetId) {
        if message.method() == Method::Invite
            && let Some(invite) = self.invite_inside(message)
        {
            self.moved.insert(now, invite, target);
        }
    }

    /// The call and the CSeq of an INVITE, and of what belongs to it.
    fn invite_inside(&self, message: &Message) -> Option<(u64, u32)> {
        if !matches!(
            message.method(),
            Method::Invite | Method::Ack | Method::Cancel
        ) {
            return None;
        }
        let call = self.seal.call(message.call_id().unwrap_or_default());
        Some((call, message.cseq()?.number))
    }
}

/// The most at a time; the oldest are forgotten first.
const MOVED_MAX: usize = 100_000;
