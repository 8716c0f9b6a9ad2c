//! The machine.

use core::time::Duration;
use std::collections::VecDeque;

use clock::{Time, Wheel};
use sip::{ConnId, Transport, Uri};
use smallvec::SmallVec;

use crate::agents::Agents;
use crate::binding::{Binding, BindingId, Origin, Probe, Stored, Trust};
use crate::contact::Contact;
use crate::gruu::{self, GruuKey};
use crate::output::{Event, EventKind, Output, Removal};
use crate::policy::{self, Policy};
use crate::record::{self, Record, RecordError, Restored, State};
use crate::table::Table;

mod listed;
mod peers;
mod probe;
mod sharing;
mod update;

pub use listed::{FlowTimer, Gruus, Listed, Registered};
pub use peers::Heir;
pub use probe::answers_ping;
use sharing::Sharing;
pub use sharing::{Change, End, Gone};

/// The bindings of the addresses of record of one shard.
///
/// After each `handle_*`, `register`, `restore` and `remove`, drain [`Registrar::poll_output`];
/// call [`Registrar::handle_timeout`] at [`Registrar::poll_timeout`].
#[derive(Debug)]
pub struct Registrar {
    policy: Policy,
    shard: u8,
    gruu: GruuKey,
    table: Table,
    agents: Agents,
    /// Carries slots; a binding has one timer at most.
    timers: Wheel<u32>,
    outputs: VecDeque<Output>,
    /// Slots whose binding is not stored in its newest state; perhaps others too.
    changed: VecDeque<u32>,
    /// Present where other nodes are told of bindings.
    sharing: Option<Sharing>,
    /// Counts the looks through all that other nodes hold.
    look: u8,
    last_id: BindingId,
}

impl Registrar {
    /// An empty registrar. `shard` is part of the ids it makes, so that two registrars do not make
    /// the same; those of a cluster take any, for they would have to make them in the same
    /// microsecond too. `gruu_key` is the secret of temporary GRUUs: a cluster, and a
    /// node through its restarts, keeps the same.
    #[must_use]
    pub fn new(policy: Policy, shard: u8, gruu_key: &[u8; 32]) -> Self {
        Self {
            policy,
            shard,
            gruu: GruuKey::new(gruu_key),
            table: Table::default(),
            agents: Agents::default(),
            timers: Wheel::new(),
            outputs: VecDeque::new(),
            changed: VecDeque::new(),
            sharing: None,
            look: 0,
            last_id: BindingId::from_bits(0),
        }
    }

    /// Another policy. Bindings that are there learn of it with their next refresh or ping.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// A connection ended: the bindings that live by it end too.
    pub fn handle_connection_closed(&mut self, conn: ConnId) {
        let slots: Vec<u32> = self.table.slots_on(conn).collect();
        for slot in slots {
            self.take_away(slot, Removal::ConnectionLost);
        }
    }

