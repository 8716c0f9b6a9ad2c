//! A place to offer a call to, as bytes. Credentials are not among them.

use std::time::Duration;

use super::leg::{code_of_keys, code_of_trust, keys_of_code, trust_of_code};
use super::{Grants, Packer, Unpacker};
use crate::plan::{Attempt, Redirects, Yields};

/// Appends an attempt.
pub(crate) fn pack_attempt(out: &mut Packer, attempt: &Attempt) {
    out.put_u64(attempt.stage.into());
    out.put_u64(attempt.token.into());
    for text in [
        &attempt.uri,
        &attempt.to,
        &attempt.from,
        &attempt.identity,
        &attempt.routes,
    ] {
        out.put_bytes(text);
    }
    out.put_u8(code_of_trust(attempt.trust));
    out.put_u8(code_of_keys(attempt.keys));
    out.put_flag(attempt.destination.is_some());
    if let Some(destination) = &attempt.destination {
        out.put_destination(destination);
    }
    out.put_flag(attempt.beyond.is_some());
    if let Some(ip) = attempt.beyond {
        out.put_address((ip, 0).into());
    }
    out.put_u64(attempt.silence_max.as_micros() as u64);
    out.put_u64(attempt.ring_max.as_micros() as u64);
    out.put_flag(attempt.redirects == Redirects::Follow);
    out.put_flag(attempt.yields == Yields::AnyFailure);
}

/// Reads one; `grants` has the credentials.
pub(crate) fn unpack_attempt(from: &mut Unpacker<'_>, grants: &mut Grants<'_>) -> Option<Attempt> {
    let stage = from.u64()?.try_into().ok()?;
    let token = from.u32()?;
    let mut texts: [Box<[u8]>; 5] = Default::default();
    for text in &mut texts {
        *text = from.bytes()?.into();
    }
    let [uri, to, from_value, identity, routes] = texts;
    let trust = trust_of_code(from.u8()?)?;
    let keys = keys_of_code(from.u8()?)?;
    let destination = match from.flag()? {
        true => Some(from.destination()?),
        false => None,
    };
    let beyond = match from.flag()? {
        true => Some(from.address()?.ip()),
        false => None,
    };
    Some(Attempt {
        stage,
        token,
        uri,
        to,
        from: from_value,
        identity,
        trust,
        keys,
        routes,
        destination,
        beyond,
        credentials: grants(Some(token)),
        silence_max: Duration::from_micros(from.u64()?),
        ring_max: Duration::from_micros(from.u64()?),
        redirects: if from.flag()? {
            Redirects::Follow
        } else {
            Redirects::Refuse
        },
        yields: if from.flag()? {
            Yields::AnyFailure
        } else {
            Yields::Trouble
        },
    })
}
