//! What the switch knows of a call beside the call itself: who, permits, and its record.

use call::{Cause, EndReport, Why};
use clock::Time;
use limits::EntityId;
use model::{
    AccountId, CallId, CarrierId, Cdr, CdrLegMedia, CdrOutcome, CustomerId, EndedBy, GatewayId,
    NumberId, UserId,
};
use routing::{Attempt, Caller, Decision, Step};
use sip::Flow;
use smallvec::SmallVec;

use crate::Switch;
use crate::media_servers::Anchor;
use crate::output::{CallChange, CallKey, Event, JournalEvent, Opening, Output};

/// What belongs to a call.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: CallId,
    pub(crate) start: Time,
    pub(crate) ring: Option<Time>,
    pub(crate) answer: Option<Time>,
    pub(crate) account: Option<AccountId>,
    pub(crate) from_user: Option<UserId>,
    pub(crate) to_user: Option<UserId>,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) number: Option<NumberId>,
    /// The carrier and gateway the call came from; an attempt's replace them in the record.
    pub(crate) inbound: Option<(CarrierId, GatewayId)>,
    pub(crate) source: Flow,
    /// Caller, called party, the caller's Call-ID and its display name, behind each other.
    texts: Box<str>,
    ends: [u16; 3],
    /// Whether the caller asked for privacy; it holds wherever its call goes.
    pub(crate) is_private: bool,
    /// Permits of the caller's side.
    pub(crate) entities: SmallVec<[EntityId; 4]>,
    /// Attempts dialled so far, by token.
    pub(crate) attempts: Vec<Tried>,
    /// Which attempt answered.
    pub(crate) answered_by: Option<u32>,
    /// The media zone of the customer whose switch is called.
    pub(crate) callee_zone: Option<String>,
    /// The routing decision, while somebody may ask for it.
    pub(crate) steps: Vec<Step>,
    /// Who is redirected or transfers on whose behalf: the identity routing runs with.
    pub(crate) caller: Caller,
    ended: Option<(Time, EndReport)>,
    media: [Option<CdrLegMedia>; 2],
    /// Whether somebody in it wants it recorded.
    pub(crate) record: bool,
    /// The session that was negotiated last.
    pub(crate) session: Option<u64>,
    /// Sessions that are recorded, in the order of their parts.
    pub(crate) recorded: SmallVec<[u64; 1]>,
    pub(crate) recordings: Vec<String>,
    /// Media sessions whose report is still to come.
    pub(crate) sessions_open: u8,
    /// Whether the call itself has nothing more to do, and only its record is waited for.
    pub(crate) is_settled: bool,
    /// Which media server has its last session.
    pub(crate) anchor: Option<Anchor>,
}

/// One attempt of a call.
#[derive(Debug)]
pub(crate) struct Tried {
    /// To a gateway, or to a contact.
    pub(crate) outbound: Option<Box<Attempt>>,
    /// Whether its permits are taken.
    pub(crate) admitted: bool,
    /// Whether it was dialled.
    pub(crate) dialled: bool,
    /// Whether its permits wait for the call that takes its leg over.
    pub(crate) moves: bool,
}

impl Facts {
    pub(crate) fn new(
        id: CallId,
        now: Time,
        source: Flow,
        decision: &Decision,
        texts: [&str; 4],
    ) -> Self {
        let (mut from_user, mut customer, mut inbound) = (None, None, None);
        let mut record = false;
        match &decision.caller {
            Caller::User(user) => (from_user, record) = (Some(user.id), user.record),
            Caller::Customer(who) => customer = Some(who.id),
            Caller::Carrier {
                carrier, gateway, ..
            } => (inbound, record) = (Some((carrier.id, gateway.id)), carrier.record),
            Caller::Unknown => {}
        }
        Self {
            account: decision.account,
            from_user,
            customer,
            number: decision.number.as_ref().map(|n| n.id),
            inbound,
            entities: decision.entities.iter().copied().collect(),
            callee_zone: crate::place::zone_of_target(&decision.target),
            caller: decision.caller.clone(),
            record,
            ..Self::bare(id, now, source, texts)
        }
    }

