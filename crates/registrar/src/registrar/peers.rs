//! Bindings that other nodes of the cluster hold: heard of, looked through, inherited.
//!
//! A binding has one holder at a time. Of two states the one with the greater version is right; so
//! it does not matter in which order, how often or from whom they are heard.

use clock::Time;
use sip::{Flow, ListenerId, Uri};
use smallvec::SmallVec;

use super::{Registrar, probe};
use crate::binding::{Binding, BindingId, Origin, Probe, Stored, Trust};
use crate::output::{EventKind, Output, Removal};
use crate::peer::PeerId;
use crate::policy;
use crate::reach::{PackedFlow, is_local, is_open};
use crate::record::{self, Record, RecordError};

/// Who takes over a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heir {
    /// Nobody: its holder is alive.
    Nobody,
    /// Another node than this.
    Other,
    /// This node.
    Us,
    /// This node, what it can reach as well as the other did; the rest while that may come back is
    /// nobody's.
    UsIfNear,
}

impl Registrar {
    /// The state of a binding as the node says that holds it.
    ///
    /// # Errors
    /// The record is damaged, or there is no place for it; the caller should ignore it.
    pub fn hear(&mut self, now: Time, from: PeerId, record: &Record) -> Result<(), RecordError> {
        let (mut binding, agent) = record::decode(record)?;
        if binding.expires <= now {
            return Ok(());
        }
        if let Some(slot) = self.table.find(binding.id) {
            if self.table[slot].texts().aor() != &*record.aor {
                if self.table[slot].holder.is_some() {
                    // Who holds it gives it another number as soon as it hears of this.
                    return Err(RecordError::Duplicate);
                }
                self.renumber(now, slot);
                return self.hear(now, from, record);
            }
            if !self.is_news(slot, from, &binding) {
                return Ok(());
            }
            if self.is_ours_alone(slot, &binding) {
                self.table[slot].version = binding.version;
                self.table[slot].note_elsewhere(binding.expires);
                self.claim(slot);
                return Ok(());
            }
            if self.table[slot].holder.is_none() {
                self.tell(slot, EventKind::Unregistered(Removal::Moved));
                self.share_yield(slot);
            }
            self.forget(slot);
        } else if let Some(slot) = self.find_same(&binding) {
            let known = &self.table[slot];
            if (known.version, known.id) > (binding.version, binding.id) {
                return Ok(());
            }
            match known.holder {
                None => self.take_away(slot, Removal::Moved),
                Some(_) => self.forget(slot),
            }
        }
        if self.table.len() >= policy::BINDINGS_MAX {
            return Err(RecordError::Full);
        }
        binding.holder = Some(from);
        binding.stored = Stored::Nothing;
        binding.shared = Stored::Newest;
        binding.mark = self.look;
        binding.agent = self.agents.acquire(agent);
        let slot = self.table.insert(binding);
        self.arm(slot);
        Ok(())
    }

    /// A binding has ended, by the word of another node.
    pub fn hear_end(&mut self, binding: BindingId, version: u64) {
        let slot = self.table.find(binding);
        let Some(slot) = slot.filter(|slot| self.table[*slot].version < version) else {
            return;
        };
        match self.table[slot].holder {
            None => self.take_away(slot, Removal::Asked),
            Some(_) => self.forget(slot),
        }
    }

    /// A node has given up a binding that it had taken over and never reached: whoever holds it goes on.
    pub fn hear_given_up(&mut self, binding: BindingId, version: u64) {
        let slot = self.table.find(binding);
        let is_meant = |slot: &u32| {
            let known = &self.table[*slot];
            known.holder.is_some() && known.version < version
        };
        if let Some(slot) = slot.filter(is_meant) {
            self.forget(slot);
        }
    }

    /// From now on until [`Registrar::end_look`], everything is heard that a node holds.
    pub fn begin_look(&mut self) {
        self.look = self.look.wrapping_add(1);
    }

    /// Forgets what a node holds and was not heard of since [`Registrar::begin_look`]. Looks at
    /// some slots from `from` on; where to go on, if it is not done.
    pub fn end_look(&mut self, peer: PeerId, from: u32) -> Option<u32> {
        let look = self.look;
        self.walk(from, |registrar, slot| {
            let binding = &registrar.table[slot];
            if binding.holder == Some(peer) && binding.mark != look {
                registrar.forget(slot);
            }
        })
    }

    /// Takes over bindings of nodes that are dead, and forgets those whose connection died with
    /// them. `listener` is which of our own speaks to a flow's end. Looks at some slots from `from` on;
    /// where to go on, if it is not done.
    pub fn inherit(
        &mut self,
        now: Time,
        from: u32,
        heir: impl Fn(PeerId, BindingId) -> Heir,
        listener: impl Fn(&Flow) -> ListenerId,
    ) -> Option<u32> {
        self.walk(from, |registrar, slot| {
            let binding = &registrar.table[slot];
            let Some(peer) = binding.holder else { return };
            let flow = binding.flow.unpack();
            let heir = heir(peer, binding.id);
            let is_lost = flow.transport.is_reliable() && binding.texts().path().is_empty();
            match heir {
                Heir::Nobody => {}
                _ if is_lost => registrar.forget(slot),
                Heir::Other => {}
                Heir::UsIfNear if !is_near(binding, &flow) => {}
                Heir::Us | Heir::UsIfNear => registrar.adopt(now, slot, listener(&flow)),
            }
        })
    }

