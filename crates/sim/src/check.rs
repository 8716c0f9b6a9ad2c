//! What must hold at the end of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Time;
use model::{CallId, Cdr, CdrOutcome, EndedBy};
use sip::Transport;
use switch::{JournalEvent, Leftovers};

use crate::agent::session::Stage;
use crate::ledger::CallNotes;
use crate::world::World;

/// Judges a run whose calls are over; what it finds goes to the violations.
pub(crate) fn check(world: &mut World) {
    let records = journal(world);
    let mut found = Vec::new();
    let longest_s = world.switch.snapshot().settings.call_duration_max_s;
    for cdr in &records {
        found.extend(agreement(world, cdr));
        found.extend(times(cdr, longest_s));
    }
    found.extend(silent_ends(world, &records));
    world.ledger.violations.extend(found);
}

/// Judges the switch when it has had time to forget everything.
pub(crate) fn check_emptiness(world: &mut World) {
    let left = world.switch.leftovers();
    if left != Leftovers::default() {
        world.ledger.violation(format!("not empty: {left:?}"));
    }
    if world.relay.len() > 0 {
        let n = world.relay.len();
        world
            .ledger
            .violation(format!("{n} media sessions are still open"));
    }
    let bindings = [Transport::Udp, Transport::Tcp].map(|t| world.switch.binding_count(t));
    if bindings != [0, 0] {
        let text = format!("bindings of users that are gone: {bindings:?}");
        world.ledger.violation(text);
    }
    for (entity, _) in routing::limits_of(world.switch.snapshot()) {
        let usage = world.switch.usage(world.now, entity).unwrap_or_default();
        if usage.channels > 0 {
            let (kind, n) = (entity.kind, usage.channels);
            world
                .ledger
                .violation(format!("{kind} still has {n} channels in use"));
        }
    }
}

/// One Opened and one Closed for each call, in this order, and records numbered without gaps.
fn journal(world: &mut World) -> Vec<Cdr> {
    let mut open: BTreeMap<CallId, bool> = BTreeMap::new();
    let mut records: Vec<Cdr> = Vec::new();
    let mut found = Vec::new();
    for (at, event) in &world.ledger.journal {
        match event {
            JournalEvent::Opened(opening) => {
                if open.insert(opening.call, true).is_some() {
                    found.push(format!("{} was opened twice", opening.call));
                }
            }
            JournalEvent::Answered { call, .. } => {
                if open.get(call) != Some(&true) {
                    found.push(format!("{call} was answered while it was not open"));
                }
            }
            JournalEvent::Left { call } => {
                found.push(format!("{call} was left, and there is nobody else"));
            }
            JournalEvent::Closed(cdr) => {
                let was_open = open.insert(cdr.call, false);
                let refused = cdr.attempts == 0 && cdr.answer_us.is_none();
                if was_open == Some(false) || (was_open.is_none() && !refused) {
                    found.push(format!("{} was closed while it was not open", cdr.call));
                }
                if cdr.sequence != records.len() as u64 + 1 {
                    found.push(format!("record {} comes out of order", cdr.sequence));
                }
                if cdr.end_us > at.as_micros() || cdr.start_us > cdr.end_us {
                    found.push(format!("{} ends at no possible time", cdr.call));
                }
                records.push((**cdr).clone());
            }
        }
    }
    let open = open.iter().filter(|(_, open)| **open);
    found.extend(open.map(|(call, _)| format!("{call} was never closed")));
    let mut by_call_id: BTreeMap<&str, usize> = BTreeMap::new();
    for cdr in &records {
        *by_call_id.entry(&cdr.sip_call_id).or_default() += 1;
    }
    let twice = by_call_id.iter().filter(|(_, n)| **n > 1);
    found.extend(twice.map(|(id, n)| format!("call {id} has {n} records")));
    world.ledger.violations.extend(found);
    records
}

