//! Past calls, decided again by the configuration as it is and by a draft of it.
//!
//! A CDR does not hold all that a decision was made of. What it lacks is assumed, alike for both
//! tables: every gateway is healthy; the draw among gateways of one priority comes from the id of
//! the call; From named a domain that is not ours, for else a caller without digest would not
//! have been recognised; a caller recognised neither by its address nor as a line of a gateway
//! had shown a digest. A call whose caller cannot be rebuilt so is not judged, and says why.

use core::fmt;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use clock::Time;
use model::{CallId, CarrierId, Cdr, Customer, CustomerAuth, CustomerId, GatewayId, UserId};

use crate::{
    Caller, Decision, Domain, Health, Identity, Refusal, Request, Service, Source, Step, Table,
    Target,
};

/// Decides past calls by two tables and keeps count.
#[derive(Debug)]
pub struct Replay<'t> {
    before: &'t Table,
    after: &'t Table,
    /// Knows of no gateway, so that all are healthy.
    health: Health,
    differences_max: usize,
    report: ReplayReport,
}

impl<'t> Replay<'t> {
    /// Compares the table as it is with that of a draft; the report keeps the first
    /// `differences_max` calls that differ.
    #[must_use]
    pub fn new(before: &'t Table, after: &'t Table, differences_max: usize) -> Self {
        Self {
            before,
            after,
            health: Health::default(),
            differences_max,
            report: ReplayReport::default(),
        }
    }

    /// Decides one past call twice; whether it stands among the differences of the report.
    pub fn handle_call(&mut self, cdr: &Cdr) -> bool {
        let before = self.report.differences.len();
        match self.judge(cdr) {
            Ok(difference) => self.count(cdr, difference),
            Err(reason) => *self.report.unjudged.entry(reason).or_default() += 1,
        }
        self.report.differences.len() > before
    }

    /// What was found.
    #[must_use]
    pub fn into_report(self) -> ReplayReport {
        self.report
    }

    fn judge(&self, cdr: &Cdr) -> Result<ReplayDifference, Unjudged> {
        let at = Time::from_micros(cdr.start_us);
        let mut before = Decided::by(self.before, at, &request(self.before, cdr)?, &self.health);
        let after = Decided::by(self.after, at, &request(self.after, cdr)?, &self.health);
        if !is_caller_of(cdr, &before.caller) {
            return Err(Unjudged::CallerGone);
        }
        before.is_inbound = matches!(before.caller, Caller::Carrier { .. });
        Ok(ReplayDifference {
            call: cdr.call,
            verdict: Verdict::of(&before.ways, &after.ways),
            as_recorded: before.gateway() == before.gateway_then(cdr),
            before: before.into_side(),
            after: after.into_side(),
        })
    }

    fn count(&mut self, cdr: &Cdr, difference: ReplayDifference) {
        let report = &mut self.report;
        let count = match difference.verdict {
            Verdict::Same => &mut report.same,
            Verdict::OtherFallback => &mut report.other_fallback,
            Verdict::Elsewhere => &mut report.elsewhere,
            Verdict::NowRefused => &mut report.now_refused,
            Verdict::NowAdmitted => &mut report.now_admitted,
        };
        *count += 1;
        report.not_as_recorded += u64::from(!difference.as_recorded);
        let talk_us = cdr.answer_us.map_or(0, |at| cdr.end_us.saturating_sub(at));
        for (load, side) in [
            (&mut report.before, &difference.before),
            (&mut report.after, &difference.after),
        ] {
            if let Some(Way::Gateway {
                carrier, gateway, ..
            }) = side.ways.first()
            {
                let load = load.entry((*carrier, *gateway)).or_default();
                load.calls += 1;
                load.talk_us = load.talk_us.saturating_add(talk_us);
            }
        }
        let is_wanted = report.differences.len() < self.differences_max;
        if difference.verdict != Verdict::Same && is_wanted {
            report.differences.push(difference);
        }
    }
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Calls that both tables decide alike.
    pub same: u64,
    /// Calls that are first sent where they were, but elsewhere if that fails.
    pub other_fallback: u64,
    /// Calls that the draft sends elsewhere.
    pub elsewhere: u64,
    /// Calls that only the draft refuses.
    pub now_refused: u64,
    /// Calls that only the draft lets through.
    pub now_admitted: u64,
    /// Calls that cannot be judged, and why.
    pub unjudged: BTreeMap<Unjudged, u64>,
    /// Judged calls that the configuration as it is would first send by another gateway than the
    /// one of their record: it has changed since, or a gateway was down, full or refused.
    pub not_as_recorded: u64,
    /// What each gateway gets as things are.
    pub before: BTreeMap<(CarrierId, GatewayId), ReplayLoad>,
    /// What each gateway would get.
    pub after: BTreeMap<(CarrierId, GatewayId), ReplayLoad>,
    /// The first calls that differ, in the order they were given.
    pub differences: Vec<ReplayDifference>,
}