    /// Its times were noted by another clock; by ours they are what `translate` says.
    pub(crate) fn translate(&mut self, translate: impl Fn(Time) -> Time) {
        self.start = translate(self.start);
        self.ring = self.ring.map(&translate);
        self.answer = self.answer.map(translate);
    }

    /// Of a call of which nothing is known but when it began, where it came from, and its texts.
    pub(crate) fn bare(id: CallId, start: Time, source: Flow, texts: [&str; 4]) -> Self {
        let mut end = 0;
        let ends = [texts[0], texts[1], texts[2]].map(|text| {
            end += text.len();
            end as u16
        });
        Self {
            id,
            start,
            ring: None,
            answer: None,
            account: None,
            from_user: None,
            to_user: None,
            customer: None,
            number: None,
            inbound: None,
            source,
            ends,
            texts: texts.concat().into(),
            is_private: false,
            entities: SmallVec::new(),
            attempts: Vec::new(),
            answered_by: None,
            callee_zone: None,
            steps: Vec::new(),
            caller: Caller::Unknown,
            ended: None,
            media: [None, None],
            record: false,
            session: None,
            recorded: SmallVec::new(),
            recordings: Vec::new(),
            sessions_open: 0,
            is_settled: false,
            anchor: None,
        }
    }

    /// What the journal is told when it begins.
    pub(crate) fn opening(&self) -> Opening {
        Opening {
            call: self.id,
            account: self.account,
            from_user: self.from_user,
            customer: self.customer,
            carrier: self.inbound.map(|(carrier, _)| carrier),
            start: self.start,
            caller: self.caller_text().into(),
            called: self.called_text().into(),
            source: self.source,
            sip_call_id: self.sip_call_id().into(),
        }
    }

    /// The user part of From.
    pub(crate) fn caller_text(&self) -> &str {
        &self.texts[..usize::from(self.ends[0])]
    }

    /// The user part of the request URI.
    pub(crate) fn called_text(&self) -> &str {
        &self.texts[usize::from(self.ends[0])..usize::from(self.ends[1])]
    }

    /// The caller's Call-ID.
    pub(crate) fn sip_call_id(&self) -> &str {
        &self.texts[usize::from(self.ends[1])..usize::from(self.ends[2])]
    }

    /// The display name of From, escapes kept.
    pub(crate) fn display(&self) -> &str {
        &self.texts[usize::from(self.ends[2])..]
    }

    /// The attempt the record speaks of: the one that answered, else the last one dialled.
    fn decisive(&self) -> Option<&Attempt> {
        let answered = self.answered_by.and_then(|t| self.attempts.get(t as usize));
        let last = self.attempts.iter().rev().find(|t| t.dialled);
        answered.or(last).and_then(|t| t.outbound.as_deref())
    }

    fn record(&self, node: &str, now: Time, report: &EndReport, sequence: u64) -> Cdr {
        let attempt = self.decisive();
        let (carrier, gateway) = match (attempt, self.inbound) {
            (Some(a), _) => (Some(a.carrier.id), Some(a.gateway.id)),
            (None, Some((c, g))) => (Some(c), Some(g)),
            (None, None) => (None, None),
        };
        let [media_a, media_b] = self.media.clone();
        Cdr {
            call: self.id,
            node: node.to_owned(),
            sequence,
            account: self.account,
            from_user: self.from_user,
            to_user: self.to_user,
            customer: self.customer,
            number: self.number,
            carrier,
            gateway,
            caller: self.caller_text().to_owned(),
            called: self.called_text().to_owned(),
            destination: attempt.map_or_else(
                || self.called_text().to_owned(),
                |a| String::from(a.destination.clone()),
            ),
            source: self.source.to_string(),
            sip_call_id: self.sip_call_id().to_owned(),
            sip_call_id_b: String::from_utf8_lossy(&report.callee_call_id).into_owned(),
            start_us: self.start.as_micros(),
            ring_us: self.ring.map(Time::as_micros),
            answer_us: self.answer.map(Time::as_micros),
            end_us: now.as_micros(),
            outcome: outcome(self.answer.is_some(), &report.cause, report.status),
            status: report.status,
            reason: report.cause.text().to_owned(),
            ended_by: match report.cause.ended_by() {
                call::EndedBy::Caller => EndedBy::Caller,
                call::EndedBy::Callee => EndedBy::Callee,
                call::EndedBy::Platform => EndedBy::Platform,
            },
            attempts: self.attempts.iter().filter(|t| t.dialled).count() as u16,
            media_a,
            media_b,
            recordings: self.recordings.clone(),
        }
    }

