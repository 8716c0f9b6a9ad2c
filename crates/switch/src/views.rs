//! What people see of the switch: calls, bindings, gateways, limits, and thought-of calls.

use std::net::{IpAddr, SocketAddr};

use call::{Phase, Side};
use clock::Time;
use model::{CallId, CallState, CallView, GatewayHealth, LegView, RegistrationView};
use routing::{Decision, Identity, Source, Step, Table};

use crate::Switch;
use crate::calls::Entry;
use crate::counters::Counters;
use crate::defence::Ban;
use crate::listeners::Listeners;

/// A call that is only thought of.
#[derive(Clone, Debug)]
pub struct RouteQuery {
    /// The user part of the request URI.
    pub called: String,
    /// The user part of From.
    pub caller: String,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Whom its digest would prove it to be.
    pub identity: Option<Identity>,
}

/// What would become of it.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// The decision.
    pub decision: Decision,
    /// How it came about.
    pub steps: Vec<Step>,
    /// The contacts a user would be rung at.
    pub contacts: Vec<String>,
}

/// What the switch holds for calls and transactions; all zero when nothing is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Calls, those that are over but not yet forgotten too.
    pub calls: usize,
    /// Transactions of both kinds.
    pub transactions: usize,
    /// Timers of calls.
    pub alarms: usize,
    /// Client transactions whose response somebody waits for.
    pub owners: usize,
    /// INVITE server transactions that belong to calls.
    pub invites: usize,
    /// MESSAGE requests that wait for their callee.
    pub messages: usize,
    /// Questions to the resolver.
    pub questions: usize,
    /// Inputs of calls and outputs that wait to be taken.
    pub queued: usize,
    /// Releases of limits that held nothing.
    pub limit_misuses: u64,
}

