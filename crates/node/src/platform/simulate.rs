//! A call that is only thought of, decided by the engine that decides real ones.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clock::Time;
use control::{PlatformError, RouteQuery, SimulatedTarget, Simulation, SimulationOutcome};
use model::{CustomerAuth, CustomerId, Snapshot};
use routing::{Availability, Decision, Identity, Table, Target};
use switch::Switch;
use switch::media_servers::Place;

/// A configuration that is not in force.
pub(super) struct Drafted {
    snapshot: Arc<Snapshot>,
    routes: Table,
}

impl Drafted {
    /// Prepares decisions by it, off the runtime's threads.
    pub(super) async fn compile(snapshot: Arc<Snapshot>) -> Result<Arc<Self>, PlatformError> {
        let compiled = tokio::task::spawn_blocking(move || {
            let routes = Table::compile(&snapshot);
            Arc::new(Self { snapshot, routes })
        });
        let lost = |error: tokio::task::JoinError| PlatformError::Unavailable(error.to_string());
        compiled.await.map_err(lost)
    }
}

/// What would happen, by the configuration in force or by another, and, where media servers relay by the
/// former, where the media would be served.
pub(super) fn simulate(
    switch: &Switch,
    now: Time,
    query: &RouteQuery,
    drafted: Option<&Drafted>,
) -> (Simulation, Option<Place>) {
    let configuration = drafted.map_or_else(|| switch.snapshot(), |drafted| &drafted.snapshot);
    let at = query.at_us.map_or(now, Time::from_micros);
    let address = |query: &RouteQuery| {
        let source = query.source?;
        Some(SocketAddr::new(source.ip, source.port.unwrap_or(SIP_PORT)))
    };
    let here = SocketAddr::from(([127, 0, 0, 1], SIP_PORT));
    let given = address(query).unwrap_or(here);
    let (identity, source) = match (query.user, query.customer) {
        (Some(user), _) => (Some(Identity::User(user)), given),
        (None, Some(customer)) => match address_of(configuration, customer) {
            Some(ip) => (None, SocketAddr::new(ip, SIP_PORT)),
            None => (Some(Identity::Customer(customer)), given),
        },
        (None, None) => (None, given),
    };
    let asked = switch::RouteQuery {
        called: query.called.clone(),
        caller: query.caller.clone(),
        source,
        identity,
    };
    let view = match drafted {
        Some(drafted) => switch.simulate_by(&drafted.routes, at, &asked),
        None => switch.simulate(at, &asked),
    };
    let (outcome, status) = outcome(&view.decision);
    let relayed =
        drafted.is_none() && status.is_none() && !switch.snapshot().media_servers.is_empty();
    let place = relayed.then(|| switch.place_of_decision(&view.decision));
    let simulation = Simulation {
        outcome,
        status,
        steps: view.steps.iter().map(ToString::to_string).collect(),
        targets: targets(switch, at, &view),
    };
    (simulation, place)
}

/// An address that a customer is known by, if it is known by such.
fn address_of(configuration: &Snapshot, id: CustomerId) -> Option<IpAddr> {
    let customer = configuration.customers.iter().find(|c| c.id == id)?;
    match &customer.auth {
        CustomerAuth::Address { networks } => networks.first()?.hosts().next(),
        CustomerAuth::Digest { .. } | CustomerAuth::Certificate { .. } => None,
    }
}

fn outcome(decision: &Decision) -> (SimulationOutcome, Option<u16>) {
    match &decision.target {
        Target::User(_) => (SimulationOutcome::User, None),
        Target::Customer { .. } => (SimulationOutcome::Customer, None),
        Target::Gateways(_) => (SimulationOutcome::Carrier, None),
        Target::Service(_) => (SimulationOutcome::Application, None),
        Target::Challenge => (SimulationOutcome::Refused, Some(407)),
        Target::Refuse(refusal) => (SimulationOutcome::Refused, Some(refusal.status())),
    }
}

fn targets(switch: &Switch, at: Time, view: &switch::RouteView) -> Vec<SimulatedTarget> {
    match &view.decision.target {
        Target::User(user) => view
            .contacts
            .iter()
            .map(|uri| SimulatedTarget {
                uri: uri.clone(),
                number: user.name.clone(),
                available: true,
                ..SimulatedTarget::default()
            })
            .collect(),
        Target::Customer {
            host, destination, ..
        } => vec![SimulatedTarget {
            uri: format!("sip:{destination}@{host}"),
            number: destination.to_string(),
            available: true,
            ..SimulatedTarget::default()
        }],
        Target::Gateways(list) => list
            .iter()
            .map(|attempt| SimulatedTarget {
                uri: switch::gateway_uri(&attempt.gateway, &attempt.destination),
                number: attempt.destination.to_string(),
                carrier: Some(attempt.carrier.id),
                gateway: Some(attempt.gateway.id),
                available: switch.availability(at, attempt.gateway.id) == Availability::Up,
            })
            .collect(),
        Target::Service(service) => vec![SimulatedTarget {
            uri: service.to_string(),
            available: true,
            ..SimulatedTarget::default()
        }],
        Target::Challenge | Target::Refuse(_) => Vec::new(),
    }
}

/// Of calls whose port nobody gave.
const SIP_PORT: u16 = 5060;
