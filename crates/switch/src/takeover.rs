//! Calls that change their node: those of a dead one are taken up here, those that others have
//! taken are lost, and a request for one that is not here waits until it is known where it is.

mod answered;
mod ringing;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use call::{Call, Input, Side};
use clock::Time;
use sip::transaction::ServerId;
use sip::{Flow, Message};

use self::ringing::Caller;
use crate::Switch;
use crate::keep::{self, Kept, Sent};
use crate::media_servers::Adopted;
use crate::output::{CallKey, JournalEvent, Output};
use crate::plan;
use crate::refuse::mark_for_another;

/// Requests that wait for their calls at most; more are told to come again.
const SOUGHT_MAX: usize = 1_000;

/// How long a request waits for its call at most.
const SEEK_PATIENCE: Duration = Duration::from_secs(8);

/// Requests for a call that is not here.
#[derive(Debug)]
pub(crate) struct Sought {
    until: Time,
    requests: Vec<(u64, Flow, Message)>,
}

/// What came of looking for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Nobody has it; or it is here, which is seen then.
    Nowhere,
    /// Another node has it, and lives; or nobody can say.
    Elsewhere,
}

/// Why a call is not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Its record is of another version, or damaged.
    Unreadable,
    /// It is here already, or another one has its key.
    Present,
}

impl Switch {
    /// Goes on with the call of a node that is dead, by its record.
    ///
    /// Its permits are counted, whatever the limits say; its record of charges is opened here, with
    /// its true beginning; media on a server stay where they are, and media that the dead node
    /// relayed itself are begun anew.
    pub fn take_call(&mut self, now: Time, record: &[u8]) -> Result<CallKey, NotTaken> {
        let Some(kept) = keep::read(record, &self.routes) else {
            return Err(NotTaken::Unreadable);
        };
        let Kept {
            facts,
            snapshot,
            invites,
            answers,
            ahead,
        } = kept;
        let seed = (u64::from(self.random.bits()) << 32) | u64::from(self.random.bits());
        let restored = Call::restore(&snapshot, seed, |token| match token {
            Some(token) => {
                let tried = facts.attempts.get(token as usize)?;
                plan::credentials_of(&tried.outbound.as_ref()?.gateway)
            }
            None => match &facts.caller {
                routing::Caller::Carrier { gateway, .. } => plan::credentials_of(gateway),
                _ => None,
            },
        });
        let mut call = restored.ok_or(NotTaken::Unreadable)?;
        let mut facts = Box::new(facts);
        let (theirs, ours) = (ahead, self.clock_ahead);
        let by_our_clock = |at: Time| match theirs.zip(ours) {
            Some((theirs, ours)) => theirs.translate(at, ours),
            None => at,
        };
        call.translate_timers(by_our_clock);
        // Whatever the clocks say, what has happened was before now.
        facts.translate(|at| by_our_clock(at).min(now));
        let key = CallKey(call.key());
        if self.calls.entry(key).is_some() {
            return Err(NotTaken::Present);
        }
        let caller = self.inherit_caller(key, &mut call)?;
        self.inherit_answers(now, key, &mut call, answers);
        self.counters.taken_over += 1;
        self.limits.adopt(now, &facts.entities);
        for token in call.tokens() {
            if let Some(tried) = facts.attempts.get_mut(token as usize)
                && let Some(outbound) = &tried.outbound
            {
                tried.admitted = true;
                self.limits.adopt(now, &outbound.entities());
            }
        }
        let opening = Box::new(facts.opening());
        self.outputs
            .push_back(Output::Journal(JournalEvent::Opened(opening)));
        if let Some(at) = facts.answer {
            let call = facts.id;
            self.outputs
                .push_back(Output::Journal(JournalEvent::Answered { call, at }));
        }
        let lost = self.adopt_media(key, &call, &facts);
        self.calls.insert_foreign(key, call, facts);
        match caller {
            Caller::Ours => self.go_on(now, key, lost, invites),
            Caller::Anothers => self.give_way(now, key, invites),
        }
        self.redeliver(now, key);
        self.pump(now);
        Ok(key)
    }