    /// Makes this node the holder of a binding; its state is to be set, stored and told.
    pub(super) fn take_hold(&mut self, slot: u32) {
        self.table.hand_to(slot, None);
        let binding = &mut self.table[slot];
        binding.note_elsewhere(binding.expires);
        binding.stored = Stored::Nothing;
        // As the others know it, until it is noted as changed.
        binding.shared = Stored::Newest;
        self.list_changed(slot);
    }

    fn adopt(&mut self, now: Time, slot: u32, listener: ListenerId) {
        self.take_hold(slot);
        self.table[slot].origin = Origin::Inherited;
        let mut flow = self.table[slot].flow.unpack();
        flow.listener = listener;
        self.table.move_to(slot, PackedFlow::from(&flow), |_| {});
        let may_call = matches!(self.table[slot].trust, Trust::Routable { .. });
        let keeps_alive = self.keep_alive_probe(now, &self.table[slot]) != Probe::Off;
        let soon = policy::RESTORE_SPREAD.min(self.policy.keep_alive_interval);
        let binding = &mut self.table[slot];
        if !may_call && !self.policy.verify {
            binding.trust = Trust::Routable { failures: 0 };
        }
        // Soon, to see whether it can be reached from here; not all at once.
        binding.probe = match binding.trust {
            Trust::Routable { .. } if !keeps_alive => Probe::Off,
            Trust::Routable { .. } => Probe::At(probe::next_slot(now, binding.id, soon)),
            Trust::Pending { .. } => {
                Probe::At(probe::next_slot(now, binding.id, policy::RESTORE_SPREAD))
            }
        };
        self.arm(slot);
        self.claim(slot);
        self.tell(slot, EventKind::Registered);
    }

    /// Whether a state is newer than the known one. What only repeats it counts as heard of.
    fn is_news(&mut self, slot: u32, from: PeerId, heard: &Binding) -> bool {
        let look = self.look;
        let known = &mut self.table[slot];
        if known.holder == Some(from) {
            known.mark = look;
        }
        // Two of the same version are from a node that was started twice without a change between.
        heard.version > known.version || heard.version == known.version && known.holder.is_some()
    }

    /// Two nodes gave a number in the same microsecond: this one's binding takes another. Others find it
    /// by its contact.
    fn renumber(&mut self, now: Time, slot: u32) {
        let id = self.next_id(now);
        let mut binding = self.table.remove(slot);
        if let Some(timer) = binding.timer.take() {
            self.timers.cancel(timer);
        }
        if binding.stored != Stored::Nothing {
            self.outputs.push_back(Output::Remove {
                aor: binding.texts().aor().into(),
                key: binding.id.bits().to_be_bytes(),
            });
        }
        binding.id = id;
        binding.advance(now);
        (binding.stored, binding.shared) = (Stored::Nothing, Stored::Nothing);
        let slot = self.table.insert(binding);
        self.arm(slot);
        self.list_changed(slot);
        self.list_unshared(slot);
    }

    /// Whether another node took a binding over that was thought to be nobody's, and this node alone
    /// reaches its phone. The phone itself has not spoken to the other: then it would have counted on.
    /// Once for each binding, so that two which think so do not go on for ever.
    fn is_ours_alone(&self, slot: u32, heard: &Binding) -> bool {
        let known = &self.table[slot];
        let has_spoken_elsewhere =
            known.texts().call_id() != heard.texts().call_id() || known.cseq != heard.cseq;
        known.holder.is_none()
            && known.origin == Origin::Spoken
            && known.elsewhere_until_s == 0
            && !has_spoken_elsewhere
            && !is_near(known, &known.flow.unpack())
    }

    /// Another binding of the same contact: of the same flow of its instance, or with an
    /// equivalent URI, as a REGISTER would find it.
    fn find_same(&self, heard: &Binding) -> Option<u32> {
        let texts = heard.texts();
        let mut slots = self.table.slots_of(texts.aor());
        if heard.reg_id != 0 && !texts.instance().is_empty() {
            return slots.find(|slot| {
                let known = &self.table[*slot];
                let instance = known.texts().instance();
                known.reg_id == heard.reg_id && instance.eq_ignore_ascii_case(texts.instance())
            });
        }
        let slots: SmallVec<[u32; 8]> = slots.collect();
        let known = |slot: u32| self.table[slot].texts().uri();
        let same = slots.iter().find(|slot| known(**slot) == texts.uri());
        let uri = Uri::parse(texts.uri()).ok();
        let equivalent = |slot: &&u32| {
            let other = Uri::parse(known(**slot));
            uri.zip(other.ok())
                .is_some_and(|(a, b)| a.is_equivalent(&b))
        };
        same.or_else(|| slots.iter().find(equivalent)).copied()
    }

    fn walk(&mut self, from: u32, mut visit: impl FnMut(&mut Self, u32)) -> Option<u32> {
        let end = self.table.slots_end();
        let last = from.saturating_add(WALK).min(end);
        for slot in from..last {
            if self.table.get_mut(slot).is_some() {
                visit(self, slot);
            }
        }
        (last < end).then_some(last)
    }
}

/// Whether any node reaches a phone as well as that one which it speaks to.
fn is_near(binding: &Binding, flow: &Flow) -> bool {
    let texts = binding.texts();
    !texts.path().is_empty() || is_open(texts.uri(), flow) && is_local(flow.remote.ip())
}

/// Slots that one call looks at: some tenths of a millisecond.
const WALK: u32 = 4_096;
