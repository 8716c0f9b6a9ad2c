//! REGISTER: first judged as a whole, then carried out (RFC 3261 §10.3 steps 6 to 8).

use core::time::Duration;

use clock::Time;
use sip::{Scheme, Transport, Uri};
use smallvec::SmallVec;

use super::{Registered, Registrar};
use crate::RegisterError;
use crate::binding::{Binding, Origin, Probe, Q_MAX, TextParts, Texts, Trust};
use crate::output::{EventKind, Removal};
use crate::policy;
use crate::reach::PackedFlow;
use crate::request::{Contacts, Hops, NewContact, Replies, Request};

/// One contact of the request, judged.
struct Step<'r, 'a> {
    contact: &'r NewContact<'a>,
    uri: Uri<'a>,
    /// The binding it updates.
    known: Option<u32>,
    /// 0 removes.
    expires_s: u32,
}

type Steps<'r, 'a> = SmallVec<[Step<'r, 'a>; 2]>;

impl Registrar {
    /// A REGISTER whose sender may register the address of record: RFC 3261 §10.3 steps 6
    /// to 8. All of it takes effect, or nothing.
    ///
    /// # Errors
    /// [`RegisterError::status`] says what to answer.
    pub fn register(
        &mut self,
        now: Time,
        request: &Request<'_>,
    ) -> Result<Registered, RegisterError> {
        check_bounds(request)?;
        self.expire(now, request.aor);
        match &request.contacts {
            Contacts::AllAndMore => return Err(RegisterError::BadWildcard),
            Contacts::All => self.remove_everything(now, request)?,
            Contacts::List(contacts) => {
                let steps = self.judge(request, contacts)?;
                let path = joined(&request.path);
                let several = steps.len() > 1;
                for step in &steps {
                    // An earlier contact of this request may have been the same.
                    let known = if several {
                        self.find_known(request, step.contact, &step.uri)
                    } else {
                        step.known
                    };
                    self.carry_out(now, request, step, &path, known);
                }
            }
        }
        Ok(self.listed(now, request))
    }

