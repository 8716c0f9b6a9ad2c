//! A leg as bytes.

use sip::Dialog;

use super::{Packer, Unpacker};
use crate::headers::Trust;
use crate::io::Keys;
use crate::leg::{Leg, Reach, Refresher, Role};

/// Appends a leg, or that there is none.
pub(super) fn pack_leg(out: &mut Packer, leg: Option<&Leg>) {
    out.put_flag(leg.is_some());
    let Some(leg) = leg else { return };
    for text in [
        &leg.dialog.call_id,
        &leg.dialog.local_tag,
        &leg.dialog.remote_tag,
        &leg.dialog.local,
        &leg.dialog.remote,
        &leg.dialog.target,
        &leg.dialog.routes,
        &leg.received,
        &leg.sent,
    ] {
        out.put_bytes(text);
    }
    out.put_flow(leg.flow);
    out.put_u8(match leg.reach {
        Reach::Flow => 0,
        Reach::Target => 1,
    });
    out.put_u8(match leg.role {
        Role::Caller => 0,
        Role::Callee => 1,
    });
    out.put_u8(code_of_trust(leg.trust));
    out.put_u8(code_of_keys(leg.keys));
    out.put_flag(leg.takes_update);
    out.put_u64(leg.session_s.into());
    out.put_u8(match leg.refresher {
        Refresher::Nobody => 0,
        Refresher::Us => 1,
        Refresher::Peer => 2,
    });
    out.put_optional_bytes(leg.acked_with.as_deref());
    out.put_optional_bytes(leg.authorization.as_deref());
    out.put_optional_u64(leg.token.map(u64::from));
    out.put_flag(leg.origin.is_some());
    if let Some((id, version)) = leg.origin {
        out.put_u64(id);
        out.put_u64(version);
    }
}

/// The outer `None` says that the bytes could not be read.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the bytes could be read"
)]
pub(super) fn unpack_leg(from: &mut Unpacker<'_>) -> Option<Option<Leg>> {
    if !from.flag()? {
        return Some(None);
    }
    let mut dialog = Dialog::of_caller(b"", b"", b"", b"");
    for place in [
        &mut dialog.call_id,
        &mut dialog.local_tag,
        &mut dialog.remote_tag,
        &mut dialog.local,
        &mut dialog.remote,
        &mut dialog.target,
        &mut dialog.routes,
    ] {
        *place = from.bytes()?.into();
    }
    let (received, sent) = (from.bytes()?.into(), from.bytes()?.into());
    let flow = from.flow()?;
    let reach = match from.u8()? {
        0 => Reach::Flow,
        1 => Reach::Target,
        _ => return None,
    };
    let role = match from.u8()? {
        0 => Role::Caller,
        1 => Role::Callee,
        _ => return None,
    };
    let mut leg = Leg::new(dialog, flow, reach, trust_of_code(from.u8()?)?);
    leg.reach = reach;
    leg.role = role;
    leg.keys = keys_of_code(from.u8()?)?;
    (leg.received, leg.sent) = (received, sent);
    leg.takes_update = from.flag()?;
    leg.session_s = from.u32()?;
    leg.refresher = match from.u8()? {
        0 => Refresher::Nobody,
        1 => Refresher::Us,
        2 => Refresher::Peer,
        _ => return None,
    };
    leg.acked_with = from.optional_bytes()?.map(Into::into);
    leg.authorization = from.optional_bytes()?.map(Into::into);
    leg.token = match from.optional_u64()? {
        Some(token) => Some(token.try_into().ok()?),
        None => None,
    };
    if from.flag()? {
        leg.origin = Some((from.u64()?, from.u64()?));
    }
    Some(Some(leg))
}

/// The sequence numbers of a leg.
pub(super) fn pack_numbers(out: &mut Packer, leg: &Leg) {
    for number in [leg.dialog.local_seq, leg.dialog.remote_seq, leg.invite_seq] {
        out.put_u64(number.into());
    }
}

pub(super) fn unpack_numbers(from: &mut Unpacker<'_>, leg: &mut Leg) -> Option<()> {
    leg.dialog.local_seq = from.u32()?;
    leg.dialog.remote_seq = from.u32()?;
    leg.invite_seq = from.u32()?;
    Some(())
}

pub(crate) const fn code_of_trust(trust: Trust) -> u8 {
    match trust {
        Trust::Untrusted => 0,
        Trust::Trusted => 1,
    }
}

pub(crate) const fn trust_of_code(code: u8) -> Option<Trust> {
    match code {
        0 => Some(Trust::Untrusted),
        1 => Some(Trust::Trusted),
        _ => None,
    }
}

pub(crate) const fn code_of_keys(keys: Keys) -> u8 {
    match keys {
        Keys::Events => 0,
        Keys::Tones => 1,
        Keys::Messages => 2,
    }
}

pub(crate) const fn keys_of_code(code: u8) -> Option<Keys> {
    match code {
        0 => Some(Keys::Events),
        1 => Some(Keys::Tones),
        2 => Some(Keys::Messages),
        _ => None,
    }
}
