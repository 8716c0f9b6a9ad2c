//! The record of a call: what the switch knows of it, and the call itself.
//!
//! One byte for the format, the identity of the call, both as they are, then the facts, the INVITEs
//! that have no answer yet, the call's state behind its length, how the clock goes that all this was written
//! by, and the call's sequence numbers. Records of customers, carriers and
//! gateways stand there by their identities: all nodes have them.
//!
//! Our 2xx that have no ACK yet stand among the INVITEs, under a number that none of ours has
//! ([`NO_REQUEST`]): nodes of a version that knows nothing of them find no INVITE there and go on with
//! the call as they always did, so the format is the same.

use bytes::Bytes;
use call::{Packer, RequestId, Snapshot, Unpacker};
use clock::{Ahead, Time};
use limits::{EntityId, EntityKind};
use model::{
    AccountId, CallId, CarrierId, CustomerId, GatewayId, MediaServerId, NumberId, RouteId, UserId,
};
use routing::{Attempt, Caller, GatewayMatch, Table};
use sip::{Destination, Flow};

use super::RECORD_FORMAT;
use crate::facts::{Facts, Tried};
use crate::media_servers::Anchor;

/// A record that was read.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) facts: Facts,
    pub(crate) snapshot: Snapshot,
    pub(crate) invites: Vec<Sent>,
    pub(crate) answers: Vec<Answered>,
    /// Of the clock that its times are by.
    pub(crate) ahead: Option<Ahead>,
}

/// An INVITE of a call that has no final response yet.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) request: RequestId,
    pub(crate) to: Destination,
    /// As it was sent, with our Via.
    pub(crate) bytes: Bytes,
}

/// A 2xx of ours that has no ACK yet.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// How its INVITE came.
    pub(crate) flow: Flow,
    /// As it was sent.
    pub(crate) bytes: Bytes,
}

/// What the peers of a call have heard of us, and have not answered.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) invites: Vec<Sent>,
    pub(super) answers: Vec<Answered>,
}

/// The record, and how much of it matters: what follows are the clock, which is measured again and
/// again, and sequence numbers.
pub(super) fn write(
    facts: &Facts,
    snapshot: &Snapshot,
    open: &Open,
    ahead: Option<Ahead>,
) -> (Vec<u8>, usize) {
    let sent = open.invites.iter().map(|sent| sent.bytes.len());
    let answered = open.answers.iter().map(|answered| answered.bytes.len());
    let messages: usize = sent.chain(answered).sum();
    let room = FACTS_TYPICAL + messages + snapshot.state.len() + snapshot.numbers.len();
    let mut out = Packer::with_capacity(room);
    out.put_u8(RECORD_FORMAT);
    out.put_u128(facts.id.bits());
    write_facts(&mut out, facts);
    out.put_u64((open.invites.len() + open.answers.len()) as u64);
    for sent in &open.invites {
        out.put_u64(sent.request.0.into());
        out.put_destination(&sent.to);
        out.put_bytes(&sent.bytes);
    }
    for answered in &open.answers {
        out.put_u64(NO_REQUEST.0.into());
        out.put_destination(&Destination::Flow(answered.flow));
        out.put_bytes(&answered.bytes);
    }
    out.put_bytes(&snapshot.state);
    let mut record = out.finish();
    let matters = record.len();
    let ahead = ahead.map_or(UNKNOWN, Ahead::as_micros);
    record.extend_from_slice(&ahead.to_be_bytes());
    record.extend_from_slice(&snapshot.numbers);
    (record, matters)
}