    /// Goes on with a call that was taken up; `lost` is a media session that nobody has any more.
    fn go_on(&mut self, now: Time, key: CallKey, lost: Option<u64>, invites: Vec<Sent>) {
        let listeners = self.listeners.clone();
        self.step(now, key, |call, ctx| {
            call.go_on(ctx, |flow| listeners.here(flow));
        });
        if let Some(session) = lost {
            self.feed(now, key, Input::MediaLost { session });
        }
        for sent in invites {
            self.inherit_invite(now, key, sent);
        }
    }

    /// Has the media of a call watched from here; its session if there is nobody who has it.
    fn adopt_media(
        &mut self,
        key: CallKey,
        call: &Call,
        facts: &crate::facts::Facts,
    ) -> Option<u64> {
        let session = call.kept_session()?;
        let Some(anchor) = facts.anchor.filter(|anchor| anchor.session == session) else {
            return Some(session);
        };
        let pair = call.pairs().first();
        let legs = [Side::A, Side::B].map(|side| pair.and_then(|pair| pair.leg(side)));
        let peers = legs.map(|leg| leg.map(|leg| -> IpAddr { leg.flow.remote.ip() }));
        let described = legs.map(|leg| {
            let received = leg.map(call::Leg::description).unwrap_or_default();
            Bytes::copy_from_slice(received)
        });
        self.outputs.push_back(Output::Adopt(Box::new(Adopted {
            call: key,
            anchor,
            peers,
            described,
        })));
        None
    }

    /// Gives a call up to another node that has a request for it: its record. `None` if it is not
    /// here, or something is under way in it.
    pub fn hand_over(&mut self, now: Time, key: CallKey) -> Option<Vec<u8>> {
        let entry = self.calls.entry(key)?;
        if !entry.call.is_at_rest() {
            return None;
        }
        let record = keep::record_of(&entry.facts, &entry.call.snapshot()?, self.clock_ahead);
        self.counters.handed_over += 1;
        self.forget_call(now, key);
        Some(record)
    }

    /// Others have taken these calls, for they took us for dead: they are forgotten here. Nobody
    /// is told anything, for others speak for them now.
    pub fn lose_calls(&mut self, now: Time, keys: &[CallKey]) {
        for key in keys {
            if self.forget_call(now, *key) {
                self.counters.lost_to_others += 1;
            }
        }
        self.forsake_invites(now, keys);
    }

    /// Whoever has these calls now answers their INVITEs, too.
    fn forsake_invites(&mut self, now: Time, keys: &[CallKey]) {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let is_lost = |key: &CallKey| keys.binary_search(key).is_ok();
        let lost = self.invites.iter().filter(|(_, key)| is_lost(key));
        let mut servers: Vec<ServerId> = lost.map(|(server, _)| *server).collect();
        servers.sort_unstable_by_key(|server| server.as_u64());
        for server in servers {
            self.transactions.forsake(now, server);
        }
        self.pump(now);
    }

    /// Another node speaks for a call from now on; false if it is not here.
    fn forget_call(&mut self, now: Time, key: CallKey) -> bool {
        let Some(entry) = self.calls.remove(key) else {
            return false;
        };
        if let Some((_, timer)) = entry.alarm {
            self.alarms.cancel(timer);
        }
        let facts = entry.facts;
        self.release(now, &facts.entities);
        for tried in facts.attempts.iter().filter(|tried| tried.admitted) {
            if let Some(outbound) = &tried.outbound {
                let entities = outbound.entities();
                self.release(now, &entities);
            }
        }
        if let Some(session) = entry.call.kept_session() {
            self.outputs.push_back(Output::Forsake { session });
        }
        let call = facts.id;
        self.outputs
            .push_back(Output::Journal(JournalEvent::Left { call }));
        // After all that is still to be told of it.
        self.outputs.push_back(Output::Unkeep { call: key });
        true
    }