    /// The part of the recording that the present session is to be; `None` if it is not
    /// recorded, or is already.
    fn next_part(&mut self) -> Option<(u64, u16)> {
        let session = self
            .session
            .filter(|_| self.record && self.answer.is_some())?;
        if self.recorded.contains(&session) || self.recorded.len() >= PARTS_MAX {
            return None;
        }
        self.recorded.push(session);
        Some((session, self.recorded.len() as u16))
    }
}

fn outcome(answered: bool, cause: &Cause, status: u16) -> CdrOutcome {
    match (answered, cause, status) {
        (true, ..) => CdrOutcome::Answered,
        (_, Cause::Cancelled | Cause::BegunAnew, _) => CdrOutcome::Cancelled,
        (_, Cause::NoAnswer, _) | (_, _, 408 | 480) => CdrOutcome::NoAnswer,
        (_, _, 486 | 600) => CdrOutcome::Busy,
        _ => CdrOutcome::Failed,
    }
}

impl Switch {
    /// Writes the beginning of a call to the journal.
    pub(crate) fn open_record(&mut self, facts: &Facts) {
        self.counters.attempts += 1;
        self.outputs
            .push_back(Output::Journal(JournalEvent::Opened(Box::new(
                facts.opening(),
            ))));
        self.tell_call(facts, CallChange::Started);
    }