    /// The answer to a REGISTER that has taken effect already and comes again by the same path,
    /// because its answer was lost; nothing changes. `None` if this is no such repetition.
    #[must_use]
    pub fn repeated(&self, now: Time, request: &Request<'_>) -> Option<Registered> {
        let Contacts::List(contacts) = &request.contacts else {
            return None;
        };
        let flow = PackedFlow::from(&request.flow);
        let has_taken = |contact: &NewContact<'_>| {
            let uri = Uri::parse(contact.uri).ok()?;
            let binding = &self.table[self.find_known(request, contact, &uri)?];
            let same = binding.texts().call_id() == request.call_id
                && binding.cseq == request.cseq
                && binding.flow == flow;
            same.then_some(())
        };
        let repeats = !contacts.is_empty() && contacts.iter().all(|c| has_taken(c).is_some());
        repeats.then(|| self.listed(now, request))
    }

    /// Takes away what has expired since the timers last fired.
    fn expire(&mut self, now: Time, aor: &str) {
        let slots = self.table.slots_of(aor);
        let expired: SmallVec<[u32; 4]> = slots
            .filter(|slot| self.table[*slot].expires <= now)
            .collect();
        for slot in expired {
            self.take_away(slot, Removal::Expired);
        }
    }

    fn remove_everything(&mut self, now: Time, request: &Request<'_>) -> Result<(), RegisterError> {
        if request.expires_s != Some(0) {
            return Err(RegisterError::BadWildcard);
        }
        let slots: SmallVec<[u32; 8]> = self.table.slots_of(request.aor).collect();
        for slot in &slots {
            self.check_order(request, *slot)?;
        }
        for slot in slots {
            self.withdraw(now, slot, Removal::Asked);
        }
        Ok(())
    }

    /// Everything that may speak against the request, before anything is changed.
    fn judge<'r, 'a>(
        &self,
        request: &Request<'_>,
        contacts: &'r [NewContact<'a>],
    ) -> Result<Steps<'r, 'a>, RegisterError> {
        if contacts.len() > policy::CONTACTS_PER_REQUEST_MAX {
            return Err(RegisterError::TooManyContacts);
        }
        let mut steps = Steps::new();
        let mut flows = 0;
        for contact in contacts {
            let uri = checked_uri(contact)?;
            let expires_s = self.expiry(request, contact)?;
            let known = self.find_known(request, contact, &uri);
            if let Some(slot) = known {
                self.check_order(request, slot)?;
            }
            flows += usize::from(expires_s > 0 && is_flow(request, contact));
            steps.push(Step {
                contact,
                uri,
                known,
                expires_s,
            });
        }
        if flows > 1 {
            return Err(RegisterError::SeveralFlows);
        }
        if flows == 1 && request.hops == Hops::Proxied && !edge_does_outbound(&request.path) {
            return Err(RegisterError::FirstHopLacksOutbound);
        }
        self.check_room(request, &steps)?;
        Ok(steps)
    }

    /// Counts a contact that stands twice in the request as if it were two, so that no
    /// arrangement of contacts gets around the bound.
    fn check_room(
        &self,
        request: &Request<'_>,
        steps: &Steps<'_, '_>,
    ) -> Result<(), RegisterError> {
        let (mut added, mut removed) = (0, 0);
        for (at, step) in steps.iter().enumerate() {
            let is_repeated = steps[..at].iter().any(|other| other.known == step.known);
            let is_new = step.known.is_none() || is_repeated;
            let stays = |other: &Step<'_, '_>| other.known == step.known && other.expires_s > 0;
            if step.expires_s > 0 {
                added += usize::from(is_new);
            } else if !is_new && !steps.iter().any(stays) {
                removed += 1;
            }
        }
        if added == 0 {
            return Ok(());
        }
        let present = self.table.slots_of(request.aor).count();
        let contacts_max = match request.contacts_max {
            0 => self.policy.contacts_max,
            own => own,
        };
        if present + added > usize::from(contacts_max) + removed {
            return Err(RegisterError::TooManyContacts);
        }
        if self.table.len() + added > policy::BINDINGS_MAX {
            return Err(RegisterError::Full);
        }
        Ok(())
    }

    /// RFC 3261 §10.3 step 7: within a Call-ID, requests take effect in order.
    fn check_order(&self, request: &Request<'_>, slot: u32) -> Result<(), RegisterError> {
        let binding = &self.table[slot];
        let is_old = binding.texts().call_id() == request.call_id && request.cseq <= binding.cseq;
        if is_old {
            return Err(RegisterError::OutOfOrder);
        }
        Ok(())
    }

    /// The expiry of a contact in seconds (RFC 3261 §10.3 step 7); 0 removes it. What is an
    /// hour or longer is never too brief.
    fn expiry(
        &self,
        request: &Request<'_>,
        contact: &NewContact<'_>,
    ) -> Result<u32, RegisterError> {
        let asked_s = contact.expires_s.or(request.expires_s);
        let asked_s = asked_s.unwrap_or(self.policy.expiry_default_s);
        if asked_s > 0 && asked_s < self.policy.expiry_min_s.min(HOUR_S) {
            return Err(RegisterError::TooBrief {
                min_expires_s: self.policy.expiry_min_s,
            });
        }
        Ok(asked_s.min(self.policy.expiry_max_s))
    }

    /// The binding a contact means: the flow of its instance (RFC 5626 §6), else the one with
    /// an equivalent URI (RFC 3261 §10.3 step 7).
    fn find_known(
        &self,
        request: &Request<'_>,
        contact: &NewContact<'_>,
        uri: &Uri<'_>,
    ) -> Option<u32> {
        let mut slots = self.table.slots_of(request.aor);
        if is_flow(request, contact) {
            return slots.find(|slot| {
                let binding = &self.table[*slot];
                let instance = binding.texts().instance();
                binding.reg_id == contact.reg_id && instance.eq_ignore_ascii_case(contact.instance)
            });
        }
        let slots: SmallVec<[u32; 8]> = slots.collect();
        let known = |slot: u32| self.table[slot].texts().uri();
        let same = slots.iter().find(|slot| known(**slot) == contact.uri);
        let equivalent =
            |slot: &&u32| Uri::parse(known(**slot)).is_ok_and(|other| other.is_equivalent(uri));
        same.or_else(|| slots.iter().find(equivalent)).copied()
    }

    fn carry_out(
        &mut self,
        now: Time,
        request: &Request<'_>,
        step: &Step<'_, '_>,
        path: &[u8],
        known: Option<u32>,
    ) {
        match known {
            Some(slot) if step.expires_s == 0 => self.withdraw(now, slot, Removal::Asked),
            None if step.expires_s == 0 => {}
            Some(slot) => self.refresh(now, request, step, path, slot),
            None => self.add(now, request, step, path),
        }
    }

    fn add(&mut self, now: Time, request: &Request<'_>, step: &Step<'_, '_>, path: &[u8]) {
        let id = self.next_id(now);
        let texts = Texts::new(&parts(request, step, path));
        let mut binding = Binding::new(id, flow_to(request, &step.uri), texts, now);
        binding.agent = self.agents.acquire(request.user_agent);
        state(&mut binding, now, request, step);
        (binding.trust, binding.probe) = self.trust_anew(now, &binding);
        let slot = self.table.insert(binding);
        self.arm(slot);
        self.list_changed(slot);
        self.list_unshared(slot);
        self.tell(slot, EventKind::Registered);
    }

    fn refresh(
        &mut self,
        now: Time,
        request: &Request<'_>,
        step: &Step<'_, '_>,
        path: &[u8],
        slot: u32,
    ) {
        let flow = flow_to(request, &step.uri);
        let texts = parts(request, step, path);
        let is_taken = self.table[slot].holder.is_some();
        if is_taken {
            self.take_hold(slot);
        }
        let binding = &mut self.table[slot];
        let is_same_path = binding.texts().path() == path;
        // From the same address, it is as believable here as it was there.
        let stays = is_taken && is_same_path && binding.flow.is_same_place(&flow);
        let has_moved = (binding.flow != flow || !is_same_path) && !stays;
        if stays {
            self.table
                .move_to(slot, flow, |binding| binding.update_texts(&texts));
        } else if has_moved {
            self.table
                .move_to(slot, flow, |binding| binding.update_texts(&texts));
            let binding = &mut self.table[slot];
            binding.since = now;
            binding.rtt_us = None;
        } else {
            binding.update_texts(&texts);
        }
        if !self.agents.is(self.table[slot].agent, request.user_agent) {
            let agent = self.agents.acquire(request.user_agent);
            let before = core::mem::replace(&mut self.table[slot].agent, agent);
            self.agents.release(before);
        }
        let binding = &mut self.table[slot];
        state(binding, now, request, step);
        binding.advance(now);
        let is_waived = matches!(binding.trust, Trust::Pending { .. }) && !self.policy.verify;
        let is_pending = matches!(binding.trust, Trust::Pending { .. });
        if has_moved || is_waived || is_taken && is_pending {
            let (trust, probe) = self.trust_anew(now, &self.table[slot]);
            self.table[slot].trust = trust;
            self.table[slot].probe = probe;
        } else if binding.probe == Probe::Off {
            let probe = self.keep_alive_probe(now, &self.table[slot]);
            self.table[slot].probe = probe;
        }
        self.arm(slot);
        self.note_changed(slot);
        self.tell(slot, EventKind::Refreshed);
    }

    /// Whether a binding at a new place is believed, and what is sent to it. A connection
    /// proves itself; a source address can be forged and a Path can be invented.
    fn trust_anew(&self, now: Time, binding: &Binding) -> (Trust, Probe) {
        let proves_itself =
            binding.flow.transport != Transport::Udp && binding.texts().path().is_empty();
        if proves_itself || !self.policy.verify {
            let trust = Trust::Routable { failures: 0 };
            (trust, self.keep_alive_probe(now, binding))
        } else {
            (Trust::Pending { failures: 0 }, Probe::At(now))
        }
    }
}