impl Switch {
    /// What is held, for tests and diagnosis.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        Leftovers {
            calls: self.calls.iter().count(),
            transactions: self.transactions.len(),
            alarms: self.alarms.len(),
            owners: self.owners.len(),
            invites: self.invites.len(),
            messages: self.messages.len(),
            questions: self.questions.len(),
            queued: self.work.len() + self.outputs.len() + self.scratch.len(),
            limit_misuses: self.limits.misuses(),
        }
    }

    /// Calls in progress, in ascending order of their ids.
    #[must_use]
    pub fn calls(&self) -> Vec<CallView> {
        let mut all: Vec<CallView> = self.calls.iter().filter_map(|(_, e)| view(e)).collect();
        all.sort_by_key(|view| view.id);
        all
    }

    /// One call.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<CallView> {
        self.calls
            .iter()
            .find(|(_, e)| e.facts.id == id)
            .and_then(|(_, e)| view(e))
    }

    /// The id of the call with this key.
    #[must_use]
    pub fn call_id(&self, key: crate::CallKey) -> Option<CallId> {
        self.calls.entry(key).map(|entry| entry.facts.id)
    }

    /// How many calls are in progress.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls
            .iter()
            .filter(|(_, e)| e.call.phase() != Phase::Over)
            .count()
    }

    /// Ends a call on both sides; false if it is not in progress.
    pub fn hang_up(&mut self, now: Time, id: CallId) -> bool {
        let found = self
            .calls
            .iter()
            .find(|(_, e)| e.facts.id == id && e.call.phase() != Phase::Over)
            .map(|(key, _)| key);
        if let Some(key) = found {
            self.feed(now, key, call::Input::End(call::Cause::Operator));
            self.pump(now);
        }
        found.is_some()
    }

    /// Registered contacts after `after`, in ascending order of their ids.
    #[must_use]
    pub fn registrations(
        &self,
        (aor, text): (Option<&str>, Option<&str>),
        after: Option<registrar::BindingId>,
        limit: usize,
    ) -> Vec<RegistrationView> {
        let filter = registrar::Filter {
            aor,
            text,
            ..registrar::Filter::default()
        };
        self.registrar
            .list(&filter, after, limit)
            .iter()
            .map(|b| {
                let name = b.aor.split('@').next().unwrap_or_default();
                let user = self.routes.user_named(name).map(|u| u.id);
                b.to_model(user, self.holder_name(b.holder))
            })
            .collect()
    }

    /// Removes a binding; false if there is none of that id.
    pub fn remove_registration(&mut self, now: Time, id: registrar::BindingId) -> bool {
        let removed = self.registrar.remove(now, id);
        self.pump(now);
        removed
    }

    /// What people call a gateway; empty for one that is gone.
    #[must_use]
    pub fn gateway_name(&self, id: model::GatewayId) -> &str {
        let gateways = &self.snapshot.gateways;
        let found = gateways.iter().find(|g| g.id == id);
        found.map_or("", |g| g.name.as_str())
    }

    /// How every gateway is.
    #[must_use]
    pub fn gateway_health(&self, now: Time) -> Vec<GatewayHealth> {
        self.snapshot
            .gateways
            .iter()
            .map(|g| {
                let status = self.health.status(g.id);
                let entity = limits::EntityId::new(limits::EntityKind::Gateway, g.id.bits());
                GatewayHealth {
                    gateway: g.id,
                    name: g.name.clone(),
                    up: status.as_ref().and_then(|s| s.up),
                    rtt_us: status.as_ref().and_then(|s| s.rtt_us),
                    last_failure: status
                        .as_ref()
                        .and_then(|s| s.last_failure)
                        .map_or_else(String::new, |f| f.to_string()),
                    channels: self.limits.usage(now, entity).map_or(0, |u| u.channels),
                    registration: self.registration_of(now, g),
                }
            })
            .collect()
    }

    /// What would become of a call, by the engine that decides real ones.
    pub fn simulate(&self, now: Time, query: &RouteQuery) -> RouteView {
        self.simulate_by(&self.routes, now, query)
    }

    /// The same by other routes than those in force.
    pub fn simulate_by(&self, routes: &Table, now: Time, query: &RouteQuery) -> RouteView {
        let mut steps: Vec<Step> = Vec::new();
        let request = routing::Request {
            source: Source {
                address: query.source,
                identity: query.identity,
                certificate: None,
                gateway: self.gateway_by_name(query.source.ip()),
                line: None,
            },
            called: &query.called,
            caller: &query.caller,
            caller_domain: routing::Domain::Foreign,
            random: 0,
        };
        let decision = routes.decide(now, &request, &self.health, &mut steps);
        let contacts = match &decision.target {
            routing::Target::User(user) => {
                let aor = format!("{}@{}", user.name, routes.domain());
                self.registrar
                    .lookup(now, &aor)
                    .iter()
                    .map(|c| String::from_utf8_lossy(&c.uri).into_owned())
                    .collect()
            }
            _ => Vec::new(),
        };
        RouteView {
            decision,
            steps,
            contacts,
        }
    }

    /// Whether calls go to a gateway.
    #[must_use]
    pub fn availability(&self, now: Time, gateway: model::GatewayId) -> routing::Availability {
        self.health.availability(now, gateway)
    }

    /// The use of an entity's limits.
    #[must_use]
    pub fn usage(&self, now: Time, entity: limits::EntityId) -> Option<limits::Usage> {
        self.limits.usage(now, entity)
    }

    /// The bans in force.
    #[must_use]
    pub fn bans(&self, now: Time) -> Vec<(IpAddr, Ban)> {
        self.defence.bans(now)
    }

    /// Lifts a ban; false if there is none.
    pub fn lift_ban(&mut self, address: IpAddr) -> bool {
        self.defence.lift(address)
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bindings that other nodes hold.
    #[must_use]
    pub fn bindings_elsewhere(&self) -> usize {
        self.registrar.len() - self.registrar.held()
    }

    /// Bindings of one transport that this node holds.
    #[must_use]
    pub fn binding_count(&self, transport: sip::Transport) -> usize {
        self.registrar.count(transport)
    }

    /// Transactions under way.
    #[must_use]
    pub fn transaction_count(&self) -> usize {
        self.transactions.len()
    }

    /// Our listeners.
    #[must_use]
    pub const fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The configuration in force.
    #[must_use]
    pub const fn snapshot(&self) -> &std::sync::Arc<model::Snapshot> {
        &self.snapshot
    }
}

/// Where a call stands; `None`: it is over.
pub(crate) fn state(entry: &Entry) -> Option<CallState> {
    match (entry.call.phase(), entry.facts.ring) {
        (Phase::Setup, None) => Some(CallState::Trying),
        (Phase::Setup, Some(_)) => Some(CallState::Ringing),
        (Phase::Answered, _) => Some(CallState::Answered),
        (Phase::Over, _) => None,
    }
}

/// A call as people see it, unless it is over.
pub(crate) fn view(entry: &Entry) -> Option<CallView> {
    let state = state(entry)?;
    let legs = entry
        .call
        .pairs()
        .iter()
        .enumerate()
        .flat_map(|(at, pair)| {
            let caller = pair.leg(Side::A).filter(|_| at == 0);
            [caller, pair.leg(Side::B)]
        })
        .flatten()
        .map(|leg| LegView {
            sip_call_id: String::from_utf8_lossy(&leg.dialog.call_id).into_owned(),
            remote: leg.flow.to_string(),
            uri: String::from_utf8_lossy(&leg.dialog.target).into_owned(),
            held: leg.is_held(),
        })
        .collect();
    Some(CallView {
        id: entry.facts.id,
        server: None,
        server_name: String::new(),
        account: entry.facts.account,
        state,
        caller: entry.facts.caller_text().to_owned(),
        called: entry.facts.called_text().to_owned(),
        start_us: entry.facts.start.as_micros(),
        answer_us: entry.facts.answer.map(Time::as_micros),
        legs,
        explanation: entry.facts.steps.iter().map(ToString::to_string).collect(),
    })
}
