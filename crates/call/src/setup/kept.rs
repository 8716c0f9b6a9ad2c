//! A set-up as bytes, once the caller has heard that it rings: the caller's INVITE, who is asked and
//! who may be asked next, and what has come of it so far.
//!
//! Until then nothing is kept: whoever stands before a dead node sends the INVITE elsewhere.

use sip::{Framing, Message};

use super::{Branch, Setup, Upstream, outcome, provisional};
use crate::call::{Call, Phase};
use crate::challenge::Access;
use crate::headers::Trust;
use crate::io::{Family, Keys, Phone, RequestId, Toward};
use crate::leg::{PairId, Reach};
use crate::pending::{Pending, Purpose};
use crate::snapshot::attempt::{pack_attempt, unpack_attempt};
use crate::snapshot::leg::{code_of_keys, code_of_trust, keys_of_code, trust_of_code};
use crate::snapshot::{Grants, Packer, Unpacker};

impl Call {
    /// Whether it rings, and nothing is under way that another node could not begin again.
    pub(crate) fn rings_calmly(&self) -> bool {
        let Some(setup) = &self.setup else {
            return false;
        };
        self.phase == Phase::Setup
            && setup.rang
            && setup.redirecting == 0
            && setup.reliable.is_calm()
            && matches!(setup.upstream, Upstream::Caller { .. })
            && !self.has_unheard_inputs()
    }

    /// The INVITEs of ours that somebody else could go on with: those of a set-up, or of a transfer
    /// whose target is rung.
    pub fn open_invites(&self) -> impl Iterator<Item = RequestId> {
        let branches = self.setup.iter().flat_map(|setup| &setup.branches);
        branches.filter_map(|branch| branch.request)
    }

    /// The INVITE of a caller that nobody has answered yet, and the path it came by.
    #[must_use]
    pub fn callers_invite(&self) -> Option<(sip::Flow, &Message)> {
        match &self.setup.as_ref()?.upstream {
            Upstream::Caller { flow, invite, .. } => Some((*flow, invite)),
            Upstream::Transfer { .. } => None,
        }
    }

    /// Appends the set-up, which is a caller's.
    pub(crate) fn pack_setup(&self, out: &mut Packer) {
        let Some(setup) = &self.setup else { return };
        let Upstream::Caller {
            flow,
            reach,
            invite,
            ..
        } = &setup.upstream
        else {
            return;
        };
        out.put_flow(*flow);
        out.put_flag(*reach == Reach::Target);
        out.put_bytes(invite.raw());
        out.put_u64(setup.attempts.len() as u64);
        for attempt in &setup.attempts {
            pack_attempt(out, attempt);
        }
        out.put_u64(setup.first as u64);
        out.put_u64(setup.next as u64);
        out.put_u64(setup.asking.len() as u64);
        for asked in &setup.asking {
            out.put_u64(*asked as u64);
        }
        out.put_u64(setup.branches.len() as u64);
        for branch in &setup.branches {
            branch.pack(out);
        }
        out.put_optional_bytes(setup.offer.as_deref());
        out.put_u64(setup.relayed_offers.len() as u64);
        for (toward, offer) in &setup.relayed_offers {
            pack_toward(out, *toward);
            out.put_bytes(offer);
        }
        out.put_u8(code_of_keys(setup.keys));
        outcome::pack_best(out, setup.best.as_ref());
        out.put_u8(setup.redirects);
        out.put_optional_bytes(setup.tag.as_deref());
        out.put_u64(setup.reliable.rseq().into());
    }

    /// Reads a set-up, and waits for the answers to its INVITEs from now on.
    pub(crate) fn unpack_setup(
        &mut self,
        from: &mut Unpacker<'_>,
        grants: &mut Grants<'_>,
    ) -> Option<()> {
        let upstream = unpack_caller(from, grants)?;
        let mut attempts = Vec::new();
        for _ in 0..from.u64()? {
            attempts.push(unpack_attempt(from, grants)?);
        }
        let first = usize::try_from(from.u32()?).ok()?;
        let next = from.usize().filter(|next| *next <= attempts.len())?;
        let mut asking = Vec::new();
        for _ in 0..from.u64()? {
            asking.push(from.usize().filter(|at| *at < attempts.len())?);
        }
        let mut branches = Vec::new();
        for _ in 0..from.u64()? {
            let branch = Branch::unpack(from)?;
            if branch.attempt >= attempts.len() {
                return None;
            }
            branches.push(branch);
        }
        let offer = from.optional_bytes()?.map(Into::into);
        let mut relayed_offers = Vec::new();
        for _ in 0..from.u64()? {
            let toward = unpack_toward(from)?;
            let offer = bytes::Bytes::copy_from_slice(from.bytes()?);
            relayed_offers.push((toward, offer));
        }
        for (at, branch) in branches.iter().enumerate() {
            if let Some(id) = branch.request {
                self.pending.push(Pending {
                    id,
                    purpose: Purpose::Invite { branch: at },
                    repeat: None,
                });
            }
        }
        self.setup = Some(Box::new(Setup {
            upstream,
            attempts,
            first,
            next,
            asking,
            redirecting: 0,
            branches,
            offer,
            relayed_offers,
            keys: keys_of_code(from.u8()?)?,
            best: outcome::unpack_best(from)?,
            redirects: from.u8()?,
            rang: true,
            tag: from.optional_bytes()?.map(Into::into),
            reliable: provisional::Reliable::numbered(from.u32()?),
        }));
        Some(())
    }
}

