//! A call that is only thought of, decided by the engine that decides real ones.

use std::net::{IpAddr, SocketAddr};

use clock::Time;
use control::{RouteQuery, SimulatedTarget, Simulation, SimulationOutcome};
use routing::{Availability, Decision, Identity, Target};
use switch::Switch;
use switch::media_servers::Place;

/// What would happen, and, where media servers relay, where the media would be served.
pub(super) fn simulate(
    switch: &Switch,
    now: Time,
    query: &RouteQuery,
) -> (Simulation, Option<Place>) {
    let at = query.at_us.map_or(now, Time::from_micros);
    let identity = match (query.user, query.customer) {
        (Some(user), _) => Some(Identity::User(user)),
        (None, Some(customer)) => Some(Identity::Customer(customer)),
        (None, None) => None,
    };
    let source = query.source.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let view = switch.simulate(
        at,
        &switch::RouteQuery {
            called: query.called.clone(),
            caller: query.caller.clone(),
            source: SocketAddr::new(source, 5060),
            identity,
        },
    );
    let (outcome, status) = outcome(&view.decision);
    let relayed = status.is_none() && !switch.snapshot().media_servers.is_empty();
    let place = relayed.then(|| switch.place_of_decision(&view.decision));
    let simulation = Simulation {
        outcome,
        status,
        steps: view.steps.iter().map(ToString::to_string).collect(),
        targets: targets(switch, at, &view),
    };
    (simulation, place)
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