fn check_bounds(request: &Request<'_>) -> Result<(), RegisterError> {
    if !(1..=policy::AOR_MAX).contains(&request.aor.len()) {
        return Err(RegisterError::AddressOfRecord);
    }
    if !(1..=policy::CALL_ID_MAX).contains(&request.call_id.len()) {
        return Err(RegisterError::Sequence);
    }
    let path_len: usize = request.path.iter().map(|value| value.len() + 2).sum();
    if path_len > policy::PATH_MAX {
        return Err(RegisterError::Path);
    }
    Ok(())
}

fn checked_uri<'a>(contact: &NewContact<'a>) -> Result<Uri<'a>, RegisterError> {
    let instance_fits = contact.instance.len() <= policy::INSTANCE_MAX
        && contact
            .instance
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\".contains(byte));
    if contact.uri.len() > policy::URI_MAX || !instance_fits {
        return Err(RegisterError::Contact);
    }
    let uri = Uri::parse(contact.uri).map_err(|_| RegisterError::Contact)?;
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => Ok(uri),
        Scheme::Tel | Scheme::Other => Err(RegisterError::Scheme),
    }
}

/// Whether a contact is a flow of RFC 5626: the client supports it, names an instance and
/// numbers the flow. A number without an instance is ignored (RFC 5626 §6).
pub(super) fn is_flow(request: &Request<'_>, contact: &NewContact<'_>) -> bool {
    request.supported.outbound && contact.reg_id != 0 && !contact.instance.is_empty()
}