/// What a gateway gets, if the first attempt of each call succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayLoad {
    /// Calls.
    pub calls: u64,
    /// How long they were answered, in microseconds.
    pub talk_us: u64,
}

/// One call, decided twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayDifference {
    /// Which.
    pub call: CallId,
    /// What the draft does to it.
    pub verdict: Verdict,
    /// Whether the configuration as it is sends it by the gateway of its record.
    pub as_recorded: bool,
    /// As things are.
    pub before: ReplaySide,
    /// With the draft.
    pub after: ReplaySide,
}

/// One decision on a past call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaySide {
    /// Where the call goes, in the order of the attempts; at least one.
    pub ways: Vec<Way>,
    /// Why, in sentences.
    pub steps: Vec<String>,
}

/// What a draft does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing; or it is refused as it was, if perhaps for another reason.
    Same,
    /// The first attempt is the same, later ones are not.
    OtherFallback,
    /// It goes elsewhere, or as another number.
    Elsewhere,
    /// It is refused and was not.
    NowRefused,
    /// It is let through and was not.
    NowAdmitted,
}

impl Verdict {
    fn of(before: &[Way], after: &[Way]) -> Self {
        let is_refused = |ways: &[Way]| matches!(ways, [Way::Challenged | Way::Refused(_)]);
        match (is_refused(before), is_refused(after)) {
            (false, true) => Self::NowRefused,
            (true, false) => Self::NowAdmitted,
            (true, true) => Self::Same,
            _ if before == after => Self::Same,
            _ if before.first() == after.first() => Self::OtherFallback,
            _ => Self::Elsewhere,
        }
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a user.
    User(UserId),
    /// To a customer's own switch.
    Customer {
        /// Whose.
        customer: CustomerId,
        /// `host[:port]`.
        host: Box<str>,
        /// The number there.
        destination: Box<str>,
    },
    /// To a carrier.
    Gateway {
        /// Whom.
        carrier: CarrierId,
        /// By which of its addresses.
        gateway: GatewayId,
        /// The called number as the carrier gets it.
        destination: Box<str>,
        /// The caller's number as the carrier gets it.
        caller: Box<str>,
    },
    /// To an application of ours.
    Service(Service),
    /// Nowhere: the caller is not recognised.
    Challenged,
    /// Nowhere.
    Refused(Refusal),
}

/// Why a past call cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unjudged {
    /// Nobody was recognised as the caller then.
    CallerUnknown,
    /// The caller is no longer recognised by the configuration as it is.
    CallerGone,
    /// The address that it came from cannot be read.
    SourceUnreadable,
}

impl fmt::Display for Unjudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerUnknown => "the record does not say who called",
            Self::CallerGone => "the configuration no longer recognises the caller",
            Self::SourceUnreadable => "the address in the record cannot be read",
        })
    }
}