fn unpack_caller(from: &mut Unpacker<'_>, grants: &mut Grants<'_>) -> Option<Upstream> {
    let flow = from.flow()?;
    let reach = match from.flag()? {
        true => Reach::Target,
        false => Reach::Flow,
    };
    let invite = sip::Payload::copy_from_slice(from.bytes()?);
    let invite = Message::parse(invite, Framing::Datagram).ok()?;
    let access = grants(None).map(|credentials| Access::new(credentials, flow));
    Some(Upstream::Caller {
        // The owner says under which name it has it.
        uas: 0,
        flow,
        reach,
        access,
        invite,
    })
}

impl Branch {
    fn pack(&self, out: &mut Packer) {
        let dialog = &self.dialog;
        out.put_u64(self.attempt as u64);
        for text in [
            &dialog.call_id,
            &dialog.local_tag,
            &dialog.local,
            &dialog.remote,
            &dialog.target,
            &dialog.routes,
        ] {
            out.put_bytes(text);
        }
        out.put_u64(dialog.local_seq.into());
        out.put_flow(self.flow);
        out.put_optional_u64(self.request.map(|id| id.0.into()));
        out.put_u64(self.targets.len() as u64);
        for target in &self.targets {
            out.put_destination(target);
        }
        let (header, tries) = self.authorization.as_ref().map_or((&[][..], 0), |known| {
            let (header, tries) = known;
            (header.as_slice(), *tries)
        });
        out.put_bytes(header);
        out.put_u8(tries);
        out.put_u64(self.session_s.into());
        out.put_u64(self.rseqs.len() as u64);
        for (pair, rseq) in &self.rseqs {
            out.put_u8(pair.0);
            out.put_u64((*rseq).into());
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Option<Self> {
        let attempt = from.usize()?;
        let mut dialog = sip::Dialog::of_caller(b"", b"", b"", b"");
        for place in [
            &mut dialog.call_id,
            &mut dialog.local_tag,
            &mut dialog.local,
            &mut dialog.remote,
            &mut dialog.target,
            &mut dialog.routes,
        ] {
            *place = from.bytes()?.into();
        }
        dialog.local_seq = from.u32()?;
        let flow = from.flow()?;
        let request = match from.optional_u64()? {
            Some(id) => Some(RequestId(id.try_into().ok()?)),
            None => None,
        };
        let mut targets = Vec::new();
        for _ in 0..from.u64()? {
            targets.push(from.destination()?);
        }
        let header = from.bytes()?.to_vec();
        let tries = from.u8()?;
        let session_s = from.u32()?;
        let mut rseqs = Vec::new();
        for _ in 0..from.u64()? {
            rseqs.push((PairId(from.u8()?), from.u32()?));
        }
        Some(Self {
            attempt,
            dialog,
            flow,
            request,
            targets,
            authorization: (tries > 0).then_some((header, tries)),
            session_s,
            rseqs,
        })
    }
}

fn pack_toward(out: &mut Packer, toward: Toward) {
    out.put_flag(toward.family == Family::V6);
    out.put_flag(toward.phone == Phone::Browser);
    out.put_u8(code_of_keys(toward.keys));
    out.put_u8(code_of_keys(toward.author_keys));
}

fn unpack_toward(from: &mut Unpacker<'_>) -> Option<Toward> {
    Some(Toward {
        family: if from.flag()? { Family::V6 } else { Family::V4 },
        phone: if from.flag()? {
            Phone::Browser
        } else {
            Phone::Sip
        },
        keys: unpack_keys(from)?,
        author_keys: unpack_keys(from)?,
    })
}

fn unpack_keys(from: &mut Unpacker<'_>) -> Option<Keys> {
    keys_of_code(from.u8()?)
}

/// Appends a peer's final response.
pub(super) fn pack_response(out: &mut Packer, message: &Message, trust: Trust) {
    out.put_bytes(message.raw());
    out.put_u8(code_of_trust(trust));
}

pub(super) fn unpack_response(from: &mut Unpacker<'_>) -> Option<(Message, Trust)> {
    let raw = sip::Payload::copy_from_slice(from.bytes()?);
    let message = Message::parse(raw, Framing::Datagram).ok()?;
    Some((message, trust_of_code(from.u8()?)?))
}
