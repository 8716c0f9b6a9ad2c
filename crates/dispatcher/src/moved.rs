//! INVITEs that went elsewhere than their dialogs say, or are answered from elsewhere.
//!
//! A target that is gone has fellows, one of which takes the call over. If the target is there again
//! before the exchange is over, what belongs to it still follows the INVITE: its repetitions, its CANCEL,
//! and the ACK, for which whoever has answered waits. Which of the fellows that is, its answer says. If the target had the INVITE all the same, because it
//! was only stopped, it answers too: a caller hears one refusal, of whoever answers first.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use balancer::TargetId;
use clock::Time;
use sip::{Message, Method, Transport};

use crate::Dispatcher;
use crate::own::Head;
use crate::relief::KEPT;
use crate::response::Opened;

/// Who has such an INVITE, or has answered it, by its call, side and CSeq.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    by_invite: BTreeMap<(u64, u32), Move>,
    /// In the order in which they are forgotten.
    until: VecDeque<(Time, (u64, u32))>,
}

/// Such an INVITE.
#[derive(Clone, Copy, Debug)]
struct Move {
    to: TargetId,
    /// Who has answered it for good, once somebody has.
    answered_by: Option<(Transport, SocketAddr)>,
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
        if let Some(known) = self.by_invite.get_mut(&invite) {
            known.to = target;
            return;
        }
        let new = Move {
            to: target,
            answered_by: None,
        };
        self.by_invite.insert(invite, new);
        self.until.push_back((now + KEPT, invite));
    }
}

impl Moved {
    /// Notes one that is with the target of its dialog, unless it has moved.
    fn insert_new(&mut self, now: Time, invite: (u64, u32), target: TargetId) {
        if !self.by_invite.contains_key(&invite) {
            self.insert(now, invite, target);
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
        let target = self.moved.by_invite.get(&invite).map(|known| known.to);
        target.filter(|id| self.balancer.is_there(*id))
    }

    /// Has the ACK of a 2xx go to the target that has sent it, where nobody knows that it goes there
    /// anyway: no other waits for it.
    pub(crate) fn follow_answer(&mut self, now: Time, message: &Message, opened: &Opened) {
        let is_success = (200..300).contains(&message.status());
        if opened.method != Method::Invite || !is_success {
            return;
        }
        let Some(id) = self.target_from(opened.flow) else {
            return;
        };
        let is_known = self.pending.find(opened.key).is_some_and(|pending| {
            // Of two targets that both answer, each has a dialog of its own.
            let is_other = pending.attempt != opened.branch.attempt;
            pending.target.is_some() && (is_other || pending.target == Some(id))
        });
        if !is_known {
            self.note_moved(now, message, id);
        }
    }

    /// Remembers that an INVITE is with another target than that of its dialog.
    pub(crate) fn note_moved(&mut self, now: Time, message: &Message, target: TargetId) {
        if message.method() == Method::Invite
            && let Some(invite) = self.invite_inside(message)
        {
            self.moved.insert(now, invite, target);
        }
    }

    /// Takes note of who answers such an INVITE; whether this refuses one that somebody else has answered:
    /// then it is acknowledged, and not for the caller.
    pub(crate) fn absorb_second_refusal(
        &mut self,
        now: Time,
        message: &Message,
        opened: &Opened,
    ) -> bool {
        let is_refusal = message.status() >= 300;
        let is_unknown = is_refusal && self.pending.find(opened.key).is_none();
        if message.status() < 200 || (self.moved.by_invite.is_empty() && !is_unknown) {
            return false;
        }
        // The other side counts its own INVITEs.
        let (transport, remote) = (opened.flow.transport, opened.flow.remote);
        let target = self.target_from(opened.flow);
        if target.is_none() && !self.retired.has(transport, remote) {
            return false;
        }
        let from = (transport, remote);
        let Some(invite) = self.invite_inside(message) else {
            return false;
        };
        // Of one that was sent just before its target was given up, a repetition may still go elsewhere.
        if let Some(id) = target.filter(|_| is_unknown) {
            self.moved.insert_new(now, invite, id);
        }
        let Some(known) = self.moved.by_invite.get_mut(&invite) else {
            return false;
        };
        let is_second = *known.answered_by.get_or_insert(from) != from;
        if is_second && is_refusal {
            self.acknowledge(opened.flow, message, &Head::default());
            return true;
        }
        false
    }

    /// Call-ID, side and CSeq of an INVITE, and of what belongs to it.
    fn invite_inside(&self, message: &Message) -> Option<(u64, u32)> {
        if !matches!(
            message.method(),
            Method::Invite | Method::Ack | Method::Cancel
        ) {
            return None;
        }
        let (call, from) = (message.call_id().unwrap_or_default(), message.from().ok()?);
        let name = [call, b" ", from.tag().unwrap_or_default()].concat();
        Some((self.seal.call(&name), message.cseq()?.number))
    }
}

/// The most at a time; the oldest are forgotten first.
const MOVED_MAX: usize = 100_000;