/// A decision, before it is compared.
struct Decided {
    caller: Caller,
    /// From a carrier: the gateway of the record is the one it came by.
    is_inbound: bool,
    ways: Vec<Way>,
    steps: Vec<Step>,
}

impl Decided {
    fn by(table: &Table, at: Time, request: &Request<'_>, health: &Health) -> Self {
        let mut steps = Vec::new();
        let decision = table.decide(at, request, health, &mut steps);
        Self {
            ways: ways_of(&decision),
            caller: decision.caller,
            is_inbound: false,
            steps,
        }
    }

    fn gateway(&self) -> Option<GatewayId> {
        match self.ways.first() {
            Some(Way::Gateway { gateway, .. }) => Some(*gateway),
            _ => None,
        }
    }

    fn gateway_then(&self, cdr: &Cdr) -> Option<GatewayId> {
        cdr.gateway.filter(|_| !self.is_inbound)
    }

    fn into_side(self) -> ReplaySide {
        ReplaySide {
            ways: self.ways,
            steps: self.steps.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What the decision was made of, as far as the record tells, and as a table would have known the caller.
fn request<'c>(table: &Table, cdr: &'c Cdr) -> Result<Request<'c>, Unjudged> {
    let address = address_of(&cdr.source).ok_or(Unjudged::SourceUnreadable)?;
    let mut source = Source {
        address,
        identity: None,
        certificate: None,
        gateway: None,
        line: None,
    };
    match (cdr.from_user, cdr.customer, cdr.gateway) {
        (Some(user), ..) => source.identity = Some(Identity::User(user)),
        (None, Some(customer), _) => {
            // One that is known by its address is found by that, or is not.
            let by_address = |known: &Customer| matches!(known.auth, CustomerAuth::Address { .. });
            if table
                .customer(customer)
                .is_some_and(|known| !by_address(known))
            {
                source.identity = Some(Identity::Customer(customer));
            }
        }
        (None, None, Some(gateway)) => source.gateway = Some(gateway),
        (None, None, None) => return Err(Unjudged::CallerUnknown),
    }
    Ok(Request {
        source,
        called: &cdr.called,
        caller: &cdr.caller,
        caller_domain: Domain::Foreign,
        random: draw(cdr.call),
    })
}

fn ways_of(decision: &Decision) -> Vec<Way> {
    match &decision.target {
        Target::User(user) => vec![Way::User(user.id)],
        Target::Customer {
            customer,
            host,
            destination,
        } => vec![Way::Customer {
            customer: customer.id,
            host: host.clone(),
            destination: destination.clone(),
        }],
        Target::Gateways(attempts) => attempts
            .iter()
            .map(|attempt| Way::Gateway {
                carrier: attempt.carrier.id,
                gateway: attempt.gateway.id,
                destination: attempt.destination.clone(),
                caller: attempt.caller.clone(),
            })
            .collect(),
        Target::Service(service) => vec![Way::Service(*service)],
        Target::Challenge => vec![Way::Challenged],
        Target::Refuse(refusal) => vec![Way::Refused(*refusal)],
    }
}

/// Whether somebody is the caller that a record names.
fn is_caller_of(cdr: &Cdr, caller: &Caller) -> bool {
    match caller {
        Caller::User(user) => cdr.from_user == Some(user.id),
        Caller::Customer(customer) => cdr.customer == Some(customer.id),
        Caller::Carrier { carrier, .. } => {
            cdr.from_user.is_none() && cdr.customer.is_none() && cdr.carrier == Some(carrier.id)
        }
        Caller::Unknown => false,
    }
}

/// The address in `transport:address:port`.
fn address_of(source: &str) -> Option<SocketAddr> {
    source.split_once(':')?.1.parse().ok()
}

/// The low half of the id, which is random: the same call draws alike at every replay.
fn draw(call: CallId) -> u64 {
    let low = call.bits() & u128::from(u64::MAX);
    u64::try_from(low).unwrap_or_default()
}

#[cfg(test)]
mod tests;