/// The edge proxy wrote the last value of Path, and says `ob` if it keeps flows (RFC 5626 §5.1).
fn edge_does_outbound(path: &[&[u8]]) -> bool {
    path.last()
        .and_then(|value| sip::NameAddr::parse(value).ok())
        .and_then(|address| address.parsed_uri().ok())
        .is_some_and(|uri| uri.params.has("ob"))
}

/// Where the contact is reached: see the crate's documentation.
fn flow_to(request: &Request<'_>, uri: &Uri<'_>) -> PackedFlow {
    let mut flow = request.flow;
    let listens_elsewhere = flow.transport == Transport::Udp
        && request.replies == Replies::ToNamedPort
        && request.path.is_empty()
        && matches!(uri.transport(), None | Some(Transport::Udp))
        && uri.host_ip() == Some(flow.remote.ip().to_canonical());
    if listens_elsewhere {
        let port = uri.port.unwrap_or(flow.transport.default_port());
        flow.remote.set_port(port);
    }
    PackedFlow::from(&flow)
}

/// What every REGISTER states anew.
fn state(binding: &mut Binding, now: Time, request: &Request<'_>, step: &Step<'_, '_>) {
    binding.expires = now + Duration::from_secs(step.expires_s.into());
    binding.cseq = request.cseq;
    binding.origin = Origin::Spoken;
    binding.q_milli = step.contact.q_milli.min(Q_MAX);
    binding.reg_id = if is_flow(request, step.contact) {
        step.contact.reg_id
    } else {
        0
    };
}

fn parts<'p>(request: &'p Request<'_>, step: &'p Step<'_, '_>, path: &'p [u8]) -> TextParts<'p> {
    TextParts {
        aor: request.aor,
        uri: step.contact.uri,
        call_id: request.call_id,
        instance: step.contact.instance,
        path,
    }
}

/// The Path as it will stand in Route.
pub(super) fn joined(path: &[&[u8]]) -> SmallVec<[u8; 64]> {
    let mut joined = SmallVec::new();
    for (at, value) in path.iter().enumerate() {
        if at > 0 {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(value);
    }
    joined
}

/// RFC 3261 §10.3 step 7 lets nobody refuse expiries from here on as too brief.
const HOUR_S: u32 = 3_600;