    /// What is due: expiry, pings, pings without answer.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(slot) = self.timers.pop_expired(now) {
            let Some(binding) = self.table.get_mut(slot) else {
                continue;
            };
            binding.timer = None;
            self.step(now, slot);
        }
    }

    /// Removes a binding on an operator's word; false if there is none of this id.
    pub fn remove(&mut self, now: Time, id: BindingId) -> bool {
        let slot = self.table.find(id);
        if let Some(slot) = slot {
            self.withdraw(now, slot, Removal::Operator);
        }
        slot.is_some()
    }

    /// Removes all bindings of an address of record on an operator's word, such as that of a
    /// user who is deleted or disabled. Returns their number.
    pub fn remove_all(&mut self, now: Time, aor: &str) -> usize {
        let slots: Vec<u32> = self.table.slots_of(aor).collect();
        for slot in &slots {
            self.withdraw(now, *slot, Removal::Operator);
        }
        slots.len()
    }

    /// A binding saved before a restart. UDP bindings come back with their source address, in
    /// the state they were in; those behind a Path too. Those on a connection of their own are
    /// dropped, because the connection is gone and the client will come back by itself.
    /// Keep-alives and outstanding verifications start spread over time.
    ///
    /// `ListenerId`s must mean what they meant when the record was written.
    ///
    /// # Errors
    /// The record is damaged, or there is no place for it; the caller should forget it.
    pub fn restore(&mut self, now: Time, record: &Record) -> Result<Restored, RecordError> {
        let (mut binding, agent) = record::decode(record)?;
        let removal = if binding.expires <= now {
            Some(Removal::Expired)
        } else if binding.flow.transport.is_reliable() && binding.texts().path().is_empty() {
            Some(Removal::ConnectionLost)
        } else {
            None
        };
        if let Some(removal) = removal {
            self.outputs.push_back(Output::Remove {
                aor: record.aor.clone(),
                key: record.key,
            });
            return Ok(Restored::Dropped(removal));
        }
        let id = binding.id;
        if self.table.find(id).is_some() {
            return Err(RecordError::Duplicate);
        }
        if self.table.len() >= policy::BINDINGS_MAX {
            return Err(RecordError::Full);
        }
        self.last_id = self.last_id.max(id);
        // Greater than what is known of it elsewhere, unless somebody took it over meanwhile.
        binding.version += 1;
        binding.agent = self.agents.acquire(agent);
        binding.probe = match binding.trust {
            Trust::Pending { .. } if self.policy.verify => {
                Probe::At(probe::next_slot(now, id, policy::RESTORE_SPREAD))
            }
            _ => {
                binding.trust = Trust::Routable { failures: 0 };
                self.keep_alive_probe(now, &binding)
            }
        };
        let slot = self.table.insert(binding);
        self.arm(slot);
        Ok(Restored::Kept(id))
    }

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Passes at most `max` bindings on whose newest state is not stored yet, each in that state.
    pub fn save_changed(&mut self, max: usize, mut save: impl FnMut(State<'_>)) {
        let mut body = Vec::new();
        for slot in self.changed.drain(..max.min(self.changed.len())) {
            // It may be vacant, or another's whose state was passed on a moment ago.
            let binding = self.table.get_mut(slot);
            let is_due = |binding: &&mut Binding| {
                binding.stored != Stored::Newest && binding.holder.is_none()
            };
            let Some(binding) = binding.filter(is_due) else {
                continue;
            };
            binding.stored = Stored::Newest;
            let agent = self.agents.text(binding.agent);
            save(record::encode(binding, agent, &mut body));
        }
    }

    /// How many bindings [`Registrar::save_changed`] has to pass on, or a few more.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// When to call [`Registrar::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next_timeout()
    }

    /// Where calls to an address of record go: routable contacts, highest q first, the newest
    /// first among equals. Of several flows of one instance there is only the newest (RFC 5626
    /// §7); [`Registrar::fallback`] has the others. Empty if nobody is reachable.
    #[must_use]
    pub fn lookup(&self, now: Time, aor: &str) -> SmallVec<[Contact; 2]> {
        let mut found: SmallVec<[&Binding; 8]> = self.routable(now, aor).collect();
        let all = found.clone();
        found.retain(|binding| {
            binding.reg_id == 0 || !all.iter().any(|other| is_newer_flow(other, binding))
        });
        found.sort_by_key(|binding| order(binding));
        found.into_iter().map(Contact::from).collect()
    }

    /// The next flow of the same instance when one fails (RFC 5626 §7): the newest of those
    /// that are older than `failed`; `None` if there is none or `failed` is gone.
    #[must_use]
    pub fn fallback(&self, now: Time, failed: BindingId) -> Option<Contact> {
        let failed = &self.table[self.table.find(failed)?];
        self.routable(now, failed.texts().aor())
            .filter(|other| is_newer_flow(failed, other))
            .max_by_key(|other| (other.since, other.id))
            .map(Contact::from)
    }

    /// Where calls to a GRUU go (RFC 5627 §6.1): the routable bindings of its instance, the
    /// newest first, to be tried in turn. `aor` is the address of record of a public GRUU's
    /// user and host, in the owner's spelling; a temporary one brings its own. Empty if the
    /// instance is not registered, or the URI is no GRUU of ours.
    #[must_use]
    pub fn lookup_gruu(&self, now: Time, aor: &str, gruu: &Uri<'_>) -> SmallVec<[Contact; 2]> {
        let (aor, instance) = match gruu.params.find("gr") {
            Some(Some(instance)) => (aor, sip::uri::unescape(instance)),
            Some(None) => match self.open_temporary(gruu.user.unwrap_or_default()) {
                Some(binding) => (binding.texts().aor(), binding.texts().instance().to_vec()),
                None => return SmallVec::new(),
            },
            None => return SmallVec::new(),
        };
        let mut found: SmallVec<[&Binding; 8]> = self
            .routable(now, aor)
            .filter(|binding| binding.texts().instance().eq_ignore_ascii_case(&instance))
            .filter(|binding| !binding.texts().instance().is_empty())
            .collect();
        found.sort_by_key(|binding| core::cmp::Reverse((binding.since, binding.id)));
        found.into_iter().map(Contact::from).collect()
    }

    /// The address of record behind a temporary GRUU of ours, which hides it.
    #[must_use]
    pub fn behind_temporary(&self, gruu: &Uri<'_>) -> Option<&str> {
        let temporary = gruu.params.find("gr").filter(Option::is_none);
        temporary
            .and_then(|_| self.open_temporary(gruu.user.unwrap_or_default()))
            .map(|binding| binding.texts().aor())
    }

    /// Bindings in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bindings that this node holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.table.held()
    }

    /// Whose bindings this node holds: the address of record of each.
    pub fn held_aors(&self) -> impl Iterator<Item = &str> {
        let held = self.table.iter().filter(|binding| binding.holder.is_none());
        held.map(|binding| binding.texts().aor())
    }

    /// Bindings of one transport that this node holds.
    #[must_use]
    pub fn count(&self, transport: Transport) -> usize {
        self.table.count(transport)
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn agents(&self) -> &Agents {
        &self.agents
    }

    fn routable(&self, now: Time, aor: &str) -> impl Iterator<Item = &Binding> {
        self.table
            .slots_of(aor)
            .map(|slot| &self.table[slot])
            .filter(move |binding| binding.is_routable(now))
    }

    fn open_temporary(&self, user: &[u8]) -> Option<&Binding> {
        let sealed = self.gruu.open(user)?;
        let binding = &self.table[self.table.find(sealed.binding)?];
        let is_valid = gruu::print_of(binding.texts().call_id()) == sealed.call_id_print
            && sealed.cseq <= binding.cseq;
        is_valid.then_some(binding)
    }

    /// Ids grow, and differ between shards.
    fn next_id(&mut self, now: Time) -> BindingId {
        let by_clock = now.as_micros() << SHARD_BITS | u64::from(self.shard);
        let by_last = ((self.last_id.bits() >> SHARD_BITS) + 1) << SHARD_BITS;
        self.last_id = BindingId::from_bits(by_clock.max(by_last | u64::from(self.shard)));
        self.last_id
    }

    /// Sets the timer of a binding unless it fires early enough as it is: refreshes move what
    /// is due to later, and a timer that fires for nothing is cheaper than one moved each time.
    fn arm(&mut self, slot: u32) {
        let binding = &mut self.table[slot];
        let due = binding.due();
        if let Some(timer) = binding.timer {
            if binding.armed <= due {
                return;
            }
            self.timers.cancel(timer);
        }
        binding.timer = Some(self.timers.insert(due, slot));
        binding.armed = due;
    }

    /// Ends a binding by the word of its owner or an operator: that counts as a change of its own,
    /// newer than any state of it that another node may have without our knowing.
    fn withdraw(&mut self, now: Time, slot: u32, removal: Removal) {
        let binding = &mut self.table[slot];
        binding.advance(now);
        if binding.holder.is_some() || binding.elsewhere_until_s != 0 {
            binding.note_elsewhere(now + Duration::from_secs(self.policy.expiry_max_s.into()));
        }
        self.take_away(slot, removal);
    }

    fn take_away(&mut self, slot: u32, removal: Removal) {
        if self.table[slot].holder.is_some() && removal == Removal::Expired {
            // Its holder says so, if it is so.
            self.forget(slot);
            return;
        }
        self.tell(slot, EventKind::Unregistered(removal));
        let is_silent = matches!(removal, Removal::Unreachable | Removal::Unverified);
        match is_silent && self.table[slot].origin == Origin::Inherited {
            // It may be another's who reaches it, and was only cut off.
            true => self.share_giving_up(slot),
            false => self.share_end(slot),
        }
        self.forget(slot);
    }

    /// Takes a binding out, which nobody is told of but the store.
    fn forget(&mut self, slot: u32) {
        let binding = self.table.remove(slot);
        if let Some(timer) = binding.timer {
            self.timers.cancel(timer);
        }
        self.agents.release(binding.agent);
        if binding.stored != Stored::Nothing {
            self.outputs.push_back(Output::Remove {
                aor: binding.texts().aor().into(),
                key: binding.id.bits().to_be_bytes(),
            });
        }
    }

    /// Notes that a binding has changed and is to be stored.
    fn note_changed(&mut self, slot: u32) {
        let binding = &mut self.table[slot];
        if binding.stored == Stored::Newest {
            binding.stored = Stored::Older;
            self.list_changed(slot);
        }
        self.note_unshared(slot);
    }

    fn list_changed(&mut self, slot: u32) {
        // Where nobody saves for long, those that are gone are taken out of the list.
        if self.changed.len() > 2 * self.table.len() + CHANGED_SLACK {
            self.changed = self.table.slots_not_stored().collect();
        } else {
            self.changed.push_back(slot);
        }
    }

    fn tell(&mut self, slot: u32, kind: EventKind) {
        let binding = &self.table[slot];
        self.outputs.push_back(Output::Event(Event {
            kind,
            binding: binding.id,
            aor: binding.texts().aor().into(),
            transport: binding.flow.transport,
        }));
    }
}

/// Sorts by q, then by age.
fn order(binding: &Binding) -> impl Ord + use<> {
    core::cmp::Reverse((binding.q_milli, binding.since, binding.id))
}

/// Whether `a` is a newer flow of the instance `b` is a flow of.
fn is_newer_flow(a: &Binding, b: &Binding) -> bool {
    a.reg_id != 0
        && b.reg_id != 0
        && (a.since, a.id) > (b.since, b.id)
        && a.texts()
            .instance()
            .eq_ignore_ascii_case(b.texts().instance())
}

/// How many more slots than bindings may be listed as changed.
const CHANGED_SLACK: usize = 64;
/// The low bits of an id, which name the shard.
const SHARD_BITS: u32 = 8;

#[cfg(test)]
mod tests;