/// `None` if it is of another format, or none at all. `table` has the records it names.
pub(crate) fn read(record: &[u8], table: &Table) -> Option<Kept> {
    let from = &mut Unpacker(record);
    if from.u8()? != RECORD_FORMAT {
        return None;
    }
    let id = CallId::from_bits(from.u128()?);
    let facts = read_facts(from, id, table)?;
    let (mut invites, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..from.u64()? {
        let (request, to) = (RequestId(from.u32()?), from.destination()?);
        let bytes = Bytes::copy_from_slice(from.bytes()?);
        match to {
            Destination::Flow(flow) if request == NO_REQUEST => {
                answers.push(Answered { flow, bytes });
            }
            to => invites.push(Sent { request, to, bytes }),
        }
    }
    let state = from.bytes()?.to_vec();
    let (ahead, numbers) = from.0.split_first_chunk()?;
    let ahead = i64::from_be_bytes(*ahead);
    let numbers = numbers.to_vec();
    let snapshot = Snapshot { state, numbers };
    Some(Kept {
        facts,
        snapshot,
        invites,
        answers,
        ahead: (ahead != UNKNOWN).then(|| Ahead::from_micros(ahead)),
    })
}

fn write_facts(out: &mut Packer, facts: &Facts) {
    out.put_u64(facts.start.as_micros());
    out.put_optional_u64(facts.ring.map(Time::as_micros));
    out.put_optional_u64(facts.answer.map(Time::as_micros));
    out.put_optional_u128(facts.account.map(AccountId::bits));
    out.put_optional_u128(facts.from_user.map(UserId::bits));
    out.put_optional_u128(facts.to_user.map(UserId::bits));
    out.put_optional_u128(facts.customer.map(CustomerId::bits));
    out.put_optional_u128(facts.number.map(NumberId::bits));
    let (carrier, gateway) = facts.inbound.unzip();
    out.put_optional_u128(carrier.map(CarrierId::bits));
    out.put_optional_u128(gateway.map(GatewayId::bits));
    out.put_flow(facts.source);
    for text in [
        facts.caller_text(),
        facts.called_text(),
        facts.sip_call_id(),
        facts.display(),
    ] {
        out.put_bytes(text.as_bytes());
    }
    out.put_flag(facts.is_private);
    out.put_u64(facts.entities.len() as u64);
    for entity in &facts.entities {
        out.put_u8(code_of(entity.kind));
        out.put_u128(entity.id);
    }
    out.put_u64(facts.attempts.len() as u64);
    for tried in &facts.attempts {
        out.put_flag(tried.dialled);
        write_attempt(out, tried.outbound.as_deref());
    }
    out.put_optional_u64(facts.answered_by.map(u64::from));
    out.put_optional_bytes(facts.callee_zone.as_deref().map(str::as_bytes));
    out.put_flag(facts.record);
    out.put_optional_u64(facts.session);
    out.put_u64(facts.recorded.len() as u64);
    for session in &facts.recorded {
        out.put_u64(*session);
    }
    out.put_u64(facts.recordings.len() as u64);
    for file in &facts.recordings {
        out.put_bytes(file.as_bytes());
    }
    out.put_flag(facts.anchor.is_some());
    if let Some(anchor) = facts.anchor {
        out.put_u64(anchor.session);
        out.put_u128(anchor.server.bits());
        out.put_u64(anchor.prefix);
    }
}

fn read_facts(from: &mut Unpacker<'_>, id: CallId, table: &Table) -> Option<Facts> {
    let start = Time::from_micros(from.u64()?);
    let ring = from.optional_u64()?.map(Time::from_micros);
    let answer = from.optional_u64()?.map(Time::from_micros);
    let account = from.optional_u128()?.map(AccountId::from_bits);
    let from_user = from.optional_u128()?.map(UserId::from_bits);
    let to_user = from.optional_u128()?.map(UserId::from_bits);
    let customer = from.optional_u128()?.map(CustomerId::from_bits);
    let number = from.optional_u128()?.map(NumberId::from_bits);
    let carrier = from.optional_u128()?.map(CarrierId::from_bits);
    let gateway = from.optional_u128()?.map(GatewayId::from_bits);
    let source = from.flow()?;
    let texts = [from.text()?, from.text()?, from.text()?, from.text()?];
    let mut facts = Facts::bare(id, start, source, texts);
    (facts.ring, facts.answer, facts.account) = (ring, answer, account);
    (facts.from_user, facts.to_user) = (from_user, to_user);
    (facts.customer, facts.number) = (customer, number);
    facts.inbound = carrier.zip(gateway);
    facts.caller = caller(&facts, table);
    facts.is_private = from.flag()?;
    for _ in 0..from.u64()? {
        let kind = kind_of(from.u8()?)?;
        facts.entities.push(EntityId::new(kind, from.u128()?));
    }
    for _ in 0..from.u64()? {
        let dialled = from.flag()?;
        facts.attempts.push(Tried {
            outbound: read_attempt(from, table)?,
            admitted: false,
            dialled,
            moves: false,
        });
    }
    facts.answered_by = match from.optional_u64()? {
        Some(token) => Some(token.try_into().ok()?),
        None => None,
    };
    let zone = from.optional_bytes()?;
    facts.callee_zone = zone.map(|zone| String::from_utf8_lossy(zone).into_owned());
    facts.record = from.flag()?;
    facts.session = from.optional_u64()?;
    for _ in 0..from.u64()? {
        facts.recorded.push(from.u64()?);
    }
    for _ in 0..from.u64()? {
        facts.recordings.push(from.text()?.to_owned());
    }
    if from.flag()? {
        facts.anchor = Some(Anchor {
            session: from.u64()?,
            server: MediaServerId::from_bits(from.u128()?),
            prefix: from.u64()?,
        });
    }
    Some(facts)
}

/// With whose rights the call is routed further, as the records are now.
fn caller(facts: &Facts, table: &Table) -> Caller {
    let user = facts.from_user.and_then(|id| table.user(id));
    let customer = facts.customer.and_then(|id| table.customer(id));
    let inbound = facts.inbound.and_then(|(carrier, gateway)| {
        let carrier = table.carrier(carrier)?.clone();
        Some((carrier, table.gateway(gateway)?.clone()))
    });
    match (user, customer, inbound) {
        (Some(user), ..) => Caller::User(user.clone()),
        (_, Some(customer), _) => Caller::Customer(customer.clone()),
        (_, _, Some((carrier, gateway))) => Caller::Carrier {
            carrier,
            gateway,
            matched: GatewayMatch::Address,
        },
        _ => Caller::Unknown,
    }
}

fn write_attempt(out: &mut Packer, attempt: Option<&Attempt>) {
    out.put_flag(attempt.is_some());
    if let Some(attempt) = attempt {
        out.put_u128(attempt.route.bits());
        out.put_u128(attempt.carrier.id.bits());
        out.put_u128(attempt.gateway.id.bits());
        out.put_bytes(attempt.destination.as_bytes());
        out.put_bytes(attempt.caller.as_bytes());
        out.put_u64(attempt.cost_per_minute_micros);
    }
}

/// An attempt by a gateway that is gone is one of nobody's. The outer `None` says that the bytes
/// could not be read.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the bytes could be read"
)]
fn read_attempt(from: &mut Unpacker<'_>, table: &Table) -> Option<Option<Box<Attempt>>> {
    if !from.flag()? {
        return Some(None);
    }
    let route = RouteId::from_bits(from.u128()?);
    let carrier = table.carrier(CarrierId::from_bits(from.u128()?)).cloned();
    let gateway = table.gateway(GatewayId::from_bits(from.u128()?)).cloned();
    let (destination, caller) = (from.text()?.into(), from.text()?.into());
    let cost_per_minute_micros = from.u64()?;
    let attempt = carrier.zip(gateway).map(|(carrier, gateway)| Attempt {
        route,
        carrier,
        gateway,
        destination,
        caller,
        cost_per_minute_micros,
    });
    Some(attempt.map(Box::new))
}

const fn code_of(kind: EntityKind) -> u8 {
    match kind {
        EntityKind::Server => 0,
        EntityKind::Account => 1,
        EntityKind::Customer => 2,
        EntityKind::Carrier => 3,
        EntityKind::Gateway => 4,
        EntityKind::Number => 5,
        EntityKind::User => 6,
        EntityKind::Cluster => 7,
    }
}

const fn kind_of(code: u8) -> Option<EntityKind> {
    Some(match code {
        0 => EntityKind::Server,
        1 => EntityKind::Account,
        2 => EntityKind::Customer,
        3 => EntityKind::Carrier,
        4 => EntityKind::Gateway,
        5 => EntityKind::Number,
        6 => EntityKind::User,
        7 => EntityKind::Cluster,
        _ => return None,
    })
}

/// What a 2xx stands under: requests of a call are numbered from one.
const NO_REQUEST: RequestId = RequestId(0);
/// What stands for a clock of which nobody knows how it goes.
const UNKNOWN: i64 = i64::MIN;
/// Room for what stands in a record beside the call's state and messages, in bytes.
const FACTS_TYPICAL: usize = 320;