    /// The key in a tag that one of the cluster has made. A guess would move a call, for whoever has a
    /// request for it gets it.
    fn sealed_key(&self, tag: &[u8]) -> Option<u64> {
        let (seal, key) = Call::sealed_key_of_tag(tag)?;
        (seal == self.key_seal.of(key)).then_some(key)
    }

    /// A request inside a dialog that is not here waits until it is known where its call is. False
    /// if nobody is to be asked.
    pub(crate) fn seek(&mut self, now: Time, uas: u64, flow: Flow, message: &Message) -> bool {
        let to = message.to().ok();
        let tag = to.and_then(|to| to.tag()).unwrap_or_default();
        let Some(key) = self
            .sealed_key(tag)
            .filter(|_| self.shares_calls && uas != 0)
        else {
            return false;
        };
        let waiting: usize = self
            .sought
            .values()
            .map(|sought| sought.requests.len())
            .sum();
        if waiting >= SOUGHT_MAX {
            self.come_again(now, uas, flow, message);
            return true;
        }
        let sought = self.sought.entry(CallKey(key)).or_insert_with(|| Sought {
            until: now + SEEK_PATIENCE,
            requests: Vec::new(),
        });
        sought.requests.push((uas, flow, message.clone()));
        if sought.requests.len() == 1 {
            let call = CallKey(key);
            self.outputs.push_back(Output::Seek { call });
        }
        true
    }

    /// The answer to [`Output::Seek`], if the call was not taken up.
    pub fn handle_sought(&mut self, now: Time, key: CallKey, whereabouts: Whereabouts) {
        let Some(sought) = self.sought.remove(&key) else {
            return;
        };
        for (uas, flow, message) in sought.requests {
            match whereabouts {
                _ if self.holds(&message) => self.deliver(now, uas, flow, message),
                Whereabouts::Nowhere => self.deliver_here(now, uas, flow, message),
                Whereabouts::Elsewhere => self.come_again(now, uas, flow, &message),
            }
        }
        self.pump(now);
    }

    /// Those who have waited too long are told to come again.
    pub(crate) fn give_up_seeking(&mut self, now: Time) {
        let late = self.sought.iter().filter(|(_, sought)| sought.until <= now);
        let mut late: Vec<CallKey> = late.map(|(key, _)| *key).collect();
        late.sort_unstable();
        for key in late {
            self.handle_sought(now, key, Whereabouts::Elsewhere);
        }
    }

    /// When the next has waited too long.
    pub(crate) fn next_sought(&self) -> Option<Time> {
        self.sought.values().map(|sought| sought.until).min()
    }

    fn redeliver(&mut self, now: Time, key: CallKey) {
        self.handle_sought(now, key, Whereabouts::Nowhere);
    }

    /// Not 481, which would end the peer's side of a call that may live (RFC 3261 §12.2.1.2). To a
    /// dispatcher this says nothing of the switch, which takes new calls.
    fn come_again(&mut self, now: Time, uas: u64, flow: Flow, message: &Message) {
        if let Some(server) = ServerId::from_u64(uas) {
            let is_marked = self.is_dispatcher(flow.remote.ip());
            self.refuse_with(now, server, flow, message, 503, |w| {
                w.header("Retry-After", b"2");
                if is_marked {
                    mark_for_another(w, "call");
                }
            });
        }
    }

    /// Whether the call of a request inside a dialog is here, and knows the dialog.
    pub(crate) fn holds(&self, message: &Message) -> bool {
        let to = message.to().ok();
        let tag = to.and_then(|to| to.tag()).unwrap_or_default();
        let entry = self
            .calls
            .key_of_tag(tag)
            .and_then(|key| self.calls.entry(key));
        entry.is_some_and(|entry| {
            let from = message.from().ok();
            let remote = from.and_then(|from| from.tag()).unwrap_or_default();
            let call_id = message.call_id().unwrap_or_default();
            !entry.facts.is_settled && entry.call.has_dialog(call_id, tag, remote)
        })
    }
}