/// Whether a record says what the caller saw.
fn agreement(world: &World, cdr: &Cdr) -> Option<String> {
    let number = number_of(cdr)?;
    let notes = world.ledger.calls.get(&number)?;
    let caller = cdr.sip_call_id.split('@').nth(1)?;
    let caller = world.agents.iter().find(|a| a.name == caller)?;
    if caller.is_blurred {
        return None;
    }
    let wrong = |what: &str| {
        Some(format!(
            "call {number}: {what}; the record says {:?} {} by {:?}, the agents {notes:?}",
            cdr.outcome, cdr.status, cdr.ended_by
        ))
    };
    let answered = cdr.outcome == CdrOutcome::Answered;
    if answered != cdr.answer_us.is_some() {
        return wrong("answer time and outcome differ");
    }
    match notes.final_status {
        Some(200) if !answered => return wrong("the caller was answered"),
        Some(200) => {}
        Some(status) if answered && !notes.unheard => {
            return wrong(&format!("the caller was refused with {status}"));
        }
        Some(status) if !notes.unheard && status != cdr.status => {
            return wrong("the caller saw another status");
        }
        _ => {}
    }
    who(cdr, notes).and_then(wrong)
}

/// Whether a call rang before it was answered, was answered before it ended, and kept to the
/// longest duration.
fn times(cdr: &Cdr, longest_s: u32) -> Option<String> {
    let answer = cdr.answer_us.unwrap_or(cdr.end_us);
    let ring = cdr.ring_us.unwrap_or(answer);
    let in_order = cdr.start_us <= ring && ring <= answer && answer <= cdr.end_us;
    let talked_us = cdr.end_us.saturating_sub(answer);
    let too_long = talked_us > (u64::from(longest_s) + 1) * 1_000_000;
    (!in_order || too_long).then(|| format!("impossible times: {cdr:?}"))
}

/// Whether the one who is said to have ended a call did.
fn who(cdr: &Cdr, notes: &CallNotes) -> Option<&'static str> {
    let answered = cdr.outcome == CdrOutcome::Answered;
    if notes.is_rerouted {
        return None;
    }
    match cdr.ended_by {
        EndedBy::Caller if cdr.reason == "caller hung up" && notes.caller_bye.is_none() => {
            Some("the caller never hung up")
        }
        EndedBy::Callee if cdr.reason == "callee hung up" && notes.callee_bye.is_none() => {
            Some("the callee never hung up")
        }
        // Nobody crashed, so nobody may lose a call; a 481 can still cross a BYE.
        EndedBy::Caller | EndedBy::Callee
            if cdr.reason.contains("lost the call")
                && notes.caller_bye.is_none()
                && notes.callee_bye.is_none()
                && !notes.is_blurred =>
        {
            Some("nobody lost the call")
        }
        EndedBy::Caller if !answered && !notes.cancelled => Some("the caller never gave up"),
        _ if cdr.outcome == CdrOutcome::Cancelled && !notes.cancelled => Some("nobody cancelled"),
        _ => None,
    }
}

/// When a call ends in the switch, its agents hear of it, within the 32 s a request is repeated.
fn silent_ends(world: &World, records: &[Cdr]) -> Vec<String> {
    let mut found = Vec::new();
    for agent in world.agents.iter().filter(|a| !a.is_blurred) {
        for session in agent.sessions.iter().filter(|s| s.call > 0) {
            if session.up_at.is_none() && session.is_caller() {
                continue;
            }
            let since = session.up_at.unwrap_or(session.begun_at);
            if session.stage != Stage::Down {
                found.push(format!(
                    "call {}: {} is still talking",
                    session.call, agent.name
                ));
                continue;
            }
            let notes = world.ledger.calls.get(&session.call);
            if notes.is_some_and(|n| n.is_rerouted) {
                continue;
            }
            let cdr = records.iter().find(|c| number_of(c) == Some(session.call));
            let Some(cdr) = cdr else {
                found.push(format!("call {}: rung, but no record", session.call));
                continue;
            };
            let end = Time::from_micros(cdr.end_us).max(since) + PATIENCE;
            // What is not heard of cannot be cancelled (RFC 3261 §9.1).
            let unheard = session.up_at.is_none() && cdr.reason == UNHEARD;
            if session.down_at.is_some_and(|down| down > end) && !unheard {
                found.push(format!(
                    "call {}: {} talked or rang on long after the end",
                    session.call, agent.name
                ));
            }
        }
    }
    found
}

/// The number of the planned call, which stands in the caller's Call-ID.
fn number_of(cdr: &Cdr) -> Option<u32> {
    cdr.sip_call_id.split('@').next()?.parse().ok()
}

/// 64*T1 (RFC 3261 §17.1.2.2), and what the network delays.
const PATIENCE: Duration = Duration::from_secs(37);
/// The reason of records of calls that ended before anything was heard of a callee.
const UNHEARD: &str = "no response from the next hop";