    pub(crate) fn note_ringing(&mut self, now: Time, key: CallKey) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        if entry.facts.ring.is_some() {
            return;
        }
        entry.facts.ring = Some(now);
        self.counters.pdd.add(now.since(entry.facts.start));
        self.tell(key, CallChange::Ringing);
    }

    pub(crate) fn note_answered(&mut self, now: Time, key: CallKey, token: Option<u32>) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        let facts = &mut entry.facts;
        facts.answer = Some(now);
        facts.answered_by = token;
        let (id, start, rang) = (facts.id, facts.start, facts.ring.is_some());
        let attempt = token
            .and_then(|t| facts.attempts.get(t as usize))
            .and_then(|t| t.outbound.as_ref());
        let gateway = attempt.map(|a| a.gateway.id);
        facts.record |= attempt.is_some_and(|a| a.carrier.record);
        facts.attempts.shrink_to_fit();
        self.counters.answered += 1;
        if !rang {
            self.counters.pdd.add(now.since(start));
        }
        if let Some(gateway) = gateway {
            self.health.handle_success(gateway);
        }
        self.outputs
            .push_back(Output::Journal(JournalEvent::Answered {
                call: id,
                at: now,
            }));
        self.tell(key, CallChange::Answered);
        self.record_if_wanted(key);
    }

    /// Media of a call were negotiated.
    pub(crate) fn note_session(&mut self, key: CallKey, session: u64) {
        if let Some(entry) = self.calls.entry_mut(key) {
            entry.facts.session = Some(session);
            self.record_if_wanted(key);
        }
    }

    fn record_if_wanted(&mut self, key: CallKey) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        let call = entry.facts.id;
        if let Some((session, part)) = entry.facts.next_part() {
            self.outputs.push_back(Output::Record {
                call,
                session,
                part,
            });
        }
    }

    /// The call is over: permits go back at once, the record waits for the last media report.
    pub(crate) fn note_ended(&mut self, now: Time, key: CallKey, report: &EndReport) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        let facts = &mut entry.facts;
        let entities = std::mem::take(&mut facts.entities);
        let mut held: Vec<[EntityId; 2]> = Vec::new();
        for tried in facts.attempts.iter_mut().filter(|t| t.admitted) {
            tried.admitted = false;
            held.extend(tried.outbound.as_ref().map(|a| a.entities()));
        }
        facts.ended = Some((now, report.clone()));
        match facts.answer {
            Some(answer) => self.counters.duration.add(now.since(answer)),
            None => self.counters.failed += 1,
        }
        self.release(now, &entities);
        for permits in held {
            self.release(now, &permits);
        }
        self.tell(key, CallChange::Ended(report.status));
        self.write_record_if_complete(key);
    }

    /// What the relay received in a session of a call.
    pub(crate) fn note_media(
        &mut self,
        key: CallKey,
        legs: [CdrLegMedia; 2],
        recordings: Vec<String>,
    ) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        let facts = &mut entry.facts;
        facts.sessions_open = facts.sessions_open.saturating_sub(1);
        facts.recordings.extend(recordings);
        for (kept, fresh) in facts.media.iter_mut().zip(legs) {
            match kept {
                Some(kept) => merge(kept, &fresh),
                None => *kept = Some(fresh),
            }
        }
        self.write_record_if_complete(key);
        self.remove_if_settled(key);
    }

    fn write_record_if_complete(&mut self, key: CallKey) {
        let Some(entry) = self.calls.entry_mut(key) else {
            return;
        };
        if entry.facts.sessions_open > 0 {
            return;
        }
        let Some((at, report)) = entry.facts.ended.take() else {
            return;
        };
        self.sequence += 1;
        let cdr = entry.facts.record(&self.node, at, &report, self.sequence);
        self.outputs
            .push_back(Output::Journal(JournalEvent::Closed(Box::new(cdr))));
    }

    /// The call is forgotten; if its last media report never came, the record goes without it.
    pub(crate) fn close_record(&mut self, mut facts: Box<Facts>) {
        let Some((at, report)) = facts.ended.take() else {
            return;
        };
        self.sequence += 1;
        let cdr = facts.record(&self.node, at, &report, self.sequence);
        self.outputs
            .push_back(Output::Journal(JournalEvent::Closed(Box::new(cdr))));
    }

    /// The record of a call that was refused before it began.
    pub(crate) fn record_refusal(&mut self, now: Time, facts: &Facts, status: u16, why: Why) {
        let report = EndReport {
            cause: Cause::RefusedByUs { status, why },
            status,
            callee_call_id: Box::default(),
        };
        self.counters.attempts += 1;
        self.counters.failed += 1;
        self.sequence += 1;
        let cdr = facts.record(&self.node, now, &report, self.sequence);
        self.outputs
            .push_back(Output::Journal(JournalEvent::Closed(Box::new(cdr))));
    }

    fn tell(&mut self, key: CallKey, change: CallChange) {
        let Some(entry) = self.calls.entry(key) else {
            return;
        };
        let event = event_of(&entry.facts, change);
        self.outputs.push_back(Output::Event(event));
    }

    fn tell_call(&mut self, facts: &Facts, change: CallChange) {
        self.outputs
            .push_back(Output::Event(event_of(facts, change)));
    }
}

fn event_of(facts: &Facts, change: CallChange) -> Event {
    Event::Call {
        id: facts.id,
        change,
        parties: (
            facts.caller_text().to_owned(),
            facts.called_text().to_owned(),
        ),
    }
}

/// Adds what a later session of the same leg received.
fn merge(kept: &mut CdrLegMedia, fresh: &CdrLegMedia) {
    if kept.packets == 0 || fresh.packets > kept.packets {
        let counts = (kept.packets, kept.bytes, kept.lost);
        let mos = (kept.mos_centi, kept.mos_min_centi);
        kept.clone_from(fresh);
        (kept.packets, kept.bytes, kept.lost) = counts;
        (kept.mos_centi, kept.mos_min_centi) = mos;
    }
    for (kept, fresh) in [
        (&mut kept.mos_centi, fresh.mos_centi),
        (&mut kept.mos_min_centi, fresh.mos_min_centi),
    ] {
        *kept = match (*kept, fresh) {
            (0, mos) | (mos, 0) => mos,
            (a, b) => a.min(b),
        };
    }
    kept.packets += fresh.packets;
    kept.bytes += fresh.bytes;
    kept.lost += fresh.lost;
}

/// Sessions of one call that are recorded: more than that many transfers are not.
const PARTS_MAX: usize = 16;
